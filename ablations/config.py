"""The typed schema of a run, and how Hydra composes it. Besides train.py this is the only place that knows Hydra."""

from dataclasses import dataclass, field

from omegaconf import II

from data.config import TaskConfig
from models.config import ModelConfig, PositionConfig
from models.projections.config import ProjectionConfig


@dataclass
class SiteChoice:
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


@dataclass
class TrainerConfig:
    """How long, how much at once, on what."""

    steps: int = 1000  # optimizer steps; every variant trains equally long
    batch_tokens: int = 4096  # padded tokens per micro-batch and process (translation: rows x longest side)
    accumulate: int = 1  # micro-batches per step
    precision: str = "auto"  # fp32 | bf16 | auto: bf16 where the device has fast bf16 products
    select: str = "last"  # whose weights are scored: last | best (lowest validation loss)
    eval_every: int = 250  # steps between validations
    eval_batch_tokens: int = 8192
    log_every: int = 20
    checkpoint_every: int = 500
    device: str = "auto"  # auto | cpu | cuda
    threads: int | None = None  # CPU threads; none: torch's own choice
    compile: bool = False  # torch.compile


@dataclass
class EvaluationConfig:
    """How finished models are scored."""

    beam: int = 5  # 1: greedy
    length_penalty: float = 1.0  # log-probability / length ** length_penalty
    stride: int | None = None  # language models: new tokens per window; none: the whole window
    samples: int = 8  # translations kept in the record


@dataclass
class TrackingConfig:
    """Where numbers go besides the record: none | wandb (online) | wandb_offline."""

    name: str = "none"
    project: str = "qkv-ablations"
    entity: str | None = None


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
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    study: StudyConfig = field(default_factory=StudyConfig)
    rerun: bool = False  # train again although a finished record exists
