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
        "best weights are kept as long as a checkpoint may name them",
        "ablations/checkpoint.py",
        'return folder / f"best-{step}.pt"',
        'return folder / "best.pt"',
        f"{CHECKPOINTS}::test_best_weights_of_a_step_that_came_otherwise",
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
        "_tidy(folder, found, config.rerun)",
        "pass",
        f"{KILL}::test_what_is_left_of_a_run_on_record_is_not_the_end_of_the_next",
    ),
    Safeguard(
        "one waits while another prepares",
        "data/turn.py",
        "_wait(file, home)",
        "pass",
        "tests/faults/test_concurrency.py::test_one_prepares_and_seven_take_it",
    ),
    Safeguard(
        "what the dead left half made is removed",
        "data/turn.py",
        "_clear(home)",
        "pass",
        "tests/faults/test_concurrency.py::test_a_dead_owner_s_turn_passes_on_at_once",
    ),
    Safeguard(
        "what the living are at work on is not",
        "data/owner.py",
        "if process == os.getpid():",
        "if True:",
        "tests/faults/test_concurrency.py::test_all_prepare_and_one_folder_wins",
    ),
    Safeguard(
        "nor what another machine is at work on",
        "data/owner.py",
        "if machine != socket.gethostname():",
        "if False:",
        "tests/faults/test_concurrency.py::test_only_the_dead_are_tidied_up_after",
    ),
    Safeguard(
        "all readings of a text are of one text",
        "data/prepare.py",
        "corpus = steady(corpus)",
        "pass",
        "tests/faults/test_data.py::test_a_text_that_changes_meanwhile_is_refused",
    ),
    Safeguard(
        "a prepared folder is of these settings and this text",
        "data/prepared.py",
        "if theirs != mine:",
        "if False:",
        "tests/faults/test_data.py::test_a_folder_of_another_task_or_text_is_not_used",
    ),
    Safeguard(
        "prepared files have their checksums",
        "data/prepared.py",
        'if sha256(path) != expected["sha256"]:',
        "if False:",
        "tests/faults/test_data.py::test_a_damaged_folder_is_built_again_or_named",
    ),
    Safeguard(
        "a relative name stays in its folder",
        "data/files.py",
        'if inside.parts[:1] == ("..",):',
        "if False:",
        "tests/faults/test_data.py::test_names_stay_in_their_folder[files]",
    ),
    Safeguard(
        "what a launch has handed out is its own while it lives",
        "ablations/sweep/launch.py",
        "until_the_end.enter_context(locked(handed.file))  # while it is held, its cells wait for us",
        "pass",
        "tests/faults/test_concurrency.py::test_each_cell_is_trained_once",
    ),
    Safeguard(
        "a text is given up that unpacks without an end",
        "data/files.py",
        "if len(data) > limit:",
        "if False:",
        "tests/faults/test_data.py::test_a_gzip_bomb_is_let_be",
    ),
    Safeguard(
        "zero bytes",
        "data/files.py",
        "if (zero := data.find(0)) >= 0:",
        "if (zero := -1) >= 0:",
        "tests/faults/test_data.py::test_zeros_are_refused_with_the_line",
    ),
    Safeguard(
        "a run goes on with its own text alone",
        "data/loader.py",
        "        if theirs != mine:",
        "        if False:",
        "tests/faults/test_data.py::test_another_text_does_not_go_on_with_a_run[change_tokenizer]",
    ),
    Safeguard(
        "weights are scored on the text they are of",
        "ablations/rescore.py",
        'if prepared.digest != entry["data"]["digest"]:',
        "if False:",
        "tests/faults/test_data.py::test_another_text_is_not_scored[change_test]",
    ),
    Safeguard(
        "rename race",
        "data/build.py",
        "            if (prepared := Prepared.find(target, task)) is not None:",
        "            if False:",
        "tests/faults/test_concurrency.py::test_all_prepare_and_one_folder_wins",
    ),
    Safeguard(
        "a full disk is told with the file",
        "ablations/files.py",
        "error.filename = str(path)",
        "pass",
        "tests/faults/test_disk.py::test_full_at_any_write",
    ),
    Safeguard(
        "a removed curve is written again",
        "ablations/track/tracker.py",
        "if not lies_at(self._file, self._path):",
        "if False:",
        "tests/faults/test_disk.py::test_removed_between_two_steps",
    ),
    Safeguard(
        "the lock of a removed folder is taken again",
        "ablations/run.py",
        "if one.lock is not None and one.lock.lost:",
        "if False:",
        "tests/faults/test_disk.py::test_who_lost_the_folder_to_another_process_leaves_it_alone",
    ),
    Safeguard(
        "USR1 means save and leave",
        "ablations/stop.py",
        "signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2",
        "signal.SIGHUP, signal.SIGUSR2",
        "tests/faults/test_signals.py::test_the_command_line_and_its_group",
    ),
    Safeguard(
        "a validation is given up",
        "ablations/trainer.py",
        "raise GivenUpError",
        "pass",
        "tests/faults/test_signals.py::test_told_in_every_phase[a validation]",
    ),
    Safeguard(
        "a validation that was given up is done later",
        "ablations/trainer.py",
        "if not (self.going[0].amid_line and self._due(step)[-1]):",
        "if True:",
        "tests/faults/test_signals.py::test_told_in_every_phase[a validation]",
    ),
    Safeguard(
        "the last validation, too",
        "ablations/course.py",
        "(self.state.step < self.config.steps or self.amid_line)",
        "self.state.step < self.config.steps",
        "tests/faults/test_signals.py::test_told_in_every_phase[the last validation]",
    ),
    Safeguard(
        "every norm of a line counts",
        "ablations/course.py",
        "self.highest = torch.maximum(self.highest, norm)",
        "self.highest = norm",
        "tests/faults/test_divergence.py::test_poison_between_two_lines[infinite gradient norm]",
    ),
    Safeguard(
        "the first error is told",
        "ablations/run.py",
        "except OSError as unwritten:",
        "except KeyError as unwritten:",
        "tests/faults/test_disk.py::test_full_at_any_write",
    ),
    Safeguard(
        "a lack of memory is told",
        "ablations/sentences.py",
        "if out_of_memory(error):",
        "if False:",
        "tests/faults/test_divergence.py::test_memory_that_is_not_there",
    ),
    Safeguard(
        "a record's checksum is looked at",
        "ablations/record/seal.py",
        "if content[-LENGTH:] != _end(body):",
        "if False:",
        "tests/faults/test_records.py::test_an_edited_record[score]",
    ),
    Safeguard(
        "a record's name says whose it is",
        "ablations/record/file.py",
        'if ending(Path(file).name) != record["signature"]:',
        "if False:",
        "tests/faults/test_records.py::test_a_name_that_says_another_run",
    ),
    Safeguard(
        "records of one run say the same",
        "ablations/record/folder.py",
        "if not _alike(brief, twin):",
        "if False:",
        "tests/faults/test_records.py::test_two_records_of_one_run",
    ),
    Safeguard(
        "nothing is written through a link",
        "ablations/record/file.py",
        "if folder.is_symlink():",
        "if False:",
        "tests/faults/test_records.py::test_nothing_is_written_or_deleted_through_a_link",
    ),
    Safeguard(
        "git leaves records alone",
        ".gitattributes",
        "results/records/** -text",
        "results/records/** text",
        "tests/faults/test_records.py::test_git_leaves_the_bytes_of_records_alone",
    ),
    Safeguard(
        "packages are no configs",
        "ablations/compose.py",
        "refuse_package(path)",
        "pass",
        "tests/faults/test_security.py::test_nothing_of_a_config_is_run[a package to search]",
    ),
    Safeguard(
        "factories of logging are refused",
        "ablations/harmless.py",
        'where.endswith((".()", "..")) or',
        "",
        "tests/faults/test_security.py::test_nothing_of_a_config_is_run[a factory of logging]",
    ),
    Safeguard(
        "records hide secrets",
        "ablations/record/file.py",
        "value if key in KEYS else hidden(value)",
        "value",
        "tests/faults/test_security.py::test_a_key_reaches_no_record_and_no_line",
    ),
    Safeguard(
        "weights hold no objects",
        "ablations/checkpoint.py",
        "weights_only=True",
        "weights_only=False",
        "tests/faults/test_security.py::test_a_pickle_bomb_is_refused_unlit",
    ),
)
