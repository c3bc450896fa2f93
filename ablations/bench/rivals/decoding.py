"""Translating a test set with a trained model, ours against what people would take instead.

The weights of our run are filled into the others, so that all of them say the same, but for rounding and for what their
rules of search differ in. Every one sorts the sentences by length and batches them.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ablations import checkpoint, record
from ablations.bench.report import Table
from ablations.bench.rivals import ctranslate, extras, huggingface, joeynmt
from ablations.bench.setup import Setup
from ablations.bench.timing import interleaved, once, ratio, spread
from ablations.compose import from_plain
from ablations.config import RunConfig
from ablations.model import build
from data.batch import BOS, EOS
from data.loader import evaluation_batches
from data.prepare import prepare
from data.prepared import Prepared
from models.decode import translate
from models.transformer import Translator

BATCH = 64  # sentences, in every system
BARS = {5: {"JoeyNMT": 8.0, "Hugging Face": 1.9, "CTranslate2": 1.0}, 1: {"CTranslate2": 1.3}}
Found = dict[int, list[int]]  # sentence -> tokens
Search = Callable[[int, "Sources"], Found]


class Sources:
    """Test sentences, and the same in batches of similar length: (numbers, source [B, S], mask [B, S]) each."""

    def __init__(self, prepared: Prepared, config: RunConfig, split: str, wanted: int | None, device: torch.device):
        rows: dict[int, list[int]] = {}
        for batch in evaluation_batches(prepared, split, config.task.context, config.task.context):
            for row, source, mask in zip(batch.rows, batch.inputs["source"], batch.inputs["source_mask"], strict=True):
                rows[row] = source[mask].tolist()
        every = max(1, len(rows) // (wanted or len(rows)))
        self.rows = [rows[row] for row in sorted(rows)][::every][:wanted]
        self.sentences = len(self.rows)
        self.batches: list[tuple[list[int], Tensor, Tensor]] = []
        order = sorted(range(self.sentences), key=lambda number: len(self.rows[number]))
        for first in range(0, len(order), BATCH):
            numbers = order[first : first + BATCH]
            source = torch.nn.utils.rnn.pad_sequence([torch.tensor(self.rows[n]) for n in numbers], batch_first=True)
            lengths_B = torch.tensor([len(self.rows[n]) for n in numbers])
            mask = torch.arange(source.shape[1]) < lengths_B[:, None]
            self.batches.append((numbers, source.to(device), mask.to(device)))


def decodings(setup: Setup) -> Iterator[Table]:
    """A table for beam 5 and one for greedy search."""
    config, prepared, model = trained(setup)
    split = config.task.test[0]
    sources = Sources(prepared, config, split, 8 if setup.quick else setup.sentences, setup.place)
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        searches = _searches(setup, config, prepared, model, Path(folder), notes)
        for beam in (5, 1):
            yield _table(setup, searches, beam, sources, f"{config.task.name} {split}", notes)


def trained(setup: Setup) -> tuple[RunConfig, Prepared, Translator]:
    """The run of --run, its text and its weights. Raises ValueError where there are none."""
    if setup.run is None:
        raise ValueError("decoding wants a trained translator: give the record of its run with --run FILE")
    run = record.load(Path(setup.run))
    config = from_plain(run["config"])
    config.paths.corpora, config.paths.cache = setup.corpora, setup.cache
    if config.task.kind != "translation":
        raise ValueError(f"--run {setup.run} is of task {config.task.name}: give a translator's record")
    prepared = prepare(config.task, config.paths.corpora, config.paths.cache)
    folder = Path(setup.run).resolve().parents[2] / "work" / run["signature"]
    saved = checkpoint.load(folder / "model.pt", run["signature"])
    if saved is None:
        raise ValueError(f"the weights of --run {setup.run} are gone: train it again with rerun=true")
    model = build(config, prepared)
    assert isinstance(model, Translator)
    model.load_state_dict(saved["model"])
    return config, prepared, model.to(setup.place).eval()


def _searches(
    setup: Setup, config: RunConfig, prepared: Prepared, model: Translator, folder: Path, notes: list[str]
) -> dict[str, Search]:
    """Every system that is here."""
    searches: dict[str, Search] = {"ours": partial(_ours, model, config)}
    if why := joeynmt.found(setup.joeynmt):
        notes.append(f"JoeyNMT: {why}")
    else:
        theirs = joeynmt.filled(model, config, prepared, folder).to(setup.place)
        searches["JoeyNMT"] = partial(_in_batches, joeynmt.search, theirs)
    if why := extras.missing("transformers"):
        notes.append(f"Hugging Face: {why}")
    else:
        theirs = huggingface.filled(model, config).to(setup.place)
        searches["Hugging Face"] = partial(_in_batches, huggingface.search, theirs)
    if why := extras.missing("ctranslate2"):
        notes.append(f"CTranslate2: {why}")
    else:
        theirs = ctranslate.filled(model, config, folder / "ct2", setup.device)
        searches["CTranslate2"] = partial(_ctranslate, theirs)
    return searches


def _ours(model: Translator, config: RunConfig, beam: int, sources: Sources) -> Found:
    found: Found = {}
    for numbers, source, mask in sources.batches:
        limit = (1.5 * mask.sum(1) + 10).long().clamp(max=config.task.context)
        with torch.inference_mode():
            ids = translate(model, source, mask, bos=BOS, eos=EOS, max_length=limit, beam=beam)
        found |= dict(zip(numbers, ids, strict=True))
    return found


def _in_batches(search: Callable[..., list[list[int]]], model: Any, beam: int, sources: Sources) -> Found:
    found: Found = {}
    for numbers, source, mask in sources.batches:
        longest = int(1.5 * source.shape[1] + 10)
        with torch.inference_mode():
            found |= dict(zip(numbers, search(model, source, mask, beam, longest), strict=True))
    return found


def _say(said: dict[str, Found], name: str, search: Search, beam: int, sources: Sources) -> None:
    said[name] = search(beam, sources)


def _ctranslate(translator: Any, beam: int, sources: Sources) -> Found:
    longest = int(1.5 * max(map(len, sources.rows)) + 10)
    return dict(enumerate(ctranslate.search(translator, sources.rows, beam, longest, BATCH)))


def _table(
    setup: Setup, searches: dict[str, Search], beam: int, sources: Sources, what: str, notes: list[str]
) -> Table:
    title = f"{'Greedy search' if beam == 1 else f'Beam {beam}'} over {what}, {sources.sentences} sentences"
    columns = ["what", "seconds", "sentences/s", "tokens/s", "times ours", "same as ours", "tokens out"]
    table = Table(title, columns, notes=list(notes))
    said: dict[str, Found] = {}
    works = {name: once(partial(_say, said, name, search, beam, sources)) for name, search in searches.items()}
    table.samples = interleaved(works, setup.rounds, setup.now, 0.0)
    for name, seconds in table.samples.items():
        time, tokens = spread(seconds).median, sum(len(ids) + 1 for ids in said[name].values())
        same = sum(said[name][n] == said["ours"][n] for n in range(sources.sentences))
        table.rows.append(
            [name, f"{time:.2f}", f"{sources.sentences / time:.1f}", f"{tokens / time:,.0f}"]
            + [str(ratio(table.samples, name, "ours")), f"{100 * same / sources.sentences:.1f} %", f"{tokens:,}"]
        )
    table.notes += [
        f"bar: {', '.join(f'{name} {bar} times ours' for name, bar in BARS[beam].items())}",
        f"float32, batches of {BATCH} sentences sorted by length, our weights in every system; tokens count the end",
        "Hugging Face is M2M100, whose layers are pre-norm as ours",
        "JoeyNMT keeps no keys and values between steps; each ends a sentence by a rule of its own, hence what differs",
    ]
    return table
