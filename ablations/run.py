"""Runs, from configs to records on disk, one or several together. A finished run is never trained twice."""

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from ablations import checkpoint, provenance, record
from ablations.compose import to_plain
from ablations.config import RunConfig, check
from ablations.course import Course
from ablations.decoding import decoding
from ablations.device import Place, find_place
from ablations.entry import announce, new_record, objective, training
from ablations.errors import sentence
from ablations.evaluator import nats_per_token, samples, score
from ablations.files import Lock, check_writable, torn, write_text
from ablations.known import answer
from ablations.learner import Alone
from ablations.model import Model, build, costs
from ablations.progress import Progress
from ablations.stack.alike import stacks
from ablations.stack.learner import Stack
from ablations.stack.worth import PAYS, gain
from ablations.stop import Stop
from ablations.track.start import open_tracker
from ablations.track.tracker import Tracker, first_line, warn
from ablations.trainer import Report, Trainer
from ablations.units import pack_all
from data.batch import BOS, EOS, PAD, UNK
from data.loader import Loader, first_rows
from data.prepare import prepare
from data.prepared import Prepared
from models.transformer import Classifier


@dataclass(frozen=True)
class Asked:
    """A run that is asked for. `origin` is what its record says of code and claims, none: what lies here now."""

    config: RunConfig
    overrides: list[str]
    origin: dict[str, Any] | None = None


@dataclass
class Begun:
    """A run that is ours to train: nobody else has its lock, and its model is there."""

    config: RunConfig
    prepared: Prepared
    place: Place
    course: Course
    record: dict[str, Any]  # as far as it is known
    lock: Lock | None  # the first process has it
    held: ExitStack  # its lock, then its tracker
    started: float = 0.0  # when it was its turn


def run(config: RunConfig, overrides: list[str], origin: dict[str, Any] | None = None) -> float:
    """Trains, scores and records one run; returns nats per token on the validation split, the sweeper's objective.

    The record lies in `<results>/records/<study>/`, everything else in `<results>/work/<signature>/`. A run that
    stopped half-way continues from its checkpoint; one whose record says finished or diverged is not trained again.
    A run that breaks leaves a record that says failed, and is tried again when asked for again. `origin` is what the
    record says of code and claims, where that is not what lies here now (`provenance.origin`). Raises ValueError where
    another process is at work on the same run.
    """
    [outcome] = run_together([Asked(config, overrides, origin)])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def run_together(asked: Sequence[Asked]) -> list[float | Exception]:
    """The same for several runs, stacked where `trainer.stack` says so: what `run` returns for each, or would raise."""
    outcomes: dict[int, float | Exception] = {}
    begun: dict[int, Begun] = {}
    with Stop() as stop, ExitStack() as all_held:
        for i, one in enumerate(asked):
            try:
                found = _begin(one, all_held)
            except Exception as error:
                found = error
            if isinstance(found, Begun):
                begun[i] = found
            else:
                outcomes[i] = found
        for group in _groups(begun):
            ended = _train_and_score([begun[i] for i in group], stop)
            outcomes |= zip(group, ended, strict=True)
    return [outcomes[i] for i in range(len(asked))]


def _begin(asked: Asked, all_held: ExitStack) -> Begun | float:
    """The run with its lock held, or what it came to where it is on record already."""
    config = asked.config
    check(config)
    place = find_place(config.trainer)
    config.trainer.precision = place.precision  # `auto` is settled before the run is signed
    plain, results = to_plain(config), Path(config.paths.results)
    signature = record.signature(plain)
    folder = results / "work" / signature
    record.refuse_link(folder)

    def known() -> dict[str, Any] | None:
        return place.first(lambda: None if config.rerun else record.find(results, signature, config.study.name))

    if (found := known()) is None:  # what is finished can be asked for where nothing can be written
        check_writable(folder)
        check_writable(results / "records" / config.study.name)
        record.refuse_link(results / "records" / config.study.name)
    prepared = prepare(config.task, config.paths.corpora, config.paths.cache)
    if found is not None:
        if place.rank == 0 and checkpoint.unfinished(folder):
            with suppress(OSError), Lock(folder / "lock") as lock:  # where nothing can be written it stays
                if lock.held:
                    _tidy(folder, found, rerun=False)
        return _known(found, plain, prepared, results, place)
    with ExitStack() as held:
        lock = held.enter_context(Lock(folder / "lock")) if place.rank == 0 else None
        if lock is not None and not lock.held:
            raise ValueError(
                f"another process trains {record.label(plain)} in {folder}: let it finish, or stop it first"
            )
        if (found := known()) is not None:  # by whoever held the lock until now
            return _known(found, plain, prepared, results, place)
        if place.rank == 0:
            with suppress(ValueError):  # a broken record is replaced by `rerun=true`, as any other
                found = record.find(results, signature, config.study.name)
            _tidy(folder, found, config.rerun)
        entry = new_record(plain, signature, asked.overrides, prepared, place) | (asked.origin or provenance.origin())
        try:
            course = _course(config, prepared, place, folder, signature)
        except Exception as error:
            if place.rank == 0 and not isinstance(error, ValueError):  # such as too little memory, and no mistake
                _record_failure(config, entry, error)
            raise
        begun = Begun(config, prepared, place, course, entry, lock, held.pop_all())
        all_held.push(begun.held)
    return begun


