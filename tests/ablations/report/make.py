"""A results folder with everything a report shows: curves, maps, translations, a diverged run, and hostile texts."""

from pathlib import Path

from ablations import record as records
from tests.ablations.make import make_record

CLAIM = """\
id: C01
note: N0
question: Is one matrix worse?
statement: "One matrix is worse </script><script>alert('claim')</script>."
prediction: Somewhat.
tested: By training.
change: Better runs.
parts:
  - kind: measured
    file: nothing
    command: python scripts/bench.py storage --save
    terms: [{weight: 1, label: a}, {weight: -1, label: b}]
    margin: {value: 0.05, unit: seconds}
    region: {above: margin}
"""
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\"quoted\" 'too' & <!-- --> ]]>",
    "=1+1",
    "turned \u202eround\u202c \u2066and\u2069 \u2028 here",
    "{{ 7 * 7 }} {% raw %}",
)


def curve(seed, shift=0.0, steps=range(10, 101, 10)):
    points = [{"step": step, "loss": 5 + shift + seed / 10 - step / 50} for step in steps]
    return [*points[:-1], {**points[-1], "valid_nll": 3.0 + shift + seed / 10}]


def maps(own):
    tokens = ["<bos>", "a\u202eb", "</script>"]
    row = [[own if query == key else (1 - own) / 2 for key in range(3)] for query in range(3)]
    weights = {"encoder.0.self": [row, row], "decoder.0.cross": [row, row]}
    return [
        {"step": 0, "maps": None},
        {"step": 100, "maps": {"weights": weights, "tokens": {"encoder": tokens, "decoder": tokens}}},
    ]


def translator(strategy, seed, **extra):
    """A translator's record whose samples are hostile."""
    worse = strategy != "separate"
    samples = [
        {
            "split": "test",
            "source": text,
            "reference": f"ein {text} Haus",
            "hypothesis": f"{'das' if worse else 'ein'} {text} Haus",
        }
        for text in HOSTILE
    ]
    found = make_record(strategy, "flickr", seed, 30.0 - 4 * worse + seed / 10, **extra)
    found |= {"curve": curve(seed, 0.5 * worse), "samples": samples, "analyses": maps(0.9 if worse else 0.2)}
    return found | {
        "command": f"python train.py projection={strategy} seed={seed} '{HOSTILE[1]}'",
        "seconds": 40.0 + seed,
    }


def results(folder: Path) -> Path:
    """Study `demo`: a translator and a language model, two strategies with two seeds each, one diverged."""
    for strategy in ("separate", "shared"):
        for seed in (0, 1):
            records.write(translator(strategy, seed, study__question=HOSTILE[0]), folder)
            status = "diverged" if (strategy, seed) == ("shared", 1) else "finished"
            model = make_record(
                strategy, "docs", seed, 50.0 + (strategy == "shared"), status, study__question=HOSTILE[0]
            )
            records.write({**model, "curve": curve(seed)}, folder)
    return folder


PLAN = """\
defaults: [{override /task: docs}]
hydra: {sweeper: {params: {projection: "separate,shared", seed: "0,1"}}}
"""


def plan(folder: Path, study: str) -> Path:
    """A conf folder with one study: two strategies with two seeds each, of a task that reads files."""
    for group in ("study", "task"):
        (folder / group).mkdir(parents=True)
    (folder / "study" / f"{study}.yaml").write_text(PLAN)
    (folder / "task" / "docs.yaml").write_text("corpus: {files: {train: docs.txt}}")
    return folder


def claims(folder: Path) -> Path:
    """A conf folder with one claim."""
    (folder / "claim").mkdir(parents=True)
    (folder / "claim" / "C01.yaml").write_text(CLAIM)
    return folder
