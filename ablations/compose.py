"""From YAML and the command line to a run's dataclasses, and back to plain data.

Besides train.py, errors.py and the sweeper in hydra_plugins/ this is the only place that knows Hydra.
"""

import argparse
import functools
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any, NoReturn, cast, get_origin

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, RangeSweep
from hydra.plugins.config_source import ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablations.config import MATCHES, RunConfig
from ablations.files import CONF
from ablations.harmless import refuse_code, refuse_package
from models.projections.choice import did_you_mean, one_of
from models.projections.config import ProjectionConfig

ConfigStore.instance().store(name="schema", node=RunConfig)

Tell = Callable[
    [str], object
]  # is given, as a sentence, what `match` changes in a run; nothing where it changes nothing


MOST = 100_000  # runs of one sweep: composing so many takes a quarter of an hour
LARGEST = 2**63  # beyond, no machine counts


def untold(_: str) -> None:
    """For scripts and tests: the sizes are in the run."""


def compose(overrides: Sequence[str], tell: Tell = untold) -> RunConfig:
    """The run that `python train.py <overrides>` would do; not checked yet, see `check`."""
    with _hydra():
        return from_hydra(hydra.compose("config", overrides=list(overrides)), overrides, tell)


def cells(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every run that `python train.py <overrides>` would do: the product of all that is swept."""
    return [list(cell) for cell in itertools.product(*_choices(overrides))]


def compose_cells(overrides: Sequence[str], tell: Tell = untold) -> Iterator[tuple[list[str], RunConfig]]:
    """Every run that `python train.py <overrides>` would do: its own overrides, and what `compose` makes of them.

    Runs that differ in plain values alone, such as seeds, are composed once (0.1 s) and the values put in (0.01 s).
    """
    with _hydra():
        loader = GlobalHydra.instance().config_loader()
        choices = _choices(overrides)
        read = OverridesParser.create(config_loader=loader).parse_override
        plain: dict[str, Override] = {}
        for options in choices:
            key = options[0].partition("=")[0]
            if len(options) > 1 and not loader.get_group_options(key):
                plain |= {o: override for o in options if _plain_value(override := read(o))}
        composed: dict[tuple[str, ...], DictConfig] = {}
        for cell in map(list, itertools.product(*choices)):
            with cell_named(cell):
                rest = tuple(o for o in cell if o not in plain)
                if rest not in composed:
                    composed[rest] = hydra.compose("config", overrides=list(rest))
                    _refuse_unread(composed[rest])
                cfg = composed[rest]
                try:
                    for o in cell:
                        if o in plain:
                            OmegaConf.update(cfg, plain[o].key_or_group, plain[o].value(), merge=True)
                except OmegaConfBaseException:
                    hydra.compose("config", overrides=cell)  # refuses it too, in the words of every other mistake
                    raise
                run = _to_run(cfg, cell, tell)
            yield cell, run


@contextmanager
def cell_named(overrides: Sequence[str]) -> Iterator[None]:
    """Adds to an exception which run of a sweep it is about."""
    try:
        yield
    except Exception as error:
        if overrides:
            error.add_note(f"(in {' '.join(overrides)})")
        raise


def _choices(overrides: Sequence[str]) -> list[list[str]]:
    """Key by key, the overrides that a sweep goes through; those that are not swept have one."""
    with _hydra():
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        single = [str(o.input_line) for o in parser.parse_overrides(list(overrides)) if not o.is_sweep_override()]
        swept = hydra.compose("config", overrides=single, return_hydra_config=True).hydra.sweeper.params or {}
        choices: dict[str, list[str]] = {}  # a later override of the same key replaces an earlier one, as in Hydra
        for o in parser.parse_overrides([f"{key}={value}" for key, value in swept.items()] + list(overrides)):
            key = o.get_key_element()
            values = _listed(o) if o.is_sweep_override() else [o.get_value_element_as_str()]
            choices[key] = [f"{key}={value}" for value in values]
            if key == "study" and len(choices[key]) > 1:
                raise ValueError(f"{o.input_line} lists several studies: ask for one at a time")
            if not choices[key]:
                raise ValueError(f"{o.input_line} lists no value: there is nothing to run")
    found = [values for key, values in choices.items() if not re.match(r"hydra[./]", key)]  # of no use to a run
    if (asked := math.prod(map(len, found))) > MOST:
        raise ValueError(f"this asks for {asked:,} runs: ask for {MOST:,} at most, and for the others afterwards")
    return found


def _listed(override: Override) -> list[str]:
    """What a sweep goes through. Raises ValueError for a range without an end, or one beyond MOST."""
    swept = override.value()
    if isinstance(swept, RangeSweep):
        first, last, step = (cast(float, end) for end in (swept.start, swept.stop, swept.step))
        if not (abs(first) < LARGEST and abs(last) < LARGEST and 0 < abs(step) < LARGEST):  # nan is none of these
            raise ValueError(f"{override.input_line}: a range goes from one number to another, in steps that are not 0")
        if abs(last - first) > MOST * abs(step):
            raise ValueError(
                f"{override.input_line} lists more than {MOST:,} values: take larger steps, or an end nearby"
            )
    return list(override.sweep_string_iterator())


def _plain_value(override: Override) -> bool:
    """Whether it sets one number or word that is there already."""
    change = override.type == OverrideType.CHANGE and override.package is None
    return change and not isinstance(override.value(), dict | list)


def from_hydra(cfg: DictConfig, overrides: Sequence[str] = (), tell: Tell = untold) -> RunConfig:
    """Plain dataclasses from a composed config, every reference resolved.

    Raises ValueError for a key nobody reads, which Hydra accepts with a `+`, and for an override of a site that has no
    strategy of its own, which would write through to all sites.
    """
    _refuse_unread(cfg)
    return _to_run(cfg, overrides, tell)


def _to_run(cfg: DictConfig, overrides: Sequence[str], tell: Tell) -> RunConfig:
    run = _settled(cfg, overrides)
    one_of("match", run.match, MATCHES)
    if run.match != "none":
        from ablations.match import resolve

        if change := resolve(run, replace(_strategy(run.study.baseline))):
            tell(change)
    return run


@functools.cache
def _strategy(name: str) -> ProjectionConfig:
    """What the file of a strategy says."""
    with _hydra():
        return _settled(hydra.compose("config", overrides=[f"projection={name}"]), []).projection


def _settled(cfg: DictConfig, overrides: Sequence[str]) -> RunConfig:
    for override in overrides:
        _refuse_unmeant(cfg, override)
        site = re.match(r"\+*sites\.(\w+)(\.?)", override)
        if site and (site[2] == "" or OmegaConf.is_interpolation(cfg.sites, site[1])):
            raise ValueError(
                f"{override} alone would change every site, because sites.{site[1]} is what `projection` is: "
                f"give the site a strategy of its own too, as in projection@sites.{site[1]}={cfg.projection.name}"
            )
    run = OmegaConf.to_object(cfg)
    assert isinstance(run, RunConfig)
    _refuse_misfit(run, RunConfig, "")
    run.optim.betas = cast(tuple[float, float], tuple(run.optim.betas))  # OmegaConf makes lists of tuples
    return run


def _refuse_misfit(value: Any, kind: Any, key: str) -> None:
    """What OmegaConf lets through: a ${...} that leads to a value of another kind, and what no record can hold."""
    if is_dataclass(kind):
        if not isinstance(value, cast(type, kind)):
            raise ValueError(f"{key} must be a group of keys of its own: it cannot be what another key is")
        for f in fields(kind):
            _refuse_misfit(getattr(value, f.name), f.type, f"{key}.{f.name}".removeprefix("."))
    elif get_origin(kind) in (list, tuple, dict) and not isinstance(value, dict if get_origin(kind) is dict else list):
        raise ValueError(f"{key} must be {'a mapping' if get_origin(kind) is dict else 'a list'}, and is {value!r}")
    elif isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            _refuse_misfit(name, None, f"{key}, a key of which")
            _refuse_misfit(item, None, f"{key}.{name}")
    elif isinstance(value, int) and abs(value) >= LARGEST:
        raise ValueError(f"{key} must be smaller than 2**63")
    elif kind is None and isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{key}={value} must be a finite number")
    elif isinstance(value, str) and not _is_text(value):
        raise ValueError(f"{key}={value!r} must be UTF-8")


def _is_text(word: str) -> bool:
    """Whether it can be written to a file: the shell hands on bytes that are no text as halves of characters."""
    return not re.search("[\ud800-\udfff]", word)


def _refuse_unmeant(cfg: DictConfig, override: str) -> None:
    """What Hydra takes without a word, and does otherwise than its author thought."""
    if not _is_text(override):
        raise ValueError(f"{override!r} must be UTF-8")
    if override.startswith("~"):
        key = override[1:].partition("=")[0]
        inside = OmegaConf.select(cfg, key.rpartition(".")[0]) if "." in key and "@" not in key else cfg
        if OmegaConf.get_type(inside) is not dict:  # the default of its type would take its place
            raise ValueError(f"{override}: a run needs every setting; leave this out to have the default")
    group = re.match(r"\+*(\w+)(@[\w.]+)?=\[", override)
    if group and (CONF / group[1]).is_dir():
        raise ValueError(
            f"{override} would lay files over each other: to run one after the other write "
            f"-m {override.replace('[', '').replace(']', '').replace(' ', '')}"
        )


def to_plain(run: RunConfig) -> dict[str, Any]:
    """Nested dictionaries, lists, strings and numbers: what a record keeps and a signature is made of."""
    return json.loads(json.dumps(asdict(run)))


def from_plain(plain: dict[str, Any]) -> RunConfig:
    """The inverse of `to_plain`: the run that a record tells of."""
    cfg = cast(DictConfig, OmegaConf.merge(OmegaConf.structured(RunConfig), plain))
    _refuse_unread(cfg)
    return _settled(cfg, [])  # its sizes are what `match` came to


@contextmanager
def _hydra() -> Iterator[None]:
    """The Hydra of the program that runs, which knows its --config-dir, or one of our own."""
    if GlobalHydra.instance().is_initialized():
        yield
    else:
        with values_alone(), hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            yield


def refuse_flags(words: Sequence[str]) -> None:
    """Raises ValueError for flags with which Hydra runs what a file or a package says."""
    parser = get_args_parser()
    parser.error = _not_now
    try:
        given, _ = parser.parse_known_args(list(words))
    except argparse.ArgumentError:
        return  # Hydra refuses it, too
    if given.experimental_rerun is not None:
        raise ValueError("--experimental-rerun would run a pickle: type the command again, a run goes on by itself")


def _not_now(message: str) -> NoReturn:
    raise argparse.ArgumentError(None, message)


@contextmanager
def values_alone() -> Iterator[None]:
    """Inside, whatever Hydra composes is looked at before Hydra makes objects of it (`harmless.refuse_code`).

    Hydra has no place of its own for that: callbacks, logging and plugins are made before a `main` is called. Composing
    beforehand what it will compose would mean to follow its flags one by one, and to be right about each.
    """
    composed, opened = ConfigLoaderImpl.load_configuration, ConfigSource.__init__

    def load_configuration(*args: Any, **kwargs: Any) -> DictConfig:
        cfg = composed(*args, **kwargs)
        refuse_code(cast(dict, OmegaConf.to_container(cfg, resolve=False)))
        return cfg

    def open_source(self: ConfigSource, provider: str, path: str) -> None:
        refuse_package(path)
        opened(self, provider, path)

    ConfigLoaderImpl.load_configuration = load_configuration
    ConfigSource.__init__ = open_source
    try:
        yield
    finally:
        ConfigLoaderImpl.load_configuration, ConfigSource.__init__ = composed, opened


def _refuse_unread(cfg: DictConfig, prefix: str = "") -> None:
    schema = OmegaConf.get_type(cfg)
    if schema is None or not is_dataclass(schema):
        return
    known = [f.name for f in fields(schema)]
    for key in cfg:
        if key not in known:
            raise ValueError(f"unknown key {f'{prefix}{key}'!r}{did_you_mean(str(key), known)}")
        if not OmegaConf.is_missing(cfg, key) and isinstance(cfg[key], DictConfig):
            _refuse_unread(cfg[key], f"{prefix}{key}.")
