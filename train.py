"""Train and score one variant, or a whole study.

python train.py projection=shared                                     one run
python train.py task=multi30k_en_de projection@sites.cross=separate   another task, another strategy at one site
python train.py -m projection=separate,shared seed=0,1                every combination
python train.py study=demo                                            the combinations in conf/study/demo.yaml

Anything in `conf/` can be set as key=value; `--help` lists it all. Wrong input gets one sentence and exit code 1.
"""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ablations.compose import CONF, from_hydra
from ablations.config import check
from ablations.errors import cell, shell


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def train(cfg: DictConfig) -> float:
    """One run, from the composed configuration to its record; returns the validation metric to a sweeper."""
    overrides = list(HydraConfig.get().overrides.task)
    with cell(overrides):
        config = from_hydra(cfg, overrides)
        check(config)
        from ablations.run import run  # torch is imported for work only: --help and refusals answer at once

        return run(config, overrides)


if __name__ == "__main__":
    shell(train)()
