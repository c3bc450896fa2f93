"""Lines that keep a promise, and the test that fails without each of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Safeguard:
    """`code` stands once in `file`; with `without` in its place the `test` must fail."""

    name: str
    file: str
    code: str
    without: str
    test: str


CHECKPOINTS = "tests/faults/test_checkpoints.py"
KILL = "tests/faults/test_kill.py"

SAFEGUARDS = (
    Safeguard(
        "a checkpoint's checksum is looked at",
        "ablations/checkpoint.py",
        "if not _sound(file):",
        "if False:",
        f"{CHECKPOINTS}::test_the_one_before_is_used[a flipped bit]",
    ),
    Safeguard(
        "two checkpoints are kept",
        "ablations/checkpoint.py",
        "KEPT = 2",
        "KEPT = 1",
        f"{CHECKPOINTS}::test_the_one_before_is_used[a flipped bit]",
    ),
    Safeguard(
        "a checkpoint is of the run that reads it",
        "ablations/checkpoint.py",
        '(state.get("format"), state.get("signature")) != (FORMAT, signature)',
        'state.get("format") != FORMAT',
        f"{CHECKPOINTS}::test_the_one_before_is_used[of another signature]",
    ),
    Safeguard(
        "a run with unusable checkpoints does not start anew",
        "ablations/checkpoint.py",
        "    if refused:",
        "    if False:",
        f"{CHECKPOINTS}::test_a_run_never_starts_anew_by_itself",
    ),
    Safeguard(
        "the best weights are of the best step",
        "ablations/course.py",
        'best is None or best["step"] != state.best_step',
        "best is None",
        f"{CHECKPOINTS}::test_the_best_weights_are_those_of_the_best_step[of another step]",
    ),
    Safeguard(
        "dropout goes on with its stream",
        "ablations/learner.py",
        'self._resume(saved["random_states"])',
        "pass",
        f"{KILL}::test_killed_at_random_moments",
    ),
    Safeguard(
        "batches go on where they stopped",
        "ablations/course.py",
        'self.loader.load_state_dict(self._saved.pop("loader"))',
        'self._saved.pop("loader")',
        f"{KILL}::test_killed_at_random_moments",
    ),
    Safeguard(
        "what is left beside a record goes before the run is trained again",
        "ablations/run.py",
        "_tidy(folder, record.find(results, signature, config.study.name), results)",
        "pass",
        f"{KILL}::test_what_is_left_of_a_run_on_record_is_not_the_end_of_the_next",
    ),
)
