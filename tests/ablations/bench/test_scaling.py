"""How tables grow with records is left to the benchmark itself: it starts processes."""

from itertools import islice

from ablations import record, units
from ablations.bench import records, scaling
from ablations.bench.setup import Setup


def test_each_axis_is_measured_and_drawn(tmp_path, one_thread, monkeypatch):
    monkeypatch.setattr(scaling, "records", lambda setup: [])
    axes = list(scaling.scaling(Setup(rounds=1, quick=True, results=str(tmp_path))))
    assert [table.columns[0] for table in axes] == list(scaling.AXES)
    assert all(len(table.rows) == 2 for table in axes)
    drawn = tmp_path / "work" / "bench" / axes[-1].picture
    assert drawn.suffix == ".png" and drawn.exists() and drawn.with_suffix(".svg").exists()


def test_made_records_are_records_of_runs_that_differ(tmp_path):
    """The index and the tables check what they read: a copy under another's signature would be refused."""
    made = list(records.made(12))
    assert len({entry["signature"] for entry in made}) == 12
    assert len({entry["scores"]["valid"]["nll"] for entry in made}) == 12
    assert units.unpack(made[0]["units"]["valid"]["nll"]).shape == (records.BLOCKS,)
    records.lay_out(iter(made), tmp_path)
    assert len(record.load_all(tmp_path, "many")) == 12
    again = next(islice(records.made(4, 3), 1))
    assert again == made[3], "whichever are asked for"
