import json

import pytest

from ablations.bench import report
from ablations.bench.report import Table, compared, save_for_claims, write
from ablations.bench.setup import Setup


def test_a_report_keeps_every_sample_the_command_and_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["scripts/bench.py", "storage", "--results", str(tmp_path)])
    table = compared("Sizes", {"small": [0.001, 0.002], "large": [0.002, 0.004]}, "small")
    text, data = write("storage", Setup(results=str(tmp_path)), [table])
    assert text == tmp_path / "bench" / "storage.md" and data == tmp_path / "bench" / "storage.json"
    kept = json.loads(data.read_text())
    assert kept["tables"][0]["samples"] == {"small": [0.001, 0.002], "large": [0.002, 0.004]}
    assert {"command", "date", "code", "machine", "versions"} <= set(kept)
    assert "| large | 3.0 | 2.00 [2.00, 2.00] | 2 |" in text.read_text()


def test_a_report_names_no_folder_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["scripts/bench.py", "rivals", "--nanogpt", str(tmp_path), "--rounds", "3"])
    assert report.command() == "python scripts/bench.py rivals --nanogpt FOLDER --rounds 3"
    for file in write("rivals", Setup(results=str(tmp_path)), [Table("Nothing", ["what"])]):
        assert str(tmp_path) not in file.read_text()


def test_quick_reports_do_not_take_the_place_of_real_ones(tmp_path):
    assert Setup(results=str(tmp_path), quick=True).folder() != Setup(results=str(tmp_path)).folder()


def test_claims_find_the_samples_as_they_expect_them(tmp_path):
    """`conf/claim/C19.yaml` reads seconds by storage from results/measurements/storage.json."""
    file = save_for_claims("storage", Setup(results=str(tmp_path)), {"fused": [0.123456789], "per_head": [0.2]})
    kept = json.loads(file.read_text())
    assert file == tmp_path / "measurements" / "storage.json"
    assert kept["samples"] == {"fused": [0.12346], "per_head": [0.2]}
    assert kept["command"] == "python scripts/bench.py storage --save"


def test_without_a_gpu_cuda_is_refused():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="no CUDA device"):
        _ = Setup(device="cuda").place
