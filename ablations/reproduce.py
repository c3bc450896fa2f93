"""A finished run trained again from its own record, and what comes out compared with it to the last bit.

The record's `config` is what is trained: a file in `conf/` may say something else by now.
"""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ablations import provenance, record
from ablations.compose import from_plain
from ablations.config import RunConfig
from ablations.device import Place, find_place
from ablations.record.file import ending
from ablations.run import run
from data.prepare import prepare

SHOWN = 5  # differences of a curve or of translations that are listed one by one
Difference = tuple[str, Any, Any]  # where, then, now


def chosen(results: Path, word: str, study: str | None = None) -> Path:
    """The record of a signature, of the beginning of one, or in a file. Raises ValueError unless it is one run's."""
    if Path(word).is_file():
        return Path(word)
    files = sorted((results / "records").glob(f"{study or '*'}/*.json"))
    found = {ending(file.name): file for file in reversed(files) if ending(file.name).startswith(word)}
    if not found:
        raise ValueError(f"{word!r} is no record's file, and no record under {results / 'records'} is signed {word}...")
    if len(found) > 1:
        raise ValueError(f"{len(found)} runs have a signature that begins with {word!r}: give more of it")
    [file] = found.values()
    return file


def drawn(results: Path, seed: int, study: str | None = None) -> Path:
    """A finished run by chance, of a study or of all; without a GPU here, one of those made on a CPU.

    The same seed and records give the same run. Raises ValueError where there is none.
    """
    found = {
        brief["signature"]
        for name in record.asked(results, [study] if study else None)
        for brief in record.briefs(results, name)
        if brief["status"] == "finished" and _possible(brief)
    }
    if not found:
        raise ValueError(
            f"no finished run to draw from under {results / 'records'}: name another study, or a signature"
        )
    return chosen(results, random.Random(seed).choice(sorted(found)), study)


def reproduce(file: Path, corpora: str | None = None) -> bool:
    """Whether every score came out the same; tells what is otherwise than it was, then what came out.

    Trains in a folder of its own, which is kept and named where anything differs. Raises ValueError where the run is
    not finished, was made on a GPU and there is none, or another text lies here; MissingCorpusError where none does.
    """
    entry = record.load(file)
    if entry["status"] != "finished":
        raise ValueError(f"{file} is of a run that {entry['status']}: it has no scores that could come out the same")
    if not _possible(entry):
        raise ValueError(f"{file} was made on a GPU ({entry['machine']['name']}), and torch finds none here")
    config = _config(entry, corpora)
    digest = prepare(config.task, config.paths.corpora, config.paths.cache).digest
    if digest != entry["data"]["digest"]:
        raise ValueError(
            f"{file} was made from another text than {config.task.name} is here (data {entry['data']['digest'][:12]}, "
            f"here {digest[:12]}): give --corpora FOLDER with that text, or choose a run of another task"
        )
    print(f"{file}: {entry['training']['steps']:,} steps, which took {entry['training']['seconds']:.0f} s then")
    print("\n".join(_circumstances(entry, find_place(config.trainer))), flush=True)
    folder, same = Path(tempfile.mkdtemp(prefix="reproduced-")), True
    try:
        config.paths.results = str(folder)
        run(config, entry["overrides"])
        [made] = record.load_all(folder)
        lines, identical, same = _outcome(entry, made)
        print("\n".join(lines))
    finally:
        if same:
            shutil.rmtree(folder)
    if not same:
        print(f"kept: {folder}")
    if not identical and entry["code"]["commit"] != provenance.code()["commit"]:
        print(f"the code of then: git worktree add FOLDER {entry['code']['commit']}, and in it {entry['command']}")
    return identical


