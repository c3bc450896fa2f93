"""What a claim is: a file in `conf/claim/`, read and checked. Nothing here looks at a result.

A claim has prose (statement, prediction, ...) and parts. Each part decides something by itself:

    {kind: exact, check}                                           a calculation in ablations/exact/
    {kind: trained, study, metric, split, terms, margin, region}   runs of a study, paired by seed
    {kind: measured, file, command, log, terms, margin, region}    timings, paired sample by sample

An effect is the sum over `terms` of weight (+1 or -1) times a number. A trained term says `where: {key: value}`, the
keys `strategy`, a site, or a dotted path in a run's configuration, and may have a `metric` of its own; a measured one
says `label`. `margin` is
{value, unit}; `region` is what the claim predicts for the effect, {above: x}, {below: x} or both, x a number, `margin`
or `-margin`.
"""

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from ablations import metrics
from ablations.config import RunConfig
from ablations.exact import CHECKS
from ablations.files import CONF, read_yaml
from models.projections.choice import did_you_mean, one_of

PROSE = ("id", "note", "statement", "prediction", "question", "tested", "change")
OPTIONAL = ("picture", "illustration")
SITES = ("encoder", "decoder", "cross")
BESIDE = ("says",)  # keys of a part that are prose: not part of the rule
KEYS = {  # kind of part -> keys it must have, keys it may have
    "exact": (("kind", "check"), ("says",)),
    "trained": (("kind", "study", "metric", "terms", "margin", "region"), ("says", "split")),
    "measured": (("kind", "file", "command", "terms", "margin", "region"), ("says", "log")),
}


@dataclass(frozen=True)
class Region:
    """The effects a claim predicts: an open interval, without end on one side or on none."""

    above: float | None
    below: float | None

    def verdict(self, low: float, high: float) -> str:
        """supported: the interval [low, high] lies wholly inside; refuted: wholly outside; else undecided."""
        inside = (self.above is None or low > self.above) and (self.below is None or high < self.below)
        outside = (self.above is not None and high <= self.above) or (self.below is not None and low >= self.below)
        return "supported" if inside else "refuted" if outside else "undecided"


@dataclass(frozen=True)
class Exact:
    """A calculation that decides by algebra on random weights."""

    check: str
    says: str


@dataclass(frozen=True)
class Study:
    """What a claim must know of the file in `conf/study/` that makes its runs."""

    name: str
    files: bool  # its task reads files
    seeds: frozenset[int]  # planned; a claim is not decided without them
    steps: int | None  # of its trainer; other runs may lie in its folder and are no evidence

    @classmethod
    def read(cls, conf: Path, name: str) -> "Study":
        """From the YAML alone: composing every study would take a claim's reader seconds."""

        def read(group: str, chosen: str | None) -> dict[str, Any]:
            file = conf / group / f"{chosen}.yaml"
            return (read_yaml(file) if file.is_file() else None) or {}

        study = read("study", name)
        chosen = {key: group[key] for group in study.get("defaults", []) for key in group}
        task, trainer = (read(group, chosen.get(f"override /{group}")) for group in ("task", "trainer"))
        seeds = str(study.get("hydra", {}).get("sweeper", {}).get("params", {}).get("seed", ""))
        return cls(
            name,
            bool(task.get("corpus", {}).get("files")),
            frozenset(int(seed) for seed in seeds.split(",") if seed.strip().isdigit()),
            {**trainer, **study.get("trainer", {})}.get("steps"),
        )


@dataclass(frozen=True)
class Trained:
    """An effect over the runs of one study; `terms` are (weight, where) pairs, each read by its own metric."""

    study: Study
    metric: str
    split: str | None
    terms: list[tuple[int, dict[str, Any]]]
    metrics: list[str]  # of the terms
    margin: float
    unit: str
    region: Region
    says: str

    @property
    def command(self) -> str:
        """What makes the runs."""
        return f"python train.py study={self.study.name}{' paths.corpora=FOLDER' if self.study.files else ''}"


