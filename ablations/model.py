"""The model of a run: built with its initial weights, its costs worked out beforehand."""

from ablations.config import RunConfig
from data.prepared import Prepared
from models.budget import Budget, budget
from models.init import initialise
from models.transformer import Classifier, LanguageModel, Translator

Model = LanguageModel | Translator | Classifier


def build(config: RunConfig, prepared: Prepared) -> Model:
    """The model with the initial weights of its seed, its parameters counted against the budget's arithmetic."""
    sizes = config.model, config.sites, config.position, prepared.tokenizer.size, config.task.context
    layers = config.model.decoder_layers
    if config.task.kind == "language_modeling":
        model = LanguageModel(*sizes)
    elif config.task.kind == "translation":
        model = Translator(*sizes)
    else:
        model, layers = Classifier(*sizes, len(prepared.classes)), config.model.encoder_layers
    initialise(model, config.seed, config.model.init, layers)
    promised, counted = costs(config, prepared).parameters, sum(p.numel() for p in model.parameters())
    assert promised == counted, f"the budget counts {promised} parameters, the model has {counted}"
    return model


def costs(config: RunConfig, prepared: Prepared) -> Budget:
    """What the model costs, by arithmetic; attention sees `task.context` tokens."""
    vocabulary, context = prepared.tokenizer.size, config.task.context
    classes = len(prepared.classes) if config.task.kind == "classification" else 0
    return budget(config.model, config.sites, config.position, config.task.kind, vocabulary, context, context, classes)
