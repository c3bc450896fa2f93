"""The command line as a person meets it: a sentence and exit code 1 for a mistake, a traceback for a bug, no litter."""

import os
import subprocess
import sys

import pytest

import train
from ablations.compose import CONF
from ablations.errors import shell
from ablations.help import help_text

ROOT = CONF.parent
# train.py with the work replaced: seed 1 is a mistake, seed 2 a bug, the others succeed.
STAND_IN = """
import collections, sys, types
Asked = collections.namedtuple("Asked", "config overrides origin")
def run(config, overrides, origin=None):
    print("done", config.seed, config.projection.name)
    if config.seed == 1:
        raise FileNotFoundError("corpus.txt is not there: type the right path")
    if config.seed == 2:
        return {}["bug"]
    return 1.0
def outcome(asked):
    try:
        return run(*asked)
    except Exception as error:
        return error
def run_together(several):
    return [outcome(asked) for asked in several]
sys.modules["ablations.run"] = types.SimpleNamespace(run=run, run_together=run_together, Asked=Asked)
import train
train.main()
"""
# A text that is made at once: a sweep prepares it before its first run.
SMALL = ("task.corpus.options.train=200", "task.corpus.options.valid=20", "task.corpus.options.test=20")


@pytest.fixture(autouse=True)
def _no_tracebacks_asked(monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


def command(folder, *arguments, stand_in=False, **environment):
    program = ["-c", STAND_IN] if stand_in else [str(ROOT / "train.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        [sys.executable, *program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["projection=shard"], "did you mean 'shared'"),
        (["optim.lr=-1"], "optim: lr=-1.0 must be above 0"),
        (["seed=0,1"], "add -m"),
        (["--multirn"], "did you mean '--multirun'"),
        (["seed=${nope}"], "no setting is called 'nope'"),
        (["projection=identity", "match=cache"], "leave cache out, or choose another study.baseline"),
        # In a multirun a mistake in any cell is found before the first cell runs.
        (["-m", "projection=separate,shared", "projection.kv_heads=2"], "cannot share one map"),
        (["-m", "projection=separate,shard"], "did you mean 'shared'"),
        (["-m", "projection=separate,identity", "match=none,cache"], "(in projection=identity match=cache)"),
        (["study=demo", "seed=0,x"], "seed=x must be a whole number"),
        (["study=demo", "sites.cross.kv_heads=2"], "would change every site"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_on_stderr_and_nothing_else(tmp_path, arguments, words):
    answer = command(tmp_path, *arguments)
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: ") and answer.stderr.count("\n") == 1
    assert words in answer.stderr
    assert answer.stdout == ""
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["task=toy_translation", "projection=shared", "projection@sites.cross=separate", "optim=translation", "seed=3"],
        ["study.name=night", "optim.betas=[0.9,0.95]", "task.test=[]", "model.head_dim=null"],
    ],
    ids=" ".join,
)
def test_a_single_run_is_what_hydra_would_make_of_it(monkeypatch, words):
    """The way around Hydra's `main`, which composes twice, and that way itself."""
    seen = []
    monkeypatch.setattr(train, "one", lambda config, overrides: seen.append((config, overrides)))
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    train.main()
    train.train()
    assert seen[0] == seen[1] and len(seen) == 2


def test_a_run_leaves_nothing_of_hydra_behind(tmp_path):
    answer = command(tmp_path, "projection=shared", stand_in=True)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "done 0 shared\n", "")
    assert list(tmp_path.iterdir()) == []


def test_a_run_says_which_sizes_it_was_given(tmp_path):
    answer = command(tmp_path, "projection=shared", "match=params", stand_in=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    words, done = answer.stdout.splitlines()
    assert words.startswith("shared, match=params: d_ff 512 -> ") and done == "done 0 shared"


def test_a_sweep_says_it_once_and_does_no_run_twice(tmp_path):
    asked = ("projection=separate,shared", "match=none,params", "seed=0,3", "task=copy", *SMALL)
    answer = command(tmp_path, "-m", *asked, stand_in=True)
    lines = answer.stdout.splitlines()
    assert [line for line in lines if line.startswith("done")] == [
        *("done 0 separate", "done 3 separate", "done 0 shared", "done 3 shared", "done 0 shared", "done 3 shared")
    ]
    assert sum(line.startswith("shared, match=params: d_ff 512 -> ") for line in lines) == 1
    assert "6 runs: 6 to do" in lines


def test_a_failing_run_is_one_line_too(tmp_path):
    answer = command(tmp_path, "seed=1", stand_in=True)
    assert (answer.returncode, answer.stderr) == (1, "error: corpus.txt is not there: type the right path\n")


def test_a_failing_cell_is_told_at_once_and_the_others_go_on(tmp_path):
    answer = command(tmp_path, "-m", "seed=0,1,3", "task=copy", *SMALL, stand_in=True)
    assert answer.returncode == 1
    assert [line for line in answer.stdout.splitlines() if line.startswith("done")] == [
        *("done 0 separate", "done 1 separate", "done 3 separate")
    ]
    assert answer.stderr.startswith("error: corpus.txt is not there: type the right path (in seed=1 ")
    assert answer.stderr.endswith("error: 1 of 3 runs failed, as told above\n")
    assert "Traceback" not in answer.stderr and not list(tmp_path.rglob("*.yaml")), "no litter of Hydra's"


def test_a_study_is_a_multirun_without_being_asked(tmp_path):
    answer = command(tmp_path, "study=recall", "seed=3", *SMALL, stand_in=True)
    done = [line for line in answer.stdout.splitlines() if line.startswith("done")]
    assert answer.returncode == 0
    assert done == ["done 3 separate", "done 3 k_is_v", "done 3 shared"]


@pytest.mark.parametrize("arguments", [["seed=2"], ["-m", "seed=2,3", "task=copy", *SMALL]], ids=" ".join)
def test_a_bug_keeps_its_traceback(tmp_path, arguments):
    answer = command(tmp_path, *arguments, stand_in=True)
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr and "KeyError: 'bug'" in answer.stderr
    assert "-m" not in arguments or "done 3 separate" in answer.stdout


def test_who_asks_for_tracebacks_gets_them(tmp_path):
    answer = command(tmp_path, "optim.lr=-1", HYDRA_FULL_ERROR="1")
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["projection=shared", "-h"]], ids=" ".join)
def test_help_is_the_page_of_groups(tmp_path, arguments):
    answer = command(tmp_path, *arguments)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, help_text(CONF) + "\n", "")


