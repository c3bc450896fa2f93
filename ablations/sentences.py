"""Mistakes on the command line and in files, put into one sentence with the nearest right name."""

import errno
import re
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from ablations.compose import CONF
from ablations.config import RunConfig
from models.projections.choice import did_you_mean, nearest

ROOT = CONF.parent
FEW = 8  # names that are listed although one of them is near
# What Hydra's grammar stumbles over, and ours. The first that fits.
UNREADABLE = {
    r"[“”„‘’‚]": "write plain quotes, \" or '",
    r"^[‐‑‒–—−]": "flags begin with plain hyphens, as in --multirun or -m",
    r"^-": "settings take no dashes, as in seed=1",
    r"^[\w.@/]+(\s+=|=\s+\S+$)": "write key=value without spaces around the =",
    r"^\S+=\S+\s+\S+=": "each setting is a word of its own: leave out the quotes around them",
    r"^[\w.@]+\s*:": "write = in place of the :",
    r"==": "there is one = too many",
    r"=,|,\s*,|,\s*$": "there is a comma too many: several values are written without spaces, as in seed=0,1,2",
    r"=~": "the shell knows ~ at the beginning of a word only: write $HOME",
    r"=range\(": "write range(FIRST,END), as in seed=range(0,3) for 0, 1 and 2",
    r"=\w+\(": "the functions are choice, glob, range, shuffle and sort, as in seed=range(0,3)",
}
# Hydra's words, and ours.
SAID = {
    r"Ambiguous value for argument '(study=.+)'": "{} lists several studies: ask for one at a time",
    r"Ambiguous value for argument '(.+)'": "{} lists several values: add -m to run each of them",
    r"Sweep parameters '(.+)' requires": "{} lists several values: add -m to run each of them",
    r"Config group override must be": "a group takes the name of one of its files: `python train.py --help` lists them",
    r"Multiple values for (\S+)\. To": "{} has a value already: write it without the +",
    r"An item is already at '(.+)'": "{} has a value already: write it without the +",
    r"force-add of config groups is not supported: '\+\+(.+)'": "++ is for single settings: write {} without it",
}
# OmegaConf's words, and ours: what the value must be.
WANTED = {
    "converted to Integer": "a whole number",
    "converted to Float": "a number",
    "not a valid bool": "true or false",
    "not a ListConfig": "a list, as in [1,2]",
    "to Dict": "a mapping, as in {train: a.txt}",
    "not a subclass of": "a group of keys: to choose a file write its group, as in projection=shared",
    "cannot be assigned None": "given, not null",
    "not Optional": "given, not null",
}

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, one's share of it, or what a file may grow to
MEMORY = r"can't allocate memory|out of memory|ALLOC_FAILED|bad_alloc"  # as torch, CUDA, cuBLAS and C++ write it
SMALLER = (
    "take a smaller trainer.batch_tokens with a larger trainer.accumulate, or trainer.recompute=true; "
    "a smaller trainer.stack where runs are stacked, a smaller trainer.eval_batch_tokens where scoring needs it"
)


