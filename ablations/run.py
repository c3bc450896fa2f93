"""One run, from a config to a record on disk. A finished run is never trained twice."""

import shlex
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from ablations import checkpoint, provenance, record
from ablations.compose import to_plain
from ablations.config import RunConfig, check
from ablations.course import Course
from ablations.device import Place, find_place
from ablations.evaluator import nats_per_token, samples, score
from ablations.files import locked, write_text
from ablations.known import answer
from ablations.learner import Alone
from ablations.model import Model, build, costs
from ablations.progress import Progress
from ablations.stop import Stop
from ablations.track.start import open_tracker
from ablations.track.tracker import Tracker
from ablations.trainer import Report, Trainer
from data.batch import BOS, EOS, PAD, UNK
from data.loader import Loader, first_rows
from data.prepare import prepare
from data.prepared import Prepared


def run(config: RunConfig, overrides: list[str], origin: dict[str, Any] | None = None) -> float:
    """Trains, scores and records one run; returns nats per token on the validation split, the sweeper's objective.

    The record lies in `<results>/records/<study>/`, everything else in `<results>/work/<signature>/`. A run that
    stopped half-way continues from its checkpoint; one whose record says finished or diverged is not trained again.
    A run that breaks leaves a record that says failed, and is tried again when asked for again. `origin` is what the
    record says of code and claims, where that is not what lies here now (`provenance.origin`). Raises ValueError where
    another process is at work on the same run.
    """
    check(config)
    place = find_place(config.trainer)
    config.trainer.precision = place.precision  # `auto` is settled before the run is signed
    plain, results = to_plain(config), Path(config.paths.results)
    signature = record.signature(plain)
    prepared = prepare(config.task, config.paths.corpora, config.paths.cache)

    def known() -> dict[str, Any] | None:
        look = place.rank == 0 and not config.rerun
        return place.broadcast(record.find(results, signature, config.study.name) if look else None)

    if (found := known()) is not None:
        return _known(found, plain, prepared, results, place)
    folder = results / "work" / signature
    with Stop() as stop, locked(folder / "lock") if place.rank == 0 else nullcontext(True) as mine:
        if not mine:
            raise ValueError(
                f"another process trains {record.label(plain)} in {folder}: let it finish, or stop it first"
            )
        if (found := known()) is not None:  # by whoever held the lock until now
            return _known(found, plain, prepared, results, place)
        for torn in folder.glob(".*.tmp"):  # what a kill left of a checkpoint
            torn.unlink(missing_ok=True)
        model = build(config, prepared).to(place.device)
        course = _course(config, model, prepared, place, folder, signature)
        if place.rank != 0:  # every process trains, the first one scores and records
            _fit(course, stop, lambda numbers: None)
            return place.end(None)
        entry = _new_record(plain, signature, overrides, prepared, place) | (origin or provenance.origin())
        return place.end(_train_and_score(config, entry, course, stop, prepared))


def _train_and_score(
    config: RunConfig,
    entry: dict[str, Any],
    course: Course,
    stop: Stop,
    prepared: Prepared,
) -> float:
    model, folder = course.model, course.folder
    started, results, signature = time.time(), Path(config.paths.results), entry["signature"]
    entry = {**entry, "budget": asdict(costs(config, prepared))}
    try:
        with (
            open_tracker(config.tracking, entry, folder, course.state.step) as tracker,
            Progress(record.label(entry["config"]), config.trainer.steps, course.state.step) as progress,
        ):
            _fit(course, stop, lambda numbers: _report(numbers, tracker, progress))
            entry |= _training(course)
            if course.state.diverged is None:
                checkpoint.save(folder / "model.pt", {"signature": signature, "model": model.state_dict()})
                entry |= _scores(config, model, prepared, folder)
            entry |= {"finished": provenance.now(), "seconds": round(time.time() - started, 1)}
            written = record.write(entry, results)
            for leftover in ("checkpoint.pt", "best.pt"):
                (folder / leftover).unlink(missing_ok=True)
            _announce(entry, written)
            tracker.show(entry)  # last, since a dashboard may take its time
    except Exception as error:
        if record.find(results, signature, config.study.name) is None:  # rerun=true has one, and it still holds
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            record.write({**entry, "status": "failed", "reason": reason, "finished": provenance.now()}, results)
        raise
    return _objective(entry)


def _fit(course: Course, stop: Stop, report: Report) -> None:
    """Trains to the end, or leaves with everything saved when a signal says so."""
    with stop.held() as asked:
        Trainer([course], Alone(course)).fit([report], asked)
    if course.going:
        stop.leave()  # another process of this run was told, and this one was not


