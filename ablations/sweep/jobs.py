"""What SLURM says of jobs: which wait or run, how others ended, and whether this one is being preempted."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

PENDING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SUSPENDED", "CONFIGURING")
PATIENCE = 20  # seconds for one answer


class NoAnswerError(ValueError):
    """SLURM cannot be asked here, or not now."""


@dataclass(frozen=True)
class Job:
    """One task of a job array, or a job of its own (index 0)."""

    id: str  # such as 17_3
    index: int
    state: str
    end: str = ""  # when, as sacct writes it


def queued(names: Iterable[str]) -> dict[str, list[Job]]:
    """Job name -> those of its tasks that SLURM still has to do with. Raises NoAnswerError."""
    names = list(names)
    if not names:
        return {}
    said = _ask("squeue", "--noheader", "--array", f"--name={','.join(names)}", "--format=%F|%K|%T|%j")
    found: dict[str, list[Job]] = {}
    for line in said.splitlines():
        job, index, state, name = line.split("|", 3)
        alone = not index.isdecimal()
        one = Job(job, 0, state) if alone else Job(f"{job}_{index}", int(index), state)
        found.setdefault(name, []).append(one)
    return found


def ended(names: Iterable[str]) -> dict[str, list[Job]]:
    """Job name -> what accounting says of its tasks, oldest end first; nothing where there is no accounting."""
    names = list(names)
    if not names or shutil.which("sacct") is None:
        return {}
    options = (
        "--noheader",
        "--allocations",
        "--parsable2",
        "--starttime=now-30days",
        "--format=JobName,JobID,State,End",
    )
    try:
        said = _ask("sacct", *options, f"--name={','.join(names)}")
    except NoAnswerError:
        return {}
    found: dict[str, list[Job]] = {}
    for line in said.splitlines():
        name, job, state, end = line.split("|", 3)
        index = job.partition("_")[2]
        if "[" not in job:  # the tasks of an array that never started, in one line
            found.setdefault(name, []).append(Job(job, int(index or 0), state, end))
    return {name: sorted(jobs, key=lambda job: job.end) for name, jobs in found.items()}


def queue_again_if_preempted() -> None:
    """Puts this job back into the queue if it runs and is being preempted.

    Not if it was cancelled or is queued again anyway; and not where there is no `scontrol`, as in some containers.
    """
    if os.environ.get("SLURM_PROCID") != "0":
        return
    job, array = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:  # the plain number of an array's last task means all of its tasks
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        said = _ask("scontrol", "show", "job", job)
        preempted = re.search(r"\bPreemptTime=(\S+)", said)
        if "JobState=RUNNING" in said and preempted and preempted[1] != "None":  # the time of an earlier one stays
            _ask("scontrol", "requeue", job)
    except NoAnswerError as silent:
        print(f"warning: not queued again: {silent}", flush=True)


def _ask(program: str, *options: str) -> str:
    # Settings such as SQUEUE_STATES or SQUEUE_PARTITION would hide jobs.
    environment = {key: value for key, value in os.environ.items() if not re.match("SQUEUE_|SACCT_", key)}
    try:
        answer = subprocess.run(
            [program, *options], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except FileNotFoundError:
        raise NoAnswerError(
            f"runs of this study were handed to SLURM, and there is no {program} here: type this on a machine of that "
            "cluster, or delete the files in work/batches once none of them runs any more"
        ) from None
    except subprocess.TimeoutExpired:
        raise NoAnswerError(f"SLURM does not answer ({program} took more than {PATIENCE} s): try again later") from None
    except subprocess.CalledProcessError as refusal:
        words = " ".join(refusal.stderr.split()) or f"{program} failed"
        raise NoAnswerError(f"SLURM does not answer ({words}): try again later") from None
    return answer.stdout
