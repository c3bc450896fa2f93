"""Every mistake in a claim file is told in one sentence with the file's name; prose does not change a rule."""

from datetime import date

import pytest

from ablations.claims import schema
from tests.ablations.claims.cases import EXACT, MEASURED, conf, load, trained

TERM = {"weight": 1, "where": {"strategy": "shared"}}


@pytest.mark.parametrize("file", schema.files(), ids=lambda file: file.stem)
def test_every_claim_file_loads(file):
    claim = schema.load(file)
    assert claim.rule == schema.known_rules()[claim.id]


def test_all_claims_of_the_notes_and_the_literature_have_a_file():
    wanted = {f"C{n:02}" for n in range(1, 29)} | {f"L{n:02}" for n in range(1, 9)}
    assert wanted <= set(schema.known_rules())


def test_a_term_may_have_a_metric_of_its_own(tmp_path):
    angle = "analysis:projections.random_angle.qk"
    own = load(tmp_path, trained(terms=[TERM, {**TERM, "weight": -1, "metric": angle}])).parts[0]
    assert own.metrics == [own.metric, angle]
    with pytest.raises(ValueError, match="metric='bleue' is unknown"):
        load(tmp_path, trained(terms=[{**TERM, "metric": "bleue"}]))


def test_a_command_asks_for_a_folder_where_the_task_reads_files():
    commands = {part.command for file in schema.files() for part in schema.load(file).parts if hasattr(part, "study")}
    assert "python train.py study=sites" in commands
    assert "python train.py study=characters paths.corpora=FOLDER" in commands


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (trained(metric="bleue"), "metric='bleue' is unknown: did you mean 'bleu'"),
        (trained(metric="analysis:scores"), "not of the form"),
        (trained(metric="analysis:score.own_position"), "did you mean 'scores'"),
        (trained(study="domo"), "study='domo' has no file in conf/study: did you mean 'demo'"),
        (trained(region={}), "region="),
        (trained(region={"over": 1}), "region="),
        (trained(region={"above": "much"}), "above='much' must be a number"),
        (trained(region={"above": float("nan")}), "must be a number"),
        (trained(region={"above": 1, "below": 1}), "nothing lies above"),
        (trained(margin=0.5), "margin=0.5 must be a size and its unit"),
        (trained(margin={"value": -1, "unit": "BLEU"}), "cannot be negative"),
        (trained(terms=[]), "at least one term"),
        (trained(terms=[{**TERM, "weight": 2}]), "weight=2 must be 1 or -1"),
        (trained(terms=[{**TERM, "label": "x"}]), "unknown key 'label' of a term"),
        (trained(terms=[{"weight": 1, "where": {}}]), "which runs are meant"),
        (trained(terms=[{"weight": 1, "where": {"strateggy": "shared"}}]), "which no run has: did you mean 'strategy'"),
        (trained(terms=[{"weight": 1, "where": {"position.kinds": "none"}}]), "'position.kinds', which no run has"),
        (trained(spilt="test"), "unknown key 'spilt'.*did you mean 'split'"),
        ({k: v for k, v in trained().items() if k != "margin"}, "lacks margin"),
        ({"kind": "exact", "check": "symetry"}, "did you mean 'symmetry'"),
        ({"kind": "exactly"}, "kind='exactly' is unknown: did you mean 'exact'"),
        ({**MEASURED, "study": "demo"}, "unknown key 'study'"),
    ],
)
def test_a_mistake_in_a_part_is_refused_with_the_files_name(tmp_path, part, words):
    with pytest.raises(ValueError, match=words) as refusal:
        load(tmp_path, part)
    assert str(refusal.value).startswith("conf/claim/C90.yaml: ") and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parts": None}, "has no list of parts"),
        ({"parts": ["exact"]}, "has no list of parts"),
        ({"id": "C91"}, "write id: C90"),
        ({"statement": ""}, "statement is ''"),
        ({"verdict": "supported"}, "unknown key 'verdict'"),
    ],
)
def test_a_mistake_in_a_claim_is_refused_with_the_files_name(tmp_path, changes, words):
    made = conf(tmp_path, name="C90", **({"parts": []} | changes))
    with pytest.raises(ValueError, match=words) as refusal:
        schema.load(made / "claim" / "C90.yaml", made)
    assert str(refusal.value).startswith("conf/claim/C90.yaml: ")


def test_a_file_that_is_not_yaml_is_refused(tmp_path):
    made = conf(tmp_path)
    (made / "claim" / "C90.yaml").write_text("id: [")
    for read in (lambda: schema.load(made / "claim" / "C90.yaml", made), lambda: schema.known_rules(made)):
        with pytest.raises(ValueError, match="conf/claim/C90.yaml: line 1: cannot be read as YAML in UTF-8"):
            read()


def test_what_is_not_text_is_told_to_be_put_in_quotes(tmp_path):
    made = conf(tmp_path, trained())
    file = made / "claim" / "C90.yaml"
    file.write_bytes("id: é".encode("latin-1"))
    with pytest.raises(ValueError, match="C90.yaml: cannot be read as YAML in UTF-8"):
        schema.known_rules(made)
    for part in (trained(metric=3), trained(split=["test"]), trained(study=7)):
        with pytest.raises(ValueError, match="must be text: put it in quotes"):
            load(tmp_path, part)
    with pytest.raises(ValueError, match="holds a date or the like .*put it in quotes"):
        load(tmp_path, trained(terms=[{"weight": 1, "where": {"strategy": date(2026, 1, 1)}}]))
    with pytest.raises(ValueError, match="picture=3 must be text"):
        load(tmp_path, trained(), picture=3)
    for weight in (True, 1.0):
        with pytest.raises(ValueError, match="must be 1 or -1"):
            load(tmp_path, trained(terms=[{**TERM, "weight": weight}]))


def test_a_margin_may_be_meant_by_name(tmp_path):
    claim = load(tmp_path, trained(region={"above": "-margin", "below": "margin"}))
    assert (claim.parts[0].region.above, claim.parts[0].region.below) == (-0.5, 0.5)


def test_prose_does_not_change_a_rule_and_all_else_does(tmp_path):
    rule = schema.rule_hash([trained()])
    assert len(rule) == 8 and set(rule) <= set("0123456789abcdef")
    assert schema.rule_hash([{**trained(), "says": "In other words:"}]) == rule
    assert schema.rule_hash([dict(reversed(trained().items()))]) == rule, "nor does the order of keys"
    assert load(tmp_path, trained(), statement="Otherwise said.").rule == rule
    others = [
        [trained(metric="nll")],
        [trained(split="test")],
        [trained(region={"above": 0.4})],
        [trained(margin={"value": 0.4, "unit": "perplexity"})],
        [trained(terms=[TERM])],
        [trained(), EXACT],
        [],
    ]
    assert len({rule, *map(schema.rule_hash, others)}) == len(others) + 1