def _course(config: RunConfig, model: Model, prepared: Prepared, place: Place, folder: Path, signature: str) -> Course:
    batch_tokens, context = config.trainer.batch_tokens, config.task.context
    return Course(
        model,
        Loader(prepared, batch_tokens, context, config.seed, place.rank, place.world),
        lambda network: nats_per_token(network, prepared, "valid", config, place)[0],
        config.optim,
        config.trainer,
        place,
        folder,
        signature,
        config.seed,
        _watch(config, prepared, place) if config.analysis.parts else None,
        config.analysis.every,
    )


def _watch(config: RunConfig, prepared: Prepared, place: Place) -> Callable[[nn.Module, int], dict[str, Any]]:
    """Observes the first rows of the validation split; pictures and contexts only at both ends of the training."""
    from ablations.analysis.probe import observe

    batch = first_rows(prepared, "valid", config.analysis.rows, config.task.context).to(place.device)

    def watch(model: nn.Module, step: int) -> dict[str, Any]:
        ends = step in (0, config.trainer.steps)
        parts = [part for part in config.analysis.parts if ends or part not in ("context", "maps")]
        seen = observe(model, batch, parts)
        if "ids" in seen.get("maps", {}):
            ids = seen["maps"].pop("ids")
            seen["maps"]["tokens"] = {stack: _pieces(prepared, tokens) for stack, tokens in ids.items()}
        return seen

    return watch


def _pieces(prepared: Prepared, ids: list[int]) -> list[str]:
    """Each token as a person reads it."""
    named = {PAD: "<pad>", BOS: "<bos>", EOS: "<eos>", UNK: "<unk>"}
    return [named.get(token) or prepared.tokenizer.decode([token]) for token in ids]


def _report(numbers: dict[str, float], tracker: Tracker, progress: Progress) -> None:
    step = int(numbers["step"])
    tracker.log(step, {name: value for name, value in numbers.items() if name != "step"})
    progress.update(step, numbers["loss"], numbers["tokens_per_second"])


def _known(found: dict[str, Any], plain: dict[str, Any], prepared: Prepared, results: Path, place: Place) -> float:
    """The outcome of a run that is on record already; it counts for every study that asks for it."""
    if place.rank == 0:
        where = answer(found, plain["study"], prepared.digest, results)
        print(f"{found['status']} already, not trained again (rerun=true would): {where}")
    return _objective(found)


def _objective(entry: dict[str, Any]) -> float:
    return entry["scores"]["valid"]["nll"] if entry["scores"] else float("inf")


def _new_record(
    plain: dict[str, Any], signature: str, overrides: list[str], prepared: Prepared, place: Place
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
        "command": shlex.join(["python", "train.py", *overrides]),
        "overrides": overrides,
        "config": plain,
        "data": prepared.facts,
        "scores": {},
        "samples": [],
    }


def _training(course: Course) -> dict[str, Any]:
    config, state = course.config, course.state
    training = {
        "steps": state.step,
        "tokens": state.tokens,
        "epochs": round(course.loader.epochs, 3),
        "seconds": round(state.seconds, 1),
        "tokens_per_second": round(state.tokens / state.seconds, 1),
        "selected_step": state.best_step if config.select == "best" else state.step,
        "precision": course.place.precision,
    }
    status = "finished" if state.diverged is None else "diverged"
    result = {"status": status, "reason": state.diverged, "training": training, "curve": state.curve}
    return {**result, "analyses": state.observations} if state.observations else result


def _scores(
    config: RunConfig, model: Model, prepared: Prepared, folder: Path
) -> dict[str, dict[str, Any] | list[dict[str, str]]]:
    """Scores of every split and some translations; all hypotheses go to `folder`, for paired tests."""
    scores, shown = {}, []
    for split in ["valid", *config.task.test]:
        scores[split], hypotheses = score(model, prepared, split, config)
        if hypotheses:
            write_text(folder / f"hypotheses.{split}.txt", "\n".join(hypotheses) + "\n")
            shown = samples(prepared, split, hypotheses, config.evaluation.samples)
    return {"scores": scores, "samples": shown}


def _announce(entry: dict[str, Any], written: Path) -> None:
    if entry["status"] == "diverged":
        print(f"diverged: {entry['reason']}")
    for split, numbers in entry["scores"].items():
        shown = [f"perplexity {numbers['token_perplexity']:.2f}"] if "token_perplexity" in numbers else []
        if "bits_per_byte" in numbers:
            shown.append(f"{numbers['bits_per_byte']:.3f} bits per byte")
        if "bleu" in numbers:
            shown.append(f"BLEU {numbers['bleu']:.2f}, chrF {numbers['chrf']:.1f}")
        if "accuracy" in numbers:
            low, high = numbers["accuracy_low"], numbers["accuracy_high"]
            shown.append(f"accuracy {numbers['accuracy']:.2f} % [{low:.1f}, {high:.1f}]")
        print(f"{split}: {', '.join(shown)}")
    print(f"record: {written}")
