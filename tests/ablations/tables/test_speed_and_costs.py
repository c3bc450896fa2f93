"""Steps to the baseline's loss, and costs."""

import pytest

from ablations.tables import rows
from ablations.tables.costs import costs, machine_in_words, machines
from ablations.tables.speed import crossing, reached
from ablations.writers.costs import cost_grids
from ablations.writers.speed import speed_grids
from tests.ablations.make import make_record


@pytest.mark.parametrize(
    ("goal", "step"), [(5.0, 10), (4.0, 10), (3.0, 20), (2.5, 25), (2.0, 30), (1.9, None), (3.5, 15)]
)
def test_crossing_is_linear_between_validations(goal, step):
    assert crossing([[10, 4.0], [20, 3.0], [30, 2.0]], goal) == step


def test_the_first_crossing_counts_though_the_loss_rises_again():
    assert crossing([[10, 4.0], [20, 2.0], [30, 5.0], [40, 1.0]], 2.0) == 20


def trained(strategy, seed, *losses, status="finished", **more):
    run = make_record(strategy, seed=seed, status=status)
    curve = [{"step": 10 * (index + 1), "valid_nll": loss} for index, loss in enumerate(losses)]
    return {**run, "curve": [{"step": 5, "loss": 9.0}, *curve], **more}


def test_each_seed_has_the_goal_of_its_own_baseline():
    runs = [trained("separate", 0, 4, 3, 2), trained("separate", 1, 4, 3.5, 3), trained("separate", 2, 5, 5, 4)]
    runs += [trained("shared", 0, 4, 3, 2.5), trained("shared", 1, 3, 2, 2), trained("shared", 2, 4.5, 3.5, 3)]
    base, shared = reached(rows(runs), "docs")
    assert base.steps == {0: 30, 1: 30, 2: 30} and base.median == 30
    assert shared.steps == {1: 10, 2: 15} and shared.never == 1 and shared.median == 15


def test_never_is_later_than_any_step_and_failed_runs_do_not_count():
    runs = [trained("separate", seed, 4, 3) for seed in range(4)]
    runs += [trained("shared", 0, 3, 3), trained("shared", 1, 9, 9), trained("shared", 2, 9, status="diverged")]
    shared = reached(rows([*runs, trained("shared", 3, status="failed")]), "docs")[1]
    assert (shared.steps, shared.never, shared.median) == ({0: 10}, 2, None)
    assert shared.failed == 1
    with_failed = [*runs, trained("shared", 3, status="failed")]
    assert "Failed, and not looked at: 1 run." in speed_grids(rows(with_failed), with_failed, "separate")[0].notes
    grid = speed_grids(rows(runs), runs, "separate")[0]
    assert grid.body[1] == ["shared", "not reached", "—", "1", "2 (1 diverged)"]


def test_seeds_whose_baseline_diverged_are_counted_and_named():
    runs = [trained("separate", 0, 4, 3), trained("separate", 1, 9, status="diverged"), trained("shared", 0, 4, 2)]
    runs += [trained("shared", 1, 4, 2), trained("shared", 2, 4, 2)]
    base, shared = reached(rows(runs), "docs")
    assert base.alone == {1: "diverged"} and shared.alone == {1: "diverged", 2: "no run"} and shared.steps == {0: 15}
    (grid,) = speed_grids(rows(runs), runs, "separate")
    assert grid.notes[-1] == (
        "Left out, as no run of separate with their seed came to its end: 3 runs: separate seed 1 (diverged); "
        "shared seed 1 (diverged), 2 (no run)."
    )
    only = [run for run in runs if run["seed"] == 1]
    (grid,) = speed_grids(rows(only), only, "separate")
    assert not grid.body and len(grid.notes) == 1 and "2 runs" in grid.notes[0], "and not too few validations"


def test_the_machine_in_words():
    run = measured("separate", 0, 1.0, threads=2, processes=3)
    assert machine_in_words(run) == "cpu A, 2 threads, 3 processes"
    assert machine_in_words({}) == "a machine that is not on record"