def _tidy(folder: Path, found: dict[str, Any] | None, rerun: bool) -> None:
    """Removes what a kill has left there: files half written, and checkpoints of a run that was on record by then.

    Those would be taken for the end of the training that `rerun=true` asks for, whose own are known by REPLACES.
    """
    for file in torn(folder):
        file.unlink(missing_ok=True)
    if found is None:
        return
    replaces, finished = folder / checkpoint.REPLACES, found.get("finished", "")
    if not replaces.exists() or replaces.read_text(encoding="utf-8") != finished:
        checkpoint.clear(folder)
        if rerun:
            write_text(replaces, finished)


def _groups(begun: dict[int, Begun]) -> list[list[int]]:
    """Who is trained with whom: runs that are alike and stand at the same place."""
    places = list(begun)
    groups: dict[tuple[int, int, bool, bool], list[int]] = {}
    for number, alike in enumerate(stacks([one.config for one in begun.values()])):
        for i in alike:
            course = begun[places[i]].course
            groups.setdefault((number, course.state.step, course.amid_line, course.going), []).append(places[i])
    return list(groups.values())


def _train_and_score(group: list[Begun], stop: Stop) -> list[float | Exception]:
    """Trains the runs together where that is wanted or pays, else one after the other, and records each."""
    facts: dict[str, Any] = {"stack": len(group)} if len(group) > 1 else {}
    if facts and group[0].config.trainer.stack == "auto" and group[0].course.going:
        facts["stack_gain"] = round(gain([one.course for one in group]), 2)
        pays = facts["stack_gain"] >= PAYS
        words = "stacked" if pays else "one after the other"
        print(f"{len(group)} runs {words}: a stack is {facts['stack_gain']} times as fast, as measured", flush=True)
        if not pays:
            facts["stack"] = 1
            return [outcome for one in group for outcome in _together([one], facts, stop)]
    return _together(group, facts, stop)


def _together(group: list[Begun], facts: dict[str, Any], stop: Stop) -> list[float | Exception]:
    first, more = group[0], f" and {len(group) - 1} more" if len(group) > 1 else ""
    if first.place.rank != 0:  # every process trains, the first one scores and records
        _fit(group, stop, [lambda numbers: None])
        return [first.place.end(None)]
    label, step = record.label(first.record["config"]) + more, first.course.state.step
    with Progress(label, first.config.trainer.steps, step) as progress:
        try:
            trackers = [_open(one) for one in group]
            reports = [partial(_report, one, tracker, progress) for one, tracker in zip(group, trackers, strict=True)]
            _fit(group, stop, reports)
        except Exception as error:
            return [_failed(one, error) for one in group]
        return [_conclude(one, tracker, facts) for one, tracker in zip(group, trackers, strict=True)]


def _open(one: Begun) -> Tracker:
    one.started, one.record["budget"] = time.time(), asdict(costs(one.config, one.prepared))
    course = one.course
    return one.held.enter_context(open_tracker(one.config.tracking, one.record, course.folder, course.state.step))


def _fit(group: list[Begun], stop: Stop, reports: list[Report]) -> None:
    """Trains to the end, or leaves with everything saved when a signal says so."""
    courses = [one.course for one in group]
    with stop.held() as asked:
        learner = Stack(courses) if len(courses) > 1 else Alone(courses[0])
        Trainer(courses, learner).fit(reports, asked)
    if any(course.going for course in courses):
        stop.leave()  # another process of this run was told, and this one was not


def _conclude(one: Begun, tracker: Tracker, facts: dict[str, Any]) -> float | Exception:
    """Scores and records a run that is trained."""
    entry, course = one.record, one.course
    try:
        entry |= training(course, facts)
        if course.state.diverged is None:
            model = {"signature": entry["signature"], "model": course.model.state_dict()}
            checkpoint.save(course.folder / "model.pt", model)
            entry |= _scores(one.config, course.model, one.prepared, course.folder)
            if not isinstance(course.model, Classifier):
                entry["decoding"] = decoding(course.model, one.config.task.context)
        entry |= {"finished": provenance.now(), "seconds": round(time.time() - one.started, 1)}
        written = record.write(entry, one.config.paths.results)
        checkpoint.clear(course.folder)
        announce(entry, written)
        tracker.show(entry)  # last, since a dashboard may take its time
        one.held.close()
    except Exception as error:
        return _failed(one, error)
    return one.place.end(objective(entry))


