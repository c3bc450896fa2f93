"""The page as a whole: what stands in it, that no text in it becomes markup, and that it stays the same."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from ablations import compose, files
from ablations import record as records
from ablations.claims import schema
from ablations.compose import CONF
from ablations.report import answer, build, page
from ablations.tables import planned
from tests.ablations.make import make_record
from tests.ablations.report import make


class Elements(HTMLParser):
    """Start tags with attributes, and text by element, as a browser would find them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.inside = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.text.append(data)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return build(make.results(folder / "results"), ["demo"], make.claims(folder / "conf"), plots="let plots;")


@pytest.fixture(scope="module")
def elements(built):
    return Elements(built.text)


def words(elements):
    return re.sub(r"\s+", " ", " ".join(elements.text))


def data(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_every_section_is_there_with_what_the_records_say(elements):
    ids = {attributes.get("id") for _, attributes in elements.tags}
    assert ids >= {"answer", "claims", "studies", "curves", "scores", "maps", "translations", "runs", "main"}
    said = words(elements)
    assert "8 runs: 7 finished, 1 diverged" in said
    assert "Headline: demo" in said
    assert "python scripts/tables.py --study demo" in said
    assert "python scripts/claims.py C01" in said
    assert "python train.py projection=shared seed=1" in said
    assert "One matrix is worse" in said
    assert "undecided" in said


def test_one_heading_of_the_first_order_and_a_language(elements):
    assert [attributes for tag, attributes in elements.tags if tag == "html"] == [{"lang": "en"}]
    assert sum(tag == "h1" for tag, _ in elements.tags) == 1
    assert {"main", "header", "footer", "nav"} <= {tag for tag, _ in elements.tags}


def test_every_table_has_a_caption_and_headings_with_a_scope(elements):
    tags = [tag for tag, _ in elements.tags]
    assert tags.count("table") == tags.count("caption") > 3
    assert all(attributes.get("scope") for tag, attributes in elements.tags if tag == "th")


def test_every_control_has_a_label(elements):
    named = {attributes.get("for") for tag, attributes in elements.tags if tag == "label"}
    selects = [attributes["id"] for tag, attributes in elements.tags if tag == "select"]
    assert selects and set(selects) <= named


def test_hostile_texts_make_no_element(elements):
    scripts = [attributes for tag, attributes in elements.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}, {}]
    assert not [tag for tag, _ in elements.tags if tag == "img"]
    assert not [name for _, attributes in elements.tags for name in attributes if name.startswith("on")]


def test_hostile_texts_are_shown_as_they_are(elements, built):
    assert make.HOSTILE[0] in words(elements)
    sources = [sentence["source"] for sentence in data(built.text)["translations"][0]["sentences"]]
    assert sources == list(make.HOSTILE)


def test_a_hostile_setting_stays_text(tmp_path):
    for value in make.HOSTILE[:2]:
        records.write(make_record("shared", model__activation=value), tmp_path)
    elements = Elements(build(tmp_path, ["demo"], tmp_path, plots="").text)
    assert not [tag for tag, _ in elements.tags if tag == "img"]
    assert f"model.activation={make.HOSTILE[1]}" in words(elements)


def test_data_cannot_end_their_script_or_begin_a_comment(built):
    inside = re.search(r'id="data">(.*?)</script>', built.text, re.DOTALL)[1]
    assert not re.search("[<>&\u2028\u2029]", inside)


def test_signs_that_turn_text_around_are_spelled_out_where_names_and_commands_stand(tmp_path):
    run = make_record(study__question="safe \u202eefas") | {"command": "python train.py \u202eyp.niart"}
    records.write(run, tmp_path)
    text = build(tmp_path, ["demo"], tmp_path, plots="").text
    assert "\u202e" not in text
    assert "safe \\u202eefas" in text
    assert "python train.py \\u202eyp.niart" in text


