"""Scoring a finished run again, from its record and the weights it left."""

import json
from pathlib import Path
from typing import Any

from ablations import checkpoint, record
from ablations.compose import from_plain
from ablations.config import EvaluationConfig, check
from ablations.device import find_place
from ablations.evaluator import score
from ablations.files import write_text
from ablations.model import build
from data.prepare import prepare


def rescore(
    file: Path, splits: list[str] | None, changes: dict[str, Any], corpora: str | None, device: str
) -> list[tuple[Path, dict[str, Any]]]:
    """Scores of each split, by default the run's own, under `changes` to its evaluation config, and where they went.

    Raises ValueError where the run is not finished, its weights are gone, or the text is not the one it learnt from.
    """
    entry = record.load(file)
    if entry["status"] != "finished":
        raise ValueError(f"{file} is of a run that {entry['status']}: there are no weights to score")
    for name in changes:
        if f"evaluation.{name}" in record.UNUSED[entry["kind"]]:
            raise ValueError(f"--{name.replace('_', '-')} changes nothing for {entry['kind']}: leave it out")
    config = from_plain(entry["config"])
    config.evaluation = type(config.evaluation)(**{**vars(config.evaluation), **changes})
    config.paths.corpora = corpora or config.paths.corpora
    config.trainer.device = device
    check(config)
    results = file.resolve().parent.parent.parent  # <results>/records/<study>/<run>.json
    folder = results / "work" / entry["signature"]
    record.refuse_link(folder)
    saved = checkpoint.load(folder / "model.pt", entry["signature"])
    if saved is None:
        raise ValueError(f"{folder / 'model.pt'} is not there: train the run again with rerun=true, {entry['command']}")
    prepared = prepare(config.task, config.paths.corpora, config.paths.cache)
    if prepared.digest != entry["data"]["digest"]:
        raise ValueError(f"{file} was made from another text than {config.task.name} is now: its vocabulary is lost")
    known = [split for split in prepared.splits if split != "train"]
    for split in splits or []:
        if split not in known:
            raise ValueError(f"task {config.task.name} has no split {split!r}: choose from {', '.join(known)}")
    place = find_place(config.trainer)
    model = build(config, prepared).to(place.device)
    model.load_state_dict(saved["model"])
    written = []
    for split in splits or entry["scores"]:
        numbers, hypotheses, _ = score(model, prepared, split, config)
        target = folder / f"evaluation.{split}{_method(config.evaluation, entry['kind'])}.json"
        write_text(target, json.dumps({split: numbers}, indent=1) + "\n")
        if hypotheses:
            write_text(target.with_suffix(".txt"), "\n".join(hypotheses) + "\n")
        written.append((target, {split: numbers}))
    return written


def _method(evaluation: EvaluationConfig, kind: str) -> str:
    """How a split is scored, as part of a file's name: ".beam5", ".beam5.penalty0.6", ".stride64" or nothing."""
    if kind == "classification":
        return ""
    if kind == "language_modeling":
        return "" if evaluation.stride is None else f".stride{evaluation.stride}"
    return f".beam{evaluation.beam}" + (
        "" if evaluation.length_penalty == 1 else f".penalty{evaluation.length_penalty:g}"
    )