def sentence(error: BaseException) -> str | None:
    """A mistake in one sentence, or None for a bug. A ValueError is a mistake where we or Hydra raise it."""
    if isinstance(error, MissingConfigException):
        return _unknown_file(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    by = _raised_by(error)
    if isinstance(error, HydraException | OmegaConfBaseException) or (by == "hydra" and isinstance(error, ValueError)):
        return _composition(error)
    if isinstance(error, AssertionError) and by == "hydra":
        return "one of the settings has no key: write key=value, as in seed=1"
    if isinstance(error, TypeError) and by == "hydra":  # a list, and not of names
        return SAID["Config group override must be"]
    if isinstance(error, OSError):
        return _of_files(error)
    if out_of_memory(error):
        return f"out of memory ({first_line(error)}): {SMALLER}"
    return first_line(error) if by == "us" and isinstance(error, ValueError) else None


def out_of_memory(error: BaseException) -> bool:
    """Of the GPU or of this machine. Torch's errors are told by their words: a CPU's allocator has none of its own."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and re.search(MEMORY, str(error)) is not None
    )


def first_line(error: BaseException) -> str:
    """What it says, or its type where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _of_files(error: OSError) -> str:
    words = f"{error.strerror}: {error.filename}" if error.strerror and error.filename else first_line(error)
    if error.errno in FULL:
        return f"{words}: make room there and ask again, a run goes on from its checkpoint"
    if error.errno == errno.EROFS:
        return f"{words}: make it writable, or write elsewhere with paths.results=FOLDER"
    return words


def unknown_argument(argument: str, flags: Iterable[str]) -> str:
    """Of a word with dashes that is no flag: a setting as other programs take it, or a flag misspelt."""
    key = argument.lstrip("-").partition("=")[0]
    if key in _keys(RunConfig):
        return f"settings take no dashes: write {argument.lstrip('-') if '=' in argument else key + '=...'}"
    return f"unknown flag {argument!r}{did_you_mean(argument.partition('=')[0], flags)}"


def _unreadable(override: str) -> str:
    if "=" not in override and re.fullmatch(r"[\w.@/]+", override):
        meant = [f"{group}={override}" for group in _groups_with(override)]
        hint = f": did you mean {meant[0]!r}?" if len(meant) == 1 else ": write key=value without spaces around the ="
        return f"cannot read {override!r}{hint}"
    for pattern, words in UNREADABLE.items():
        if re.search(pattern, override):
            return f"cannot read {override!r}: {words}"
    words = "write key=value, and quote a value with special characters twice, as in 'key=\"a=b\"'"
    return f"cannot read {override!r}: {words}"


def _unknown_file(error: MissingConfigException) -> str:
    file = error.missing_cfg_file or ""
    if not file:
        return f"no configuration there: {first_line(error)}"
    group, _, name = file.partition("/") if file.partition("/")[0] in _groups() else file.rpartition("/")
    options = error.options or sorted(path.stem for path in CONF.glob("*/*.yaml") if path.parent.name == group)
    near = did_you_mean(Path(name).stem, options)
    elsewhere = _groups_with(name) if not near else []
    if elsewhere:
        return f"unknown {group} {name!r}: did you mean {elsewhere[0]}={name}?"
    listed = near and len(options) > FEW
    known = f"`python train.py --help` lists all {len(options)}" if listed else f"known: {', '.join(options)}"
    return f"unknown {group or 'file'} {name!r}{near} ({known})"


def _groups() -> list[str]:
    return sorted(path.name for path in CONF.iterdir() if path.is_dir())


def _groups_with(name: str) -> list[str]:
    """The groups that have a file of this name, which may be no name that a file could have."""
    return sorted(path.parent.name for path in CONF.glob("*/*.yaml") if path.stem == name)


def _composition(error: BaseException) -> str:
    message = str(error)
    for theirs, ours in SAID.items():
        if match := re.search(theirs, message):
            return ours.format(*match.groups())
    cause = next((e for e in _chain(error) if isinstance(e, OmegaConfBaseException)), None)
    source = re.match(r"In '(.+?)'", message)
    where = f"conf/{source[1]}.yaml: " if source else ""
    if match := re.search(r"Could not delete from config\. '(.+)' does not exist", message):
        return _unknown_key(match[1])
    if match := re.search(r"config group '(.+)' does not exist", message):
        near = did_you_mean(match[1], _groups())
        return f"unknown group {match[1]!r}{near} (`python train.py --help` lists the groups)"
    if match := re.search(r"Could not override '(.+)'", message):
        if cause is not None and cause.object_type_str == "dict":
            added = re.search(r"use (\+.+)", message)
            return f"{match[1]} has no entry {cause.key!r}: to add one write {added[1] if added else '+' + match[1]}"
        return _unknown_key(match[1])
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return where + _unknown_key(cause.full_key or str(cause.key))
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} is not set: give it on the command line, as in {cause.full_key}=..."
    if cause is not None:
        return where + _unfit(str(cause.full_key or cause.key), cause)
    return first_line(error)


def _unfit(key: str, cause: OmegaConfBaseException) -> str:
    """Of a value that its key does not take."""
    value = getattr(cause, "value", None)
    value = "null" if value is None else value
    if re.fullmatch(r"sites\.\w+", key):
        return f"a site takes a strategy by its group: write projection@{key}={value}"
    if value == {}:  # what OmegaConf makes of a.b.c=1 where a.b is a number
        return f"{key} is a single value and has no keys of its own"
    if match := re.search(r"Interpolation key '(.+)' not found", str(cause)):
        return f"{key}: no setting is called {match[1]!r}{did_you_mean(match[1], _keys(RunConfig))}"
    wanted = next((ours for theirs, ours in WANTED.items() if theirs in str(cause)), None)
    return f"{key}={value} must be {wanted}" if wanted else f"{key}: {first_line(cause)}"


def _unknown_key(key: str) -> str:
    """With the same name at another place, else one of nearly that name in the same place, else anywhere."""
    known = [k for k in _keys(RunConfig) if "@" in k or "@" not in key]
    parent, _, leaf = key.rpartition(".")
    beside = {k.rpartition(".")[2]: k for k in known if parent and k.rpartition(".")[0] == parent}
    same = next((k for k in known if k.rpartition(".")[2] == leaf), None)
    near = same or (beside.get(nearest(leaf, beside) or "") if beside else nearest(key, known))
    if beside and not near:
        return f"unknown key {key!r} ({parent} has {', '.join(beside)})"
    hint = f": did you mean {near!r}?" if near else ""
    return f"unknown key {key!r}{hint} (`python train.py --cfg job` prints all keys)"


def _keys(schema: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a run, and the groups."""
    for f in fields(schema):
        yield prefix + f.name
        if is_dataclass(f.type):
            yield from _keys(f.type, f"{prefix}{f.name}.")
            if schema.__name__ == "SiteChoice":
                yield f"projection@{prefix}{f.name}"


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _raised_by(error: BaseException) -> str:
    """Who wrote the line that raised: us | hydra | others."""
    frames = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    raised = frames[-1] if frames else ROOT
    if not {"hydra", "omegaconf"}.isdisjoint(raised.parts):
        return "hydra"
    return "us" if raised.is_relative_to(ROOT) and "site-packages" not in raised.parts else "others"
