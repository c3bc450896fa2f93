import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from data.batch import BOS, EOS, IGNORE, PAD
from data.loader import Loader, evaluation_batches, first_rows
from data.prepare import prepare
from data.prepared import Prepared
from data.synthetic import generate
from tests.data.helpers import labelled_task, parallel_task, text_task

TEXT = "".join(f"{i} the quick brown fox {i * i}\n" for i in range(400))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("pairs")
    return prepare(parallel_task(folder), str(folder), str(folder / "cache"))


@pytest.fixture(scope="module")
def prose(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("prose")
    return prepare(text_task(folder, TEXT), str(folder), str(folder / "cache"))


@pytest.fixture(scope="module")
def opinions(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("opinions")
    return prepare(labelled_task(folder), str(folder), str(folder / "cache"))


@pytest.fixture(params=["pairs", "prose", "opinions"])
def either(request: pytest.FixtureRequest) -> Prepared:
    return request.getfixturevalue(request.param)


def same(one: object, other: object) -> bool:
    a, b = vars(one), vars(other)
    return torch.equal(a["targets"], b["targets"]) and all(
        torch.equal(a["inputs"][k], b["inputs"][k]) for k in a["inputs"]
    )


def test_one_seed_one_order(either: Prepared) -> None:
    first, twin, other = (Loader(either, 256, 64, seed) for seed in (0, 0, 1))
    torch.manual_seed(1)
    np.random.seed(1)
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    batches = [next(first) for _ in range(30)]
    assert all(same(batch, next(twin)) for batch in batches)
    assert not all(batch.targets.shape == (o := next(other)).targets.shape and same(batch, o) for batch in batches)
    assert torch.equal(state[0], torch.get_rng_state()) and (state[1] == np.random.get_state()[1]).all()


def test_a_restored_loader_continues_at_the_exact_batch(either: Prepared) -> None:
    loader = Loader(either, 256, 64, seed=5)
    for steps in (0, 3, loader.batches_per_epoch, loader.batches_per_epoch + 2):
        loader = Loader(either, 256, 64, seed=5)
        for _ in range(steps):
            next(loader)
        restored = Loader(either, 256, 64, seed=5)
        restored.load_state_dict(loader.state_dict())
        for _ in range(loader.batches_per_epoch + 1):
            assert same(next(loader), next(restored))


def test_a_loader_does_not_continue_in_another_text(pairs: Prepared, prose: Prepared) -> None:
    """Nor after a change of one word: every batch would be another."""
    loader = Loader(prose, 256, 64, seed=5)
    with pytest.raises(ValueError, match=f"data {prose.digest}, now {pairs.digest}.*task.name=.*delete"):
        Loader(pairs, 256, 64, seed=5).load_state_dict(loader.state_dict())
    for changed in ({"data": "0" * 16}, {"data": None}):
        with pytest.raises(ValueError, match="in the middle of another text"):
            loader.load_state_dict(loader.state_dict() | changed)


def test_processes_take_turns_over_the_batches_of_one(either: Prepared) -> None:
    """Three processes that share three batches a step see what one process sees, across the end of an epoch too."""
    whole = Loader(either, 256, 64, seed=2)
    ranks = [Loader(either, 256, 64, seed=2, rank=rank, world=3) for rank in range(3)]
    for _ in range(whole.batches_per_epoch // 6 + 2):
        shares = [rank.take(6) for rank in ranks]
        turns = [shares[i % 3][i // 3] for i in range(6)]
        assert all(same(batch, next(whole)) for batch in turns)
        assert all(rank.state_dict() == whole.state_dict() for rank in ranks)
    assert whole.epochs > 1


def test_an_epoch_of_pairs_has_every_pair_once_within_the_budget(pairs: Prepared) -> None:
    loader = Loader(pairs, 300, 64, seed=0)
    seen, epochs = [], []
    for _ in range(2):
        epoch = [next(loader) for _ in range(loader.batches_per_epoch)]
        epochs.append(epoch)
        seen.append(sorted(tuple(row[row != IGNORE].tolist()) for batch in epoch for row in batch.targets))
        for batch in epoch:
            rows, source = batch.inputs["source"].shape
            assert rows * max(source, batch.targets.shape[1]) <= 300
            assert batch.tokens > 0 and batch.rows == []
    flat, offsets = pairs.side("train", "target")
    whole = sorted(tuple(flat[a:b].tolist()) for a, b in zip(offsets[:-1], offsets[1:], strict=True))
    assert seen[0] == seen[1] == whole
    assert not all(a.targets.shape == b.targets.shape and same(a, b) for a, b in zip(*epochs, strict=False))


class Watched(np.ndarray):
    """Counts how often it is compared as a whole."""

    compared = 0

    def __lt__(self, other):  # pyright: ignore[reportIncompatibleMethodOverride]
        Watched.compared += 1
        return super().__lt__(other)


def test_offsets_are_looked_through_once_and_not_for_every_batch(pairs: Prepared, monkeypatch) -> None:
    prepared = Prepared.open(pairs.folder, pairs.task)
    mapped = Prepared._mapped
    monkeypatch.setattr(Prepared, "_mapped", lambda self, name: mapped(self, name).view(Watched))
    assert len(list(evaluation_batches(prepared, "test", 300, 64))) > 3
    assert Watched.compared == 2, "source and target"


def test_a_translation_batch_is_laid_out_as_promised(pairs: Prepared) -> None:
    decode = pairs.tokenizer.decode
    sources, targets = pairs.lines("test", "source"), pairs.lines("test", "target")
    for batch in evaluation_batches(pairs, "test", 300, 64):
        source, mask, target = (batch.inputs[key] for key in ("source", "source_mask", "target"))
        assert torch.equal(mask, source != PAD) and torch.equal(mask.int(), mask.int().cummin(1)[0])
        assert (target[:, 0] == BOS).all()
        for row, number in enumerate(batch.rows):
            length = int(mask[row].sum())
            real = batch.targets[row][batch.targets[row] != IGNORE]
            assert source[row, length - 1] == EOS and real[-1] == EOS
            assert decode(source[row].tolist()) == sources[number] and decode(real.tolist()) == targets[number]
            assert torch.equal(target[row, 1 : len(real)], real[:-1])
            assert (target[row, len(real) :] == PAD).all()


def test_evaluation_keeps_every_pair_and_cuts_only_what_the_model_cannot_hold(pairs: Prepared) -> None:
    for context in (64, 12):
        batches = list(evaluation_batches(pairs, "test", 300, context))
        assert sorted(row for batch in batches for row in batch.rows) == list(range(40))
        kept = np.minimum(pairs.lengths("test"), context)
        assert sum(batch.tokens for batch in batches) == kept[:, 1].sum()
        assert sum(int(batch.inputs["source_mask"].sum()) for batch in batches) == kept[:, 0].sum()
        assert all(bool((batch.inputs["source"] == EOS).any(1).all()) for batch in batches)
    assert (
        sum(batch.tokens for batch in evaluation_batches(pairs, "test", 300, 64))
        == pairs.facts["splits"]["test"]["tokens"]
    )


def shortened(prepared: Prepared, context: int) -> Prepared:
    """The same text under a task with less room."""
    return Prepared(prepared.folder, dataclasses.replace(prepared.task, context=context), prepared.manifest)


@pytest.mark.parametrize("kind", ["pairs", "opinions"])
def test_training_leaves_out_what_is_long_and_counts_it(kind: str, request: pytest.FixtureRequest) -> None:
    whole = request.getfixturevalue(kind)
    lengths = whole.lengths("train")
    context = int(np.median(lengths))
    loader = Loader(whole, 300, context, seed=0)
    rows = sum(len(next(loader).targets) for _ in range(loader.batches_per_epoch))
    dropped = shortened(whole, context).facts["splits"]["train"]["dropped"]
    assert 0 < rows == len(lengths) - dropped < len(lengths)
    with pytest.raises(ValueError, match=f"every training {'pair' if kind == 'pairs' else 'sentence'}"):
        Loader(whole, 300, 2, seed=0)
    with pytest.raises(ValueError, match="raise batch_tokens"):
        Loader(whole, 30, 64, seed=0)


def test_an_epoch_of_sentences_has_every_one_once_with_its_label(opinions: Prepared) -> None:
    loader = Loader(opinions, 300, 32, seed=0)
    seen = []
    for _ in range(loader.batches_per_epoch):
        batch = next(loader)
        tokens, mask = batch.inputs["tokens"], batch.inputs["mask"]
        assert tokens.numel() <= 300 and batch.rows == [] and batch.tokens == len(batch.targets) == len(tokens)
        assert (tokens[:, 0] == BOS).all() and torch.equal(mask, tokens != PAD)
        texts = (opinions.tokenizer.decode(row.tolist()) for row in tokens)
        seen += [(text, opinions.classes[number]) for text, number in zip(texts, batch.targets, strict=True)]
    assert sorted(seen) == sorted(generate("toy_sentiment", {"train": 300, "valid": 40, "test": 40})["train"])


def test_evaluation_cuts_the_end_of_long_sentences_only(opinions: Prepared) -> None:
    """Every sentence is there once, in its place, with its own label; those that were cut are counted."""
    sentences = generate("toy_sentiment", {"train": 300, "valid": 40, "test": 40})["test"]
    for context in (32, 8):
        whole, found = 0, {}
        for batch in evaluation_batches(opinions, "test", 100, context):
            assert batch.inputs["tokens"].shape[1] <= context and batch.inputs["tokens"].numel() <= 100
            for row, tokens, number in zip(batch.rows, batch.inputs["tokens"], batch.targets, strict=True):
                text = opinions.tokenizer.decode(tokens.tolist())
                found[row] = opinions.classes[number]
                assert text == " ".join(sentences[row][0].split()[: context - 1])
                whole += text == sentences[row][0]
        assert [found[row] for row in range(40)] == [label for _, label in sentences]
        assert shortened(opinions, context).facts["splits"]["test"]["truncated"] == 40 - whole
        assert (whole == 40) == (context == 32)


def test_windows_of_an_epoch_tile_the_text_and_shift_between_epochs(prose: Prepared) -> None:
    stream = prose.stream("train")
    text = stream[:].astype(np.int64)
    loader = Loader(prose, 64 * 8, 64, seed=0)
    phases = set()
    for _ in range(4):
        epoch = [next(loader) for _ in range(loader.batches_per_epoch)]
        tokens = torch.cat([batch.inputs["tokens"] for batch in epoch])
        targets = torch.cat([batch.targets for batch in epoch])
        assert tokens.shape[1] == 64 and torch.equal(tokens[:, 1:], targets[:, :-1])
        starts = [_find(text, row.numpy()) for row in tokens]
        assert len(set(starts)) == len(starts) and len({start % 64 for start in starts}) == 1
        assert len(starts) * 64 > 0.8 * len(text)
        phases.add(starts[0] % 64)
    assert len(phases) > 1


def _find(text: np.ndarray, row: np.ndarray) -> int:
    """Where a window stands; the lines of the text are numbered, so it stands in one place only."""
    places = np.flatnonzero((np.lib.stride_tricks.sliding_window_view(text, len(row)) == row).all(1))
    assert len(places) == 1
    return int(places[0])


@pytest.mark.parametrize("stride", [None, 64, 63, 20, 1])
def test_every_target_is_scored_once_with_all_the_context_promised(prose: Prepared, stride: int | None) -> None:
    stream = torch.from_numpy(prose.stream("test").astype(np.int64))
    scored: list[int] = []
    rows: list[int] = []
    for batch in evaluation_batches(prose, "test", 64 * 8, 64, stride):
        assert batch.tokens > 0
        rows += batch.rows
        for tokens, targets in zip(batch.inputs["tokens"], batch.targets, strict=True):
            places = (targets != IGNORE).nonzero().flatten()
            assert torch.equal(places, torch.arange(int(places[0]), int(places[-1]) + 1)), "one run of new targets"
            if scored and stride is not None:
                assert int(places[0]) >= 64 - stride, "old tokens before the first new one"
            assert torch.equal(tokens[1 : places[-1] + 1], stream[1:][len(scored) - int(places[0]) :][: places[-1]])
            scored += targets[places].tolist()
    assert scored == stream[1:].tolist() and stream[0] == BOS
    assert len(scored) == prose.facts["splits"]["test"]["tokens"]
    assert rows == list(range(len(rows)))


def test_the_first_rows_are_one_batch_of_the_split_in_order(either: Prepared) -> None:
    """Fewer where there are fewer; the rows themselves are those of evaluation."""
    for rows in (3, 1000):
        batch = first_rows(either, "test", rows, 64)
        assert batch.rows == list(range(len(batch.targets)))
        evaluated = {
            row: targets[targets != IGNORE].tolist()
            for one in evaluation_batches(either, "test", 4096, 64)
            for row, targets in zip(one.rows, one.targets, strict=True)
        }
        assert [targets[targets != IGNORE].tolist() for targets in batch.targets] == [evaluated[r] for r in batch.rows]
        assert len(batch.rows) == min(rows, len(evaluated))


def test_windows_that_do_not_fit_are_refused(prose: Prepared) -> None:
    with pytest.raises(ValueError, match="raise batch_tokens"):
        Loader(prose, 32, 64, seed=0)
    with pytest.raises(ValueError, match="choose task.context"):
        Loader(prose, 100_000, 100_000, seed=0)
    with pytest.raises(ValueError, match="between 1 and the context"):
        list(evaluation_batches(prose, "test", 64, 64, stride=65))
    (whole,) = evaluation_batches(prose, "test", 100_000, 100_000)
    assert whole.tokens == prose.facts["splits"]["test"]["tokens"]


def test_a_text_barely_longer_than_a_window_still_trains(tmp_path: Path) -> None:
    prepared = prepare(text_task(tmp_path, "x" * 100), str(tmp_path), str(tmp_path / "cache"))
    loader = Loader(prepared, 4096, 64, seed=0)
    assert loader.batches_per_epoch == 1
    assert next(loader).inputs["tokens"].shape == (1, 64)


def test_planning_many_pairs_pads_little() -> None:
    """Lengths like Multi30k's, in size and spread: an epoch is planned in well under a second, padding is about 5 %."""
    from data.pairs import plan

    rng = np.random.default_rng(0)
    source = np.clip(rng.gamma(9, 1.7, 29_000).round(), 4, 50).astype(np.int64)
    target = np.clip((source * rng.normal(1.05, 0.15, 29_000)).round(), 4, 60).astype(np.int64)

    class Lengths:
        def lengths(self, _: str) -> np.ndarray:
            return np.stack([source, target], axis=1)

    batches = plan(Lengths(), 4096, 64, rng)  # type: ignore[arg-type]
    padded = sum(len(batch) * (source[batch].max() + target[batch].max()) for batch in batches)
    assert 1 - (source.sum() + target.sum()) / padded < 0.06
