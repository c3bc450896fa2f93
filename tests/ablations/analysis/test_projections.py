"""Measures of weights: by hand, at their extremes, and under another choice of coordinates."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ablations.analysis import projections
from models.projections.score import DotProduct
from tests.models.make import STRATEGIES, shake, strategy, translator

C, D = 12, 4


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_symmetry_runs_from_skew_to_symmetric():
    M = random(C, C)
    assert projections.symmetry(M + M.T) == pytest.approx(1)
    assert projections.symmetry(M - M.T) == pytest.approx(-1)
    assert projections.symmetry(torch.tensor([[0.0, 3.0], [1.0, 0.0]])) == pytest.approx((8 - 2) / 10)
    assert abs(projections.symmetry(random(200, 200))) < 0.05


def test_symmetry_is_its_definition():
    M = random(C, C)
    sym, skew = (M + M.T) / 2, (M - M.T) / 2
    assert projections.symmetry(M) == pytest.approx(float((sym.norm() ** 2 - skew.norm() ** 2) / M.norm() ** 2))


def test_directionality_tells_columns_from_rows():
    M = torch.full((C, C), 0.1, dtype=torch.float64)
    M[:, 3] = 10.0
    assert projections.directionality(M) == 1
    assert projections.directionality(M.T) == -1
    assert projections.directionality(torch.ones(C, C)) == 0  # nothing stands out
    assert projections.directionality(M + M.T) == pytest.approx(0)


def test_directionality_of_a_hand_made_matrix():
    """Column norms 8, 0 (15 times): mean .5, deviation 2, excess 8 - .5 - 4 = 3.5. Rows of norm 2: nothing."""
    M = torch.zeros(16, 16, dtype=torch.float64)
    M[:, 0] = 2.0
    assert projections.directionality(M) == 1
    M[:, 0] = 0.0
    M[0, 0] = 8.0  # the same norms for rows and columns
    assert projections.directionality(M) == 0
    M[0, 1] = 6.0  # rows: 10, excess 10 - .625 - 5 = 4.375; columns 8 and 6: mean .875, squares 100
    sd = ((100 - 16 * 0.875**2) / 15) ** 0.5
    columns = sum(max(0.0, norm - 0.875 - 2 * sd) for norm in (8, 6))
    assert projections.directionality(M) == pytest.approx((columns - 4.375) / (columns + 4.375))


def test_effective_rank_counts_directions():
    eye = torch.eye(C, dtype=torch.float64)
    assert projections.effective_rank(eye[:, :D], eye[:, :D]) == pytest.approx(D)
    assert projections.effective_rank(eye[:, :1], random(C, 1)) == pytest.approx(1)
    two = torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64))  # p = 3/4, 1/4
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert projections.effective_rank(two, torch.eye(2, dtype=torch.float64)) == pytest.approx(np.exp(entropy))


@pytest.mark.parametrize("width", [D, C, 2 * C])
def test_effective_rank_is_that_of_the_product(width):
    A, B = random(C, width), random(C, width, seed=1)
    s = torch.linalg.svdvals(A @ B.T)
    p = s / s.sum()
    assert projections.effective_rank(A, B) == pytest.approx(float(torch.exp(-(p * p.log()).sum())))


def test_principal_angles_of_planes_known_by_hand():
    x, y, z = np.eye(3)
    tilted = (y + z) / 2**0.5
    found = projections.angles(np.stack([x, y], 1), np.stack([x, tilted], 1))
    assert sorted(found) == pytest.approx([0, 45])
    assert projections.angles(x[:, None], y[:, None]) == pytest.approx([90])
    assert projections.angles(np.stack([x, y], 1), np.stack([x + y, x - y], 1)).tolist() == [0, 0]


def test_random_angles_follow_the_known_mean():
    """For random subspaces of ranks a >= b in width n the squared cosines have mean a / n."""
    rng = np.random.default_rng(1)
    draws = [projections.angles(rng.normal(size=(60, 20)), rng.normal(size=(60, 10))) for _ in range(20)]
    assert np.mean(np.cos(np.radians(draws)) ** 2) == pytest.approx(20 / 60, abs=0.01)
    assert projections.random_angle(60, 20, 10) == pytest.approx(np.mean(draws), abs=1)
    assert projections.random_angle(60, 20, 10) == projections.random_angle.__wrapped__(60, 20, 10)


def test_float32_rounding_belongs_to_no_subspace():
    low = (random(C, 2).float() @ random(2, D, seed=1).float()).double()
    assert projections.basis(low).shape == (C, 2)
    assert projections.basis(random(C, D)).shape == (C, D)


class Site(nn.Module):
    """An attention site of two heads made of given matrices."""

    def __init__(self, q, k, v, out):
        super().__init__()
        self.heads = 2
        maps = {"q": q, "k": k, "v": v}
        sizes = SimpleNamespace(dim_of=lambda role: D, value_head_dim=D)
        self.project = SimpleNamespace(matrix=maps.__getitem__, sizes=sizes)
        self.score = DotProduct(strategy("separate"), strategy("separate").sizes(2 * D, 2, D))
        self.out = nn.Linear(2 * D, C, bias=False, dtype=torch.float64)
        self.out.weight.data = out


def test_weight_cosines_depend_on_coordinates_and_these_measures_do_not():
    """W_K -> W_K A, W_Q -> W_Q A^-T and W_V -> W_V B, W_O -> B^-1 W_O are the same model in other coordinates."""
    q, k, v, out = random(C, 2 * D), random(C, 2 * D, seed=1), random(C, 2 * D, seed=2), random(C, 2 * D, seed=3)
    A, B = (torch.block_diag(random(D, D, seed=s), random(D, D, seed=s + 1)) for s in (4, 6))
    there = Site(q @ torch.linalg.inv(A).T, k @ A, v @ B, (torch.linalg.inv(B) @ out.T).T)
    x = random(5, C, seed=8)
    for head in (slice(0, D), slice(D, 2 * D)):
        same = (x @ there.project.matrix("q")[:, head]) @ (x @ there.project.matrix("k")[:, head]).T
        assert torch.allclose((x @ q[:, head]) @ (x @ k[:, head]).T, same)

    def cosine(a, b):
        return float(nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0))

    assert abs(cosine(q, k) - cosine(there.project.matrix("q"), there.project.matrix("k"))) > 0.05
    here, moved = projections.describe(Site(q, k, v, out)), projections.describe(there)
    for measure in ("symmetry", "directionality", "qk_rank", "vo_rank"):
        assert here[measure] == pytest.approx(moved[measure], abs=1e-6)
    for measure in ("angle", "smallest_angle"):
        for pair in projections.PAIRS:
            assert here[measure][pair] == pytest.approx(moved[measure][pair], abs=1e-4)


def test_heads_read_the_columns_of_their_own():
    """M of a head, from its slices of W_Q and W_K, scores as the model scores: without biases and positions."""
    for name in ("separate", "gqa", "k_is_v_mqa", "pairwise", "unsplit"):
        model = translator(strategy(name), position="none", bias=False)
        shake(model)
        site = model.encoder[0].attention
        x = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(1))
        scores = site.look(x, None, False).scores_BHLS[0].double() / site.score.scale
        maps = projections.role_maps(site)
        for head, q in enumerate(projections._met(site.score, maps["q"])):
            M = q @ maps["k"][head].T
            assert torch.allclose(x[0].double() @ M @ x[0].double().T, scores[head], atol=1e-4), name


def test_shared_maps_are_symmetric_and_at_no_angle():
    found = projections.describe(translator(strategy("shared")).encoder[0].attention)
    assert found["symmetry"] == pytest.approx([1] * 4)
    assert found["angle"] == {pair: [0.0] * 4 for pair in projections.PAIRS}
    apart = projections.describe(translator(strategy("separate")).encoder[0].attention)
    assert all(abs(value) < 0.5 for value in apart["symmetry"])
    assert np.mean(apart["angle"]["qk"]) == pytest.approx(apart["random_angle"]["qk"], abs=12)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_can_be_described(name):
    found = projections.describe(translator(strategy(name)).decoder[0].cross)
    lists = [found["vo_rank"], *found["angle"].values(), *found["smallest_angle"].values()]
    if "symmetry" in found:
        lists += [found["symmetry"], found["directionality"], found["qk_rank"]]
    assert all(len(values) == len(found["vo_rank"]) and np.isfinite(values).all() for values in lists)
    assert ("symmetry" in found) == (strategy(name).score not in ("additive", "concat"))
