"""What comes out: a row for every claim, a page for each, the same bytes again; refusals told and counted."""

from types import SimpleNamespace

import pytest

from ablations.claims import pages
from ablations.claims.write import write
from scripts import claims as command
from tests.ablations.claims.cases import conf, keep, load, pair, trained

SYMMETRY = {"kind": "exact", "check": "symmetry"}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A claim with runs and an exact part with a picture, one without parts, and one that is refused; written once."""
    folder = tmp_path_factory.mktemp("three")
    claim = load(folder, trained(), SYMMETRY)
    conf(folder / "conf", name="C91", picture="figures/none.svg")
    conf(folder / "conf", trained(metric="bleue"), name="C92")
    keep(folder / "results", claim, *pair(0, 31, 30), *pair(1, 42, 40), *pair(2, 53, 50))
    return SimpleNamespace(
        results=folder / "results", conf=folder / "conf", entries=write(folder / "results", folder / "conf")
    )


def contents(folder):
    """All files but those in `work`, which are no results."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {file.relative_to(folder): file.read_bytes() for file in files if folder / "work" not in file.parents}


def test_every_claim_has_a_row_and_a_page(three):
    assert [entry.id for entry in three.entries] == ["C90", "C91", "C92"]
    text = (three.results / "claims.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(("| [C", "| C"))]
    first, second, third = rows
    assert "**partly**" in first and "+2 perplexity" in first and "−0.4841 to +4.484" in first
    assert "`python train.py study=demo`" in first and "(claims/C90-1.svg)" in first
    assert "**undecided** (no part is written yet)" in second and "picture]" not in second
    assert "**refused**" in third and "did you mean 'bleu'" in third
    for entry in three.entries:
        assert (three.results / "claims" / f"{entry.id}.md").is_file()


def test_a_page_tells_the_question_the_rule_the_numbers_and_the_command(three):
    text = (three.results / "claims" / "C90.md").read_text()
    for words in (
        "# C90. A question of several words.",
        "> A statement of several words.",
        "A change of several words.",
        "an effect above 0.5 perplexity; margin 0.5 perplexity",
        "token_perplexity of [shared] − [separate], paired by seed, in study `demo`",
        "| +1 | shared | 3 | 42 |",
        "95 % interval −0.4841 to +4.484, n = 3",
        "+1 (seed 0), +2 (seed 1), +3 (seed 2)",
        "largest \\|A_ij - A_ji\\|",
        "../claims/C90-1.svg",
        "python train.py study=demo\npython scripts/claims.py C90",
    ):
        assert words in text, words


def test_the_same_results_give_the_same_bytes(three):
    first = contents(three.results)
    write(three.results, three.conf)
    assert contents(three.results) == first
    assert len([path for path in first if path.suffix in (".svg", ".png")]) == 2


def test_a_page_without_its_claim_goes(tmp_path):
    conf(tmp_path / "conf", name="C91")
    stale = [tmp_path / "results" / "claims" / name for name in ("C89.md", "C91-1.svg", "C91-7.png")]
    stale[0].parent.mkdir(parents=True)
    for path in stale:
        path.write_text("")
    [entry] = write(tmp_path / "results", tmp_path / "conf")
    assert not any(path.exists() for path in stale)
    assert entry.pictures == (), "nor is it linked"


def test_a_picture_of_another_command_is_linked_when_it_is_there(tmp_path):
    conf(tmp_path / "conf", name="C91", picture="figures/none.svg")
    [entry] = write(tmp_path / "results", tmp_path / "conf")
    assert entry.pictures == ()
    picture = tmp_path / "results" / "figures" / "none.svg"
    picture.parent.mkdir(parents=True)
    picture.write_text("<svg/>")
    [entry] = write(tmp_path / "results", tmp_path / "conf")
    assert entry.pictures == ("figures/none.svg",)


def test_a_refused_claim_is_told_and_the_others_are_done(tmp_path, monkeypatch, capsys):
    """The command's exit code is 1, and the row of the other claim is written."""
    conf(tmp_path / "conf", trained(metric="bleue"), name="C90")
    conf(tmp_path / "conf", name="C91")
    monkeypatch.setattr(command, "write", lambda results: write(results, tmp_path / "conf"))
    monkeypatch.setattr("sys.argv", ["claims.py", "--results", str(tmp_path / "results")])
    with pytest.raises(SystemExit):
        command.main()
    assert "there is no folder" in capsys.readouterr().err
    (tmp_path / "results").mkdir()
    with pytest.raises(SystemExit) as end:
        command.main()
    said = capsys.readouterr()
    assert end.value.code == 1
    assert "C90 is refused: conf/claim/C90.yaml: metric='bleue' is unknown" in said.err
    assert "C91: undecided" in said.out and (tmp_path / "results" / "claims" / "C91.md").is_file()


def test_one_claim_can_be_printed_and_an_unknown_one_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["claims.py", "C06", "--results", str(tmp_path)])
    command.main()
    assert "**Refuted.**" in capsys.readouterr().out and not list(tmp_path.iterdir())
    monkeypatch.setattr("sys.argv", ["claims.py", "C66"])
    with pytest.raises(SystemExit):
        command.main()
    assert "claim='C66' is unknown: did you mean" in capsys.readouterr().err


def test_missing_runs_are_asked_for_by_their_command(tmp_path):
    load(tmp_path, trained())
    [entry] = write(tmp_path / "results", tmp_path / "conf")
    assert entry.verdict.verdict == "undecided"
    for text in (pages.overview([entry]), pages.page(entry.verdict)):
        assert "missing: `python train.py study=demo`" in text
