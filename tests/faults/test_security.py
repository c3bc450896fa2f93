"""Nothing that is read is run, nothing that is named leads out of its folder, and nothing secret is kept or shown."""

import ast
import csv
import functools
import hashlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from ablations import checkpoint, provenance, run, writers
from ablations import record as records
from ablations.compose import CONF, compose, refuse_flags
from ablations.config import check
from ablations.errors import tell
from ablations.harmless import refuse_code
from ablations.report import build
from ablations.rescore import rescore
from ablations.secrets import hidden, secrets
from data.prepare import prepare
from data.prepared import Prepared, checksum, sha256
from tests.ablations.cells import config, do
from tests.ablations.make import make_record

ROOT = CONF.parent
KEY = "0123456789abcdef-of-wandb"


class Bomb:
    """What a pickle may do: call anything with anything."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture
def marker(tmp_path) -> Path:
    """A file that is there as soon as anything was run."""
    return tmp_path / "marker"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, dict]:
    """A finished run: its folder, and its record."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, do(folder / "cache", folder / "r", "trainer.steps=2")


def bombs(marker: Path, signature: str) -> dict[str, bytes]:
    """As torch writes them today, as it did once, a bare pickle, and a good one with a last line that fits it."""
    state = {"format": checkpoint.FORMAT, "signature": signature, "model": Bomb(marker), "state": Bomb(marker)}
    found = {}
    for name, old in (("zip", False), ("legacy", True)):
        torch.save(state, content := io.BytesIO(), _use_new_zipfile_serialization=not old)
        found[name] = content.getvalue()
    found["pickle"] = pickle.dumps(state)
    with zipfile.ZipFile(content := io.BytesIO(), "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(state))
        archive.writestr("archive/version", "3")
    found["hand-made zip"] = content.getvalue()
    return found | {f"{name}, signed": sealed(bomb) for name, bomb in found.items()}


def sealed(content: bytes) -> bytes:
    """With the checksum of our own weights as its last line, so that it is no accident that is refused."""
    return content + checkpoint._last_line(hashlib.sha256(content).hexdigest())


@pytest.mark.fault("weights: a pickle that runs something")
def test_a_pickle_bomb_is_refused_unlit(trained, marker):
    folder, entry = trained
    place = folder / "r" / "work" / entry["signature"]
    whole = (place / "model.pt").read_bytes()
    lit = marker.with_name("lit")
    pickle.loads(pickle.dumps(Bomb(lit)))
    assert lit.exists(), "it works"
    record, words = records.path(folder / "r", entry), ["trainer.steps=2"]
    content = record.read_bytes()
    for name, bomb in bombs(marker, entry["signature"]).items():
        (place / "model.pt").write_bytes(bomb)
        with pytest.raises(ValueError, match=r"model\.pt"):
            checkpoint.load(place / "model.pt", entry["signature"])
        with pytest.raises(ValueError, match=r"model\.pt"):
            rescore(record, None, {}, None, "cpu")
        (place / "model.pt").write_bytes(whole)
        record.unlink()
        for other in ("best-1.pt", "checkpoint-1.pt"):
            (place / other).write_bytes(bomb)
        with pytest.raises(ValueError, match=r"checkpoint"):
            run.run(config(folder / "cache", folder / "r", *words), words)
        for other in place.glob("*checkpoint-1.pt*"):
            other.unlink()
        (place / "best-1.pt").unlink(missing_ok=True)
        for failed in record.parent.glob("*.json"):
            failed.unlink()
        record.write_bytes(content)
        assert not marker.exists(), name


@pytest.mark.fault("prepared text: a pickle in an array, with a checksum that fits")
def test_an_array_of_objects_is_refused_unlit(tmp_path, marker):
    asked = config(tmp_path / "cache", tmp_path / "r")
    folder = prepare(asked.task, None, str(asked.paths.cache)).folder
    array = np.empty(1, dtype=object)
    array[0] = Bomb(marker)
    file = folder / "train.source.npy"
    assert file.exists()
    np.save(file, array, allow_pickle=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["checksum"]
    manifest["files"][file.name] |= {"bytes": file.stat().st_size, "sha256": sha256(file)}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"checksum": checksum(manifest)}))
    prepared = Prepared.open(folder, asked.task)
    with pytest.raises(ValueError, match=r"train\.source\.npy is no array"):
        prepared.array("train", "source")
    assert not marker.exists()


