"""One run, from a config to a record on disk. A finished run is never trained twice."""

import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from ablations import checkpoint, provenance, record
from ablations.compose import to_plain
from ablations.config import RunConfig, check
from ablations.device import Place, find_place, rank_and_world
from ablations.evaluator import nats_per_token, score
from ablations.progress import Progress
from ablations.record import write_text
from ablations.track import open_tracker
from ablations.trainer import Progressed, Trainer
from data.loader import training_batches
from data.prepare import prepare
from data.prepared import Prepared
from models.budget import Budget, budget
from models.config import SitesConfig
from models.init import initialise
from models.transformer import LanguageModel, Translator


def run(config: RunConfig, overrides: list[str]) -> float:
    """Trains, scores and records one run; returns nats per token on the validation split, the sweeper's objective.

    The record lies in `<results>/records/<study>/`, everything else in `<results>/work/<signature>/`. A run that
    stopped half-way continues from its checkpoint; one whose record says finished or diverged is not trained again.
    """
    check(config)
    plain = to_plain(config)
    signature, results = record.signature(plain), Path(config.paths.results)
    prepared = prepare(config.task, config.paths.corpora, config.paths.cache)
    known = None if config.rerun else record.find(results, signature, config.study.name)
    if known is not None:
        return _known(known, config, prepared, results)

    place = find_place(config.trainer)
    model = build(config, prepared).to(place.device)
    folder, started = results / "work" / signature, time.time()
    trainer = Trainer(
        model,
        training_batches(
            prepared, config.trainer.batch_tokens, config.task.context, config.seed, place.rank, place.world
        ),
        lambda network: _validation_nll(network, prepared, config, place),
        config.optim,
        config.trainer,
        place,
        folder,
        signature,
        config.seed,
    )
    if place.rank != 0:  # every process trains, the first one scores and records
        trainer.fit(lambda numbers: None)
        return place.agree(None)

    entry = _new_record(plain, signature, overrides, prepared, place, costs(config, prepared))
    with (
        open_tracker(
            config.tracking,
            folder=folder,
            signature=signature,
            study=config.study.name,
            task=config.task.name,
            tags=[f"{site}:{name}" for site, name in entry["sites"].items()],
            config=plain,
            resume_step=trainer.so_far.step,
        ) as tracker,
        Progress(record.label(plain), config.trainer.steps, trainer.so_far.step) as progress,
    ):

        def report(numbers: dict[str, float]) -> None:
            tracker.log(int(numbers["step"]), {name: value for name, value in numbers.items() if name != "step"})
            progress.update(int(numbers["step"]), numbers["loss"], numbers["tokens_per_second"])

        so_far = trainer.fit(report)
        entry |= {"status": "diverged" if so_far.diverged else "finished", "reason": so_far.diverged}
        entry |= {"training": _training(so_far, trainer), "curve": so_far.curve}
        if so_far.diverged is None:
            checkpoint.save(folder / "model.pt", {"signature": signature, "model": model.state_dict()})
            splits = ["valid", *config.task.test]
            entry["scores"], entry["samples"] = score_splits(model, prepared, splits, config, folder)
            tracker.summary(flat(entry["scores"]))
            tracker.samples(entry["samples"])
    entry |= {"finished": provenance.now(), "seconds": round(time.time() - started, 1)}
    written = record.write(entry, results)
    for leftover in ("checkpoint.pt", "best.pt"):
        (folder / leftover).unlink(missing_ok=True)
    _announce(entry, written)
    return place.agree(_objective(entry))


def build(config: RunConfig, prepared: Prepared) -> LanguageModel | Translator:
    """The model of a run with its initial weights, its parameters counted against the budget's arithmetic."""
    sites = SitesConfig(config.sites.encoder, config.sites.decoder, config.sites.cross)
    kind = LanguageModel if config.task.kind == "language_modeling" else Translator
    vocabulary, length = prepared.tokenizer.size, config.task.context
    model = kind(config.model, sites, config.position, vocabulary, length)
    initialise(model, config.seed, config.model.init, config.model.decoder_layers)
    promised, counted = costs(config, prepared).parameters, sum(p.numel() for p in model.parameters())
    assert promised == counted, f"the budget counts {promised} parameters, the model has {counted}"
    return model


def costs(config: RunConfig, prepared: Prepared) -> Budget:
    """What the model of a run costs, by arithmetic."""
    context = config.task.context
    return budget(
        config.model,
        SitesConfig(config.sites.encoder, config.sites.decoder, config.sites.cross),
        config.position,
        config.task.kind,
        prepared.tokenizer.size,
        context,
        context,
    )


