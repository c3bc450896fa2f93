"""Models small enough to look through: width 16, four heads, two layers, eleven tokens."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from ablations.compose import compose
from models.config import ModelConfig, PositionConfig, SitesConfig
from models.init import initialise
from models.projections.config import ProjectionConfig
from models.projections.projection import Projection
from models.transformer import Classifier, LanguageModel, Translator

CONF = Path(__file__).parents[2] / "conf"
STRATEGIES = sorted(path.stem for path in (CONF / "projection").glob("*.yaml"))
POSITIONS = sorted(path.stem for path in (CONF / "position").glob("*.yaml"))
PRESETS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
PAD, BOS, EOS = 0, 1, 2
VOCABULARY, MAX_LENGTH, CLASSES = 11, 24, 3
TINY = ModelConfig(d_model=16, heads=4, d_ff=32, dropout=0.0)


@cache
def full_size(name: str) -> ProjectionConfig:
    """A strategy as its file states it."""
    return compose([f"projection={name}"]).projection


def strategy(name: str, **changes) -> ProjectionConfig:
    """A strategy at our size: ranks that the files choose for wide models become 3, value heads 2 wide."""
    config = full_size(name)
    narrow = {key: getattr(config, key) and 3 for key in ("rank", "role_rank")}
    return replace(config, **narrow, value_head_dim=config.value_head_dim and 2, **changes)


# Every strategy with every position it is defined for: a sum of two hidden layers has no angle to turn.
DEFINED = [
    (name, position)
    for name in STRATEGIES
    for position in POSITIONS
    if position != "rotary" or full_size(name).by_angle
]


def everywhere(site: ProjectionConfig) -> SitesConfig:
    return SitesConfig(encoder=site, decoder=site, cross=site)


def language_model(site, position="sinusoidal", seed=0, **sizes) -> LanguageModel:
    return _built(LanguageModel, site, position, seed, sizes)


def translator(site, position="sinusoidal", seed=0, **sizes) -> Translator:
    return _built(Translator, site, position, seed, sizes)


def classifier(site, position="sinusoidal", seed=0, **sizes) -> Classifier:
    return _built(Classifier, site, position, seed, sizes, CLASSES)


def _built(kind, site, position, seed, sizes, *classes):
    sites = site if isinstance(site, SitesConfig) else everywhere(site)
    model = replace(TINY, **sizes)
    built = kind(model, sites, PositionConfig(kind=position), VOCABULARY, MAX_LENGTH, *classes)
    initialise(built, seed, model.init, model.decoder_layers)
    return built.eval()


def projection(site: ProjectionConfig, bias: bool = True) -> Projection:
    """One site alone, every parameter random: biases and diagonals must not hide behind their initial values."""
    project = Projection(site, TINY.d_model, TINY.heads, TINY.width_of_head, bias)
    shake(project)
    return project


def shake(module: torch.nn.Module, seed: int = 0) -> None:
    """Every parameter normal of sd 0.3, the same for all storages."""
    generator = torch.Generator().manual_seed(seed)
    state = module.state_dict()
    module.load_state_dict({n: 0.3 * torch.randn(state[n].shape, generator=generator) for n in sorted(state)})


def vectors(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tokens(*shape: int, seed: int = 1) -> torch.Tensor:
    """Ordinary tokens: no specials among them."""
    return torch.randint(4, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def pairs():
    """A batch of three sources of length 6, 4 and 3, and targets of 5."""
    source, target = tokens(3, 6), tokens(3, 5, seed=2)
    mask = torch.arange(6) < torch.tensor([6, 4, 3])[:, None]
    return {"source": source.masked_fill(~mask, PAD), "source_mask": mask, "target": target}
