"""The table of strategies over a grid: where it stands, and what it says."""

from ablations import writers
from ablations.tables import rows
from ablations.writers.spread import spread_grids
from tests.ablations.make import make_record
from tests.ablations.tables.test_spread import BOTH, SHARED, grid, symbols


def only(runs):
    (found,) = spread_grids(rows(runs), runs, "separate")
    return found


def test_a_line_a_strategy_a_column_a_task():
    found = only(BOTH)
    assert found.title == "Over the grid: exact match"
    assert found.header == ["strategy", "flip, test", "turn, test", "mean over tasks", "rank", "minus separate [95 %]"]
    base, shared = found.body
    assert base == [
        "separate",
        "95.83 ± 4.40 (best 100.00, n=6)",
        "70.50 ± 13.14 (best 82.00, n=6)",
        "83.17 ± 16.20",
        "1",
        "baseline",
    ]
    assert shared[0] == "shared" and shared[4] == "2" and shared[5].startswith("-27.67 [")


def test_what_was_lost_stands_beside_n():
    lost = symbols("shared", "turn", 1, 0, 4, status="diverged")
    made = [*(run for run in BOTH if run["signature"] != lost["signature"]), lost]
    assert only(made).body[1][2] == "15.60 ± 6.58 (best 25.00, n=5, 1 diverged)"
    gone = [symbols("q_is_k", task, 0, 0, heads, "failed") for task, heads in SHARED]
    assert only([*BOTH, *gone]).body[1] == ["q_is_k", "— (2 failed)", "— (2 failed)", "—", "—", "—"]


def test_the_notes_say_how_often_the_spread_covers_a_difference():
    notes = " ".join(only(BOTH).notes)
    assert "over 2 settings (model.heads 1, 4) and all seeds" in notes and "it flatters" in notes
    assert (
        "no more than the larger of their two standard deviations: 1 of 2 (flip 1 of 1 pair, turn 0 of 1 pair)" in notes
    )
    more = [*BOTH, *grid("shared", {("flip", 2): (1, 2, 3), ("turn", 2): (1, 2, 3)})]
    assert (
        "unlike grids (model.heads 1, 2, 4), separate 2 settings and shared 3 settings, and all" in only(more).notes[0]
    )


def test_it_stands_on_the_page_of_such_a_study_alone():
    def titles(made):
        return [found.title for found in writers.grids(rows(made), made, "separate")]

    assert "Over the grid: exact match" in titles(BOTH)
    heads = [make_record(name, model__heads=count) for name in ("separate", "shared") for count in (1, 4)]
    assert not any(title.startswith("Over the grid") for title in titles(heads))