def score_splits(
    model: LanguageModel | Translator, prepared: Prepared, splits: list[str], config: RunConfig, folder: Path
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Scores of each split, and translations of the last one; hypotheses go to `folder` for paired tests.

    Their files are named after split and search, as in hypotheses.test.beam5.txt: another search leaves them alone.
    """
    scores, samples = {}, []
    for split in splits:
        numbers, found = score(model, prepared, split, config.task, config.evaluation, config.trainer.eval_batch_tokens)
        scores[split] = numbers
        if found:
            write_text(folder / f"hypotheses.{split}{method(config)}.txt", "\n".join(found) + "\n")
            sources, references = prepared.lines(split, "source"), prepared.lines(split, "target")
            samples = [
                {"split": split, "source": s, "reference": r, "hypothesis": h}
                for s, r, h in list(zip(sources, references, found, strict=True))[: config.evaluation.samples]
            ]
    return scores, samples


def method(config: RunConfig) -> str:
    """How a split is scored, as part of a file's name: ".beam5", ".beam5.penalty0.6", ".stride64" or nothing."""
    chosen = config.evaluation
    if config.task.kind == "language_modeling":
        return "" if chosen.stride is None else f".stride{chosen.stride}"
    return f".beam{chosen.beam}" + ("" if chosen.length_penalty == 1 else f".penalty{chosen.length_penalty:g}")


def flat(scores: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """Scores as "split/metric" to number."""
    return {
        f"{split}/{name}": value
        for split, numbers in scores.items()
        for name, value in numbers.items()
        if isinstance(value, int | float)
    }


def _validation_nll(model: nn.Module, prepared: Prepared, config: RunConfig, place: Place) -> float:
    tokens = config.trainer.eval_batch_tokens
    return nats_per_token(model, prepared, "valid", config.task, config.evaluation, tokens, place)[0]


def _known(known: dict[str, Any], config: RunConfig, prepared: Prepared, results: Path) -> float:
    """The outcome of a run that is on record already; it counts for every study that asks for it."""
    where = record.path(results, known)
    if known["data"]["digest"] != prepared.digest:
        raise ValueError(
            f"{where} was made from another text (data {known['data']['digest'][:12]}, now {prepared.digest[:12]}): "
            "give the new text a name of its own with task.name=..., or add rerun=true to replace the record"
        )
    rank, _ = rank_and_world()
    if rank == 0:
        if known["study"] != config.study.name:
            where = record.write(record.copy_for(known, to_plain(config)["study"]), results)
        print(f"{known['status']} already, not trained again (rerun=true would): {where}")
    return _objective(known)


def _objective(entry: dict[str, Any]) -> float:
    return entry["scores"]["valid"]["nll"] if entry["scores"] else float("inf")


def _new_record(
    plain: dict[str, Any], signature: str, overrides: list[str], prepared: Prepared, place: Place, costs: Budget
) -> dict[str, Any]:
    sites = record.site_names(plain)
    return {
        "schema": record.SCHEMA,
        "study": plain["study"]["name"],
        "strategy": record.strategy_name(sites),
        "sites": sites,
        "task": plain["task"]["name"],
        "kind": plain["task"]["kind"],
        "signature": signature,
        "seed": plain["seed"],
        "started": provenance.now(),
        "versions": provenance.versions(),
        "machine": place.facts(),
        "code": provenance.code(),
        "command": shlex.join(["python", "train.py", *overrides]),
        "overrides": overrides,
        "config": plain,
        "data": prepared.facts,
        "budget": asdict(costs),
        "scores": {},
        "samples": [],
    }


def _training(so_far: Progressed, trainer: Trainer) -> dict[str, Any]:
    config = trainer.config
    return {
        "steps": so_far.step,
        "tokens": so_far.tokens,
        "epochs": round(trainer.loader.epochs, 3),
        "seconds": round(so_far.seconds, 1),
        "tokens_per_second": round(so_far.tokens / so_far.seconds, 1),
        "selected_step": so_far.best_step if config.select == "best" else so_far.step,
        "precision": so_far.precision,
    }


def _announce(entry: dict[str, Any], written: Path) -> None:
    if entry["status"] == "diverged":
        print(f"diverged: {entry['reason']}")
    for split, numbers in entry["scores"].items():
        shown = [f"perplexity {numbers['token_perplexity']:.2f}", f"{numbers['bits_per_byte']:.3f} bits per byte"]
        if "bleu" in numbers:
            shown.append(f"BLEU {numbers['bleu']:.2f}, chrF {numbers['chrf']:.1f}")
        print(f"{split}: {', '.join(shown)}")
    print(f"record: {written}")
