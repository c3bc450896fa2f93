"""The command line."""

import copy
import itertools
import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from tests.faults.mutants import Draw, altered


class Overrides:
    """What `python train.py <words>` does with its words, up to and including `config.check` and the signature.

    All words go through Hydra's parser. What it accepts then takes one of two ways: whole inputs through `compose`, or,
    of a sweep, through the first cells of `compose_cells`; and, because that takes a tenth of a second, in most cases
    what is no group goes the way of `compose` from a composed configuration on: Hydra's own application of overrides,
    `from_hydra`, `check`. `whole` of the counts that follow is how many took the first.
    """

    WHOLE = 100  # one input in so many

    def __init__(self, folder: Path):
        import hydra
        from hydra.core.global_hydra import GlobalHydra
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from ablations import compose, sentences
        from ablations.config import RunConfig

        del folder  # nothing is written
        self._open = compose._hydra()
        self._open.__enter__()
        self._loader = GlobalHydra.instance().config_loader()
        self._parse = OverridesParser.create(config_loader=self._loader).parse_overrides
        self._cfg = hydra.compose("config")
        self.whole = 0
        self.keys = list(sentences._keys(RunConfig))
        self.groups = {
            path.name: sorted(file.stem for file in path.glob("*.yaml"))
            for path in compose.CONF.iterdir()
            if path.is_dir()
        }
        self.values = {key: _shown(OmegaConf.select(self._cfg, key)) for key in self.keys if "@" not in key}
        self.read(["seed=1", "+task.corpus.options.a=2"], whole=False)
        self.read(["seed=1", "model=tiny"], whole=True)

    def make(self, data: bytes) -> tuple[list[str], bool, bool]:
        draw = Draw(data)
        way = draw.below(self.WHOLE)
        if draw.one_in(10):
            words = draw.rest().decode("utf-8", errors="surrogateescape").split("\n")
        else:
            words = [self.word(draw) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
        return [word.replace("\0", "") for word in words], way == 1, draw.one_in(2)

    def word(self, draw: Draw) -> str:
        """One override, nearly right."""
        prefix = draw.choice((*[""] * 12, "+", "++", "~", "-"))
        group = draw.choice(list(self.groups))
        key = draw.choice(self.keys)
        match draw.below(16):
            case 0:
                key = group
            case 1:
                key = draw.choice(
                    (f"{group}@sites.cross", f"projection@{key}", f"{group}@{draw.text()}", f"/{group}@{key}")
                )
            case 2:
                key += draw.choice((".", ".x", ".0", "[0]", "..", ".a.b.c", "$", draw.text()))
            case 3:
                key = draw.choice(("task.corpus.options.x", "hydra.job.name", "hydra/launcher", draw.text()))
        value = draw.choice(self.groups[group]) if "@" in key or key == group else self._value(draw, key, 3)
        word = prefix + key + draw.choice((*["="] * 20, "", "==", " = ", ":=")) + value
        if draw.one_in(8):
            word = altered(draw, word.encode("utf-8", errors="surrogateescape")).decode(
                "utf-8", errors="surrogateescape"
            )
        return word

    def _value(self, draw: Draw, key: str, depth: int) -> str:
        match draw.below(18):
            case 0:
                return draw.choice(STRANGE)
            case 1:
                return draw.choice(("0", "1", "-1", "1.5", "1e9", "true", "null", "nan", "inf", "-inf", "1_000", "0x1"))
            case 2:
                return "${" + draw.choice((*RESOLVED, draw.choice(self.keys))) + "}"
            case 3 if depth:
                return f"[{','.join(self._value(draw, key, depth - 1) for _ in range(draw.below(4)))}]"
            case 4 if depth:
                return f"{{{draw.text()}:{self._value(draw, key, depth - 1)}}}"
            case 5 if depth:
                return ",".join(self._value(draw, key, depth - 1) for _ in range(1 + draw.below(3)))
            case 6 if depth:
                function = draw.choice(("choice", "range", "glob", "shuffle", "sort", "int", "str", "json_str", "eval"))
                return f"{function}({','.join(self._value(draw, key, depth - 1) for _ in range(draw.below(4)))})"
            case 7:
                return draw.choice(self.groups["projection"])
            case 8:
                return str(draw.below(2**32) - 2**31)
            case 9:
                return draw.text()
            case 10:
                return repr(draw.text())
            case 11 | 12:
                return str(draw.below(100))
            case _:
                return self.values.get(key, "1")

    def read(self, words: list[str], whole: bool, sweep: bool = False) -> None:
        """The words of a command line."""
        from hydra.types import RunMode

        from ablations import compose, record
        from ablations.config import check

        if whole:
            self.whole += 1
            runs = (
                [run for _, run in itertools.islice(compose.compose_cells(words), 3)]
                if sweep
                else [compose.compose(words)]
            )
        else:
            parsed = self._parse(words)
            if not sweep:
                self._loader.validate_sweep_overrides_legal(parsed, run_mode=RunMode.RUN, from_shell=False)
            plain = [o for o in parsed if o.package is None and o.key_or_group not in self.groups]
            runs = [self._applied([o for o in plain if not o.is_sweep_override() and not o.is_hydra_override()])]
        for run in runs:
            check(run)
            plain = compose.to_plain(run)
            record.signature(plain)
            json.dumps([plain, words], ensure_ascii=False).encode()  # as the record keeps them

    def _applied(self, parsed: list) -> Any:
        """As Hydra and `compose` apply them; the configuration is afterwards as before."""
        from ablations import compose

        content = self._cfg.__dict__["_content"]
        before = dict(content)
        for key in {o.key_or_group.partition(".")[0] for o in parsed} & content.keys():
            content[key] = copy.deepcopy(content[key])
        try:
            self._loader._apply_overrides_to_config(parsed, self._cfg)
            return compose.from_hydra(self._cfg, [str(o.input_line) for o in parsed])
        finally:
            content.clear()
            content.update(before)


def _shown(value: Any) -> str:
    """As it is typed."""
    if isinstance(value, DictConfig | ListConfig):
        return "{}" if isinstance(value, DictConfig) else "[1,2]"
    return {None: "null", True: "true", False: "false", "": "''"}.get(value) or str(value).replace(" ", "_")


# What stands in ${...}, and values that are no values.
RESOLVED = (
    *("oc.env:HOME", "oc.env:NONE_SUCH", "oc.env:NONE_SUCH,1", "oc.env:", "oc.decode:'[1,2]'", "oc.decode:'${seed}'"),
    *("oc.select:seed", "oc.create:{a:1}", "oc.dict.keys:model", "oc.dict.values:model"),
    *("hydra:runtime.cwd", "study.name", ".name", "..seed", "...", "", "a.b.c", "nothing:1", "${seed}", "optim.lr"),
)
STRANGE = (
    *(
        "9" * 5000,
        "1e400",
        "[" * 200,
        "[" * 90 + "]" * 90,
        "{" * 90 + "}" * 90,
        "a" * 20000,
        "'",
        '"',
        "\\",
        "'a\\'",
        "(",
    ),
    *(
        "range(0,1000000000)",
        "range(0,10,0)",
        "range(0,1,1e-9)",
        "range(5)",
        "shuffle(range(0,1000000000))",
        "choice()",
    ),
    *("glob(*)", "glob(*,exclude=*)", "a,b,", ",", "???", "_target_", "${", "$", "😀", "../..", "/tmp", "~"),
    *("os.system('x')", "{_target_:os.system}", "!!python/object:os.system"),
)
