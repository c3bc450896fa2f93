"""The index of records is never evidence: with it, without it and with a broken one the same tables come out."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ablations import record as records
from ablations import writers
from ablations.record import index
from tests.ablations.make import make_record, rewrite

ROOT = Path(__file__).resolve().parents[2]
LONG = ("curve", "samples", "analyses")


@pytest.fixture
def study(tmp_path) -> Path:
    """A results folder with three records of `demo` that are older than a moment."""
    for seed in (0, 1, 2):
        records.write(make_record(seed=seed, score=30.0 + seed), tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def no_moment(monkeypatch):
    """Records are remembered although they were written just now; one test is about that."""
    monkeypatch.setattr(index, "MOMENT", -(10**12))


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """Names of the records that are read from now on."""
    names = []

    def text(file):
        names.append(Path(file).name)
        return real(file)

    real = index._text
    monkeypatch.setattr(index, "_text", text)
    return names


def names(results: Path) -> list[str]:
    return sorted(file.name for file in (results / "records" / "demo").iterdir())


def test_what_has_not_changed_is_not_read_again(study, opened):
    first = records.briefs(study, "demo")
    assert opened == names(study)
    opened.clear()
    assert records.briefs(study, "demo") == first and not opened
    records.write(make_record(seed=3), study)
    assert [brief["seed"] for brief in records.briefs(study, "demo")] == [0, 1, 2, 3]
    assert len(opened) == 1


def test_a_brief_is_the_record_without_what_is_long(study):
    for _ in ("read", "remembered"):
        for brief, whole in zip(records.briefs(study, "demo"), records.load_all(study, "demo"), strict=True):
            signed, watched = brief.pop("signed"), brief.pop("validations")
            assert {**signed, "seed": whole["seed"]} == records.identity(whole["config"])
            assert watched == [[p["step"], p["valid_nll"]] for p in whole["curve"] if "valid_nll" in p]
            assert brief == {key: whole[key] for key in brief}
            assert not set(LONG) & set(brief) and set(records.KEYS + records.FINISHED_KEYS) <= set(brief)


def test_the_committed_records_give_the_same_tables_with_and_without_an_index(tmp_path):
    """Byte for byte, and those on record: reading whole files, reading them into an index, and reading the index."""
    names = ["sharing", "conflict", "wikitext2"]
    for name in names:
        shutil.copytree(ROOT / "results" / "records" / name, tmp_path / "records" / name)
    for _ in ("read", "remembered"):
        for name in names:
            for file in writers.write(tmp_path, name):
                assert file.read_bytes() == (ROOT / "results" / "tables" / file.name).read_bytes()
            assert (tmp_path / "work" / "index" / name).exists()
    for name in names:
        whole = records.load_all(tmp_path, name)
        assert writers.headline(whole) == writers.headline(records.briefs(tmp_path, name))


def replaced(file: Path) -> None:
    records.write(make_record(seed=1, score=99.0), file.parents[2])


def edited(file: Path) -> None:
    """As long as before, and dated as before."""
    before = file.stat()
    rewrite(file, lambda text: text.replace('"token_perplexity": 31.0', '"token_perplexity": 99.0'))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size and file.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("change", [replaced, edited])
def test_a_changed_record_is_noticed(study, change):
    records.briefs(study, "demo")
    file = study / "records" / "demo" / names(study)[1]
    change(file)
    assert records.briefs(study, "demo")[1]["scores"]["test"]["token_perplexity"] == 99.0


def test_a_deleted_a_renamed_and_a_damaged_record_are_noticed(study):
    records.briefs(study, "demo")
    folder = study / "records" / "demo"
    first, second, third = (folder / name for name in names(study))
    first.unlink()
    renamed = second.rename(folder / f"a-{second.name}")
    assert [brief["seed"] for brief in records.briefs(study, "demo")] == [1, 2]
    third.write_text(third.read_text()[:-100])
    for _ in range(2):
        with pytest.raises(ValueError, match="not a readable record") as refusal:
            records.briefs(study, "demo")
        assert str(third) in str(refusal.value)
    third.unlink()
    shutil.copy(renamed, folder / f"copy-{renamed.name}")
    assert len(records.briefs(study, "demo")) == 1, "records merge by copying"
    rewrite(renamed, lambda text: text.replace('"parameters": 50000', '"parameters": 50001'))
    with pytest.raises(ValueError, match="differ"):
        records.briefs(study, "demo")


@pytest.mark.parametrize("at", [0.0, 0.02, 0.5, 0.9])
@pytest.mark.parametrize("damage", [lambda byte: b"", lambda byte: bytes([byte[0] ^ 1]), lambda byte: b"\n" + byte])
def test_a_damaged_index_is_made_anew(study, at, damage, opened):
    before = records.briefs(study, "demo")
    file = study / "work" / "index" / "demo"
    whole = file.read_bytes()
    cut = int(at * len(whole))
    file.write_bytes(whole[:cut] + damage(whole[cut : cut + 1]) + whole[cut + 1 :])
    opened.clear()
    assert records.briefs(study, "demo") == before and len(opened) == 3
    assert file.read_bytes() == whole


def test_a_shorn_index_and_none_are_made_anew(study):
    before = records.briefs(study, "demo")
    file = study / "work" / "index" / "demo"
    whole = file.read_bytes()
    for text in (b"", b"\n", whole[: len(whole) // 2], b"\xff\xfe"):
        file.write_bytes(text)
        assert records.briefs(study, "demo") == before and file.read_bytes() == whole
    shutil.rmtree(study / "work")
    assert records.briefs(study, "demo") == before and file.read_bytes() == whole


def test_an_index_of_other_code_does_not_count(study, opened, monkeypatch):
    """What makes two runs one run may change from one version to the next, and with it whether a signature is right."""
    records.briefs(study, "demo")
    opened.clear()
    monkeypatch.setattr(index, "_code", lambda: b"another")
    records.briefs(study, "demo")
    assert len(opened) == 3


def test_a_record_written_a_moment_ago_is_read_again(study, opened, monkeypatch):
    """It may change once more within one step of the file system's clock, and keep its size."""
    monkeypatch.setattr(index, "MOMENT", 10**12)
    for _ in range(2):
        opened.clear()
        records.briefs(study, "demo")
        assert len(opened) == 3