TOUCH = "_target_: pathlib.Path.touch, self: {marker}"
RUNS = {  # words, and what the sentence names
    "a callback": (["+hydra.callbacks.x={" + TOUCH + "}"], "hydra.callbacks.x._target_"),
    "a callback, shown": (["--cfg", "job", "+hydra.callbacks.x={" + TOUCH + "}"], "hydra.callbacks.x._target_"),
    "a study": (["--config-dir", "{folder}", "study=evil"], "hydra.callbacks.x._target_"),
    "another config": (["--config-path", "{folder}", "--config-name", "evil"], "hydra.callbacks.x._target_"),
    "a package to search": (["--config-path", "{folder}", "--config-name", "far"], "pkg://evil_package"),
    "a factory of logging": (["--config-dir", "{folder}", "hydra/job_logging=evil"], "hydra.job_logging.handlers.x.()"),
    "a pickle": (["--experimental-rerun", "{folder}/bomb.pickle"], "--experimental-rerun"),
    "a pickle, in short": (["--exp={folder}/bomb.pickle"], "--experimental-rerun"),
}


@pytest.fixture(scope="module")
def evil(tmp_path_factory) -> tuple[Path, Path]:
    """A folder of configs that run something, and the file that shows it."""
    folder = tmp_path_factory.mktemp("evil")
    marker = folder / "marker"
    callback = f"hydra:\n  callbacks:\n    x: {{_target_: pathlib.Path.touch, self: {marker}}}\n"
    logging = (
        f"version: 1\nroot: {{handlers: [x]}}\nhandlers:\n  x: {{(): shutil.copy, src: /etc/hostname, dst: {marker}}}\n"
    )
    package = "evil_package"
    for name, text in {
        "study/evil.yaml": f"# @package _global_\n{callback}",
        "evil.yaml": f"defaults: [schema, _self_]\n{callback}",
        "far.yaml": f"defaults: [schema, _self_]\nhydra:\n  searchpath: [pkg://{package}]\n",
        "hydra/job_logging/evil.yaml": logging,
        f"{package}/__init__.py": f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "bomb.pickle").write_bytes(pickle.dumps(Bomb(marker)))
    return folder, marker


