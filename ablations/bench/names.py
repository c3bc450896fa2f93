"""Which benchmarks there are, by name."""

KNOWN = {  # name -> the function that runs it, and what it measures
    "attention": ("kernels:attentions", "attention written out against torch's fused kernel, in a training step"),
    "precision": ("kernels:precisions", "bfloat16 against float32, in a training step"),
    "storage": ("storage:storages", "one matrix per head or role against one big one, in a training step"),
    "key_width": ("storage:key_widths", "the product q k^T over the width of a key"),
    "sweep": ("sweep:sweep", "composing, submitting and skipping the cells of a sweep, in ms a cell"),
    "strategies": ("strategies:strategies", "every strategy's training and decoding speed, memory and cache"),
    "speedups": ("speedups:speedups", "the speed-ups of a training step, each switched off in turn; seeds stacked"),
    "agreement": ("agreement:agreement", "what the speed-ups change in a loss after 400 steps"),
    "scaling": ("scaling:scaling", "a step against width, depth, length, batch, vocabulary; tables against records"),
    "records": ("records:records", "all tables of a study against the number of its records, in seconds and memory"),
    "calibration": ("calibration:calibration", "how often the tests and intervals of the tables are wrong"),
    "tracking": ("tracking:tracking", "a training step with W&B beside it, its server there or not"),
    "start": ("start:start", "until the first training step of `tiny`"),
    "paper_300m": ("paper:paper_300m", "the 300 M model on a GPU: training, decoding at 2k, 8k and 32k"),
    "language_model": (
        "rivals.language_model:language_models",
        "a training step of a language model, against other libraries",
    ),
    "translator": ("rivals.translator:translators", "a training step of a translator, against other libraries"),
    "decoding": (
        "rivals.decoding:decodings",
        "beam and greedy search with a trained translator, against other libraries",
    ),
}
GROUPS = {"rivals": ("language_model", "translator", "decoding")}
UNTIMED = ("calibration", "records", "tracking")  # or timed in another way, which their notes say
FOR_CLAIMS = ("storage", "key_width")


def expand(names: list[str]) -> list[str]:
    """Single benchmarks for the groups among the names."""
    return [single for name in names for single in GROUPS.get(name, (name,))]


def listing() -> str:
    """A line for each benchmark and group."""
    lines = [f"  {name:16} {words}" for name, (_, words) in KNOWN.items()]
    return "\n".join([*lines, *(f"  {name:16} {', '.join(singles)}" for name, singles in GROUPS.items())])
