"""The record: all that is known of one run, in one JSON file, found again by its signature."""

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

from ablations.config import SITES
from ablations.files import write_text
from data.config import TokenizerConfig

SCHEMA = 1
STATUSES = ("finished", "diverged", "failed")
KEYS = ("study", "strategy", "sites", "task", "kind", "signature", "status", "seed", "config")
FINISHED_KEYS = ("data", "budget", "training", "scores")  # a run that failed early may lack them

# What a config says beside the experiment itself. Every path here may change while the run stays the same run.
BESIDE = (
    "paths",  # folders
    "tracking",  # where numbers are shown
    "cluster",  # where runs of a sweep happen
    "study",  # what the run is asked for; one run may answer two questions
    "rerun",
    "projection",  # the master choice; `sites` holds what stands at each site
    "model.name",  # the name of a preset; the sizes beside it are the truth
    "optim.name",
    "task.source_lang",  # a label; the target's chooses the tokenisation of BLEU
    "trainer.device",  # recorded and shown, but a seed's run is not another run on another machine
    "trainer.threads",
    "trainer.compile",
    "trainer.log_every",
    "trainer.checkpoint_every",  # resume is exact
    "trainer.eval_batch_tokens",  # scores are sums over tokens, however batched
    "evaluation.samples",  # how many translations are kept for reading
    # Where a text comes from; what it is stands in `task.name`, and the record's data digest tells two texts apart.
    "task.corpus.files",
    "task.corpus.hub",
    "task.corpus.hub_config",
    "task.corpus.hub_revision",
    "task.corpus.hub_splits",
    "task.corpus.columns",
    "task.corpus.streaming",
)
# What a kind of task has no use for.
UNUSED = {
    "language_modeling": (
        "sites.encoder",
        "sites.cross",
        "model.encoder_layers",
        "task.target_lang",
        "evaluation.beam",
        "evaluation.length_penalty",
    ),
    "translation": ("evaluation.stride",),
    "classification": (
        "sites.decoder",
        "sites.cross",
        "model.decoder_layers",
        "model.tied_embeddings",
        "task.target_lang",
        "evaluation.beam",
        "evaluation.length_penalty",
        "evaluation.stride",
    ),
}
# Fields of a site that came after the first records: at these values a run is what it was before them.
LATER = {"score": "scaled_dot", "score_init": "xavier", "output": "learned"}


def identity(config: dict[str, Any]) -> dict[str, Any]:
    """What changes the outcome of a run: two configs with one identity are one run.

    `config` is the resolved run config as a plain dict. Labels are left out and implied sizes filled in, so that two
    YAML files which describe the same thing are the same run. Settings that are off (none, false, empty) are left
    out too: a later version may add one without changing the identity of the runs it finds.
    """
    result = json.loads(json.dumps(config, allow_nan=False))  # a copy, with tuples as lists as in a loaded record
    for path in BESIDE + UNUSED.get(result["task"]["kind"], ()) + _idle(result):
        *parents, last = path.split(".")
        part = result
        for parent in parents:
            part = part.get(parent, {})
        part.pop(last, None)

    result["task"]["tokenizer"] = TokenizerConfig(**result["task"]["tokenizer"]).essentials()
    model = result["model"]
    if model.get("head_dim") is None and model["d_model"] % model["heads"] == 0:
        model["head_dim"] = model["d_model"] // model["heads"]
    for site in result["sites"].values():
        _settle_site(site, model)
    if not result.get("analysis", {}).get("parts"):
        result.pop("analysis", None)
    options = result["task"]["corpus"].pop("options", {})  # free-form: off may mean something there
    result = _without_off(result)
    if options:
        result["task"].setdefault("corpus", {})["options"] = options
    return result


def _settle_site(site: dict[str, Any], model: dict[str, Any]) -> None:
    """A site without its label, what it leaves to the model filled in."""
    del site["name"]
    if site.get("heads") == model["heads"] and model.get("head_dim") == model["d_model"] // model["heads"]:
        del site["heads"]
    heads = site.get("heads") or model["heads"]
    head_dim = model["d_model"] // heads if site.get("heads") else model.get("head_dim")
    site["kv_heads"] = site.get("kv_heads") or heads
    for key, value in {**LATER, "value_head_dim": head_dim, "score_width": head_dim}.items():
        if site.get(key) == value:
            site.pop(key, None)


