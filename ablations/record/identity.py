"""Which runs are one run: what of a config changes the outcome, its signature, and readable names for it."""

import functools
import hashlib
import json
import re
from typing import Any

from data.config import TokenizerConfig

# The attention sites of each kind of model.
SITES = {
    "language_modeling": ("decoder",),
    "translation": ("encoder", "decoder", "cross"),
    "classification": ("encoder",),
}
# What a config says beside the experiment itself. Every path here may change while the run stays the same run.
BESIDE = (
    "paths",  # folders
    "tracking",  # where numbers are shown
    "cluster",  # where runs of a sweep happen
    "study",  # what the run is asked for; one run may answer two questions
    "match",  # which control was asked for; the sizes it came to are the truth
    "rerun",
    "projection",  # the master choice; `sites` holds what stands at each site
    "model.name",  # the name of a preset; the sizes beside it are the truth
    "optim.name",
    "task.source_lang",  # a label; the target's chooses the tokenisation of BLEU
    "trainer.device",  # recorded and shown, but a seed's run is not another run on another machine
    "trainer.threads",
    "trainer.compile",
    "trainer.recompute",
    "trainer.stack",  # the same within rounding
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
    return sign(identity(config))


def sign(identity: dict[str, Any]) -> str:
    """The signature of a run of this identity."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
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
    seed = re.sub(r"[^0-9-]", "_", str(config["seed"]))  # a record's config may be anybody's
    return f"{_safe(config['task']['name'], strategy_name(site_names(config)))}-s{seed}"


@functools.lru_cache
def _safe(task: str, strategy: str) -> str:
    text = f"{task}-{strategy}".replace(", ", "-")
    return re.sub(r"[^A-Za-z0-9._=-]+", "_", text).lstrip(".-")[:100]