def test_a_diverged_run_beside_a_baseline_that_nobody_validated():
    runs = [trained("separate", 0), trained("shared", 0, 3, 2, status="diverged")]
    assert [(one.steps, one.never, one.few) for one in reached(rows(runs), "docs")] == [({}, 0, 1)] * 2


def test_too_few_validations_are_said():
    few = [trained("separate", 0, 4), trained("shared", 0, 3)]
    (grid,) = speed_grids(rows(few), few, "separate")
    assert not grid.body and "Too few validations" in grid.notes[0]
    mixed = [*few, trained("separate", 1, 4, 3), trained("shared", 1, 4, 2)]
    (grid,) = speed_grids(rows(mixed), mixed, "separate")
    assert [line[1:] for line in grid.body] == [["20", "1.00", "1", "0"], ["15", "0.75", "1", "0"]]
    assert "fewer than 2 validations on record: 2 runs" in grid.notes[-1]


def measured(strategy, seed, speed, decoding=None, **machine):
    run = make_record(strategy, "flickr", seed)
    run["budget"] |= {"flops_per_token": 7, "cache_numbers_per_source_token": 32}
    run["training"]["tokens_per_second"] = speed
    run["machine"] = {"device": "cpu", "name": "cpu A", "threads": 1, "processes": 1, **machine}
    return run | ({"decoding": decoding} if decoding else {})


def test_speeds_are_medians_and_bytes_are_four_a_number():
    decoding = {"tokens_per_second": 5.0, "cache_bytes_per_token": 256.0, "cache_bytes_per_source_token": 128.0}
    runs = [measured("separate", seed, speed, decoding) for seed, speed in enumerate((10.0, 90.0, 20.0))]
    (one,) = costs(rows(runs), "flickr")
    assert (one.training, one.decoding, one.cache, one.source_cache) == (20.0, 5.0, 256, 128)
    assert (one.cache_measured, one.source_cache_measured) == (256.0, 128.0)


def test_what_older_records_lack_is_said_and_not_guessed():
    old = [measured("separate", 0, 10.0)]
    (grid,) = cost_grids(rows(old), old)
    assert "decoding tokens/s" not in grid.header and "Not on record: decoding and what the cache held." in grid.notes
    both = [*old, measured("shared", 0, 10.0, {"tokens_per_second": 5.0, "cache_bytes_per_token": 256.0})]
    (grid,) = cost_grids(rows(both), both)
    assert [line[grid.header.index("decoding tokens/s")] for line in grid.body] == ["not on record", "5"]


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"name": "cpu B"}, "machines"),
        ({"threads": 2}, "numbers of threads"),
        ({"processes": 4}, "numbers of processes"),
    ],
)
def test_speeds_of_unlike_machines_are_warned_of(other, word):
    runs = [measured("separate", 0, 1.0), measured("shared", 0, 1.0, **other)]
    assert machines(rows(runs), "flickr")[1] == [word]
    (grid,) = cost_grids(rows(runs), runs)
    assert f"Runs differ in {word}: their speeds do not compare." in grid.notes
    assert not machines(rows(runs[:1]), "flickr")[1]


def test_stacked_runs_are_warned_of_and_threads_beside_a_gpu_are_not():
    runs = [measured("separate", 0, 1.0), measured("shared", 0, 1.0)]
    runs[1]["training"]["stack"] = 4
    assert "stacks" in machines(rows(runs), "flickr")[1][0]
    gpus = [
        measured("separate", 0, 1.0, device="cuda", threads=8),
        measured("shared", 0, 1.0, device="cuda", threads=2),
    ]
    assert machines(rows(gpus), "flickr") == (["cpu A"], [])


def test_steps_list_a_setting_of_which_nothing_is_left():
    runs = [trained("separate", seed, 4, 3) for seed in (0, 1)]
    runs += [trained("shared", seed, 9, status="diverged") for seed in (0, 1)]
    runs += [trained("k_is_v", seed, status="failed") for seed in (0, 1)]
    (grid,) = speed_grids(rows(runs), runs, "separate")
    assert grid.body[1:] == [
        ["k_is_v", "—", "—", "0", "0 (2 failed)"],
        ["shared", "not reached", "—", "0", "2 (2 diverged)"],
    ]
