"""`python train.py --help`: every group with a line of its own, and every file."""

from ablations.compose import CONF
from ablations.help import groups, help_text


def test_every_group_has_a_line_that_says_what_it_is():
    """A folder of conf/ that the page left out would be a choice that nobody finds."""
    found = {group.name: group for group in groups(CONF)}
    assert set(found) == {path.name for path in CONF.iterdir() if path.is_dir()} - {"claim"}, "claims are no choice"
    assert all(len(group.says) > 10 for group in found.values()), "conf/config.yaml says it beside the default"
    assert found["task"].default == "python_docs" and found["study"].default == "null"
    assert all(group.default in [*group.options, "null"] for group in found.values())


def test_the_page_names_every_file_and_fits_a_terminal():
    page = help_text(CONF)
    words = page.replace(",", " ").split()
    for group in groups(CONF):
        assert set(group.options) <= set(words)
    assert max(map(len, page.splitlines())) <= 120


def test_a_new_group_is_found(tmp_path):
    (tmp_path / "colour").mkdir()
    (tmp_path / "colour" / "red.yaml").write_text("# Red.")
    (tmp_path / "config.yaml").write_text(
        "defaults:\n  - schema # types\n  - colour: red # of the bike shed\n  - _self_\n"
    )
    page = help_text(tmp_path)
    assert "  colour  of the bike shed (red unless you say so)\n          red\n" in page
