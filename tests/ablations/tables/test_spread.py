"""Strategies over a grid of settings, seeds and tasks."""

import statistics

import pytest

from ablations.tables import Column, rows
from ablations.tables.spread import close, grid_columns, spread
from tests.ablations.make import make_record

FLIP, TURN = Column("exact_match", "flip", "test"), Column("exact_match", "turn", "test")
# (task, heads) -> exact match in percent of three seeds
SEPARATE = {
    ("flip", 1): (90, 92, 94),
    ("flip", 4): (100, 100, 99),
    ("turn", 1): (50, 60, 70),
    ("turn", 4): (80, 81, 82),
}
SHARED = {
    ("flip", 1): (90, 90, 90),
    ("flip", 4): (95, 96, 97),
    ("turn", 1): (10, 12, 11),
    ("turn", 4): (20, 30, 25),
}


def symbols(strategy, task, seed, score, heads, status="finished", generator="any"):
    """A generated task from symbols to symbols."""
    corpus = {"files": {}, "hub": None, "builtin": None, "generator": generator, "options": {}, "fractions": {}}
    languages = {"task__source_lang": "symbols", "task__target_lang": "symbols"}
    more = {"task__name": task, "task__corpus": corpus, "model__heads": heads, **languages}
    made = make_record(strategy, "flickr", seed, status=status, **more) | {"task": task}
    for numbers in made["scores"].values():
        numbers["exact_match"] = float(score)
    return made


def grid(strategy, scores):
    return [
        symbols(strategy, task, seed, score, heads)
        for (task, heads), of_seeds in scores.items()
        for seed, score in enumerate(of_seeds)
    ]


BOTH = [*grid("separate", SEPARATE), *grid("shared", SHARED)]


def of(runs):
    return spread(rows(runs), runs)


def all_of(scores, task):
    return [score for (name, _), some in scores.items() for score in some if name == task]


def test_mean_best_and_spread_are_over_all_settings_and_seeds_of_a_task():
    base, shared = of([run for run in reversed(BOTH)])
    assert (base.strategy, shared.strategy, base.baseline, base.settings) == ("separate", "shared", True, 2)
    assert list(shared.pools) == [FLIP, TURN]
    pool, scores = shared.pools[TURN], all_of(SHARED, "turn")
    assert (pool.summary.n, pool.best, pool.missing) == (6, 30, {})
    assert pool.summary.mean == pytest.approx(statistics.mean(scores))
    assert pool.summary.sd == pytest.approx(statistics.stdev(scores))


def test_tasks_weigh_alike_in_the_mean_and_runs_in_its_deviation():
    lost = symbols("shared", "turn", 2, 0, 4, status="diverged")
    kept = [run for run in BOTH if run["signature"] != lost["signature"]]
    base, shared = of([*kept, lost])
    turn = [10, 12, 11, 20, 30]
    assert shared.mean == pytest.approx((statistics.mean(all_of(SHARED, "flip")) + statistics.mean(turn)) / 2)
    assert shared.sd == pytest.approx(statistics.stdev([*all_of(SHARED, "flip"), *turn]))
    assert shared.pools[TURN].missing == {"diverged": 1} and shared.pools[FLIP].missing == {}
    assert (base.rank, shared.rank) == (None, None), "a mean that lost a run has no rank, nor have others beside it"


def test_pairs_are_the_seeds_means_over_the_whole_grid():
    shared = of(BOTH)[1]
    by_hand = [
        statistics.mean(SHARED[point][seed] for point in SHARED)
        - statistics.mean(SEPARATE[point][seed] for point in SEPARATE)
        for seed in range(3)
    ]
    found = shared.minus.difference
    assert (found.n, found.mean, found.sd) == (
        3,
        *map(pytest.approx, (statistics.mean(by_hand), statistics.stdev(by_hand))),
    )
    assert found.low < found.mean < found.high


def test_a_seed_that_lost_a_run_is_no_pair():
    """The mean of what is left of its grid is another mean."""
    lost = symbols("shared", "turn", 1, 0, 4, status="diverged")
    kept = [run for run in BOTH if run["signature"] != lost["signature"]]
    assert of([*kept, lost])[1].minus.difference.n == of(kept)[1].minus.difference.n == 2


def test_without_the_same_grid_there_is_no_pair():
    """The strategy has a third number of heads that the baseline has not."""
    base, shared = of([*BOTH, *grid("shared", {("flip", 2): (1, 2, 3), ("turn", 2): (1, 2, 3)})])
    assert (base.settings, shared.settings) == (2, 3) and shared.minus is None


def test_equal_means_share_a_rank_and_a_task_without_scores_leaves_none():
    third = grid("k_is_v", SHARED)
    assert [one.rank for one in of([*BOTH, *third])] == [1, 2, 2]
    lost = [symbols("q_is_k", task, 0, 9, heads, "failed" if task == "turn" else "finished") for task, heads in SHARED]
    last = of([*BOTH, *lost])[1]
    assert (last.mean, last.rank) == (None, None) and last.pools[FLIP].summary.mean == 9
    assert last.pools[TURN].summary is None and last.pools[TURN].missing == {"failed": 2}


def test_means_within_the_larger_deviation_are_close():
    found = of([*BOTH, *grid("k_is_v", SHARED)])
    assert close(found, FLIP) == (3, 3), "95.8 ± 4.3 and 93 ± 3.3, twice, and what is equal"
    assert close(found, TURN) == (1, 3)


def test_only_a_grid_of_several_tasks_and_settings_for_every_strategy_has_one():
    assert of([run for run in BOTH if run["task"] == "flip"]) == []
    assert of([run for run in BOTH if run["config"]["model"]["heads"] == 1]) == []
    assert of([run for run in BOTH if run["strategy"] == "shared"]) == []
    once = [symbols("k_is_v", task, 0, 1, 4) for task in ("flip", "turn")]
    assert of([*BOTH, *once]) == []


def test_perplexities_of_two_texts_have_no_mean():
    made = [
        make_record(name, seed=0, task__name=text, model__heads=heads) | {"task": text}
        for name in ("separate", "shared")
        for text in ("one", "two")
        for heads in (1, 4)
    ]
    assert {column.score for column in grid_columns(made)} == {"token_perplexity"} and of(made) == []


def test_sentences_are_compared_by_bleu_and_answers_by_exact_match():
    assert grid_columns(BOTH) == [FLIP, TURN]
    sentences = [make_record(name, "flickr", model__heads=heads) for name in ("separate", "shared") for heads in (1, 4)]
    assert grid_columns(sentences) == [Column("bleu", "flickr", "test")]
    files = [symbols("separate", "flip", 0, 1, 4, generator=None)]
    assert grid_columns(files) == [Column("bleu", "flip", "test")], "one's own text may be of sentences"
    mixed = [*BOTH, *sentences]
    assert {column.score for column in grid_columns(mixed)} == {"bleu", "exact_match"} and of(mixed) == []
