"""A study that is not whole says so."""

import pytest

from ablations.tables import rows
from ablations.tables.planned import missing
from tests.ablations.make import SITE, make_record

PLAN = "hydra:\n  sweeper:\n    params:\n"


@pytest.fixture
def conf(tmp_path):
    (tmp_path / "study").mkdir()

    def plan(**words):
        lines = "".join(f"      {name.replace('__', '.')}: {choices}\n" for name, choices in words.items())
        (tmp_path / "study" / "demo.yaml").write_text(PLAN + lines)
        return tmp_path

    return plan


def told(runs, conf):
    return missing("demo", runs, rows(runs), conf)


def test_a_whole_study_says_nothing(conf):
    folder = conf(projection="separate,shared", optim__lr="1e-3,2e-3", seed="0,1")
    runs = [
        make_record(n, seed=s, optim__lr=lr) for n in ("separate", "shared") for s in (0, 1) for lr in (0.001, 0.002)
    ]
    assert told(runs, folder) is None
    sentence = told(runs[:-1], folder)
    assert sentence == ("Partial: 1 of 8 planned runs has no record: projection=shared, optim.lr=2e-3 seed 1.")


def test_sites_are_told_apart(conf):
    folder = conf(**{"projection": "separate,k_is_v", "projection@sites.cross": "separate,k_is_v", "seed": "0"})
    cross = {"sites__cross": {**SITE, "name": "k_is_v", "tie": "q-kv"}}
    runs = [
        make_record("separate", "flickr"),
        make_record("separate", "flickr", **cross),
        make_record("k_is_v", "flickr"),
    ]
    assert told(runs, folder).endswith(
        "1 of 4 planned runs has no record: projection=k_is_v, projection@sites.cross=separate seed 0."
    )


def test_a_diverged_run_is_on_record(conf):
    runs = [make_record("separate", seed=0), make_record("separate", seed=1, status="diverged")]
    assert told(runs, conf(projection="separate", seed="0,1")) is None


def test_sizes_that_a_config_leaves_out_are_worked_out(conf):
    assert told([make_record("separate")], conf(model__head_dim="8", seed="0")) is None, "32 wide with 4 heads"


def test_positions_by_kind_and_none(conf):
    folder = conf(position="none,rotary", seed="0")
    assert told([make_record("separate", position__kind=kind) for kind in ("none", "rotary")], folder) is None
    assert "position=rotary" in told([make_record("separate", position__kind="none")], folder)


@pytest.mark.parametrize(
    "words", [{"seed": "range(5)"}, {"data__what": "choice(1,2)", "seed": "0"}, {"unknown": "a", "seed": "0"}, {}]
)
def test_what_a_file_does_not_say_plainly_the_records_say(conf, words):
    runs = [make_record("separate", seed=seed) for seed in (0, 1)] + [make_record("shared", seed=0)]
    assert told(runs, conf(**words)) == "Partial: settings lack seeds that others have: shared on docs seed 1."


def test_without_a_file_too(tmp_path):
    runs = [make_record("separate"), make_record("shared")]
    assert told(runs, tmp_path) is None


def test_controls_are_no_runs_of_their_own(conf):
    folder = conf(projection="separate,shared", match="none,params", seed="0")
    assert told([make_record(name) for name in ("separate", "shared")], folder) is None
    assert "1 of 2 planned runs, controls not counted, has no record" in told([make_record("separate")], folder)


def test_many_are_counted(conf):
    folder = conf(projection=",".join(f"p{i}" for i in range(20)), seed="0")
    assert told([make_record("separate")], folder).endswith("and 15 more settings.")
