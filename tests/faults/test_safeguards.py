"""A test of the tests: with any safeguard removed, one of them fails."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.safeguards import SAFEGUARDS

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("ablations", "conf", "data", "hydra_plugins", "models", "scripts", "tests")


def outcome_of(folder: Path, *tests: str) -> int:
    """Exit code of these tests on a copy of the sources as they are in `folder`."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "cache"))
    for pattern in ("*.py", "*.toml", "*.txt", "*.md", ".gitattributes"):
        for file in ROOT.glob(pattern):
            shutil.copy(file, tmp_path)
    return tmp_path


@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda safeguard: safeguard.name)
def test_the_line_is_there(safeguard):
    """If not, the code has changed: say again which line keeps the promise."""
    assert (ROOT / safeguard.file).read_text().count(safeguard.code) == 1


@pytest.mark.fault("a safeguard taken out of the code")
@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda safeguard: safeguard.name)
def test_a_test_fails_without_it(safeguard, trials, request):
    if not trials.full:
        pytest.skip("in the long round")
    copy = request.getfixturevalue("copy")
    file = copy / safeguard.file
    file.write_text(file.read_text().replace(safeguard.code, safeguard.without))
    assert outcome_of(copy, safeguard.test) == 1


def test_the_same_tests_pass_with_all_of_them(trials, request):
    if not trials.full:
        pytest.skip("in the long round")
    tests = dict.fromkeys(safeguard.test for safeguard in SAFEGUARDS)
    assert outcome_of(request.getfixturevalue("copy"), *tests) == 0
