"""What the record of a run says, as the run goes on."""

import shlex
from pathlib import Path
from typing import Any

from ablations import provenance, record
from ablations.course import Course
from ablations.device import Place
from data.prepared import Prepared


def new_record(
    plain: dict[str, Any], signature: str, overrides: list[str], prepared: Prepared, place: Place
) -> dict[str, Any]:
    """What is known before the first step."""
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


def training(course: Course, stacked: dict[str, Any]) -> dict[str, Any]:
    """How the training went; `stacked` is what is to be said of a stack, whose seconds are those of all its runs."""
    config, state = course.config, course.state
    facts = {
        "steps": state.step,
        "tokens": state.tokens,
        "epochs": round(course.loader.epochs, 3),
        "seconds": round(state.seconds, 1),
        "tokens_per_second": round(state.tokens / state.seconds, 1),
        "selected_step": state.best_step if config.select == "best" else state.step,
        "precision": course.place.precision,
        **stacked,
    }
    status = "finished" if state.diverged is None else "diverged"
    result = {"status": status, "reason": state.diverged, "training": facts, "curve": state.curve}
    return {**result, "analyses": state.observations} if state.observations else result


def objective(entry: dict[str, Any]) -> float:
    """Nats per token on the validation split; infinite where the run diverged."""
    return entry["scores"]["valid"]["nll"] if entry["scores"] else float("inf")


def announce(entry: dict[str, Any], written: Path) -> None:
    """Says how a run ended and where it is on record."""
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