@pytest.mark.fault("config: something that Hydra would call")
@pytest.mark.parametrize("name", RUNS)
def test_nothing_of_a_config_is_run(evil, name, trials):
    """As it is typed; these are the ways in, and what may go through them is in the next test.

    A seed that is refused, but later, spares a training where the way is open.
    """
    folder, marker = evil
    words, said = RUNS[name]
    words = [word.replace("{folder}", str(folder)).replace("{marker}", str(marker)) for word in [*words, "seed=-1"]]
    for _ in trials(full=1, quick=1):
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(
            [sys.executable, "train.py", *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
        )
        assert not marker.exists()
        assert done.returncode == 1 and done.stdout == ""
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ") and said in line


@pytest.mark.fault("config: something that Hydra would call")
@pytest.mark.parametrize(
    "word",
    [
        "hydra.sweeper._target_=pathlib.Path.touch",
        "hydra.launcher._target_=os.system",
        "hydra.launcher._target_=hydra_plugins",
        "+hydra.launcher.x={_target_: torch.load}",
        "+task._target_=pathlib.Path.touch",
        "+task.corpus.options.x={_target_: pathlib.Path.touch}",
        "+task.corpus.options.x=[1,{_target_: pathlib.Path.touch}]",
        "+cluster.extra._target_=pathlib.Path.touch",
        "hydra.sweeper._target_=${task.name}",
        '+hydra.callbacks.x="${oc.decode:${task.name}}"',
        '+hydra.callbacks.x="${oc.create:${task}}"',
        '+hydra.callbacks.x="${oc.${task.name}:x}"',
        "+hydra.job_logging.handlers.x.class=logging.os.system",
        "+hydra.job_logging.handlers.x.class=logging.handlers.QueueHandler",
        "+hydra.hydra_logging.formatters.x.class=pathlib.Path",
        "+hydra.hydra_logging.handlers.x={class: logging.StreamHandler, stream: 'ext://os.system'}",
        "+hydra.hydra_logging.handlers.x={class: logging.FileHandler, filename: 'cfg://x'}",
        "+hydra.job.env_set.LD_PRELOAD=/tmp/x.so",
        "hydra.job.env_copy=[PATH]",
        "hydra.searchpath=[pkg://evil_package]",
    ],
)
def test_what_would_be_called_is_refused_wherever_it_stands(word):
    with pytest.raises(ValueError, match="leave it out|give a folder") as refusal:
        compose([word])
    assert "\n" not in str(refusal.value) and "evil_package" not in sys.modules


def test_what_hydra_itself_calls_is_let_through():
    for words in (
        [],
        ["study=demo"],
        ["hydra/job_logging=default"],
        ["hydra/job_logging=stdout", "hydra.verbose=true"],
    ):
        assert compose(words)
    refuse_flags(["--multirun", "--config-dir", "x", "seed=0,1"])
    refuse_code({"hydra": {"sweeper": {"_target_": "hydra_plugins.hydra_optuna_sweeper.OptunaSweeper"}}})


CALLED = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "hydra.utils.instantiate", "instantiate"}
CALLED |= {"pickle.load", "pickle.loads", "marshal.load", "marshal.loads", "yaml.unsafe_load", "yaml.full_load"}
ROOMS = ("models", "data", "ablations", "scripts", "hydra_plugins")
GIVEN = {"shell": True, "allow_pickle": True, "weights_only": False}
ALLOWED = {
    ("ablations/record/halves.py", "marshal.loads"),  # from a pipe of our own fork
    ("ablations/files.py", "yaml.load"),  # with the safe loader that is written in C
    ("ablations/bench/start.py", "pickle.loads"),  # what the benchmark itself has put on the command line
}


@pytest.mark.fault("sources: a call that runs what it reads")
def test_no_source_runs_what_it_reads():
    found = set()
    for file in (*ROOT.glob("*.py"), *(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))):
        text = file.read_text()
        for tree in [ast.parse(text), *(ast.parse(inner) for inner in inner_programs(ast.parse(text)))]:
            found |= {(file.relative_to(ROOT).as_posix(), name) for name in forbidden(tree)}
    assert found == ALLOWED


def inner_programs(tree: ast.AST) -> list[str]:
    """Texts of several lines that are Python themselves: programs for another process."""
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    programs = []
    for text in texts:
        if "\nimport " in text or text.startswith("import "):
            try:
                ast.parse(text)
            except SyntaxError:
                continue
            programs.append(text)
    return programs


def forbidden(tree: ast.AST) -> list[str]:
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        given = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
        if name in CALLED or (name == "yaml.load") or any(given.get(key, not bad) is bad for key, bad in GIVEN.items()):
            found.append(name)
        if name == "torch.load" and given.get("weights_only") is not True:
            found.append(name)
    return found


def test_the_search_through_sources_finds_what_it_looks_for():
    for text in ("eval('1')", "os.system('x')", "f(shell=True)", "np.load(f, allow_pickle=True)", "torch.load(f)"):
        assert forbidden(ast.parse(text)), text
    assert not forbidden(ast.parse("model.eval()\ntorch.load(f, weights_only=True)\nre.compile('x')"))


NAMES = ("..", "../x", "a/b", "/tmp/x", "a\nb", "a\0b", "-rf", "x" * 300, "аdmin", "<b>", "=1+1", "a|b", "~", " ", "")


@pytest.mark.fault("names: paths, controls, look-alikes, too long")
@pytest.mark.parametrize("key", ["study.name", "task.name", "model.name", "sites.decoder.name", "task.test"])
def test_names_that_could_lead_out_of_their_folders_are_refused(key):
    asked = compose([])
    *parts, field = key.split(".")
    part = functools.reduce(getattr, parts, asked)
    if key.startswith("sites"):
        part = asked.projection = asked.sites.encoder = asked.sites.cross = asked.sites.decoder
    for name in NAMES:
        setattr(part, field, [name] if key == "task.test" else name)
        with pytest.raises(ValueError, match=r"letters, digits") as refusal:
            check(asked)
        assert "\n" not in str(refusal.value) and "\0" not in str(refusal.value)


