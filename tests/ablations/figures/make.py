"""Records with curves, scores and analyses, made by hand, and what was drawn of them."""

from ablations import figures
from tests.ablations.make import make_record

OWN = {"shared": 0.9, "separate": 0.1}


def example(strategy, seed, task="docs", **given):
    """A run with a curve and three analyses; one matrix has fewer parameters than three."""
    run = make_record(strategy, task, seed, {"separate": 30.0, "shared": 31.0}[strategy], **given)
    level = {"separate": 2.0, "shared": 2.5}[strategy] + seed / 10
    run["budget"] = {**run["budget"], "parameters": {"separate": 60_000, "shared": 40_000}[strategy]}
    run["curve"] = [{"step": step, "loss": level - step / 100} for step in range(10, 110, 10)]
    run["curve"][4]["valid_nll"], run["curve"][9]["valid_nll"] = level, level - 1
    run["analyses"] = [analysis(strategy, step) for step in (0, 50, 100)]
    return run


def analysis(strategy, step):
    """What an analysis at `step` sees."""
    pairs = ("qk", "qv", "kv")
    projections = {"angle": dict.fromkeys(pairs, [10.0, 20.0]), "random_angle": dict.fromkeys(pairs, 60.0)}
    found = {
        "step": step,
        "scores": {"decoder.0.self": {"own_position": [OWN[strategy], 0.5]}},
        "projections": {"decoder.0.self": projections},
        "gradients": {},
    }
    if strategy == "shared":
        found["gradients"] = {"decoder.0.self": {"cosine": {"qk": 0.5, "qv": step / 100, "kv": None}}}
    if step in (0, 100):
        alike = [0.9, None, 0.5 if strategy == "separate" else 0.7]
        layers = {"encoder": {"self_similarity": alike, "random": [0.1, 0.2, 0.3], "corrected": [0.8, None, 0.2]}}
        found["context"] = {"layers": layers, "order": {"difference": 0.1}}
        weight = 1.0 if step else 0.5  # the last one is drawn
        head = [[weight, 0.0, 0.0], [1 - weight, weight, 0.0], [0.0, 0.0, 0.3 if strategy == "separate" else 1.0]]
        found["maps"] = {"weights": {"decoder.0.self": [head, head]}, "tokens": {"decoder": ["a $x_1$", "\n", "<eos>"]}}
    return found


def material(runs):
    """Of the only task."""
    [only] = figures.materials(runs)
    return only


def figure(runs, name):
    """The only figure of a name."""
    [drawing] = figures.drawings(material(runs), name)
    return drawing.figure


def drawn(figure):
    """(label, x, y) of the lines of each panel."""
    return [[(line.get_label(), *map(list, line.get_data())) for line in panel.lines] for panel in figure.axes]