def test_results_that_cannot_be_written_to_are_read(study):
    (study / "work").write_text("a file where the folder would be")  # root may write into a folder that is read-only
    assert len(records.briefs(study, "demo")) == 3
    assert writers.headline(records.briefs(study, "demo"))


def test_readers_at_the_same_time_do_no_harm(study):
    """Processes that fill one index at once, records of another study among them."""
    command = f"from ablations import record; print(len(record.briefs({str(study)!r}, 'demo')))"

    def read(_):
        return subprocess.run(
            [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(read, range(3))) == ["3\n"] * 3
    assert len(records.briefs(study, "demo")) == 3
    assert [file.name for file in (study / "work" / "index").iterdir()] == ["demo"]


def test_answers_are_those_of_find(study):
    records.write(make_record(seed=1, study="other", score=31.0), study)
    records.write(make_record(seed=5, study="other"), study)
    records.write(make_record(seed=6, status="failed"), study)
    records.write(make_record(seed=7, status="diverged"), study)
    signatures = [make_record(seed=seed)["signature"] for seed in range(9)]
    for asking in ("demo", "other", "third"):
        for _ in ("read", "remembered"):
            found = records.answers(study, signatures, asking)
            singly = {signature: records.find(study, signature, asking) for signature in signatures}
            assert set(found) == {signature for signature, record in singly.items() if record is not None}
            assert all(brief["study"] == singly[signature]["study"] for signature, (_, brief) in found.items())
            assert all(records.load(file)["signature"] == signature for signature, (file, _) in found.items())


def test_what_was_no_file_a_moment_ago_is_read_and_not_remembered(study, monkeypatch):
    real, file = index.load_signed, study / "records" / "demo" / names(study)[0]
    whole = file.read_bytes()
    file.unlink()
    file.mkdir()

    def load(path):
        if file.is_dir():
            file.rmdir()
            file.write_bytes(whole)
        return real(path)

    monkeypatch.setattr(index, "load_signed", load)
    assert [brief["seed"] for brief in records.briefs(study, "demo")] == [0, 1, 2]
    remembered = (study / "work" / "index" / "demo").read_text()
    assert [name in remembered for name in names(study)] == [False, True, True]


def test_an_index_that_is_mostly_of_files_that_are_gone_is_made_anew(study):
    """A study that is run again and again under other settings would leave ever more lines behind."""
    file = study / "work" / "index" / "demo"
    sizes = []
    for step in range(40):
        for name in names(study):
            (study / "records" / "demo" / name).unlink()
        records.write(make_record(optim__lr=1e-3 + step / 1e5), study)
        records.briefs(study, "demo")
        sizes.append(file.stat().st_size)
    assert max(sizes) < 5 * sizes[0] and json.loads(file.read_bytes().split(b"\n")[1]) <= 100
