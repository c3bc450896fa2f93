"""The typed schema of a run, and what is refused before any work."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from omegaconf import II

from ablations.record.identity import SITES
from ablations.sweep.config import ClusterConfig
from data.config import PLAIN, TaskConfig
from models.config import ModelConfig, PositionConfig, SitesConfig
from models.projections.choice import one_of
from models.projections.config import ProjectionConfig

SCHEDULES = ("cosine", "inverse_sqrt", "constant")
PRECISIONS = ("auto", "fp32", "bf16")
SELECTIONS = ("last", "best")
DEVICES = ("auto", "cpu", "cuda")
TRACKERS = ("none", "wandb", "wandb_offline", "trackio")
MATCHES = ("none", "params", "flops", "cache")
ANALYSES = ("scores", "projections", "heads", "gradients", "context", "maps")


@dataclass
class SiteChoice(SitesConfig):
    """Every site takes `projection`, unless `projection@sites.cross=...` chooses for it."""

    encoder: ProjectionConfig = II("projection")
    decoder: ProjectionConfig = II("projection")
    cross: ProjectionConfig = II("projection")


@dataclass
class OptimConfig:
    """AdamW and its schedule."""

    name: str = "adamw"
    lr: float = 1e-3  # peak learning rate
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-9
    weight_decay: float = 0.01  # on matrices; never on biases, norms and per-role diagonals
    schedule: str = "cosine"  # cosine | inverse_sqrt | constant, after a linear warm-up
    warmup: int = 100  # steps
    final_lr: float = 0.1  # cosine: share of the peak at the last step
    clip: float | None = 1.0  # largest global gradient norm
    label_smoothing: float = 0.0

    def check(self) -> None:
        """Raise a ValueError with the reason unless these numbers can train anything."""
        _number("lr", self.lr, above=0)
        if len(self.betas) != 2:
            raise ValueError(f"betas={list(self.betas)} must be two numbers, as in [0.9, 0.98]")
        for i, beta in enumerate(self.betas):
            _number(f"betas[{i}]", beta, at_least=0, below=1)
        _number("eps", self.eps, above=0)
        _number("weight_decay", self.weight_decay, at_least=0)
        one_of("schedule", self.schedule, SCHEDULES)
        _number("warmup", self.warmup, at_least=0)
        _number("final_lr", self.final_lr, at_least=0, at_most=1)
        if self.clip is not None:
            _number("clip", self.clip, above=0)
        _number("label_smoothing", self.label_smoothing, at_least=0, below=1)


@dataclass
class TrainerConfig:
    """How long, how much at once, on what."""

    steps: int = 1000  # optimizer steps; every variant trains equally long
    batch_tokens: int = 4096  # padded tokens of one batch: rows x longest side (translation), rows x context
    accumulate: int = 1  # batches per step, shared among the processes: N processes need a multiple of N
    precision: str = "auto"  # fp32 | bf16 | auto: bf16 where the device has fast bf16 products
    select: str = "last"  # whose weights are scored: last | best (lowest validation loss)
    eval_every: int = 250  # steps between validations
    eval_batch_tokens: int = 8192
    log_every: int = 20
    checkpoint_every: int = 500
    device: str = "auto"  # auto | cpu | cuda
    threads: int | None = None  # CPU threads; none: torch's own choice
    compile: bool = False  # torch.compile, on a GPU with CUDA graphs
    recompute: bool = False  # activations in the backward pass: less memory, one more forward pass, the same gradients
    stack: int | str = 1  # runs of a sweep trained as one batched model, see ablations/stack/; auto: where that pays

    def check(self) -> None:
        """Raise a ValueError with the reason unless these numbers describe a training."""
        for key in (
            "steps",
            "batch_tokens",
            "accumulate",
            "eval_every",
            "eval_batch_tokens",
            "log_every",
            "checkpoint_every",
        ):
            _number(key, getattr(self, key), at_least=1)
        if self.threads is not None:
            _number("threads", self.threads, at_least=1)
        if self.stack != "auto" and not (isinstance(self.stack, int) and self.stack >= 1):
            raise ValueError(f"stack={self.stack} must be a whole number of runs, at least 1, or auto")
        for key in ("compile", "recompute"):
            if self.stack != 1 and getattr(self, key):
                raise ValueError(f"stack={self.stack} and {key}=true do not go together: set one of them")
        one_of("precision", self.precision, PRECISIONS)
        one_of("select", self.select, SELECTIONS)
        one_of("device", self.device, DEVICES)


@dataclass
class EvaluationConfig:
    """How finished models are scored."""

    beam: int = 5  # 1: greedy
    length_penalty: float = 1.0  # log-probability / length ** length_penalty
    stride: int | None = None  # language models: new tokens per window; none: the whole window
    samples: int = 8  # translations kept in the record

    def check(self) -> None:
        """Raise a ValueError with the reason unless a model can be scored so."""
        _number("beam", self.beam, at_least=1)
        _number("length_penalty", self.length_penalty, at_least=0)
        if self.stride is not None:
            _number("stride", self.stride, at_least=1)
        _number("samples", self.samples, at_least=0)


@dataclass
class AnalysisConfig:
    """What is observed of a model while it trains, from outside: ablations/analysis/. Nothing by default."""

    parts: list[str] = field(default_factory=list)  # of ANALYSES
    every: int | None = None  # steps between observations; none: before the first step and after the last alone
    rows: int = 32  # of the validation split are looked at, the same ones every time

    def check(self) -> None:
        """Raise a ValueError unless this can be observed."""
        for part in self.parts:
            one_of("parts", part, ANALYSES)
        if self.every is not None:
            _number("every", self.every, at_least=1)
        _number("rows", self.rows, at_least=1)


@dataclass
class TrackingConfig:
    """Where numbers go besides the record: none | wandb (online) | wandb_offline | trackio (local, no account)."""

    name: str = "none"
    project: str = "qkv-ablations"  # of W&B's; trackio has a project for each study
    entity: str | None = None  # the W&B user or team; none: the default of who is logged in

    def check(self) -> None:
        """Raise a ValueError unless the tracker is known."""
        one_of("name", self.name, TRACKERS)


@dataclass
class PathsConfig:
    """Folders. None of them changes a result."""

    corpora: str | None = None  # a local pool of corpora; none: the hub
    cache: str = "data/cache"  # prepared text
    results: str = "results"


@dataclass
class StudyConfig:
    """What a run belongs to."""

    name: str = "scratch"
    question: str = ""
    prediction: str = ""
    baseline: str = "separate"  # the strategy that others are compared with
    margin_bleu: float | None = None  # "costs little" means within this, fixed before the first run
    margin_perplexity: float | None = None  # share, such as 0.01
    without_margin: str = ""  # why a study that asks a question needs none
    change: str = ""  # what would change our mind about its outcome
    more: list[str] = field(default_factory=list)  # its further sweeps, as words after study=NAME

    def check(self) -> None:
        """Raise a ValueError unless the name can be a folder's and the margins are sizes."""
        _plain("name", self.name)
        for key in ("margin_bleu", "margin_perplexity"):
            if getattr(self, key) is not None:
                _number(key, getattr(self, key), above=0)


