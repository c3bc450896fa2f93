"""Train and score one variant, or a whole study.

python train.py projection=shared                                     one run
python train.py task=multi30k_en_de projection@sites.cross=separate   another task, another strategy at one site
python train.py -m projection=separate,shared seed=0,1                every combination
python train.py study=demo                                            the combinations in conf/study/demo.yaml

Anything in `conf/` can be set as key=value; `--help` lists the groups. Wrong input gets one sentence and exit code 1.
"""

import re
import sys
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ablations.compose import CONF, compose, from_hydra, refuse_flags, values_alone
from ablations.config import RunConfig, check
from ablations.errors import one_run, shell
from ablations.help import help_text


@shell
def main() -> None:
    """A single run is composed here: Hydra's `main` composes twice, first to see whether it is asked for a sweep."""
    words = sys.argv[1:]
    if any(re.match(r"-|[+~]*(hydra|study)\b", word) for word in words):
        refuse_flags(words)
        with values_alone():
            train()
    else:
        with one_run():
            one(compose(words, print), words)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def train(cfg: DictConfig) -> float | None:
    """What Hydra is asked to do with flags, or by a study; returns the validation metric to a sweeper."""
    overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task))  # list() would resolve ${...}
    with one_run():
        return one(from_hydra(cfg, overrides, print), overrides)


def one(config: RunConfig, overrides: list[str]) -> float | None:
    """One run, from its configuration to its record."""
    check(config)
    if config.cluster.kind != "local":
        from ablations.sweep.launch import launch
        from ablations.sweep.plan import sign

        return launch([sign(config, overrides)])
    from ablations.run import run  # torch is imported for work only: --help and refusals answer at once

    return run(config, overrides)


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv[1:]):  # Hydra would take four times as long to list less
        print(help_text(CONF))
    else:
        main()