def test_the_composed_configuration_can_be_shown(tmp_path):
    answer = command(tmp_path, "--cfg", "job", "projection=shared")
    assert answer.returncode == 0
    assert "name: shared" in answer.stdout and "hydra:" not in answer.stdout


def raising(error):
    @shell
    def main():
        raise error

    return main


@pytest.mark.parametrize("error", [ValueError("do this"), FileNotFoundError("do this"), ValueError("do this\nmore")])
def test_other_command_lines_answer_in_the_same_way(capsys, error):
    with pytest.raises(SystemExit) as stopped:
        raising(error)()
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "error: do this\n"


def test_an_error_of_the_system_says_which_file(capsys, tmp_path):
    @shell
    def main():
        (tmp_path / "absent.json").read_text()

    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == f"error: No such file or directory: {tmp_path / 'absent.json'}\n"


def test_a_value_error_from_a_library_is_a_bug():
    """Somebody passed it what it does not take: the sentence would blame the user for it."""

    @shell
    def main():
        subprocess.run("true", stdout=subprocess.PIPE, capture_output=True)  # both together are a ValueError

    with pytest.raises(ValueError, match="capture_output"):
        main()


def test_ctrl_c_is_no_traceback(capsys):
    with pytest.raises(SystemExit) as stopped:
        raising(KeyboardInterrupt())()
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_result_is_handed_on_and_the_environment_left_as_it_was():
    before = dict(os.environ)
    assert shell(lambda: 3)() == 3
    assert dict(os.environ) == before