@dataclass
class RunConfig:
    """One run, completely."""

    seed: int = 0
    task: TaskConfig = field(default_factory=TaskConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)
    sites: SiteChoice = field(default_factory=SiteChoice)
    position: PositionConfig = field(default_factory=PositionConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    study: StudyConfig = field(default_factory=StudyConfig)
    match: str = "none"  # what is held equal to study.baseline: none | params | flops | cache, see ablations/match.py
    rerun: bool = False  # train again although a finished record exists


def check(run: RunConfig) -> None:
    """Everything that can be refused before any work: a ValueError with one sentence that says what to do."""
    _number("seed", run.seed, at_least=0)
    one_of("match", run.match, MATCHES)
    check_model(run)
    own = SITES[run.task.kind]
    for site in ("encoder", "decoder", "cross"):
        if site not in own and getattr(run.sites, site) != run.projection:
            raise ValueError(
                f"projection@sites.{site}={getattr(run.sites, site).name} would change nothing: task={run.task.name} "
                f"has attention at {' and '.join(own)} alone; leave it out"
            )
    for key in ("optim", "trainer", "evaluation", "analysis", "tracking", "cluster", "study"):
        with _about(key):
            getattr(run, key).check()
    if run.trainer.stack != 1 and run.cluster.processes > 1:
        raise ValueError(
            f"trainer.stack={run.trainer.stack} takes one process and cluster.processes={run.cluster.processes}: "
            "set one of them to 1"
        )
    context = run.task.context
    for key in ("batch_tokens", "eval_batch_tokens"):
        if getattr(run.trainer, key) < context:
            raise ValueError(
                f"trainer.{key}={getattr(run.trainer, key)} has no room for one sequence of task.context={context} "
                f"tokens: set trainer.{key}={context} or more, or a shorter context"
            )
    if run.evaluation.stride is not None and run.evaluation.stride > context:
        raise ValueError(
            f"evaluation.stride={run.evaluation.stride} would skip tokens: set it to at most task.context={context}"
        )
    if run.position.kind == "learned" and run.position.max_length is not None and run.position.max_length < context:
        raise ValueError(
            f"position.max_length={run.position.max_length} is shorter than task.context={context}: "
            "set it to null for what the task needs"
        )


def check_model(run: RunConfig) -> None:
    """What of it is about the task, the sizes and the strategies."""
    run.task.check()
    model = run.model
    with _about("model"):
        _plain("name", model.name)
        model.check()
    for site in SITES[run.task.kind]:
        projection = getattr(run.sites, site)
        with _about("projection" if projection == run.projection else f"sites.{site}"):
            _plain("name", projection.name)
            projection.check(model.d_model, model.heads, model.width_of_head)
        if site != "cross":
            with _about("position"):
                own = projection.sizes(model.d_model, model.heads, model.width_of_head)
                run.position.check(own.head_dim, projection.by_angle)


@contextmanager
def _about(key: str) -> Iterator[None]:
    """Says in a refusal which part of the configuration is meant."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _number(
    key: str,
    value: float,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    below: float = math.inf,
) -> None:
    if not (math.isfinite(value) and above < value < below and at_least <= value <= at_most):
        bounds = {"above": above, "at least": at_least, "at most": at_most, "below": below}
        wanted = " and ".join(f"{words} {bound}" for words, bound in bounds.items() if math.isfinite(bound))
        raise ValueError(f"{key}={value} must be {'' if math.isfinite(value) else 'a finite number '}{wanted}")


def _plain(key: str, name: str) -> None:
    """Names become names of folders and rows."""
    if not re.fullmatch(PLAIN, name):
        raise ValueError(
            f"{key}={name!r} must be of letters, digits and . _ - alone, 100 at most, and start with a letter or digit"
        )
