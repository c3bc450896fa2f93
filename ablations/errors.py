"""Mistakes in one clear sentence, bugs with their traceback: what every command line of this project answers."""

import argparse
import functools
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from ablations.compose import CONF, cells, compose
from ablations.config import RunConfig, check
from models.projections.choice import did_you_mean

ROOT = CONF.parent
PATIENCE = 5.0  # seconds in which the first of several processes can tell what went wrong
# Hydra's words, and ours.
SAID = {
    r"Ambiguous value for argument '(.+)'": "{} lists several values: add -m to run each of them",
    r"Sweep parameters '(.+)' requires": "{} lists several values: add -m to run each of them",
    r"Config group override must be": "a group takes the name of one of its files: `python train.py --help` lists them",
    r"Multiple values for (\S+)\. To": "{} has a value already: write it without the +",
    r"An item is already at '(.+)'": "{} has a value already: write it without the +",
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


class CellError(Exception):
    """Some run of a multirun failed, and that has been told."""


def shell(main: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a `main`: mistakes become `error: <sentence>` on stderr and exit code 1.

    HYDRA_FULL_ERROR=1 in the environment asks for tracebacks instead.
    """

    @functools.wraps(main)
    def told(*args: Any, **kwargs: Any) -> Any:
        if _tracebacks_wanted():
            return main(*args, **kwargs)
        try:
            with _raw_exceptions():
                return main(*args, **kwargs)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)
        except CellError as failed:
            tell(str(failed))
        except Exception as error:
            words = sentence(error)
            if words is None:
                raise
            tell(words)
        sys.exit(1)

    return told


@contextmanager
def cell(overrides: list[str]) -> Iterator[None]:
    """Around one run. In a multirun a failure is told at once, and the other runs go on."""
    try:
        yield
    except Exception as error:
        words = sentence(error)
        if _tracebacks_wanted():
            raise
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            if words is None:
                traceback.print_exception(error)
            tell(_in_cell(words, overrides))
            raise CellError("some runs failed, as told above; the others are done") from None
        if words is None:
            raise
        tell(words)  # here and not in `shell`, because Hydra would print the overrides first
        sys.exit(1)


class CheckCells(Callback):
    """Composes and checks every run of a multirun before the first one starts."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Ends the program at the first mistake; Hydra only warns of other exceptions in a callback."""
        overrides: list[str] = []
        try:
            for overrides in cells([*config.hydra.overrides.hydra, *config.hydra.overrides.task]):
                check(compose(overrides))
        except Exception as error:
            words = sentence(error)
            if words is None or _tracebacks_wanted():
                traceback.print_exception(error)
            tell(_in_cell(words, overrides))
            sys.exit(1)


def tell(words: str) -> None:
    """One line on stderr. Of several processes the first speaks; another one only if it outlives the first.

    A mistake that all make ends them all: torchrun stops the others as soon as one is gone.
    """
    rank = os.environ.get("RANK", "0")
    if rank != "0":
        time.sleep(PATIENCE)
        words = f"process {rank}: {words}"
    print(f"error: {words}", file=sys.stderr, flush=True)


def sentence(error: BaseException) -> str | None:
    """A mistake in one sentence, or None for a bug. A ValueError is a mistake where we or Hydra raise it."""
    if isinstance(error, MissingConfigException):
        return _unknown_file(error)
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read {error.override!r}: write key=value, and quote a value with special characters twice, "
            "as in 'key=\"a=b\"'"
        )
    by = _raised_by(error)
    if isinstance(error, HydraException | OmegaConfBaseException) or (by == "hydra" and isinstance(error, ValueError)):
        return _composition(error)
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}" if error.strerror and error.filename else _first_line(error)
    return _first_line(error) if by == "us" and isinstance(error, ValueError) else None


def _in_cell(words: str | None, overrides: list[str]) -> str:
    return (words or "this is a bug") + (f" (in {' '.join(overrides)})" if overrides else "")


def _unknown_file(error: MissingConfigException) -> str:
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    options = error.options or sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return f"unknown {group or 'file'} {name!r}{did_you_mean(name, options)} (known: {', '.join(options)})"


def _composition(error: BaseException) -> str:
    message = str(error)
    for theirs, ours in SAID.items():
        if match := re.search(theirs, message):
            return ours.format(*match.groups())
    cause = next((e for e in _chain(error) if isinstance(e, OmegaConfBaseException)), None)
    source = re.match(r"In '(.+?)'", message)
    where = f"conf/{source[1]}.yaml: " if source else ""
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
        wanted = next((ours for theirs, ours in WANTED.items() if theirs in str(cause)), None)
        key = str(cause.full_key or cause.key)
        if re.fullmatch(r"sites\.\w+", key):
            return f"a site takes a strategy by its group: write projection@{key}={cause.value}"
        return f"{where}{key}={cause.value} must be {wanted}" if wanted else f"{where}{key}: {_first_line(cause)}"
    return _first_line(error)


def _unknown_key(key: str) -> str:
    known = [k for k in _keys(RunConfig) if "@" in k or "@" not in key]
    leaf = key.rpartition(".")[2]
    same = [k for k in known if k.rpartition(".")[2] == leaf]
    near = f": did you mean {same[0]!r}?" if same else did_you_mean(key, known)
    return f"unknown key {key!r}{near} (`python train.py --cfg job` prints all keys)"


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


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def _raw_exceptions() -> Iterator[None]:
    """Hydra hands exceptions on as they are, and argparse raises instead of printing its usage."""
    usual = argparse.ArgumentParser.error
    argparse.ArgumentParser.error = _refuse_arguments
    os.environ.update(HYDRA_FULL_ERROR="1", QKV_SENTENCES="1")
    try:
        yield
    finally:
        argparse.ArgumentParser.error = usual
        del os.environ["HYDRA_FULL_ERROR"], os.environ["QKV_SENTENCES"]


def _refuse_arguments(self: argparse.ArgumentParser, message: str) -> NoReturn:
    raise ValueError(f"{message} (see `python {Path(sys.argv[0]).name} --help`)")


def _tracebacks_wanted() -> bool:
    """Whether the user, and not `shell`, set HYDRA_FULL_ERROR."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1" and "QKV_SENTENCES" not in os.environ
