"""A small language of opinions, whose labels no single word tells.

A clause praises or blames; "not" and "never" turn it around, words like "very" change nothing. Of two clauses the main
one decides: the second after "but", the first before "though". So a classifier has to bind a negation to its adjective
and to find the clause that counts: the two clauses of "the plot is good but the cast is bad" in the other order have
the same words and the other label. Every label is as likely as the other, whatever the form of the sentence and the
opinion in the clause that does not count.
"""

from data.toy_language import Numbers

# fmt: off
SUBJECTS = [
    "plot", "film", "cast", "script", "music", "ending", "hero", "villain", "dialogue", "pace", "humour", "story",
    "director", "costumes", "camera", "first scene",
]
PRAISE = [
    "good", "funny", "clever", "moving", "fresh", "charming", "bright", "honest", "thrilling", "warm", "deep", "rich",
]
BLAME = [
    "bad", "dull", "silly", "flat", "stale", "tedious", "grim", "false", "clumsy", "cold", "shallow", "poor",
]
DEGREES = ["very", "quite", "really", "rather", "so"]
# fmt: on
VERBS = ["is", "was", "seems", "seemed"]
NEGATIONS = ["not", "never"]
LABELS = ("negative", "positive")


def opinion(draw: Numbers) -> tuple[str, str]:
    """One sentence of one or two clauses, and its label."""
    label = draw.below(2)
    main = _clause(draw, label)
    form = draw.below(3)
    if form == 0:
        return main, LABELS[label]
    other = _clause(draw, draw.below(2))
    return f"{other} but {main}" if form == 1 else f"{main} though {other}", LABELS[label]


def _clause(draw: Numbers, label: int) -> str:
    negated = draw.below(2)
    words = ["the", SUBJECTS[draw.below(len(SUBJECTS))], VERBS[draw.below(len(VERBS))]]
    if negated:
        words.append(NEGATIONS[draw.below(len(NEGATIONS))])
    if draw.below(2):
        words.append(DEGREES[draw.below(len(DEGREES))])
    adjectives = PRAISE if label != negated else BLAME  # a negation turns blame into praise
    return " ".join([*words, adjectives[draw.below(len(adjectives))]])
