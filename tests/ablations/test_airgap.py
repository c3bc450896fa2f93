"""A node without network: the prepared folder is there, `datasets` and `wandb` are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ablations import record
from ablations.compose import CONF, compose
from data.prepare import prepare
from tests.ablations.cells import SIZES

ROOT = CONF.parent
# train.py where these packages are not installed and nothing can be reached.
AIRGAPPED = """
import socket, sys
for package in ("datasets", "wandb", "huggingface_hub", "pandas", "pyarrow"):
    sys.modules[package] = None
def unreachable(*_, **__):
    raise OSError("no network here")
socket.socket.connect = socket.getaddrinfo = unreachable
import train
train.main()
"""


def airgapped(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", AIRGAPPED, *SIZES, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """What was copied to it: two prepared folders. Where their text came from stayed behind."""
    texts = {"train": "it was a bright cold day in april\n" * 60, "valid": "a cold day\n" * 4, "test": "in april\n" * 4}
    for split, text in texts.items():
        (tmp_path / f"{split}.txt").write_text(text)
    for task in (book(), toy()):
        prepare(compose(task).task, str(tmp_path), str(tmp_path / "node" / "data" / "cache"))
    for split in texts:
        (tmp_path / f"{split}.txt").unlink()
    return tmp_path / "node"


def book() -> list[str]:
    files = "task.corpus.files={train: train.txt, valid: valid.txt, test: test.txt}"
    return ["task=text", files, "task.tokenizer.kind=characters", "task.context=16"]


def toy() -> list[str]:
    sizes = "task.corpus.options={train: 200, valid: 10, test: 10}"
    return ["task=toy_translation", sizes, "task.context=48"]


@pytest.mark.parametrize(("task", "tracking"), [(book, "wandb"), (toy, "none")])
def test_a_prepared_folder_trains_without_network(node: Path, task, tracking: str):
    answer = airgapped(node, *task(), "trainer.steps=2", "trainer.eval_every=2", f"tracking={tracking}")
    assert answer.returncode == 0, answer.stderr
    warned = "" if tracking == "none" else "warning: wandb is not installed: numbers go to metrics.jsonl only\n"
    assert answer.stderr == warned
    [entry] = record.load_all(node / "results")
    assert entry["status"] == "finished" and entry["training"]["steps"] == 2
    assert entry["scores"]["test"]["nll"] > 0
    assert ("bleu" in entry["scores"]["test"]) == (entry["kind"] == "translation")


def test_what_is_not_prepared_is_one_sentence(node: Path):
    answer = airgapped(node, "task=multi30k_en_de", "task.context=48")
    assert answer.returncode == 1 and answer.stdout == ""
    assert answer.stderr.startswith("error: ") and answer.stderr.count("\n") == 1
    assert not (node / "results").exists()