def _failed(one: Begun, error: Exception) -> Exception:
    """The error, once it is on record."""
    traceback.clear_frames(error.__traceback__)  # which hold a model and its gradients
    _record_failure(one.config, one.record, error, f"after step {one.course.state.step}: ")
    one.held.__exit__(type(error), error, error.__traceback__)
    return error


def _record_failure(config: RunConfig, entry: dict[str, Any], error: Exception, when: str = "") -> None:
    results = config.paths.results
    try:
        if record.find(results, entry["signature"], config.study.name) is not None:
            return  # rerun=true has one, and it still holds
    except ValueError:
        return  # a broken one, which only a run that comes to its end replaces
    reason = when + (sentence(error) or f"{type(error).__name__}: {first_line(error)}")
    try:
        record.write({**entry, "status": "failed", "reason": reason, "finished": provenance.now()}, results)
    except OSError as unwritten:  # on a full disk; it is the first error that says what to do
        warn(f"that the run failed is not on record ({sentence(unwritten)})")


def _course(config: RunConfig, prepared: Prepared, place: Place, folder: Path, signature: str) -> Course:
    batch_tokens, context = config.trainer.batch_tokens, config.task.context
    return Course(
        build(config, prepared).to(place.device),
        Loader(prepared, batch_tokens, context, config.seed, place.rank, place.world),
        lambda network: nats_per_token(network, prepared, "valid", config, place)[0],
        config.optim,
        config.trainer,
        place,
        folder,
        signature,
        config.seed,
        _watch(config, prepared, place) if config.analysis.parts else None,
        config.analysis.every,
    )


def _watch(config: RunConfig, prepared: Prepared, place: Place) -> Callable[[nn.Module, int], dict[str, Any]]:
    """Observes the first rows of the validation split; pictures and contexts only at both ends of the training."""
    from ablations.analysis.probe import observe

    batch = first_rows(prepared, "valid", config.analysis.rows, config.task.context).to(place.device)

    def watch(model: nn.Module, step: int) -> dict[str, Any]:
        ends = step in (0, config.trainer.steps)
        parts = [part for part in config.analysis.parts if ends or part not in ("context", "maps")]
        seen = observe(model, batch, parts)
        if "ids" in seen.get("maps", {}):
            ids = seen["maps"].pop("ids")
            seen["maps"]["tokens"] = {stack: _pieces(prepared, tokens) for stack, tokens in ids.items()}
        return seen

    return watch


def _pieces(prepared: Prepared, ids: list[int]) -> list[str]:
    """Each token as a person reads it."""
    named = {PAD: "<pad>", BOS: "<bos>", EOS: "<eos>", UNK: "<unk>"}
    return [named.get(token) or prepared.tokenizer.decode([token]) for token in ids]


def _report(one: Begun, tracker: Tracker, progress: Progress, numbers: dict[str, float]) -> None:
    """Tells a line, which comes before a checkpoint: neither is written where another process trains the run by now."""
    step = int(numbers["step"])
    if one.lock is not None and one.lock.lost:
        _take_again(one, one.lock)
    tracker.log(step, {name: value for name, value in numbers.items() if name != "step"})
    progress.update(step, numbers["loss"], numbers["tokens_per_second"])


def _take_again(one: Begun, lock: Lock) -> None:
    """Makes a work folder again that somebody has removed or moved."""
    folder = one.course.folder
    if not lock.take_again():
        raise ValueError(f"{folder} was removed while its run was trained, and another process trains it by now")
    warn(f"{folder} was removed while its run is trained: made again, and the run goes on")


def _known(found: dict[str, Any], plain: dict[str, Any], prepared: Prepared, results: Path, place: Place) -> float:
    """The outcome of a run that is on record already; it counts for every study that asks for it."""
    if place.rank == 0:
        where = answer(found, plain["study"], prepared.digest, results)
        print(f"{found['status']} already, not trained again (rerun=true would): {where}")
    return objective(found)


def _scores(
    config: RunConfig, model: Model, prepared: Prepared, folder: Path
) -> dict[str, dict[str, Any] | list[dict[str, str]]]:
    """Scores of every split, what they are sums of, and some translations; all hypotheses go to `folder`."""
    scores, units, shown = {}, {}, []
    for split in ["valid", *config.task.test]:
        scores[split], hypotheses, of_split = score(model, prepared, split, config)
        units[split] = pack_all(of_split)
        if hypotheses:
            write_text(folder / f"hypotheses.{split}.txt", "\n".join(hypotheses) + "\n")
            shown = samples(prepared, split, hypotheses, config.evaluation.samples)
    return {"scores": scores, "units": units, "samples": shown}
