"""Every file of every group composes, says its own name, and describes a run that `check` accepts."""

from dataclasses import asdict, fields, replace
from functools import cache

import pytest
import yaml

from ablations.compose import CONF, cells, compose, compose_cells, from_plain, to_plain
from ablations.config import RunConfig, check
from models.projections.config import ProjectionConfig

# A claim is not part of a run: tests/ablations/claims/ reads those files.
FILES = sorted(path.relative_to(CONF).with_suffix("") for path in CONF.glob("*/*.yaml") if path.parent.name != "claim")
GROUPS = sorted({path.parent.name for path in FILES})
STRATEGIES = [path.name for path in FILES if path.parent.name == "projection"]
MODELS = [path.name for path in FILES if path.parent.name == "model"]
STUDIES = [path.name for path in FILES if path.parent.name == "study"]
# Between them these differ from `separate` in every field.
UNLIKE = (
    *("k_is_v_gqa", "low_rank", "shared_scaled", "shared_low_rank", "identity", "unsplit", "symmetric_init"),
    *("narrow_values", "pairwise", "reformer", "additive", "identity_out", "shared_without_conflict"),
)


@cache
def composed(*overrides):
    return compose(overrides)


def strategy(name):
    return composed(f"projection={name}").projection


def test_the_default_run_is_complete_and_sound():
    run = compose([])
    check(run)
    assert isinstance(run, RunConfig)
    assert (run.seed, run.model.name, run.projection.name, run.study.name) == (0, "tiny", "separate", "scratch")
    assert isinstance(run.optim.betas, tuple)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_file_composes(file):
    group, name = file.parts
    run = composed(f"{group}={name}", *(["cluster.partition=p"] if group == "cluster" else []))  # nobody can guess it
    chosen = getattr(run, group)
    # The command line, the file and the record know a choice by one name.
    if hasattr(chosen, "name"):
        assert chosen.name == name
    assert (CONF / file).with_suffix(".yaml").read_text().lstrip().startswith("#"), "a header says what to expect"
    run = replace(run, trainer=replace(run.trainer, batch_tokens=10**6, eval_batch_tokens=10**6))  # any context fits
    check(run)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_means_something_in_every_model(name):
    for model in (composed(f"model={model}").model for model in MODELS):
        strategy(name).check(model.d_model, model.heads, model.width_of_head)


def test_the_strategies_of_the_table_are_all_there():
    assert set(STRATEGIES) >= {
        *("separate", "q_is_k", "k_is_v", "q_is_v", "shared", "shared_scaled", "shared_low_rank"),
        *("identity", "identity_q", "identity_k", "identity_v", "block_diagonal", "low_rank"),
        *("gqa", "mqa", "k_is_v_gqa", "k_is_v_mqa"),
    }


def test_no_two_strategies_are_the_same():
    seen = {}
    for name in STRATEGIES:
        fields_but_name = tuple(v for k, v in asdict(strategy(name)).items() if k != "name")
        assert fields_but_name not in seen, f"{name} is {seen.get(fields_but_name)}"
        seen[fields_but_name] = name


def test_the_unlike_strategies_differ_from_the_baseline_in_every_field():
    baseline = ProjectionConfig()
    others = [strategy(name) for name in UNLIKE]
    for f in fields(ProjectionConfig):
        if f.name == "score_width":  # no file needs another width than a head's
            continue
        assert any(getattr(other, f.name) != getattr(baseline, f.name) for other in others), f.name


@pytest.mark.parametrize("master", UNLIKE)
def test_a_site_takes_nothing_of_a_strategy_that_it_does_not_have(master):
    """OmegaConf merges a site's file over the strategy of all sites: a field left out would leak through."""
    for i in range(0, len(STRATEGIES), 3):
        names = dict(zip(("encoder", "decoder", "cross"), STRATEGIES[i : i + 3], strict=False))
        run = compose([f"projection={master}", *(f"projection@sites.{site}={name}" for site, name in names.items())])
        assert run.projection == strategy(master)
        for site, name in names.items():
            assert getattr(run.sites, site) == strategy(name)


@pytest.mark.parametrize("name", STUDIES)
def test_every_cell_of_a_study_is_a_run(name):
    runs = [run for _, run in compose_cells([f"study={name}"])]
    for run in runs:
        check(run)
    assert all(run.study.name == name and run.study.question and run.study.prediction for run in runs)
    assert len({str(to_plain(run)) for run in runs}) == len(runs) > 1, "every cell is another run"
    assert all(run.study.baseline in {r.projection.name for r in runs} for run in runs), "nothing to compare with"


def test_the_command_line_beats_the_study_and_the_study_beats_the_defaults():
    study = compose(["study=shakespeare"])
    assert (study.model.name, study.task.context, study.position.kind) == ("nanogpt_cpu", 64, "learned")
    run = compose(["study=shakespeare", "model=small", "task.context=32"])
    assert (run.model.name, run.task.context, run.position.kind) == ("small", 32, "learned")


def test_a_swept_key_is_replaced_by_the_command_line():
    seeds = {tuple(o for o in cell if o.startswith("seed=")) for cell in cells(["study=demo", "seed=5"])}
    assert seeds == {("seed=5",)}
    assert len(cells(["study=demo", "seed=0,1,2"])) == len(cells(["study=demo", "seed=5"])) * 3


def test_a_run_survives_being_written_down():
    run = compose(["projection=shared", "projection@sites.cross=gqa", "optim.betas=[0.8,0.9]"])
    assert from_plain(to_plain(run)) == run


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: path.stem)
def test_no_file_says_a_key_twice(path):
    """YAML keeps the last of two equal keys without a word."""

    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader, node):
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
        return loader.construct_mapping(node, deep=True)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    yaml.load(path.read_text(), Loader=Strict)  # noqa: S506
