"""A record is believed as it was written or not at all, and one that is not is named without harm to the others."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ablations import record as records
from ablations import run, writers
from ablations.compose import CONF
from ablations.record import checksum, index
from ablations.record.seal import seal, unseal
from scripts import figures, tables
from tests.ablations.cells import config, do
from tests.ablations.make import make_config, make_record, rewrite

CURVE = [{"step": 10, "loss": 2.5}, {"step": 20, "loss": 2.25, "valid_nll": 2.0}]


@pytest.fixture
def results(tmp_path) -> Path:
    """Two studies: `demo` with the runs of seeds 0 and 1, `other` with that of seed 7."""
    for seed, study in ((0, "demo"), (1, "demo"), (7, "other")):
        records.write(make_record(seed=seed, study=study, score=30.0 + seed) | {"curve": CURVE}, tmp_path)
    return tmp_path


@pytest.fixture
def file(results) -> Path:
    """The record that is going to be harmed."""
    return records.path(results, make_record())


def named(call, file: Path) -> str:
    """What it says of the file, in one line."""
    with pytest.raises(ValueError) as refusal:
        call()
    [line] = str(refusal.value).splitlines()
    assert str(file) in line, line
    return line


def believed_by_nobody(file: Path) -> str:
    """All ways to it name it in the same words, and those to other runs and studies go on."""
    results, signature = file.parents[2], make_record()["signature"]
    said = named(lambda: records.load(file), file)
    for _ in ("read", "remembered"):
        for call in (
            lambda: records.briefs(results, "demo"),
            lambda: records.load_all(results, "demo"),
            lambda: writers.write(results, "demo"),
        ):
            assert named(call, file) == said
    if index.ending(file.name) == signature:
        assert named(lambda: records.find(results, signature, "demo"), file) == said
        assert named(lambda: records.find(results, signature, "third"), file) == said
        assert named(lambda: records.answers(results, [signature], "demo"), file) == said
    one = make_record(seed=1)["signature"]
    assert records.find(results, one, "demo")["seed"] == 1
    assert list(records.answers(results, [one], "demo")) == [one]
    assert [brief["seed"] for brief in records.briefs(results, "other")] == [7]
    return said


@pytest.mark.fault("record: cut at every tenth of its length")
def test_a_cut_record(file, trials):
    whole = file.read_bytes()
    for tenth in trials(full=10, quick=10):
        file.write_bytes(whole[: len(whole) * tenth // 10])
        assert "not a readable record" in believed_by_nobody(file)


@pytest.mark.fault("record: a byte flipped")
def test_a_flipped_byte(file, trials):
    whole = file.read_bytes()
    for _ in trials(full=300, quick=12):
        at = trials.random.randrange(len(whole))
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << trials.random.randrange(8)]) + whole[at + 1 :])
        believed_by_nobody(file)
    file.write_bytes(whole)
    assert records.load(file)["seed"] == 0


def score(text: str) -> str:
    return text.replace('"token_perplexity": 30.0', '"token_perplexity": 20.0')


@pytest.mark.fault("record: a score, a loss or a line's end edited")
@pytest.mark.parametrize(
    "edit",
    [
        score,
        lambda text: text.replace('"valid_nll": 2.0', '"valid_nll": 1.0'),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(',\n "checksum": "', ',\n "note": "'),
        lambda text: unseal(text.encode()),
        lambda text: text + "\n",
    ],
    ids=["score", "loss", "line ends", "without checksum", "as before checksums", "one line more"],
)
def test_an_edited_record(file, edit):
    text = file.read_text()
    assert edit(text) != text
    file.write_text(edit(text), newline="")
    assert "checksum" in believed_by_nobody(file)


@pytest.mark.fault("record: a score, a loss or a line's end edited")
def test_a_record_of_before_checksums(results, file, monkeypatch, capsys):
    """Is told from a damaged one, and gets its checksum where its signature fits."""
    whole, other = file.read_bytes(), records.path(results, make_record(seed=1))
    file.write_text(unseal(whole))
    told = believed_by_nobody(file)
    assert "damaged" not in told and f"`python -m ablations.record.checksum {file}`" in told
    other.write_text(unseal(other.read_bytes()).replace('"d_ff": 64', '"d_ff": 65'))
    edited, sound = other.read_bytes(), records.path(results, make_record(seed=7, study="other"))
    torn = sound.with_name(f"torn-{sound.name}")
    torn.write_text(score(sound.read_text().replace("37.0", "30.0")))
    stamps = [path.stat().st_mtime_ns for path in (sound, torn)]
    monkeypatch.setattr(sys, "argv", ["it", *map(str, (other, torn, file, sound))])
    with pytest.raises(SystemExit) as end:
        checksum.main()
    assert end.value.code == 1 and file.read_bytes() == whole
    first, second = capsys.readouterr().err.splitlines()
    assert str(other) in first and "its config gives" in first and other.read_bytes() == edited
    assert str(torn) in second and "is damaged or was edited" in second
    assert stamps == [path.stat().st_mtime_ns for path in (sound, torn)]
    assert records.load(file)["seed"] == 0


@pytest.mark.fault("record: the copy of another study edited")
def test_the_copy_of_a_study_has_a_checksum_of_its_own(results, file):
    """And says nothing else than the first: where somebody made it a checksum, both studies say so."""
    copy = records.write(records.copy_for(records.load(file), {**make_config()["study"], "name": "third"}), results)
    assert copy.read_text().splitlines()[-2] != file.read_text().splitlines()[-2]
    assert records.load(copy)["scores"] == records.load(file)["scores"]
    rewrite(copy, score)
    for study in ("demo", "third"):
        for read in (records.briefs, records.load_all, writers.write):
            assert str(copy) in named(lambda: read(results, study), file)  # noqa: B023
    assert records.briefs(results, "other")


@pytest.mark.fault("record: of an unknown schema, with NaN, with a key twice, of another signature, of another name")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "this version reads 1"),
        (lambda text: text.replace('"schema": 1', '"schema": null'), "schema None"),
        (lambda text: text.replace('"valid_nll": 2.0', '"valid_nll": NaN'), "NaN is not a number"),
        (lambda text: text.replace('"loss": 2.5', '"loss": Infinity'), "Infinity is not a number"),
        (lambda text: text.replace('"token_perplexity": 30.0', '"token_perplexity": -Infinity'), "not a number"),
        (lambda text: text.replace('"nll": 1.5', '"nll": 1.5, "nll": 1.0'), "a key stands in it twice"),
        (lambda text: text.replace('"curve"', '"scores": {}, "curve"'), "a key stands in it twice"),
        (lambda text: text.replace('"loss": 2.25', '"loss": 2.25, "loss": 2'), "a key stands in it twice"),
        (lambda text: text.replace('"d_ff": 64', '"d_ff": 65'), "its config gives"),
        (lambda text: text.replace('\n  "seed": 0', '\n  "seed": 1'), "its config gives"),
    ],
)
def test_a_record_with_a_checksum_that_fits(file, change, words):
    text = unseal(file.read_bytes())
    assert rewrite(file, change) != text
    assert words in believed_by_nobody(file)


@pytest.mark.fault("record: of an unknown schema, with NaN, with a key twice, of another signature, of another name")
def test_a_name_that_says_another_run(results, file):
    other = file.with_name(file.name.replace(make_record()["signature"], make_record(seed=3)["signature"]))
    file.rename(other)
    assert "its name must end in" in believed_by_nobody(other)
    assert "its name must end in" in named(
        lambda: records.find(results, make_record(seed=3)["signature"], "demo"), other
    )


@pytest.mark.fault("record: two of one run that differ")
def test_two_records_of_one_run(results, file):
    twin = file.with_name(f"twin-{file.name}")
    shutil.copy(file, twin)
    assert len(records.briefs(results, "demo")) == len(records.load_all(results, "demo")) == 2, "merged by copying"
    rewrite(twin, score)
    for read in (records.briefs, records.load_all, writers.write):
        assert str(twin) in named(lambda: read(results, "demo"), file)  # noqa: B023
    third = results / "records" / "third" / file.name
    third.parent.mkdir()
    shutil.move(twin, third)
    for study in ("demo", "third"):
        for read in (records.briefs, records.load_all, writers.write):
            assert str(third) in named(lambda: read(results, study), file)  # noqa: B023
    assert [brief["seed"] for brief in records.briefs(results, "other")] == [7]


def folder(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path)


def nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def unreadable(path: Path) -> None:
    """Also for root, whom no mode of a file keeps from reading."""
    path.symlink_to("/proc/self/mem")


def empty(path: Path) -> None:
    path.touch()


KINDS = (folder, loop, nowhere, unreadable, empty, os.mkfifo, lambda path: path.symlink_to("/dev/zero"))


@pytest.mark.fault("record: an empty file, a folder, a pipe, a device, a link to itself, unreadable")
@pytest.mark.parametrize("make", KINDS, ids=["folder", "loop", "nowhere", "unreadable", "empty", "pipe", "device"])
def test_what_is_no_file(file, make):
    file.unlink()
    make(file)
    believed_by_nobody(file)


@pytest.mark.fault("record: broken while tables are made")
def test_the_other_studies_have_their_tables(results, file, monkeypatch, capsys):
    file.write_bytes(file.read_bytes()[:-100])
    monkeypatch.setattr(sys, "argv", ["it", "--results", str(results)])
    for command in (tables, figures):
        with pytest.raises(SystemExit) as end:
            command.main()
        told = capsys.readouterr()
        assert end.value.code == 1
        [line] = told.err.splitlines()
        assert line.startswith("error: study demo: ") and str(file) in line
        assert "other: " in told.out
    assert {path.name for path in (results / "tables").iterdir()} == {"other.md", "other.csv", "other.tex"}


@pytest.mark.fault("record: broken when a run is asked for")
def test_a_run_is_stopped_by_its_own_broken_record_alone(tmp_path):
    """It is not made again over it, and one of another run is of no concern to it."""
    first = do(tmp_path / "cache", tmp_path / "r", "study.name=demo", "trainer.steps=2")
    own = records.path(tmp_path / "r", first)
    other = own.with_name("reverse-separate-s0-0123456789abcdef.json")
    other.write_text("{")
    weights = (tmp_path / "r" / "work" / first["signature"] / "model.pt").read_bytes()
    words = ["study.name=demo", "trainer.steps=2"]

    run.run(config(tmp_path / "cache", tmp_path / "r", *words), words)
    run.run(config(tmp_path / "cache", tmp_path / "r", *words, "seed=1"), words)
    assert len(list(own.parent.iterdir())) == 3
    broken = own.read_bytes()[:-50]
    own.write_bytes(broken)
    for asked in (words, [*words[1:], "study.name=third"]):
        said = named(lambda: run.run(config(tmp_path / "cache", tmp_path / "r", *asked), asked), own)  # noqa: B023
        assert "delete it and run again" in said
    assert own.read_bytes() == broken and not (tmp_path / "r" / "records" / "third").exists()
    assert (tmp_path / "r" / "work" / first["signature"] / "model.pt").read_bytes() == weights
    own.unlink()
    run.run(config(tmp_path / "cache", tmp_path / "r", *words), words)
    assert records.load(own)["scores"] == first["scores"]


@pytest.mark.fault("record: of a study's folder that is a link, or of a run's")
def test_nothing_is_written_or_deleted_through_a_link(tmp_path):
    words = ["study.name=demo", "trainer.steps=2"]
    elsewhere = tmp_path / "elsewhere"
    asked = config(tmp_path / "cache", tmp_path / "r", *words)
    asked.trainer.precision = "fp32"
    (elsewhere / "inner").mkdir(parents=True)
    (elsewhere / ".old.tmp").write_text("somebody's")
    link = tmp_path / "r" / "records" / "demo"
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    assert "is a link" in named(lambda: run.run(asked, words), link)
    assert not (tmp_path / "r" / "work").exists(), "before it trains"
    assert "is a link" in named(lambda: records.write(make_record(), tmp_path / "r"), link)
    link.unlink()
    done = do(tmp_path / "cache", tmp_path / "r", *words)
    work = tmp_path / "r" / "work" / done["signature"]
    shutil.rmtree(work)
    work.symlink_to(elsewhere)
    records.path(tmp_path / "r", done).unlink()
    assert "is a link" in named(lambda: run.run(asked, words), work)
    assert sorted(path.name for path in elsewhere.iterdir()) == [".old.tmp", "inner"]

    target = tmp_path / "target.json"
    target.write_text("somebody's")
    work.unlink()
    file = records.path(tmp_path / "r", done)
    file.symlink_to(target)
    assert named(lambda: run.run(asked, words), file)
    records.write(done, tmp_path / "r")
    assert target.read_text() == "somebody's" and not file.is_symlink(), "replaced, and not written through"


def test_a_study_behind_a_link_is_read(results):
    demo = results / "records" / "demo"
    link = demo.rename(demo.with_name("elsewhere")).parent / "demo"
    link.symlink_to("elsewhere")
    signature = make_record()["signature"]
    for study in ("demo", "third"):
        assert records.find(results, signature, study)["seed"] == 0
        assert list(records.answers(results, [signature], study)) == [signature]
    assert [brief["seed"] for brief in records.briefs(results, "demo")] == [0, 1]


HOSTILE = ("..", "../../x", "/tmp/x", "a\nb", "a\0b", "-rf", "x" * 300, "аdmin", "<script>", "=1+1", "a|b\\", "~", " ")


@pytest.mark.fault("record: names in it that are paths")
def test_names_in_a_record_lead_nowhere(tmp_path):
    for name in HOSTILE:
        for record in (
            make_record(task__name=name, study__name=name),
            make_record(strategy=name),
            make_record(model__name=name, seed=3),
        ):
            file = records.write(record, tmp_path)
            assert file.parent == tmp_path / "records" / "demo" and file.name.isprintable()
            assert len(file.name) < 200 and file.name[0] not in ".-"
            file.unlink()
        with pytest.raises(ValueError, match=r"study\.name"):
            records.write(make_record(study=name), tmp_path)
        with pytest.raises(ValueError, match=r"study\.name"):
            records.find(tmp_path, "0" * 16, name)
        seeded = make_record(seed=name)
        assert records.path(tmp_path, seeded).parent == tmp_path / "records" / "demo"
    assert [path.name for path in tmp_path.iterdir()] == ["records"]


@pytest.mark.fault("record: line ends changed by git")
def test_git_leaves_the_bytes_of_records_alone(tmp_path):
    git = ["git", "-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=m"]
    shutil.copy(CONF.parent / ".gitattributes", tmp_path)
    file = records.write(make_record(), tmp_path / "results")
    (tmp_path / "text").write_text("one\n")
    whole = file.read_bytes()
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True, capture_output=True)
    for path in (file, tmp_path / "text"):
        path.unlink()
    subprocess.run([*git, "checkout", "-q", "."], cwd=tmp_path, check=True)
    assert (tmp_path / "text").read_bytes() == b"one\r\n", "there is something to be kept from"
    assert file.read_bytes() == whole


def test_every_committed_record_has_its_checksum():
    files = list((CONF.parent / "results" / "records").glob("*/*.json"))
    assert len(files) > 300
    for file in files:
        content = file.read_bytes()
        assert seal(unseal(content)).encode() == content
        assert json.loads(content)["schema"] == records.SCHEMA
