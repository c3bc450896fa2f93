"""How tables grow with cells is left to the benchmark itself: it starts processes."""

import json

from ablations import record
from ablations.bench import scaling
from ablations.bench.setup import Setup


def test_each_axis_is_measured_and_drawn(tmp_path, one_thread, monkeypatch):
    monkeypatch.setattr(scaling, "_cells", lambda setup: scaling.Table("none", ["cells"]))
    *axes, _ = scaling.scaling(Setup(rounds=1, quick=True, results=str(tmp_path)))
    assert [table.columns[0] for table in axes] == list(scaling.AXES)
    assert all(len(table.rows) == 2 for table in axes)
    drawn = tmp_path / "work" / "bench" / axes[-1].picture
    assert drawn.suffix == ".png" and drawn.exists() and drawn.with_suffix(".svg").exists()


def test_made_records_are_records_of_runs_that_differ(tmp_path):
    """The index and the tables check what they read: a copy under another's signature would be refused."""
    made = scaling._records(12)
    assert len({entry["signature"] for entry in made}) == 12
    for entry in made:
        file = record.path(tmp_path, entry)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(entry))
    assert len(record.load_all(tmp_path, "many")) == 12
