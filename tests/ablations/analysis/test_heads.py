"""Heads made to order: the same, opposite, looking at one thing only, of no use."""

import math

import numpy as np
import pytest
import torch

from ablations.analysis import heads
from ablations.analysis.agreement import agreement
from ablations.analysis.sites import nats
from data.batch import BOS, EOS, Batch
from tests.models.make import language_model, shake, strategy, tokens, vectors

COUNTS = torch.ones(1, 3, dtype=torch.bool)
ALL = torch.ones(1, 1, 5, 5, dtype=torch.bool)


def test_disagreement_runs_from_identical_to_opposite_heads():
    x = vectors(1, 1, 3, 6)
    assert heads.disagreement(x.expand(1, 4, 3, 6), COUNTS) == pytest.approx(-1)
    assert heads.disagreement(torch.cat([x, -x], 1), COUNTS) == pytest.approx(1)
    apart = torch.eye(4)[None, :, None].expand(1, 4, 3, 4)
    assert heads.disagreement(apart, COUNTS) == 0
    assert math.isnan(heads.disagreement(x, COUNTS))


def test_disagreement_by_hand():
    """Three heads (1,0), (0,1), (1,1): cosines 0, 1/sqrt 2, 1/sqrt 2; lengths do not matter."""
    x = torch.tensor([[1.0, 0.0], [0.0, 5.0], [2.0, 2.0]])[None, :, None].expand(1, 3, 3, 2)
    assert heads.disagreement(x, COUNTS) == pytest.approx(-(2**0.5) / 3)


def test_padding_takes_no_part_in_disagreement():
    x, counts = vectors(1, 3, 3, 6), torch.tensor([[True, True, False]])
    other = x.clone()
    other[:, :, 2] = torch.nan
    assert heads.disagreement(x, counts) == heads.disagreement(other, counts)


def test_contributions_do_not_depend_on_a_heads_coordinates_and_outputs_do():
    """Values through B and W_O through B^-1, head by head: the same model."""
    x, invertible = vectors(2, 6, 16), vectors(4, 4, 4, seed=3) + 2 * torch.eye(4)
    site = language_model(strategy("separate")).decoder[0].attention
    shake(site)

    def found():
        counts = torch.ones(2, 6, dtype=torch.bool)
        return site(x, None, True), heads.disagreements(site.look(x, None, True), site, counts)

    y, before = found()
    with torch.no_grad():
        weight, bias = site.project.maps.cut("weight")["v"], site.project.maps.cut("bias")["v"]
        turned = {"weight": (invertible.mT @ weight.unflatten(0, (4, 4))).flatten(0, 1)}
        turned["bias"] = (bias.unflatten(0, (4, 1, 4)) @ invertible).flatten()
        for kind, value in turned.items():
            site.project.maps.cut(kind)["v"].copy_(value)
        site.out.weight.copy_((torch.linalg.inv(invertible) @ site.out.weight.T.unflatten(0, (4, 4))).flatten(0, 1).T)
    z, after = found()
    assert torch.allclose(y, z, atol=1e-4)
    assert after["contributions"] == pytest.approx(before["contributions"], abs=1e-4)
    assert after["positions"] == before["positions"]
    assert abs(after["outputs"] - before["outputs"]) > 0.01


IDS = torch.tensor([[BOS, 7, 8, 7, EOS]])


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        ("previous", torch.eye(5).roll(-1, 1)),
        ("next", torch.eye(5).roll(1, 1)),
        ("own", torch.eye(5)),
        ("special", torch.eye(5)[[4, 4, 4, 0, 0]]),
        ("same", torch.eye(5)[[2, 3, 1, 1, 1]]),  # of tokens that occur once nothing is asked
        ("mixed", torch.full((5, 5), 0.2)),
    ],
)
def test_a_head_that_looks_at_one_thing_is_called_so(kind, weights):
    shares = heads.roles(weights[None, None], ALL, IDS, IDS, (BOS, EOS), own_sequence=True)
    assert heads.kinds(shares) == [kind]
    if kind != "mixed":
        assert shares[kind].tolist() == [1]


def test_shares_of_uniform_attention():
    shares = heads.roles(torch.full((1, 1, 5, 5), 0.2), ALL, IDS, IDS, (BOS, EOS), own_sequence=True)
    assert {kind: round(share.item(), 6) for kind, share in shares.items()} == {
        "previous": 0.2, "next": 0.2, "own": 0.2, "same": 0.2, "special": 0.4,
    }  # fmt: skip


def test_between_two_sequences_positions_mean_nothing():
    shares = heads.roles(torch.eye(5)[None, None], ALL, IDS, IDS, (BOS, EOS), own_sequence=False)
    assert set(shares) == {"same", "special"}
    assert shares["same"].tolist() == [1]  # copying


def test_under_a_causal_mask_nobody_looks_ahead():
    shares = heads.roles(torch.eye(5)[None, None], ALL.tril(), IDS, IDS, (BOS, EOS), own_sequence=True)
    assert shares["next"].tolist() == [0]


def test_importance_is_what_is_lost_without_the_head():
    """A head whose part of W_O is zero costs nothing; another one what it costs to set that part to zero by hand."""
    model, text = language_model(strategy("separate")), tokens(3, 8)
    shake(model)
    batch = Batch({"tokens": text[:, :-1]}, text[:, 1:])
    out = model.decoder[1].attention.out.weight
    with torch.no_grad():
        out[:, 4:8] = 0.0
        found = heads.importance(model, batch)["decoder.1.self"]
        before = nats(model, batch)
        out[:, 8:12] = 0.0
        rise = float(nats(model, batch) - before)
    assert found[1] == 0
    assert found[2] == pytest.approx(rise, abs=1e-5) and abs(rise) > 1e-3


def run(*heads_of_layers):
    return {f"decoder.{layer}.self": table for layer, table in enumerate(heads_of_layers)}


def test_runs_with_the_same_heads_in_another_order_agree():
    first = run([[1, 0, 0], [0, 1, 0]], [[0, 0, 1], [0, 1, 1]])
    second = run([[0, 1, 0], [1, 0, 0]], [[0, 1, 1], [0, 0, 1]])
    found = agreement([first, second])
    assert found["matched"] == pytest.approx(1)
    assert found["shuffled"] < 0.9


def test_agreement_takes_the_best_matching_and_not_the_first():
    """Cosines [[.8, 1], [0, .6]]: each head's nearest would be .8 + .6 in order, 1 + 0 crosswise."""
    first, second = run([[1, 0], [0, 1]]), run([[0.8, 0.6], [1, 0]])
    cosines = np.array([[0.8, 1.0], [0.6, 0.0]])
    assert agreement([first, second])["matched"] == pytest.approx(
        max(cosines.trace(), cosines[0, 1] + cosines[1, 0]) / 2
    )


def test_heads_without_a_place_of_their_own_agree_no_better_than_shuffled_ones():
    """Every layer draws its heads from the same lot, so which layer one looks at makes no difference."""
    rng = np.random.default_rng(0)
    runs = [{f"decoder.{layer}.self": rng.random((4, 5)) for layer in range(6)} for _ in range(4)]
    found = agreement(runs)
    assert found["matched"] == pytest.approx(found["shuffled"], abs=0.02)


def test_agreement_refuses_what_cannot_be_compared():
    with pytest.raises(ValueError, match="at least two seeds"):
        agreement([run([[1, 0]])])
    with pytest.raises(ValueError, match="compare runs of one setting"):
        agreement([run([[1, 0]]), run([[1, 0], [0, 1]])])