def _idle(config: dict[str, Any]) -> tuple[str, ...]:
    """Settings that another setting puts out of use."""
    idle = {
        "trainer.eval_every": config["trainer"]["select"] == "last",  # validation only watches: it draws no numbers
        "optim.final_lr": config["optim"].get("schedule") != "cosine",
        "position.base": config["position"]["kind"] not in ("sinusoidal", "rotary"),
        "position.max_length": config["position"]["kind"] != "learned",
        "evaluation.length_penalty": config["evaluation"]["beam"] == 1,
    }
    return tuple(path for path, unused in idle.items() if unused)


def _without_off(part: dict[str, Any]) -> dict[str, Any]:
    kept = {key: _without_off(value) if isinstance(value, dict) else value for key, value in part.items()}
    return {
        key: value for key, value in kept.items() if value is not None and value is not False and value not in ("", {})
    }


def signature(config: dict[str, Any]) -> str:
    """16 hexadecimal digits that name the identity of a run. Raises ValueError where a number is not finite."""
    text = json.dumps(identity(config), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def strategy_name(sites: dict[str, str]) -> str:
    """The strategy at every site in words, such as "shared" or "shared, cross=separate", the decoder's first."""
    first = sites.get("decoder") or sites["encoder"]
    return ", ".join([first, *(f"{site}={name}" for site, name in sorted(sites.items()) if name != first)])


def site_names(config: dict[str, Any]) -> dict[str, str]:
    """Site -> name of its strategy, for the sites that the task's model has."""
    return {site: config["sites"][site]["name"] for site in SITES[config["task"]["kind"]]}


def label(config: dict[str, Any]) -> str:
    """A short readable prefix of file names: task, strategy, seed. It need not be unique; the signature is."""
    text = f"{config['task']['name']}-{strategy_name(site_names(config))}".replace(", ", "-")
    return f"{re.sub(r'[^A-Za-z0-9._=-]+', '_', text).lstrip('.')[:100]}-s{config['seed']}"


def check_study(name: str) -> str:
    """The name, if it can be that of a folder; ValueError if not."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=,-]{0,99}", name):
        raise ValueError(
            f"study.name={name!r} cannot name a folder: use up to 100 letters, digits and . _ = , - "
            "and begin with a letter or a digit"
        )
    return name


def path(results: str | Path, record: dict[str, Any]) -> Path:
    """Where a record lies: `<results>/records/<study>/<label>-<signature>.json`."""
    name = f"{label(record['config'])}-{record['signature']}.json"
    return Path(results) / "records" / check_study(record["study"]) / name


def write(record: dict[str, Any], results: str | Path) -> Path:
    """Write a record in one piece, replacing an earlier one of the same run in every study, and return its path.

    JSON has no NaN: a number that is not finite is stored as null, and `non_finite` says where and what it was,
    such as {"curve.12.loss": "nan"}.
    """
    target = path(results, record)
    _check(record, target)
    lost: dict[str, str] = {}
    plain = {**_finite(record, "", lost), **({"non_finite": lost} if lost else {})}
    write_text(target, _text(plain))
    for other in set(target.parent.parent.glob(f"*/*-{record['signature']}.json")) - {target}:
        study = {**load(other)["config"]["study"], "name": other.parent.name}
        write_text(other, _text(copy_for(plain, study)))
    return target


def _text(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any, where: str, lost: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item, f"{where}.{key}", lost) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item, f"{where}.{index}", lost) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        lost[where.removeprefix(".")] = str(value)
        return None
    return value


def load(file: str | Path) -> dict[str, Any]:
    """Read a record and check that it is whole and is what it says. Raises ValueError naming the file."""
    try:
        record = json.loads(Path(file).read_text(encoding="utf-8"))
    except ValueError as error:  # JSON or UTF-8
        raise ValueError(f"{file} is not a readable record ({error}): restore it, or delete it and run again") from None
    _check(record, file)
    return record


def _check(record: Any, file: str | Path) -> None:
    if not isinstance(record, dict) or "schema" not in record:
        raise ValueError(f"{file} is not a record: move it out of the records folder")
    if record["schema"] != SCHEMA:
        raise ValueError(
            f"{file} has record schema {record['schema']}, this version reads {SCHEMA}: "
            "use the version that wrote it, or run again"
        )
    if record.get("status") not in STATUSES:
        raise ValueError(f"{file} has status {record.get('status')!r}, not one of {', '.join(STATUSES)}: run again")
    keys = KEYS + (FINISHED_KEYS if record["status"] == "finished" else ())
    if missing := [key for key in keys if record.get(key) is None]:
        raise ValueError(f"{file} lacks {', '.join(missing)}: restore it, or delete it and run again")
    try:
        expected = signature(record["config"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{file} holds an incomplete config ({error!r}): restore it, or delete it and run again"
        ) from None
    if record["signature"] != expected:
        raise ValueError(
            f"{file} is signed {record['signature']} but its config gives {expected}: "
            "it was edited or written by another version; restore it, or delete it and run again"
        )


def index(results: str | Path) -> dict[str, list[Path]]:
    """Signature -> the files that claim it by name, for who looks for many runs at once."""
    known: dict[str, list[Path]] = {}
    for file in (Path(results) / "records").glob("*/*.json"):
        known.setdefault(file.stem.rpartition("-")[2], []).append(file)
    return known


def find(
    results: str | Path, signature: str, study: str, known: dict[str, list[Path]] | None = None
) -> dict[str, Any] | None:
    """The record of a run that has come to its end, finished or diverged: this study's, else another's; or none.

    A diverged run would diverge again; a failed one deserves another try. A run that another study made belongs into
    this study's table too: `write(copy_for(record, study), results)`. `known` is an `index` made before.
    """
    if known is None:
        files = list((Path(results) / "records").glob(f"*/*-{signature}.json"))
    else:
        files = known.get(signature, [])
    for file in sorted(files, key=lambda file: (file.parent.name != study, file)):
        record = load(file)
        if record["signature"] == signature and record["status"] != "failed":
            return {**record, "study": file.parent.name}
    return None


def copy_for(record: dict[str, Any], study: dict[str, Any]) -> dict[str, Any]:
    """The record as another study keeps it; `study` is that study's part of a config."""
    return {**record, "study": study["name"], "config": {**record["config"], "study": study}}


def studies(results: str | Path) -> list[str]:
    """Names of the studies that have a folder of records."""
    return sorted({file.parent.name for file in (Path(results) / "records").glob("*/*.json")})


def asked(results: str | Path, wanted: list[str] | None) -> list[str]:
    """The studies a command line asks for, by default all but `scratch`, whose runs were asked for one by one.

    Says so where there are no records at all. Raises ValueError for a study without records.
    """
    known = studies(results)
    if not known:
        print(f"no records under {Path(results) / 'records'} yet: `python train.py` makes one")
    for study in wanted or []:
        if study not in known:
            raise ValueError(f"no records of study {study!r} under {results} (known: {', '.join(known) or 'none'})")
    return wanted or [study for study in known if study != "scratch"]


def load_all(results: str | Path, study: str | None = None) -> list[dict[str, Any]]:
    """All records, or those of one study, in a fixed order; the folder says which study a record belongs to.

    Records merge by copying files: the same record twice counts once. Raises ValueError where two files claim to be
    one run and say different things.
    """
    pattern = f"{check_study(study)}/*.json" if study is not None else "*/*.json"
    known: dict[str, tuple[Path, dict[str, Any]]] = {}
    result: dict[tuple[str, str], dict[str, Any]] = {}
    for file in sorted((Path(results) / "records").glob(pattern)):
        record = {**load(file), "study": file.parent.name}
        first, twin = known.setdefault(record["signature"], (file, record))
        if copy_for(twin, record["config"]["study"]) != copy_for(record, record["config"]["study"]):
            raise ValueError(f"{first} and {file} are records of one run but differ: keep one of them")
        result.setdefault((record["study"], record["signature"]), record)
    return list(result.values())
