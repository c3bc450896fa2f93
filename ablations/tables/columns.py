"""Columns: scores, each on one split of one task."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
# Score -> its title and decimals. HIGHER are better when higher, exact match and accuracy in percent; all others are
# better when lower.
SCORES = {
    "bleu": ("BLEU", 2),
    "bleu_lowercase": ("BLEU, lower case", 2),
    "chrf": ("chrF", 2),
    "exact_match": ("exact match", 2),
    "accuracy": ("accuracy", 2),
    "token_perplexity": ("perplexity", 2),
    "word_perplexity": ("word perplexity", 2),
    "byte_perplexity": ("byte perplexity", 3),
    "bits_per_byte": ("bits per byte", 4),
}
HIGHER = ("bleu", "bleu_lowercase", "chrf", "exact_match", "accuracy")
KINDS = ("translation", "classification", "language_modeling")  # in the order of their columns


@dataclass(frozen=True)
class Column:
    """One score on one split of one task."""

    score: str
    task: str
    split: str

    @property
    def title(self) -> str:
        """Such as "BLEU (multi30k_en_de, test_2016_flickr)"."""
        return f"{SCORES[self.score][0]} ({self.task}, {self.split})"

    @property
    def higher(self) -> bool:
        """Whether a larger score is better."""
        return self.score in HIGHER

    @property
    def ratio(self) -> bool:
        """Whether scores are compared by their ratio, and tested by their logarithm, which of a perplexity is nats."""
        return self.score.endswith("perplexity")


def all_columns(runs: list[Record]) -> list[Column]:
    """Every score of every split on record, tasks and splits in the order of their configuration."""
    there: dict[tuple[str, str], set[str]] = defaultdict(set)
    for run in runs:
        for split, scores in (run.get("scores") or {}).items():
            there[run["task"], split].update(scores)
    return [
        Column(score, task, split)
        for task in _tasks(runs)
        for split in _splits(runs, task)
        for score in SCORES
        if score in there[task, split]
    ]


def headline_columns(runs: list[Record]) -> list[Column]:
    """BLEU of translators, accuracy of classifiers, perplexity of language models; of translators if these are alone.

    Of translators whose answers are right or wrong, exact match alone: BLEU would praise half of one. The split is the
    first that the task's configuration lists for testing, or validation.
    """
    kinds = {run["task"]: run["kind"] for run in runs}
    split = {run["task"]: (*run["config"]["task"]["test"], "valid")[0] for run in runs}
    translators, classifiers, models = ([task for task in _tasks(runs) if kinds[task] == kind] for kind in KINDS)
    exact = {run["task"] for run in runs if one_answer(run)}
    alone = [] if classifiers or models else [task for task in translators if task not in exact]
    scores = {
        "bleu": [task for task in translators if task not in exact],
        "exact_match": [task for task in translators if task in exact],
        "accuracy": classifiers,
        "token_perplexity": models or alone,
    }
    return [Column(score, task, split[task]) for score, tasks in scores.items() for task in tasks]


def one_answer(run: Record) -> bool:
    """Whether answers are right or wrong: those of a generated task both sides of which are one language, symbols."""
    task = run["config"]["task"]
    return (
        run["kind"] == "translation"
        and task["corpus"].get("generator") is not None
        and task["source_lang"] == task["target_lang"]
    )


def score_of(run: Record, column: Column) -> float | None:
    """None where the run has no such score, or did not come to its end."""
    return (run.get("scores") or {}).get(column.split, {}).get(column.score) if run["status"] == "finished" else None


def nll_of(run: Record, split: str = "valid") -> float | None:
    """Mean loss in nats a token, or an example; None where the run has none, or did not come to its end."""
    return (run.get("scores") or {}).get(split, {}).get("nll") if run["status"] == "finished" else None


def _tasks(runs: list[Record]) -> list[str]:
    """Translation first, as in the notes' table."""
    tasks = {(run["kind"], run["task"]) for run in runs}
    return [task for _, task in sorted((KINDS.index(kind), task) for kind, task in tasks)]


def _splits(runs: list[Record], task: str) -> list[str]:
    mine = [run for run in runs if run["task"] == task]
    listed = [split for run in mine for split in run["config"]["task"]["test"]]
    return list(dict.fromkeys([*listed, *sorted({split for run in mine for split in run.get("scores") or {}})]))
