"""`match`: sizes at which a run costs what the baseline costs, against the budget's arithmetic and by hand."""

import copy
from dataclasses import fields, replace

import pytest

from ablations import record
from ablations.compose import compose, from_plain, to_plain
from ablations.config import RunConfig, SiteChoice, check
from ablations.match import resolve
from ablations.sweep.plan import plan
from models.budget import Budget, budget
from models.projections.config import ProjectionConfig
from tests.models.make import PRESETS, STRATEGIES, full_size

TASKS = {"language_modeling": "python_docs", "translation": "toy_translation", "classification": "toy_sentiment"}
VOCABULARY, CLASSES = 1000, 3


@pytest.fixture(scope="module")
def runs() -> dict[tuple[str, str], RunConfig]:
    """Of each kind, with every other preset."""
    kinds = {kind: compose([f"task={task}"]) for kind, task in TASKS.items()}
    models = {preset: compose([f"model={preset}"]).model for preset in PRESETS[::2]}
    return {(kind, name): replace(run, model=model) for kind, run in kinds.items() for name, model in models.items()}


def asked(run: RunConfig, match: str, *strategies: ProjectionConfig) -> RunConfig:
    """A copy with this strategy at every site, or with one for each of encoder, decoder and cross."""
    sites = SiteChoice(*(strategies if len(strategies) == 3 else strategies * 3))
    return copy.deepcopy(replace(run, match=match, projection=strategies[0], sites=sites))


def costs(run: RunConfig) -> Budget:
    kind, context = run.task.kind, run.task.context
    classes = CLASSES if kind == "classification" else 0
    return budget(run.model, run.sites, run.position, kind, VOCABULARY, context, context, classes)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize(("match", "field"), [("params", "parameters"), ("flops", "flops_per_token")])
def test_every_strategy_comes_as_near_as_a_whole_number_can(runs, kind: str, match: str, field: str):
    """Within half a percent, with the vocabulary or without; one unit more or less of d_ff would be no nearer."""
    for preset in PRESETS[::2]:
        run = runs[kind, preset]
        target = getattr(costs(asked(run, "none", full_size("separate"))), field)
        for name in STRATEGIES:
            own = asked(run, match, full_size(name))
            said = resolve(own, full_size("separate"))
            found = getattr(costs(own), field)
            assert abs(found / target - 1) < 0.005, (preset, name)
            for other in (own.model.d_ff - 1, own.model.d_ff + 1):
                near = getattr(costs(replace(own, model=replace(own.model, d_ff=other))), field)
                assert abs(near - target) >= abs(found - target), (preset, name)
            assert replace(own.model, d_ff=run.model.d_ff) == run.model and own.sites.decoder == full_size(name)
            assert bool(said) == (own.model.d_ff != run.model.d_ff)
            check(replace(own, trainer=replace(own.trainer, batch_tokens=10**6, eval_batch_tokens=10**6)))


@pytest.mark.parametrize("kind", ["language_modeling", "translation"])
def test_caches_are_equal_to_the_number_or_refused(runs, kind: str):
    refused = set()
    for preset in PRESETS[::2]:
        run = runs[kind, preset]
        target = costs(asked(run, "none", full_size("separate")))
        for name in STRATEGIES:
            own = asked(run, "cache", full_size(name))
            try:
                resolve(own, full_size("separate"))
            except ValueError as error:
                refused.add(name)
                assert "would be possible" in str(error) and "\n" not in str(error)
                assert own == asked(run, "cache", full_size(name)), "a refused run is as it was"
                continue
            found = costs(own)
            assert found.cache_numbers_per_token == target.cache_numbers_per_token > 0
            assert found.cache_numbers_per_source_token == target.cache_numbers_per_source_token
            assert replace(own.model, head_dim=run.model.head_dim) == run.model
    # They take keys and values as the model's input is, whose width is what it is.
    assert refused == {"identity", "additive", "luong_dot", "luong_general", "luong_concat"}


def test_the_baseline_is_itself_under_every_control(runs):
    for (kind, _), run in runs.items():
        for match in ("none", "params", "flops", *(["cache"] if kind != "classification" else [])):
            for name in ("separate", "k_is_v_gqa", "shared_scaled"):
                own = asked(run, match, full_size(name))
                assert resolve(own, full_size(name)) == "" and own == asked(run, match, full_size(name))


# C = 128, four heads of 32, d_ff = 512, no biases: a layer's maps are 3 C^2 and its feed-forward layers 2 C d_ff.
NANO = ("model=nanogpt_cpu", "trainer.precision=fp32")