@dataclass(frozen=True)
class Measured:
    """An effect over paired timings; `terms` are (weight, label) pairs; `log`: of natural logarithms, hence a ratio."""

    file: str
    command: str
    terms: list[tuple[int, str]]
    log: bool
    margin: float
    unit: str
    region: Region
    says: str


Part = Exact | Trained | Measured


@dataclass(frozen=True)
class Claim:
    """One statement, in the words of its source, and what decides it."""

    id: str
    note: str  # which note, or the paper
    statement: str
    prediction: str  # what we expected beforehand
    question: str  # in plain words
    tested: str  # how, in plain words
    change: str  # what would change our mind
    picture: str  # below the results folder, or nothing
    illustration: str  # a check that is shown on the page and does not count, or nothing
    parts: list[Part]
    rule: str  # hash of the parts


def files(conf: Path = CONF) -> list[Path]:
    """The claim files, in order."""
    return sorted((conf / "claim").glob("*.yaml"))


def known_rules(conf: Path = CONF) -> dict[str, str]:
    """Claim -> hash of its rule, for every claim file: what a new record keeps, so that later rules are told apart."""
    return {file.stem: rule_hash(_read(file)["parts"]) for file in files(conf)}


def rule_hash(parts: list[dict[str, Any]]) -> str:
    """First 8 hexadecimal digits of the SHA-256 of the parts as canonical JSON, prose left out."""
    rule = [{key: value for key, value in part.items() if key not in BESIDE} for part in parts]
    text = json.dumps(rule, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def load(file: Path, conf: Path = CONF) -> Claim:
    """A claim, checked. Raises ValueError with one sentence naming the file."""
    try:
        given = _read(file)
        _keys("a claim", given, (*PROSE, "parts"), OPTIONAL)
        for key in PROSE:
            if not isinstance(given[key], str) or not given[key].strip():
                raise ValueError(f"{key} is {given[key]!r}: write a sentence")
        if given["id"] != file.stem:
            raise ValueError(f"id={given['id']!r} is not the file's name: write id: {file.stem}")
        parts = [_part(part, conf) for part in given["parts"]]
        _texts(given, *OPTIONAL)
        if "illustration" in given:
            one_of("illustration", given["illustration"], CHECKS)
    except ValueError as error:
        raise ValueError(f"conf/claim/{file.name}: {str(error).removeprefix(f'conf/claim/{file.name}: ')}") from None
    prose = {key: " ".join(given[key].split()) for key in PROSE}
    extra = {key: given.get(key, "") for key in OPTIONAL}
    return Claim(**prose, **extra, parts=parts, rule=rule_hash(given["parts"]))


def _read(file: Path) -> dict[str, Any]:
    try:
        given = read_yaml(file)
        json.dumps(given)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        why = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise ValueError(f"conf/claim/{file.name}: {where}cannot be read as YAML in UTF-8 ({why}): mend it") from None
    except TypeError as error:
        raise ValueError(f"conf/claim/{file.name}: holds a date or the like ({error}): put it in quotes") from None
    parts = given.get("parts") if isinstance(given, dict) else None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise ValueError(f"conf/claim/{file.name}: has no list of parts: write parts: [] while there is none")
    return given


def _keys(what: str, given: dict[str, Any], needed: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    for key in given:
        if key not in (*needed, *allowed):
            raise ValueError(f"unknown key {key!r} of {what}{did_you_mean(str(key), (*needed, *allowed))}")
    if missing := [key for key in needed if key not in given]:
        raise ValueError(f"{what} lacks {', '.join(missing)}: add it")


def _part(given: dict[str, Any], conf: Path) -> Part:
    one_of("kind", given.get("kind", ""), KEYS)
    kind = given["kind"]
    _keys(f"a part of kind {kind}", given, *KEYS[kind])
    _texts(given, "check", "study", "metric", "split", "file", "command", "says")
    says = " ".join(given.get("says", "").split())
    if kind == "exact":
        one_of("check", given["check"], CHECKS)
        return Exact(given["check"], says)
    margin, unit = _margin(given["margin"])
    region = _region(given["region"], margin)
    if kind == "measured":
        terms = [(_weight(t, "label"), str(t["label"])) for t in _list(given["terms"])]
        return Measured(given["file"], given["command"], terms, bool(given.get("log")), margin, unit, region, says)
    if not (conf / "study" / f"{given['study']}.yaml").is_file():
        studies = [file.stem for file in (conf / "study").glob("*.yaml")]
        raise ValueError(
            f"study={given['study']!r} has no file in conf/study{did_you_mean(given['study'], studies)}: "
            "write one, or name another"
        )
    for term in _list(given["terms"]):
        _texts(term, "metric")
    terms = [(_weight(t, "where", "metric"), _where(t["where"])) for t in given["terms"]]
    names = [term.get("metric", given["metric"]) for term in given["terms"]]
    for name in (given["metric"], *names):
        metrics.check(name)
    study = Study.read(conf, given["study"])
    return Trained(study, given["metric"], given.get("split"), terms, names, margin, unit, region, says)


def _texts(given: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if key in given and not isinstance(given[key], str):
            raise ValueError(f"{key}={given[key]!r} must be text: put it in quotes")


def _list(terms: Any) -> list[dict[str, Any]]:
    if not isinstance(terms, list) or not terms or not all(isinstance(term, dict) for term in terms):
        raise ValueError(f"terms={terms!r} must be a list of at least one term")
    return terms


def _weight(term: dict[str, Any], key: str, *optional: str) -> int:
    _keys("a term", term, ("weight", key), optional)
    if type(term["weight"]) is not int or term["weight"] not in (1, -1):
        raise ValueError(f"weight={term['weight']!r} must be 1 or -1")
    return term["weight"]


def _where(where: Any) -> dict[str, Any]:
    if not isinstance(where, dict) or not where:
        raise ValueError(f"where={where!r} must say which runs are meant, as in {{strategy: separate}}")
    for key in where:
        if key != "strategy" and key not in SITES and not _in_config(str(key).split("."), RunConfig):
            names = ["strategy", *SITES, *(f.name for f in fields(RunConfig))]
            raise ValueError(
                f"where names {key!r}, which no run has{did_you_mean(str(key), names)} "
                "(known: strategy, encoder, decoder, cross, and paths in a run's configuration such as position.kind)"
            )
    return where


def _in_config(path: list[str], kind: Any) -> bool:
    if not path or not is_dataclass(kind):
        return not path or getattr(kind, "__origin__", None) is dict  # a free-form part
    hints = get_type_hints(kind)
    return path[0] in hints and _in_config(path[1:], hints[path[0]])


def _margin(given: Any) -> tuple[float, str]:
    if not isinstance(given, dict) or set(given) != {"value", "unit"} or not _number(given["value"]):
        raise ValueError(f"margin={given!r} must be a size and its unit, as in {{value: 0.5, unit: BLEU}}")
    if given["value"] < 0:
        raise ValueError(f"margin={given['value']} is a size: it cannot be negative")
    return float(given["value"]), str(given["unit"])


def _region(given: Any, margin: float) -> Region:
    if not isinstance(given, dict) or not given or set(given) - {"above", "below"}:
        raise ValueError(f"region={given!r} must be {{above: x}}, {{below: x}} or both")
    bounds = {}
    for side, bound in given.items():
        bounds[side] = {"margin": margin, "-margin": -margin}.get(bound, bound) if isinstance(bound, str) else bound
        if not _number(bounds[side]):
            raise ValueError(f"region: {side}={bound!r} must be a number, margin or -margin")
    region = Region(bounds.get("above"), bounds.get("below"))
    if region.above is not None and region.below is not None and region.above >= region.below:
        raise ValueError(f"region: nothing lies above {region.above} and below {region.below}")
    return region


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
