"""Each metric, read off a record made by hand."""

import pytest

from ablations import metrics
from tests.ablations.make import make_record

ANALYSES = [
    {"step": 0, "scores": {"decoder.0.self": {"own_position": [0.25, 0.75]}, "decoder.0.cross": {"entropy": [1.0]}}},
    {
        "step": 100,
        "scores": {
            "decoder.0.self": {"own_position": [0.2, None], "nested": {"a": [1, 3], "kind": "previous"}},
            "decoder.1.self": {"own_position": [0.4, 0.6], "empty": [None, None]},
            "decoder.0.cross": {"entropy": [3.0]},
        },
    },
    {"step": 50, "scores": {"decoder.0.self": {"own_position": [9.0, 9.0]}}, "gradients": {}},
    {"step": 100, "context": {"layers": {"decoder": {"corrected": [0.1, 0.3]}}, "order": {"difference": 0.5}}},
]


def record(**changes):
    return make_record("shared", "flickr", score=30.0) | {"analyses": ANALYSES} | changes


def test_scores_are_of_the_first_test_split_unless_told():
    run = record()
    run["scores"]["valid"]["bleu"] = 12.0
    assert metrics.value("bleu", run) == 30.0
    assert metrics.value("bleu", run, "valid") == 12.0
    assert metrics.value("accuracy", run) is None, "nobody measured it"
    with pytest.raises(ValueError, match="split='tset' is none of those"):
        metrics.value("bleu", run, "tset")


def test_a_diverged_run_has_no_score_and_says_that_it_diverged():
    assert metrics.value("bleu", record(status="diverged", scores={})) is None
    assert metrics.value("diverged", record(status="diverged")) == 1.0
    assert metrics.value("diverged", record()) == 0.0


def test_what_was_seen_before_a_run_diverged_is_not_its_end():
    run = record(status="diverged", scores={})
    assert metrics.value("analysis:scores.own_position@last", run) is None
    assert metrics.value("analysis:scores.own_position", run) is None
    assert metrics.value("analysis:scores.own_position@first", run) is not None


def test_facts_of_the_run():
    run = record(curve=[{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.5}])
    run["training"]["tokens_per_second"] = 1234.0
    assert metrics.value("parameters", run) == 100_000
    assert metrics.value("tokens_per_second", run) == 1234.0
    assert metrics.value("final_train_loss", run) == 2.5
    assert metrics.value("final_train_loss", record(curve=[])) is None


def test_a_spike_is_half_a_nat_above_the_lowest_loss_before():
    """Of 20 lines two are the first tenth: the jump there does not count, but 2.0 is the lowest seen from then on."""
    losses = [2.0, 9.0] + [2.4, 2.6, 1.9, 2.39, 2.41, None] + [1.5] * 12
    run = record(curve=[{"step": step, "loss": loss} for step, loss in enumerate(losses)])
    assert len(losses) == 20 and metrics.value("loss_spikes", run) == 3, "2.6, 2.41 and the line that is no number"
    assert metrics.value("loss_spikes", record(curve=[])) is None


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("analysis:scores.own_position@first", 0.5),
        ("analysis:scores.own_position@last", 0.4),
        ("analysis:scores.own_position", 0.4),
        ("analysis:scores.own_position[decoder.1.self]@last", 0.5),
        ("analysis:scores.own_position[decoder.*.self]@first", 0.5),
        ("analysis:scores.nested.a", 2.0),
        ("analysis:scores.nested", 2.0),
        ("analysis:scores.own_position.0[decoder.1.*]", 0.4),
        ("analysis:context.order.difference", 0.5),
        ("analysis:context.layers.decoder.corrected.-1", 0.3),
        ("analysis:scores.empty", None),
        ("analysis:gradients.cosine", None),
        ("analysis:heads.importance", None),
    ],
)
def test_what_was_observed(metric, expected):
    assert metrics.value(metric, record()) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("token_perplexty", "unknown: did you mean 'token_perplexity'"),
        ("analysis:scores", "not of the form"),
        ("analysis:scores.own_position@middle", "not of the form"),
        ("analysis:sources.own_position", "unknown: did you mean 'scores'"),
        ("analysis:scores.own_positon", "nothing is measured at own_positon: did you mean 'own_position'"),
        ("analysis:scores.entropy[encoder.*]", "no site is called"),
    ],
)
def test_what_nobody_knows_is_refused_with_the_nearest_name(metric, words):
    with pytest.raises(ValueError, match=words):
        metrics.value(metric, record())