def test_the_policy_lets_these_scripts_run_and_forbids_every_connection(elements, built):
    policy = next(a["content"] for tag, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules and "unsafe" not in rules["script-src"]
    for script in re.findall(r"<script>(.*?)</script>", built.text, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules["script-src"]


def test_nothing_refers_to_another_address(elements):
    for tag, attributes in elements.tags:
        for name in ("src", "href", "action", "data", "poster"):
            if name in attributes:
                assert attributes[name].startswith(("#", "data:")), (tag, attributes)


def test_the_same_records_give_the_same_bytes_whatever_order_they_were_written_in(tmp_path, built):
    there = [make.results(tmp_path / "one"), tmp_path / "two"]
    for file in sorted((there[0] / "records" / "demo").glob("*.json"), reverse=True):
        records.write(records.load(file), there[1])
    conf = make.claims(tmp_path / "conf")
    texts = [build(folder, ["demo"], conf, plots="let plots;").text for folder in there]
    assert texts[0] == texts[1] == built.text


def test_a_study_that_lacks_planned_runs_is_partial_and_says_which(tmp_path):
    """Planned by the study's file in the folder that was given, not by one of its name elsewhere."""
    for seed in (0, 1):
        records.write(
            make_record("separate", "docs", seed, study="headline_wikitext2", study__name="headline_wikitext2"),
            tmp_path,
        )
    conf = make.plan(tmp_path / "conf", "headline_wikitext2")
    said = words(Elements(build(tmp_path, ["headline_wikitext2"], conf, plots="").text))
    missing = "Partial: 2 of 4 planned runs have no record: projection=shared seed 0, 1."
    assert said.count(missing) == 2 and f"PARTIAL. headline_wikitext2: {missing}" in said  # in the answer, too
    assert "python train.py study=headline_wikitext2 paths.corpora=FOLDER" in said
    said = words(Elements(build(tmp_path, ["headline_wikitext2"], tmp_path / "empty", plots="").text))
    assert "Partial" not in said and "train.py study=headline_wikitext2" not in said


def test_the_folder_of_choices_is_written_down_once():
    assert compose.CONF is files.CONF is schema.CONF is planned.CONF


def test_a_study_of_two_baselines_says_so_and_the_others_stay(tmp_path):
    records.write(make_record("separate"), tmp_path)
    for baseline in ("separate", "shared"):
        names = {"study": "mixed", "study__name": "mixed", "study__baseline": baseline}
        records.write(make_record(baseline, **names), tmp_path)
    built = build(tmp_path, ["demo", "mixed"], tmp_path, plots="")
    sentence = "the runs of study mixed name several baselines (separate, shared): choose one"
    assert built.refusals == [f"study mixed: {sentence}"]
    said = words(Elements(built.text))
    assert sentence in said and "Headline: demo" in said


def test_the_answer_is_found_once_and_drawn_from(tmp_path, monkeypatch):
    records.write(make_record("separate"), tmp_path)
    records.write(make_record("shared"), tmp_path)
    found, find = [], answer.answer
    monkeypatch.setattr(answer, "answer", lambda *given: found.append(find(*given)) or found[-1])
    text = build(tmp_path, ["demo"], tmp_path, plots="").text
    assert len(found) == 1 and found[0].shifts
    assert data(text)["shifts"] == found[0].shifts


def test_a_study_whose_runs_cannot_stand_in_one_table_says_why_and_the_others_stay(tmp_path):
    records.write(make_record("separate"), tmp_path)
    records.write(make_record("separate", study="mixed", study__name="mixed"), tmp_path)
    records.write(make_record("shared", study="mixed", study__name="mixed", trainer__steps=7), tmp_path)
    built = build(tmp_path, ["demo", "mixed"], tmp_path, plots="")
    assert [sentence.split(":")[0] for sentence in built.refusals] == ["study mixed"]
    assert "number of steps is 100 in the first" in words(Elements(built.text))
    assert "Headline: demo" in words(Elements(built.text))


def test_a_file_that_is_no_record_does_not_keep_other_studies_from_the_page(tmp_path):
    records.write(make_record("separate"), tmp_path)
    (tmp_path / "records" / "broken").mkdir()
    (tmp_path / "records" / "broken" / "x-y-s0-0123456789abcdef.json").write_text("{")
    built = build(tmp_path, ["broken", "demo"], tmp_path, plots="")
    assert "is not a readable record" in built.refusals[0]
    assert "Headline: demo" in words(Elements(built.text))


def test_records_without_any_of_the_newer_fields_make_a_page(tmp_path):
    for strategy in ("separate", "shared"):
        run = make_record(strategy)
        for key in ("budget", "samples", "curve"):
            run[key] = {} if key == "budget" else []
        run["budget"] = {"parameters": 1, "projection_d2": 3.0, "cache_numbers_per_token": 2}
        records.write(run, tmp_path)
    said = words(Elements(build(tmp_path, ["demo"], tmp_path, plots="").text))
    assert said.count("not on record") >= 4


def test_only_diverged_runs_make_a_page_without_tables(tmp_path):
    records.write(make_record("shared", status="diverged"), tmp_path)
    built = build(tmp_path, ["demo"], tmp_path, plots="")
    assert built.refusals == []
    assert "1 run: 1 diverged" in words(Elements(built.text))


def test_the_page_names_its_studies_unless_they_are_all(tmp_path):
    for name in ("one", "two"):
        records.write(make_record(study=name, study__name=name), tmp_path)
    assert page.command(tmp_path, ["one", "two"]) == "python scripts/report.py"
    assert page.command(tmp_path, ["two"]) == "python scripts/report.py --study two"


def test_a_study_shows_its_further_sweeps_and_what_would_change_our_mind(tmp_path):
    conf = make.plan(tmp_path / "conf", "demo")
    file = conf / "study" / "demo.yaml"
    file.write_text(f"{make.PLAN}study: {{change: A tie., more: [projection=k_is_v]}}\n")
    records.write(make_record(), tmp_path)
    text = build(tmp_path, ["demo"], conf, plots="").text
    assert "<dt>What would change our mind</dt><dd>A tie.</dd>" in text
    for words in ("", " projection=k_is_v"):
        assert f"<code>python train.py study=demo{words} paths.corpora=FOLDER</code>" in text


def command(*options):
    return subprocess.run(
        [sys.executable, "scripts/report.py", *map(str, options)], cwd=CONF.parent, capture_output=True, text=True
    )


def test_the_joined_headline_is_what_its_command_prints(tmp_path):
    for strategy in ("separate", "shared"):
        for seed in (0, 1):
            names = {"study": "headline", "study__name": "headline"}
            records.write(make_record(strategy, "flickr", seed, 30.0 + seed, **names), tmp_path)
            names = {"study": "headline_wikitext2", "study__name": "headline_wikitext2"}
            records.write(make_record(strategy, "docs", seed, 90.0 + seed, **names), tmp_path)
    records.write(make_record(study="headline", study__name="headline"), tmp_path)
    text = build(tmp_path, ["headline", "headline_wikitext2"], tmp_path, plots="").text
    (again,) = re.findall(r"<code>python (scripts/tables.py [^<]*--join [^<]*)</code>", text)
    printed = subprocess.run(
        [sys.executable, *again.split(), "--results", str(tmp_path)], cwd=CONF.parent, capture_output=True, text=True
    )
    assert printed.returncode == 0, printed.stderr
    cell = "30.50 ± 0.71 (n=2)"
    assert cell in printed.stdout and cell in words(Elements(text))


def test_an_empty_folder_of_results_gets_a_sentence_and_no_page(tmp_path):
    answer = command("--results", tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == f"no records under {tmp_path / 'records'} yet: `python train.py` makes one\n"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_study_is_refused_in_a_sentence(tmp_path):
    records.write(make_record(), tmp_path)
    answer = command("--results", tmp_path, "--study", "dmeo")
    assert answer.returncode == 1
    assert answer.stderr == f"error: no records of study 'dmeo' under {tmp_path} (known: demo)\n"


def test_the_report_loads_nothing_heavy():
    """Hydra came for one path, that of `conf/`."""
    code = "import sys; import ablations.report; print({'torch', 'vl_convert', 'hydra'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=CONF.parent, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_the_plotting_library_is_one_script_that_cannot_end_early():
    assert "</script" not in page.library()
    assert "window.vegaEmbed" in page.library()


def two_studies(results, broken=False):
    """Of which `broken` makes one that gets no table."""
    for study in ("one", "two"):
        for strategy in ("separate", "shared"):
            wrong = broken and (study, strategy) == ("two", "shared")
            run = make_record(strategy, study=study, study__name=study, trainer__steps=7 if wrong else 100)
            records.write(run, results)


def test_a_page_of_chosen_studies_is_not_written_over_that_of_all(tmp_path):
    two_studies(tmp_path)
    (tmp_path / "report.html").write_text("that of all")
    answer = command("--results", tmp_path, "--study", "two")
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "report.html").read_text() == "that of all"
    text = (tmp_path / "report-two.html").read_text()
    assert "<code>python scripts/report.py --study two</code>" in text


def test_a_page_that_lacks_something_leaves_the_old_one_as_it_is(tmp_path):
    two_studies(tmp_path, broken=True)
    (tmp_path / "report-two.html").write_text("the old one")
    answer = command("--results", tmp_path, "--study", "two")
    assert answer.returncode == 1 and "error: study two:" in answer.stderr
    assert (tmp_path / "report-two.html").read_text() == "the old one"
    assert "No table:" in (tmp_path / "report-two-incomplete.html").read_text()
    assert not (tmp_path / "report.html").exists()


def test_a_page_can_only_be_a_file_in_a_folder_that_is_there(tmp_path):
    """Told before any record is read: there are none here."""
    answer = command("--results", tmp_path, "--output", tmp_path)
    assert answer.returncode == 1
    assert answer.stderr == f"error: {tmp_path} is a folder: name a file, such as {tmp_path / 'report.html'}\n"
    answer = command("--results", tmp_path, "--output", tmp_path / "new" / "page.html")
    assert answer.returncode == 1 and f"there is no folder {tmp_path / 'new'}" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_page_of_chosen_studies_names_them_and_shows_their_claims_alone(tmp_path):
    """Also where they are all there are."""
    records.write(make_record("separate"), tmp_path)
    records.write(make_record("shared"), tmp_path)
    conf = make.claims(tmp_path / "conf")
    about = "parts: [{kind: trained, study: demo}]\n"
    (conf / "claim" / "C02.yaml").write_text(make.CLAIM.replace("C01", "C02").split("parts:")[0] + about)
    text = build(tmp_path, ["demo"], conf, plots="", chosen=True).text
    for script in ("report", "tables"):
        assert f"<code>python scripts/{script}.py --study demo</code>" in text
    said = words(Elements(text))
    assert "C02" in said and "C01" not in said  # C02 lacks most of a claim, and is refused
    assert "C01" in words(Elements(build(tmp_path, ["demo"], conf, plots="").text))


def test_nothing_is_said_to_be_fixed_before_the_runs_of_a_study_that_no_file_plans(tmp_path):
    for strategy in ("separate", "shared"):
        records.write(make_record(strategy, study__margin_perplexity=0.01), tmp_path)
    said = words(Elements(build(tmp_path, ["demo"], tmp_path, plots="").text))
    assert "what it lacks is unknown" in said and "before its first run" not in said
    assert "1 % of perplexity" in said and "the margin that the study names" in said