class Tags(HTMLParser):
    """Start tags as a browser would find them."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><svg onload=alert(2)>",
    "<img src=x onerror=alert(3)>",
    "[x](javascript:alert(4))",
    "javascript:alert(5)",
    "\"'><a href=javascript:alert(6)>",
    "safe \u202eefas\u2066",
    "{{ 7 * 7 }}",
)


@pytest.mark.fault("report: markup and script in texts and names")
def test_the_report_shows_hostile_texts_as_text(tmp_path):
    for number, text in enumerate(PAYLOADS):
        named = make_record(task="flickr", seed=number, task__name=text, study__question=text, strategy="shared")
        named["strategy"] = text
        named["sites"] = dict.fromkeys(named["sites"], text)
        sample = {"source": text, "reference": text, "hypothesis": text}
        records.write(named | {"task": text, "samples": [sample], "reason": text, "command": text}, tmp_path)
    page = build(tmp_path, ["demo"], tmp_path, plots="").text
    tags = Tags(page).found
    assert {"svg", "img"}.isdisjoint(tag for tag, _ in tags)
    assert [attributes for tag, attributes in tags if tag == "script"] == [
        {"type": "application/json", "id": "data"},
        {},
        {},
    ]
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert not [a["href"] for _, a in tags if str(a.get("href", "")).strip().lower().startswith("javascript")]
    assert "{{ 7 * 7 }}" in page


@pytest.mark.fault("tables: markup and formulas in names")
def test_tables_show_hostile_names_as_text(tmp_path):
    texts = (*PAYLOADS, "=1+1", "+1", "-1", "@SUM(A1)", "a|b", "a & b % $ # _ { } ~ ^ \\input{/etc/passwd}", "a\nb")
    for number, text in enumerate(texts):
        entry = make_record(
            task="flickr", seed=0, model__activation=text, strategy="shared", optim__lr=1e-3 * (number + 1)
        )
        entry["sites"] = dict.fromkeys(entry["sites"], text)
        records.write(entry | {"strategy": text}, tmp_path)
    files = {file.suffix: file.read_text() for file in writers.write(tmp_path, "demo")}
    assert not re.search(r"<(?!!--|br|sub|sup)[a-z/]", files[".md"])
    assert not re.search(r"(?<!\\)\[x\]\(javascript", files[".md"])
    assert "\\input{" not in files[".tex"]
    for row in csv.reader(line for line in files[".csv"].splitlines() if not line.startswith("#")):
        for cell in row:
            if cell.startswith(("=", "+", "@", "-")):
                float(cell)  # a number, or it is a formula


@pytest.fixture
def secret(monkeypatch, tmp_path) -> str:
    """A key in the environment, and a password in the file where W&B keeps its own."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password of-the-netrc-file-1\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return KEY


@pytest.mark.fault("secrets: a key in a setting, a command, an error or a record")
def test_a_key_in_a_setting_is_refused_without_being_shown(secret):
    for word in (
        f"tracking.entity={secret}",
        f"tracking.project=x-{secret}",
        "tracking.entity=of-the-netrc-file-1",
        "tracking.entity=${oc.env:WANDB_API_KEY}",
        "tracking.entity=${oc.env:WANDB_API_KEY,none}",
        "tracking.entity=${oc.env: HF_TOKEN}",
        f"+task.corpus.options.x={secret}",
        f"hydra.job.name={secret}",
    ):
        with pytest.raises(ValueError, match="holds the secret in") as refusal:
            compose([word])
        assert str(refusal.value).startswith(f"{word.lstrip('+').partition('=')[0]} holds")
        assert secret not in str(refusal.value) and "of-the-netrc-file" not in str(refusal.value)
    assert compose(["tracking.entity=somebody", "paths.results=${oc.env:HOME}"])


