"""Mistakes in one clear sentence, bugs with their traceback: what every command line of this project answers."""

import argparse
import functools
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

PATIENCE = 5.0  # seconds in which the first of several processes can tell what went wrong


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
        except Exception as error:
            words = sentence(error)
            if words is None:
                raise
            tell(with_notes(words, error))
        sys.exit(1)

    return told


@contextmanager
def one_run() -> Iterator[None]:
    """Around a run that Hydra started: a mistake is told here, because Hydra would print the overrides first."""
    try:
        yield
    except Exception as error:
        words = sentence(error)
        if words is None or _tracebacks_wanted():
            raise
        tell(words)
        sys.exit(1)


def go_on(error: Exception) -> None:
    """Tells what went wrong in one run of many; the others go on."""
    words = sentence(error)
    if words is None or _tracebacks_wanted():
        traceback.print_exception(error)
    tell(with_notes(reason(error), error))


def reason(error: BaseException) -> str:
    """Whatever went wrong, in one sentence."""
    from ablations.sentences import first_line

    return sentence(error) or f"this is a bug: {type(error).__name__}: {first_line(error)}"


def sentence(error: BaseException) -> str | None:
    """A mistake in one sentence, none for a bug. What knows the sentences knows Hydra, and comes only when asked."""
    from ablations import sentences

    return sentences.sentence(error)


def with_notes(words: str, error: BaseException) -> str:
    """With the run that it is about, where `cell_named` has noted it."""
    return " ".join([words, *getattr(error, "__notes__", [])])


def tell(words: str) -> None:
    """One line on stderr. Of several processes the first speaks; another one only if it outlives the first.

    A mistake that all make ends them all: torchrun stops the others as soon as one is gone.
    """
    from ablations.secrets import hidden

    rank = os.environ.get("RANK", "0")
    if rank != "0":
        time.sleep(PATIENCE)
        words = f"process {rank}: {words}"
    print(f"error: {hidden(words)}", file=sys.stderr, flush=True)


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
    if match := re.match(r"unrecognized arguments: (-\S+)", message):
        from ablations.sentences import unknown_argument

        message = unknown_argument(match[1], self._option_string_actions)
    raise ValueError(f"{message} (see `python {Path(sys.argv[0]).name} --help`)")


def _tracebacks_wanted() -> bool:
    """Whether the user, and not `shell`, set HYDRA_FULL_ERROR."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1" and "QKV_SENTENCES" not in os.environ
