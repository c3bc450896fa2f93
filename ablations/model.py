"""The model of a run: built with its initial weights, its costs worked out beforehand."""

from ablations.config import RunConfig
from data.prepared import Prepared
from models.budget import Budget, budget
from models.init import initialise
from models.transformer import LanguageModel, Translator


def build(config: RunConfig, prepared: Prepared) -> LanguageModel | Translator:
    """The model with the initial weights of its seed, its parameters counted against the budget's arithmetic."""
    kind = LanguageModel if config.task.kind == "language_modeling" else Translator
    model = kind(config.model, config.sites, config.position, prepared.tokenizer.size, config.task.context)
    initialise(model, config.seed, config.model.init, config.model.decoder_layers)
    promised, counted = costs(config, prepared).parameters, sum(p.numel() for p in model.parameters())
    assert promised == counted, f"the budget counts {promised} parameters, the model has {counted}"
    return model


def costs(config: RunConfig, prepared: Prepared) -> Budget:
    """What the model costs, by arithmetic; attention sees `task.context` tokens."""
    vocabulary, context = prepared.tokenizer.size, config.task.context
    return budget(config.model, config.sites, config.position, config.task.kind, vocabulary, context, context)
