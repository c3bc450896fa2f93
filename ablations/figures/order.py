"""What the order of words is worth: the loss on shuffled text minus that on the text as it is."""

from collections.abc import Iterator

from ablations.figures.canvas import Drawing, nothing
from ablations.figures.dots import in_rows
from ablations.figures.intervals import limits, row, words
from ablations.figures.material import Material, Record
from ablations.figures.training import last
from ablations.stats import summarize


def draw(material: Material) -> Iterator[Drawing]:
    """After the last step: every seed a dot, the mean with its 95 % t interval beside; 0 is blind to order."""
    found = {name: [gain for run in group if (gain := worth(run)) is not None] for name, group in material.runs.items()}
    found = {name: gains for name, gains in found.items() if gains}
    if not found:
        yield nothing("no run has such numbers on record")
        return
    summaries = {name: summarize(gains) for name, gains in found.items()}
    figure, (panel,) = in_rows([_label(material, name, len(gains)) for name, gains in found.items()], 1)
    panel.set_xlim(limits([0.0, *(gain for gains in found.values() for gain in gains)], summaries.values()))
    panel.axvline(0, color="0.6", linewidth=0.8, zorder=1)
    for height, (name, gains) in enumerate(found.items()):
        row(panel, height, material.looks[name], gains, summaries[name])
    panel.set(xlabel="nats per token lost by shuffling")
    said = [f"{name}: {words(summaries[name], '.2f')}." for name in found]
    sentence = (
        "Loss of shuffled minus ordered text, nats per token, the seeds as dots, their mean with its 95 % t interval."
    )
    yield Drawing(figure, f"What order is worth ({material.task})", " ".join([sentence, *said]))


def _label(material: Material, name: str, seen: int) -> str:
    """With the runs that came to no score beside those that were looked at."""
    cells = material.rows[name].cells.values()
    lost = max((cell.missing for cell in cells), key=lambda missing: sum(missing.values()), default={})
    return f"{name} ({', '.join([f'n={seen}', *(f'{count} {what}' for what, count in lost.items())])})"


def worth(run: Record) -> float | None:
    """In nats per token, after training; None where nobody looked, or the run diverged."""
    return last(run, "context").get("order", {}).get("difference") if run["status"] == "finished" else None
