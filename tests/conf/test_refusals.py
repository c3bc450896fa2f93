"""Every mistake that can be seen before any work is answered in one sentence that says what to do."""

import pytest

from ablations.compose import cells, compose
from ablations.config import check
from ablations.sentences import sentence, unknown_argument
from models.config import ModelConfig, PositionConfig
from models.projections.config import STORAGES, TIES, ProjectionConfig


def answer(*overrides):
    """What the command line would print, without starting it."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the sentence is what is tested
        check(compose(overrides))
    words = sentence(caught.value)
    assert words is not None, "this would print a traceback"
    assert "\n" not in words
    return words


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        # names
        (["projection=shard"], ["unknown projection 'shard'", "did you mean 'shared'", "--help` lists all"]),
        (["projection="], ["unknown projection ''", "known: additive, ", "k_is_v"]),
        (["projection=conf/projection/shared.yaml"], ["unknown projection", "did you mean 'shared'"]),
        (["tracking=wandb_ofline"], ["did you mean 'wandb_offline'", "known: none, "]),
        (["position=rope"], ["unknown position 'rope' (known: alibi, "]),
        (["model=shared"], ["unknown model 'shared': did you mean projection=shared?"]),
        (["task=multi30k"], ["did you mean 'multi30k_en_"]),  # and not trainer=multi30k
        (["projections@sites.cross=shared"], ["unknown group 'projections'", "did you mean 'projection'"]),
        (["projection@sites.cross=shard"], ["unknown projection 'shard'", "did you mean 'shared'"]),
        (["study=demos"], ["unknown study 'demos'", "did you mean 'demo'"]),
        (["projection=[separate,shard]"], ["unknown projection 'shard'"]),
        (["model=5"], ["the name of one of its files"]),
        (["projction=shared"], ["unknown key 'projction'", "did you mean 'projection'"]),
        (["projection@sites.crss=shared"], ["did you mean 'projection@sites.cross'"]),
        (["model.dmodel=3"], ["unknown key 'model.dmodel'", "did you mean 'model.d_model'"]),
        (["modle.d_model=3"], ["did you mean 'model.d_model'"]),
        (["lr=1e-3"], ["did you mean 'optim.lr'"]),
        (["model.kv_heads=2"], ["unknown key 'model.kv_heads'", "did you mean 'projection.kv_heads'"]),
        (["optim.learning_rate=1"], ["unknown key 'optim.learning_rate' (optim has name, lr, betas"]),
        (["trainer.steps.x=5"], ["trainer.steps is a single value"]),
        (["+foo=1"], ["unknown key 'foo'"]),
        (["++model.foo=1"], ["unknown key 'model.foo'"]),
        (["~projction"], ["unknown key 'projction'", "did you mean 'projection'"]),
        (["+model.dropuot=0"], ["unknown key 'model.dropuot'", "did you mean 'dropout'"]),
        (["+task.corpus.file=a"], ["did you mean 'files'"]),
        (["sites.cross=separate"], ["write projection@sites.cross=separate"]),
        (["sites.cross.kv_heads=abc"], ["must be a whole number"]),
        # types
        (["model.d_model=abc"], ["model.d_model=abc must be a whole number"]),
        (["model.d_model=[1]"], ["must be a whole number"]),
        (["trainer.steps=1e3"], ["must be a whole number"]),
        (["model.d_model=null"], ["model.d_model", "not null"]),
        (["optim.lr=fast"], ["optim.lr=fast must be a number"]),
        (["rerun=maybe"], ["rerun=maybe must be true or false"]),
        (["optim.betas=0.9"], ["optim.betas=0.9 must be a list"]),
        (["optim.betas=[1,2,3]"], ["two numbers"]),
        (["task.corpus.files=a.txt"], ["task.corpus.files=a.txt must be a mapping"]),
        (["task.corpus.options={length: 3}"], ["no entry 'length'", "write +task.corpus.options={length: 3}"]),
        # grammar
        (["shared"], ["cannot read 'shared': did you mean 'projection=shared'?"]),
        (["projection"], ["cannot read 'projection'", "key=value without spaces"]),
        (["projection =shared"], ["without spaces around the ="]),
        (["seed:=1"], ["in place of the :"]),
        (["seed==1"], ["one = too many"]),
        (["projection=separate,"], ["a comma too many"]),
        (["paths.corpora=~/data"], ["$HOME"]),
        (["projection=“shared”"], ["plain quotes"]),
        (["—multirun"], ["plain hyphens"]),
        (["projection=shared seed=1"], ["a word of its own"]),
        (["seed=range(0..3)"], ["range(0,3)"]),
        (["seed=rnge(0,3)"], ["the functions are", "range"]),
        (["study.question=a=b"], ["cannot read 'study.question=a=b'", "quote"]),
        (["seed='"], ["cannot read"]),
        (["seed=0,1"], ["seed=0,1 lists several values", "-m"]),
        (["+seed=1"], ["seed has a value already", "without the +"]),
        (["+projection=shared"], ["without the +"]),
        (["++projection=shared"], ["write projection=shared"]),
        (["study=demo,sharing"], ["lists several studies", "one at a time"]),
        # what Hydra would take, and do something else
        (["~seed"], ["~seed: a run needs every setting"]),
        (["~model"], ["~model: a run needs every setting"]),
        (["projection=[separate,shared]"], ["over each other", "write -m projection=separate,shared"]),
        (["seed=${nope}"], ["seed: no setting is called 'nope'"]),
        (["task.corpus.files=???"], ["task.corpus.files is not set"]),
        # sizes
        (["model.d_model=100", "model.heads=8"], ["d_model=100 is not divisible by heads=8", "d_model=96", "head_dim"]),
        (["projection=shared", "projection.kv_heads=2"], ["4 query heads and 2 key/value heads", "tie=q-kv"]),
        (["projection=gqa", "projection.kv_heads=3"], ["kv_heads=3", "divisor of 4"]),
        (["projection=identity", "model.head_dim=16"], ["d_model=128", "4 heads of width 16"]),
        (["position=rotary", "model.head_dim=7"], ["head_dim=7 is odd"]),
        (["position=learned", "position.max_length=5"], ["shorter than task.context"]),
        (["trainer.batch_tokens=3"], ["trainer.batch_tokens=3", "task.context"]),
        (["evaluation.stride=100000"], ["evaluation.stride=100000", "task.context"]),
        # ranges
        (["optim.lr=-1"], ["optim: lr=-1.0 must be above 0"]),
        (["optim.lr=0"], ["must be above 0"]),
        (["optim.lr=nan"], ["finite number"]),
        (["optim.lr=inf"], ["finite number"]),
        (["optim.betas=[0.9,1]"], ["betas[1]=1.0 must be at least 0 and below 1"]),
        (["optim.clip=0"], ["clip=0.0", "above 0"]),
        (["optim.weight_decay=-0.1"], ["weight_decay"]),
        (["optim.warmup=-1"], ["warmup"]),
        (["optim.final_lr=2"], ["final_lr", "at most 1"]),
        (["optim.label_smoothing=1"], ["label_smoothing", "below 1"]),
        (["model.dropout=1"], ["dropout=1.0", "below 1"]),
        (["model.attention_dropout=nan"], ["attention_dropout"]),
        (["model.decoder_layers=0"], ["decoder_layers=0", "at least 1"]),
        (["model.head_dim=0"], ["head_dim=0"]),
        (["trainer.steps=0"], ["steps=0 must be at least 1"]),
        (["trainer.threads=0"], ["threads=0"]),
        (["evaluation.beam=0"], ["beam=0"]),
        (["evaluation.length_penalty=nan"], ["length_penalty"]),
        (["task.context=0"], ["context=0"]),
        (["seed=-1"], ["seed=-1"]),
        (["study.margin_bleu=-0.5"], ["margin_bleu"]),
        # words
        (["model.norm=prenorm"], ["norm='prenorm' is unknown", "did you mean 'pre'"]),
        (["model.activation=gelo"], ["did you mean 'gelu'"]),
        (["model.init=xavir"], ["did you mean 'xavier'"]),
        (["position.kind=rotery"], ["did you mean 'rotary'"]),
        (["optim.schedule=cosin"], ["did you mean 'cosine'"]),
        (["trainer.precision=bf15"], ["did you mean 'bf16'"]),
        (["trainer.select=lst"], ["did you mean 'last'"]),
        (["trainer.device=cudda"], ["did you mean 'cuda'"]),
        (["tracking.name=wandbb"], ["did you mean 'wandb'"]),
        (["task.kind=translate"], ["did you mean 'translation'"]),
        (["task.tokenizer.kind=character"], ["did you mean 'characters'"]),
        (["task.tokenizer.model=bp"], ["did you mean 'bpe'"]),
        (["projection.tie=q-vk"], ["tie='q-vk' is unknown"]),
        (["projection.map=densa"], ["did you mean 'dense'"]),
        (["projection.storage=fussed"], ["did you mean 'fused'"]),
        # names that become folders
        (["study.name=a/b"], ["study", "'a/b'"]),
        (["study.name=.."], ["study", "'..'"]),
        (["projection.name=my strategy"], ["projection", "'my strategy'"]),
        (["task.name=''"], ["task", "''"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and "=" in value[0] else "",
)
def test_a_mistake_is_answered_in_one_sentence(overrides, parts):
    words = answer(*overrides)
    for part in parts:
        assert part in words


def test_an_entry_of_a_mapping_can_be_taken_out():
    """These are not settings with a default of their own, unlike everything else that ~ would take away."""
    assert set(compose(["task=text", "~task.corpus.fractions.test"]).task.corpus.fractions) == {"train", "valid"}


def test_a_sweep_over_studies_is_refused():
    """Each would be one run with the study's name and none of its choices."""
    with pytest.raises(ValueError, match="one at a time"):
        cells(["study=demo,sharing"])


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--seed=1", "settings take no dashes: write seed=1"),
        ("--projection", "settings take no dashes: write projection=..."),
        ("--multirn", "unknown flag '--multirn': did you mean '--multirun'?"),
        ("--nothing", "unknown flag '--nothing'"),
    ],
)
def test_dashes_are_for_flags(argument, words):
    assert unknown_argument(argument, ["--help", "--multirun"]) == words


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (dict(tie="qk-v", kv_heads=2), "set kv_heads=8 or tie=q-k-v"),
        (dict(tie="qv-k", kv_heads=2), "set kv_heads=8 or tie=q-k-v"),
        (dict(tie="qkv", kv_heads=2), "set kv_heads=8 or tie=q-kv"),
        (dict(kv_heads=0), "divisor of 8"),
        (dict(kv_heads=16), "divisor of 8"),
        (dict(identity="x"), "roles out of q, k, v"),
        (dict(identity="vk"), "in this order"),
        (dict(identity="kv"), "set tie=q-kv"),  # two unchanged inputs are one memory, not two
        (dict(tie="qkv", identity="q"), "set tie=q-k-v"),
        (dict(identity="k", kv_heads=2), "set kv_heads=8"),
        (dict(map="low_rank", storage="per_role"), "needs a rank"),
        (dict(map="low_rank", storage="per_role", rank=0), "between 1 and 64"),
        (dict(map="low_rank", storage="per_role", rank=65), "between 1 and 64"),
        (dict(rank=4), "set map=low_rank or rank=null"),
        (dict(map="low_rank", rank=4, storage="fused"), "set storage=per_role"),
        (dict(map="block_diagonal", storage="per_head"), "set storage=per_role"),
        (dict(map="low_rank", rank=4, storage="per_role", tie="qkv", identity="qkv"), "set map=dense"),
        (dict(role_scale=True), "choose another tie"),
        (dict(role_rank=2), "choose another tie"),
        (dict(tie="qkv", role_rank=0), "between 1 and 64"),
        (dict(tie="qkv", role_rank=65), "between 1 and 64"),
    ],
    ids=str,
)
def test_a_strategy_that_means_nothing_is_refused(fields, reason):
    with pytest.raises(ValueError, match=reason):
        ProjectionConfig(**fields).check(d_model=64, heads=8, head_dim=8)


@pytest.mark.parametrize(
    "fields",
    [
        dict(kv_heads=8, tie="qkv"),  # as many as query heads is no grouping
        dict(identity="q", kv_heads=2),
        dict(identity="q", tie="q-kv"),
        dict(tie="q-kv", kv_heads=2, role_scale=True),
        dict(tie="qkv", identity="qkv", role_rank=4),  # x + x A B
        *(dict(tie=tie, storage=storage) for tie in TIES for storage in STORAGES),
    ],
    ids=str,
)
def test_a_strategy_that_means_something_is_not_refused(fields):
    ProjectionConfig(**fields).check(d_model=64, heads=8, head_dim=8)


def test_block_diagonal_needs_equal_slices_whatever_the_width_of_heads():
    config = ProjectionConfig(map="block_diagonal", storage="per_role")
    config.check(d_model=64, heads=8, head_dim=5)
    with pytest.raises(ValueError, match="multiple of heads"):
        config.check(d_model=60, heads=8, head_dim=5)


def test_a_width_of_heads_frees_the_width_of_the_model():
    ModelConfig(d_model=100, heads=8, head_dim=16).check()
    PositionConfig(kind="rotary").check(head_dim=16)
    PositionConfig(kind="sinusoidal").check(head_dim=7)