def test_a_setting_that_has_a_word_in_common_with_a_password_is_none(monkeypatch):
    words = ["task=multi30k_en_de", "trainer.batch_tokens=16777216", "projection=separate", "tracking=none"]
    passwords = {
        "POSTGRES_PASSWORD": "multi30k",
        "MAX_TOKENS": "16777216",
        "SSH_KEY": "separate",
        "OPENAI_API_KEY": "tracking",
        "A_PASSWORD": "training",
        "B_PASSWORD": "trainingandtesting",
        "C_PASSWORD": "123456789012",
        "D_PASSWORD": "hello_world_1",
    }
    for name, value in passwords.items():
        monkeypatch.setenv(name, value)
    words += ["paths.results=/x/training/trainingandtesting/123456789012", "study.name=hello_world_12"]
    assert compose([*words, "tracking.project=${oc.env:MAX_TOKENS}"])
    monkeypatch.setenv("E_PASSWORD", "hello_world_12")
    with pytest.raises(ValueError, match=r"study\.name holds the secret in \$E_PASSWORD"):
        compose(words)


@pytest.mark.fault("secrets: a key in a setting, a command, an error or a record")
def test_a_key_reaches_no_record_and_no_line(secret, tmp_path, capsys):
    entry = make_record(status="failed") | {"reason": f"401 for {secret}", "command": f"python train.py x={secret}"}
    file = records.write(entry | {"overrides": [f"x={secret}"], "samples": [{"a": "of-the-netrc-file-1"}]}, tmp_path)
    assert secret not in file.read_text() and "of-the-netrc-file" not in file.read_text()
    assert records.load(file)["reason"] == "401 for ***"
    tell(f"401 for {secret}")
    assert capsys.readouterr().err == "error: 401 for ***\n"
    done = subprocess.run(
        [sys.executable, "train.py", f"tracking.entityy={secret}"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and secret not in done.stdout + done.stderr


def test_what_is_a_secret(monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nowhere")
    for name in ("A_KEY", "HF_TOKEN", "PGPASSWORD", "SECRET_OF_MINE", "AWS_ACCESS_KEY_ID", "api_key"):
        monkeypatch.setenv(name, f"value-1-of-{name}")
    for name in ("TOKENIZERS_PARALLELISM", "MAX_TOKENS", "KEYBOARD", "PATH"):
        monkeypatch.setenv(name, f"value-1-of-{name}")
    for name, value in (("SHORT_KEY", "abc-1234567"), ("WORD_KEY", "authentication"), ("FILE_KEY", "/there/key-1")):
        monkeypatch.setenv(name, value)
    assert len(secrets()) == 6
    monkeypatch.setenv("LONG_KEY", "value-1-of-A_KEY-and-more")
    assert hidden({"a": ["value-1-of-A_KEY-and-more", 1, None]}) == {"a": ["***", 1, None]}


@pytest.mark.fault("secrets: a key or a password of a remote in what W&B keeps")
def test_a_key_and_a_password_of_a_remote_reach_nothing_that_is_kept(tmp_path):
    """A run with W&B's files, started in a checkout whose remote has a password: no file of it has either."""
    url = "https://user:password-of-remote@example.org/x.git"
    for words in (["init", "-q"], ["remote", "add", "origin", url]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    words = ["tracking=wandb_offline", "trainer.steps=2", "study.name=demo"]
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.argv[:2] = []\n"
        "from pathlib import Path\nfrom ablations import run\nfrom tests.ablations.cells import config\n"
        "run.run(config(Path('cache'), Path('r'), *sys.argv), sys.argv)"
    )
    environment = {**os.environ, "WANDB_API_KEY": KEY * 2}
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT), *words],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    files = [file for file in (tmp_path / "r").rglob("*") if file.is_file()]
    assert any(file.suffix == ".wandb" for file in files), "it was there"
    for content in (done.stdout.encode(), done.stderr.encode(), *(file.read_bytes() for file in files)):
        assert KEY.encode() not in content and b"password-of-remote" not in content
    assert provenance.code().keys() == {"commit", "dirty"}
