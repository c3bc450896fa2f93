"""Every strategy at its own learning rate, chosen on validation."""

import copy

import pytest

from ablations.tables import Column, rows
from ablations.tables.rates import at_their_best, opponent, tuned
from ablations.writers.rates import rate_grids
from tests.ablations.make import make_record

COLUMN = Column("token_perplexity", "docs", "test")


def run(strategy, rate, seed, validation, test=40.0, status="finished"):
    made = make_record(strategy, seed=seed, score=test, status=status, optim__lr=rate)
    if status == "finished":
        made["scores"]["valid"]["nll"] = validation
    return made


def grid(strategy, losses, **options):
    """`losses`: rate -> loss of the first of three seeds; test scores run the other way."""
    return [
        run(strategy, rate, seed, loss + seed / 100, 50 - loss + seed, **options)
        for rate, loss in losses.items()
        for seed in range(3)
    ]


BASE = grid("separate", {0.001: 3.5, 0.002: 3.0, 0.004: 3.2})


def test_the_rate_is_chosen_on_validation_and_compared_on_test():
    base, shared = tuned(rows([*BASE, *grid("shared", {0.001: 3.7, 0.002: 3.6, 0.004: 3.4})]), "docs")
    assert (base.best, base.edge, shared.best, shared.edge) == ("0.002", False, "0.004", True)
    assert base.losses["0.002"] == pytest.approx(3.01) and opponent(shared, [base, shared]) is base
    difference = at_their_best(shared, base, COLUMN).difference
    assert (difference.mean, difference.n) == (pytest.approx(-0.4), 3), "50 - 3.4 against 50 - 3.0"


def test_a_rate_at_which_a_run_diverged_is_chosen_last():
    lost = run("shared", 0.004, 3, None, status="diverged")
    runs = [*BASE, *grid("shared", {0.002: 3.6, 0.004: 3.4}), lost]
    shared = tuned(rows(runs), "docs")[1]
    assert shared.best == "0.002" and shared.diverged == {"0.004": 1}
    alone = tuned(rows([*grid("shared", {0.004: 3.4}), lost, run("shared", 0.002, 0, None, status="diverged")]), "docs")
    assert alone[0].best == "0.004" and alone[0].diverged == {"0.002": 1, "0.004": 1}


def test_a_mean_over_fewer_seeds_is_not_chosen_and_is_named():
    few = [run("shared", 0.004, 0, 1.0)]  # the lowest loss of all
    made = [*BASE, *grid("shared", {0.001: 3.7, 0.002: 3.6}), *few]
    shared = tuned(rows(made), "docs")[1]
    assert shared.best == "0.002" and shared.fewer == {"0.004": 1}
    _, notes = text(made)
    assert "Not in the choice, with fewer seeds than the best rate: shared at 0.004 (n=1)." in notes
    alone = tuned(rows([*BASE, *few]), "docs")[1]
    assert alone.best == "0.004" and alone.fewer == {}


def test_failed_runs_are_not_tried():
    failed = [run("shared", 0.004, seed, None, status="failed") for seed in range(3)]
    made = [*BASE, *grid("shared", {0.001: 3.7, 0.002: 3.6}), *failed]
    base, shared = tuned(rows(made), "docs")
    assert (base.budget, shared.budget) == ((3, 9), (2, 6)) and shared.tried == ["0.001", "0.002"]
    assert shared.edge, "nobody knows what 0.004 does"
    table, notes = text(made)
    assert table.body[1][1] == "2" and "not tried equally much" in notes


def test_chosen_and_compared_on_one_split_there_is_no_interval():
    made = [*BASE, *grid("shared", {0.001: 3.7, 0.002: 3.6})]
    test, notes = text(made)
    assert test.header[-1] == "Δ perplexity [95 %]" and test.body[1][-1].endswith("]")
    assert "same split" not in notes
    made = copy.deepcopy(made)
    for one in made:
        one["config"]["task"]["test"] = []
    base, shared = tuned(rows(made), "docs")
    found = at_their_best(shared, base, Column("token_perplexity", "docs", "valid"))
    assert found.difference.n == 3 and found.difference.low is found.p is None
    valid, notes = text(made)
    assert valid.header[-1] == "Δ perplexity" and valid.body[1][-1] == "-0.60 (3 pairs)"
    assert "Chosen and compared on the same split (valid): no interval, since the best of several is picked." in notes


def text(runs):
    (grid,) = rate_grids(rows(runs), runs, "separate")
    return grid, " ".join(grid.notes)


def test_unequal_budgets_and_edges_are_said():
    equal, notes = text([*BASE, *grid("shared", {0.001: 3.7, 0.002: 3.3, 0.004: 3.4})])
    assert "Each strategy has tried 3 rates (0.001, 0.002, 0.004) in 9 runs." in notes and "edge" not in notes
    assert [line[:3] for line in equal.body] == [["separate", "3", "0.002"], ["shared", "3", "0.002"]]
    _, notes = text([*BASE, *grid("shared", {0.001: 3.7, 0.002: 3.6})])
    assert "not tried equally much: separate 3 rates in 9 runs and shared 2 rates in 6 runs" in notes
    assert "edge of the grid for shared: extend the grid for all" in notes


def test_diverged_and_failed_runs_are_counted():
    runs = [*BASE, run("shared", 0.002, 0, 3.0), run("shared", 0.004, 0, None, status="diverged")]
    grid, _ = text([*runs, run("shared", 0.001, 1, None, status="failed")])
    assert grid.body[1][:6] == ["shared", "2", "0.002", "3.0000", "0.004 (1)", "1"]


def test_one_rate_is_no_choice():
    assert tuned(rows([make_record("separate"), make_record("shared")]), "docs") == []


def test_a_diverged_rate_far_off_does_not_hide_the_edge():
    lost = [run("shared", 50, seed, None, status="diverged") for seed in range(3)]
    made = [*BASE, *grid("shared", {0.001: 3.7, 0.002: 3.6}), *lost]
    shared = tuned(rows(made), "docs")[1]
    assert (shared.best, shared.edge, shared.beyond) == ("0.002", False, ["50"])
    _, notes = text(made)
    assert (
        "Best of the rates that trained; at the next one tried runs diverged: shared at 0.002, next tried 50." in notes
    )
    inside = tuned(rows([*BASE, *grid("shared", {0.001: 3.5, 0.002: 3.6}), *lost]), "docs")[1]
    assert inside.beyond == [] and inside.edge


def test_a_control_is_held_against_the_baseline_of_its_rest_but_sizes():
    made = []
    for name, heads, d_ff in (("separate", 4, 64), ("separate", 8, 64), ("shared", 8, 96)):
        for rate in (0.001, 0.002):
            made.append(make_record(name, optim__lr=rate, model__heads=heads, model__d_ff=d_ff))
    found = tuned(rows(made), "docs")
    shared = next(one for one in found if not one.baseline)
    assert "model.heads=8" in opponent(shared, found).rest
