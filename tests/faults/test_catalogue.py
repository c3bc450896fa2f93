"""The catalogue says what the tests do, and nothing else."""

import re
from pathlib import Path

HERE = Path(__file__).parent


def catalogue() -> dict[str, str]:
    """Fault -> file of its test, as the README lists them."""
    rows = re.findall(r"^\| (?!fault |---)(.+?) \| .+ \| `?([\w/.]+)`? \|$", (HERE / "README.md").read_text(), re.M)
    assert len(rows) == len(dict(rows)), "each fault stands there once"
    return dict(rows)


def test_every_fault_has_its_test_and_every_test_its_fault():
    marked = {
        fault: file.name
        for file in HERE.glob("test_*.py")
        for fault in re.findall(r'pytest\.mark\.fault\(\s*"(.+?)"\s*\)', file.read_text())
    }
    assert catalogue() == marked
