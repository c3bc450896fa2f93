"""What a sweep asks for: every run once, the same as if it were asked for alone, and every mistake before the first."""

import json

import pytest
from hydra.errors import HydraException

from ablations import record
from ablations.compose import compose, compose_cells
from ablations.sweep import plan as planning
from ablations.sweep.plan import finished, plan
from tests.ablations.make import make_record


@pytest.mark.parametrize(
    "words",
    [
        ["projection=mqa,gqa", "projection.kv_heads=1,2"],
        ["task=reverse", "projection@sites.cross=low_rank", "projection@sites.encoder=shared", "sites.cross.rank=4,8"],
        ["study=headline", "projection=shared", "optim.clip=null,1.0", "task.test=[valid],[test]", "seed=3"],
    ],
    ids=lambda words: words[0],
)
def test_cells_are_what_they_would_be_alone(words):
    """The quick way, which composes once what differs in plain values only, against Hydra's."""
    cells = list(compose_cells(words))
    assert len(cells) == 2 ** sum("," in word for word in words)
    for own, quick in cells:
        assert quick == compose(own)


def test_a_mistake_says_in_which_run_it_is():
    for words, said in (
        (["optim.lr=1e-3,-1"], "lr=-1"),
        (["seed=0,x"], "seed=x"),
        (["projection=shared,shard"], "shard"),
    ):
        with pytest.raises((ValueError, HydraException)) as refusal:
            plan(words)
        assert said in refusal.value.__notes__[0]
    with pytest.raises(ValueError, match="lists no value"):
        plan(["seed=range(0,0)"])


def test_what_is_said_to_hydra_alone_is_no_part_of_a_run():
    words = ["hydra.mode=MULTIRUN", "seed=1,2", "projection=shared"]
    assert [own for own, _ in compose_cells(words)] == [
        ["seed=1", "projection=shared"],
        ["seed=2", "projection=shared"],
    ]


def test_a_run_asked_for_twice_is_one_cell():
    assert len(plan(["seed=1,1,2", "trainer.log_every=10,20"])) == 2


def test_a_study_that_asks_a_question_needs_its_margin():
    words = ["task=toy_translation", "study.name=mine", "study.question='How much?'", "seed=0,1"]
    with pytest.raises(ValueError, match="says no margin: set study.margin_bleu"):
        plan(words)
    with pytest.raises(ValueError, match="margin_perplexity"):
        plan(["study.name=mine", "study.question='How much?'", "study.margin_bleu=0.5"])
    with pytest.raises(ValueError, match="python_docs and says no margin"):
        plan(["task=python_docs,toy_translation", *words[1:], "study.margin_bleu=0.5"])
    assert len(plan([*words, "study.margin_bleu=0.5"])) == len(plan([*words, "study.without_margin='A look.'"])) == 2


def test_two_studies_of_one_name_are_refused(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    for file, name in (("a", "night"), ("b", "night"), ("c", "day")):
        (tmp_path / "study" / f"{file}.yaml").write_text(f"study:\n  name: {name}\n")
    monkeypatch.setattr(planning, "CONF", tmp_path)
    with pytest.raises(ValueError, match="a.yaml and conf/study/b.yaml are both called night"):
        plan(["study.name=night"])
    plan(["study.name=day"])


def test_records_of_another_version_are_refused_before_anything_runs(tmp_path):
    old = make_record(study="night")
    file = record.write(old, tmp_path)
    file.write_text(json.dumps({**old, "schema": record.SCHEMA + 1}))
    with pytest.raises(ValueError, match="schema"):
        plan(["study.name=night", f"paths.results={tmp_path}"])
    plan(["study.name=day", f"paths.results={tmp_path}"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cluster=slurm"], "partition is not set"),
        (["cluster=slurm_debug", "cluster.partition=''"], "partition is not set"),
        (["cluster=slurm", "cluster.partition=p", "cluster.gpus_per_task=2"], "a process takes one GPU or none"),
        (["cluster=slurm", "cluster.partition=p", "cluster.timeout_min=1"], "signal_delay_s=120 leaves nothing"),
        (["cluster=slurm", "cluster.partition=p", "cluster.batch=2000"], "batch=2000 is more"),
        (["cluster=slurm", "cluster.partition=p", "cluster.precision=null"], "set cluster.precision=bf16"),
        (["cluster=joblib", "cluster.parallel=0"], "parallel=0 must be at least 1"),
        (["cluster.kind=slrm"], "did you mean 'slurm'"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_cluster_that_cannot_be_meant_is_refused(words, said):
    with pytest.raises(ValueError, match=said):
        plan(words)


def test_auto_precision_is_settled_for_the_nodes_before_signing():
    at = {p: plan(["cluster=slurm", "cluster.partition=p", f"cluster.precision={p}"]) for p in ("bf16", "fp32")}
    alone = {p: plan([f"trainer.precision={p}"]) for p in ("bf16", "fp32")}
    assert {p: cell.signature for p, [cell] in at.items()} == {p: cell.signature for p, [cell] in alone.items()}


def test_finished_runs_are_found_whichever_study_made_them(tmp_path):
    cells = plan(["seed=0,1,2", "study.name=night", f"paths.results={tmp_path}"])
    for cell, status in zip(cells, ("finished", "failed", "diverged"), strict=True):
        entry = make_record(study="other", status=status)
        entry |= {"config": {**cell.plain, "study": {**cell.plain["study"], "name": "other"}}, "seed": cell.config.seed}
        record.write({**entry, "signature": cell.signature}, tmp_path)
    assert set(finished(cells)) == {cells[0].signature, cells[2].signature}
    assert not finished(plan(["seed=0,1,2", "rerun=true", f"paths.results={tmp_path}"]))