def differing(then: Any, now: Any, where: str = "") -> Iterator[Difference]:
    """What of `then` is otherwise `now`, leaf by leaf; None stands for gone. What only `now` has is no difference."""
    if isinstance(then, dict):
        for key, value in then.items():
            yield from differing(value, now.get(key) if isinstance(now, dict) else None, f"{where} {key}".lstrip())
    elif isinstance(then, list):
        for place, value in enumerate(then):
            there = isinstance(now, list) and place < len(now)
            yield from differing(value, now[place] if there else None, f"{where} {place}".lstrip())
    elif then != now:
        yield where, then, now


def told(difference: Difference) -> str:
    """Such as `test nll: 1.25 then, 1.5 now (relative 0.2)`."""
    where, then, now = difference
    size = _relative(difference)
    return f"{where}: {_shown(then)} then, {_shown(now)} now" + ("" if size is None else f" (relative {size:.2g})")


def _relative(difference: Difference) -> float | None:
    """None of what is no number, and beside 0."""
    _, then, now = difference
    if isinstance(then, bool) or not isinstance(then, int | float) or not isinstance(now, int | float) or not then:
        return None
    return abs(now - then) / abs(then)


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _possible(entry: dict[str, Any]) -> bool:
    return entry["machine"]["device"] == "cpu" or torch.cuda.is_available()


def _config(entry: dict[str, Any], corpora: str | None) -> RunConfig:
    """The record's, with what was settled then from the machine, such as the number of threads."""
    config = from_plain(entry["config"])
    config.trainer.device = entry["machine"]["device"]
    config.trainer.threads = entry["machine"]["threads"]
    config.tracking.name, config.rerun = "none", False
    config.paths.corpora = corpora or config.paths.corpora
    return config


def _circumstances(entry: dict[str, Any], place: Place) -> list[str]:
    """What differs of machine, versions and code, any of which may change the last bits, or more."""
    then = {key: entry[key] for key in ("machine", "versions", "code")} | {"stack": entry["training"].get("stack", 1)}
    now = {"machine": place.facts(), "versions": provenance.versions(), "code": provenance.code(), "stack": 1}
    lines = [told(difference) for difference in differing(then, now)]
    if not lines:
        return ["machine, versions, threads and code are those of the record"]
    return ["otherwise than then, which may change results:", *(f"  {line}" for line in lines)]


def _outcome(entry: dict[str, Any], made: dict[str, Any]) -> tuple[list[str], bool, bool]:
    """What came out in lines; whether all scores are identical; whether curve and translations are, too."""
    lines = [f"diverged: {made['reason']}"] if made["status"] == "diverged" else []
    new = {
        key for split, found in made["scores"].items() for key in found.keys() - entry["scores"].get(split, {}).keys()
    }
    if new:
        lines.append(f"not on record then, so not compared: {', '.join(sorted(new))}")
    scores = list(differing(entry["scores"], made["scores"]))
    lines += _part("scores", scores, f"of {', '.join(entry['scores'])}", len(scores))
    curve = list(differing(_timeless(entry["curve"]), _timeless(made["curve"])))
    lines += _part("curve", curve, f"of {len(entry['curve'])} lines", SHOWN)
    samples = list(differing(entry["samples"], made["samples"]))
    lines += _part("translations", samples, f"of {len(entry['samples'])} kept", SHOWN)
    lines.append("every score is identical" if not scores else "not every score came out the same")
    return lines, not scores, not (scores or curve or samples)


def _part(name: str, found: list[Difference], what: str, shown: int) -> list[str]:
    if not found:
        return [f"{name} {what}: identical"]
    lines = [f"{name} {what}: {len(found)} differ", *(f"  {told(one)}" for one in found[:shown])]
    if len(found) > shown:
        sizes = [size for one in found if (size := _relative(one)) is not None]
        most = f", the largest difference relative {max(sizes):.2g}" if sizes else ""
        lines.append(f"  and {len(found) - shown} more{most}")
    return lines


def _timeless(curve: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By step, without what a clock says."""
    return {
        f"step {line['step']}": {key: value for key, value in line.items() if key != "tokens_per_second"}
        for line in curve
    }