@pytest.mark.parametrize(
    ("overrides", "d_ff", "said"),
    [
        (["projection=shared", "match=params"], 512 + 128, "787,584 parameters beside the vocabulary as separate"),
        (["projection=k_is_v", "match=params"], 512 + 64, "787,584 parameters beside the vocabulary as separate"),
        (["projection=shared", "match=flops"], 512 + 128, "2,097,152 FLOPs a token as separate"),
        (["projection=separate", "match=params", "study.baseline=shared"], 512 - 128, "656,512 parameters"),
        # Three sites lose 2 C^2 each in a decoder's and an encoder's layer: 3 / 2 of it for either feed-forward layer.
        (["task=toy_translation", "projection=shared", "match=params"], 512 + 192, "as separate"),
        (["task=toy_translation", "projection@sites.cross=shared", "match=params"], 512 + 64, "cross=shared, match="),
        # In cross-attention the one matrix is used for both sides: 2 C^2 are saved twice and C^2 once.
        (["task=toy_translation", "projection=shared", "match=flops"], 512 + 160, "FLOPs a token as separate"),
        (["task=toy_sentiment", "projection=shared", "match=params"], 512 + 128, "as separate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_widths_by_hand(overrides: list[str], d_ff: int, said: str):
    told: list[str] = []
    run = compose([*NANO, *overrides], told.append)
    assert run.model.d_ff == d_ff
    assert len(told) == 1 and f"d_ff 512 -> {d_ff}, " in told[0] and said in told[0]


@pytest.mark.parametrize(
    ("overrides", "head_dim", "kv_heads", "said"),
    [
        (["projection=k_is_v"], 64, None, "k_is_v, match=cache: head_dim 32 -> 64, 1,024 numbers a token remembered"),
        (["projection=gqa"], None, 4, "kv_heads 2 -> 4, 1,024 numbers a token remembered as by separate"),
        (["projection=separate", "study.baseline=k_is_v"], None, 2, "kv_heads as queries -> 2, 512 numbers a token"),
        (["task=toy_translation", "projection=mqa"], None, 4, "1,024 numbers a token and 1,024 a source token"),
        # One width of heads for all sites: cross-attention, whose cache was right, halves its heads.
        (
            ["task=toy_translation", "projection@sites.decoder=k_is_v"],
            64,
            None,
            "head_dim 32 -> 64, kv_heads as queries -> 2 at sites.cross, 1,024 numbers a token and 1,024 a source",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_caches_by_hand(overrides: list[str], head_dim: int | None, kv_heads: int | None, said: str):
    told: list[str] = []
    run = compose([*NANO, *overrides, "match=cache"], told.append)
    assert (run.model.head_dim, run.sites.decoder.kv_heads, run.model.d_ff) == (head_dim, kv_heads, 512)
    assert len(told) == 1 and said in told[0]


@pytest.mark.parametrize("match", ["params", "flops", "cache"])
def test_a_run_read_back_is_not_matched_again(match: str):
    """A record and a frozen cell hold sizes that `match` came to."""
    run = compose([*NANO, "projection=shared", f"match={match}"])
    again = from_plain(to_plain(run))
    assert again == run and to_plain(again) == to_plain(run)
    assert vars(again).keys() == vars(run).keys() == {f.name for f in fields(RunConfig)}, "a run is its fields alone"
    assert run.match == match and (run.model.d_ff, run.model.head_dim) != (512, None)


def test_a_control_is_a_label_and_its_sizes_are_the_run():
    def signature(*overrides: str) -> str:
        return record.signature(to_plain(compose([*NANO, *overrides])))

    plain = signature("projection=shared", "model.d_ff=640")
    assert plain == signature("projection=shared", "match=params") == signature("projection=shared", "match=flops")
    assert plain != signature("projection=shared")
    assert len({signature(f"match={match}") for match in ("none", "params", "flops", "cache")}) == 1
    older = to_plain(compose([*NANO]))
    del older["match"]
    assert record.signature(older) == signature() and from_plain(older).match == "none"


def test_what_is_the_same_under_two_controls_is_planned_once(capsys):
    cells = plan([*NANO, "projection=separate,shared", "match=none,params,flops,cache", "seed=0,1"])
    sizes = [(cell.config.projection.name, cell.config.seed, cell.config.model.d_ff) for cell in cells]
    heads = [cell.config.model.head_dim for cell in cells]
    assert sizes == [
        *[("separate", 0, 512), ("separate", 1, 512), ("shared", 0, 512), ("shared", 1, 512)],
        *[("shared", 0, 640), ("shared", 1, 640), ("shared", 0, 512), ("shared", 1, 512)],
    ]
    assert heads == [None] * 6 + [64] * 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["match=parms"], "match='parms' is unknown: did you mean 'params'?"),
        (["match=cache", "task=toy_sentiment"], "a classifier remembers nothing while it reads: leave cache out"),
        (["match=cache", "projection=identity"], "remembers 128 numbers of a token in each layer and separate 256"),
        (["match=params", "projection=additive", "projection.tie=q-k-v", "projection.identity=''", "model.d_ff=1"],
         "with model.d_ff=1 already, and separate has"),
        (["match=params", "projection=shared", "model.d_model=4", "model.heads=1", "model.d_ff=4",
          "model.decoder_layers=1"], "away: set a larger model.d_ff, or more layers"),
        (["match=params", "study.baseline=shard"], "did you mean 'shared'"),
        (["match=params", "projection=shared", "model.heads=3"], "d_model=128 is not divisible by heads=3"),
        (["match=params", "projection=shared", "model.heads=5", "model.d_model=40", "study.baseline=gqa"],
         "match=params wants study.baseline=gqa, and projection: kv_heads=2 cannot serve 5 query heads"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_matched_is_refused_in_one_sentence(overrides: list[str], words: str):
    from ablations.sentences import sentence

    with pytest.raises(Exception) as refused:
        compose(overrides)
    told = sentence(refused.value)
    assert told is not None and words in told and "\n" not in told
