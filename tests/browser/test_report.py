"""The page of `make report` in a real browser, from disk: drawn, sorted, filtered, heard, and reaching for nothing."""

import importlib.util
import io
import itertools
import shutil
from contextlib import contextmanager

import pytest

from ablations import figures
from ablations import record as records
from ablations.report import build
from tests.ablations.make import make_record
from tests.ablations.report import make

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PACKAGES = ("playwright", "axe_playwright_python", "vl_convert")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, PACKAGES)),
        reason=f"not all of {PACKAGES} are there: pip install -r requirements-dev.txt -r requirements-browser.txt",
    ),
]
DESKTOP, PHONE, NARROW, ZOOMED = (1280, 900), (390, 844), (320, 640), (640, 450)  # the last: 200 % on a desktop
CHARTS = {"#shifts-plot": 1, "#curves-plot": 1, "#seeds-plot": 1, "#costs-plot": 1, "#maps-plots": 2, "#maps-scale": 1}
# Of axe-core's rules those of WCAG 2.2, levels A and AA, and what it calls best practice.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of a small study whose texts are hostile."""
    folder = tmp_path_factory.mktemp("report")
    made = build(make.results(folder / "results"), ["demo"], make.claims(folder / "conf"))
    (folder / "report.html").write_text(made.text, encoding="utf-8")
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@contextmanager
def opened(browser, address, size=DESKTOP, drawn=CHARTS, **options):
    """The page as a reader has it; at the end nothing may have gone wrong and nothing may have been asked of anyone."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, offline=True, **options)
    page = context.new_page()
    told, asked = [], []
    page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("dialog", lambda dialog: (told.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(address)
        for selector, count in drawn.items() if options.get("java_script_enabled", True) else ():
            page.wait_for_function(f"document.querySelectorAll('{selector} svg.marks').length === {count}")
        yield page
    finally:
        context.close()
    assert told == []
    assert asked == [address]


def column(page, title):
    """The texts of a column of the table of runs, as they stand, of the rows that are shown."""
    return page.evaluate(
        """title => {
          const table = document.getElementById("runs-table");
          const place = [...table.tHead.rows[0].cells].findIndex(cell => cell.innerText.startsWith(title));
          return [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => row.cells[place].textContent);
        }""",
        title,
    )


def heading(page, title):
    return page.locator("#runs-table th").filter(has_text=title).first


def test_it_draws_without_a_word_on_the_console_and_asks_nobody(browser, address):
    with opened(browser, address) as page:
        assert page.locator("h1").count() == 1
        assert page.locator("svg.marks").count() == sum(CHARTS.values())


def test_a_study_without_curves_maps_translations_or_anything_to_compare_says_so(browser, tmp_path):
    records.write(make_record("shared"), tmp_path)
    made = build(tmp_path, ["demo"], tmp_path)
    (tmp_path / "report.html").write_text(made.text, encoding="utf-8")
    with opened(browser, (tmp_path / "report.html").as_uri(), drawn={"#seeds-plot": 1, "#costs-plot": 1}) as page:
        for name in ("curves", "maps", "translations"):
            assert page.locator(f"#{name}").inner_text().endswith("Nothing of this kind is on record.")
        assert "No two settings can be compared yet." in page.locator("#answer").inner_text()
        assert page.locator("#runs-count").inner_text() == "1 run"


def test_a_heading_sorts_by_mouse_and_by_keyboard_and_leaves_what_has_no_score_at_the_end(browser, address):
    with opened(browser, address) as page:
        heading(page, "BLEU").get_by_role("button").click()
        assert heading(page, "BLEU").get_attribute("aria-sort") == "ascending"
        assert column(page, "BLEU") == ["26.00", "26.10", "30.00", "30.10", *["—"] * 4]
        page.keyboard.press("Enter")
        assert heading(page, "BLEU").get_attribute("aria-sort") == "descending"
        assert column(page, "BLEU") == ["30.10", "30.00", "26.10", "26.00", *["—"] * 4]
        heading(page, "strategy").get_by_role("button").focus()
        page.keyboard.press("Space")
        assert column(page, "strategy") == ["separate"] * 4 + ["shared"] * 4
        assert heading(page, "BLEU").get_attribute("aria-sort") == "none"


def test_words_and_choices_filter_the_runs_and_say_how_many_are_left(browser, address):
    with opened(browser, address) as page:
        page.get_by_label("Words").fill("SHARED flickr")
        assert page.locator("#runs-count").inner_text() == "2 of 8 runs"
        assert column(page, "strategy") == ["shared"] * 2
        page.get_by_label("Words").fill("")
        page.get_by_label("Status").select_option("diverged")
        assert column(page, "status") == ["diverged: loss is not finite"]
        page.get_by_role("button", name="Show all").click()
        assert page.locator("#runs-count").inner_text() == "8 runs"


def test_claims_can_be_chosen_by_verdict(browser, address):
    with opened(browser, address) as page:
        assert page.locator("#claims-count").inner_text() == "1 claim"
        page.get_by_label("Verdict", exact=True).select_option("undecided")
        assert page.locator("#claims-table tbody:visible").count() == 1


def test_a_command_can_be_copied(browser, address):
    with opened(browser, address, permissions=["clipboard-read", "clipboard-write"]) as page:
        button = page.locator("#runs-table button.copy").first
        button.click()
        page.wait_for_function("button => button.textContent === 'Copied'", arg=button.element_handle())
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("#runs-table code").first.text_content()


def strokes(page):
    """Colour -> opacity of the mean curves."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("#curves-plot .mark-line path")]
          .map(path => [path.getAttribute("stroke"), Number(path.getAttribute("opacity") ?? 1)]))"""
    )


def test_a_click_on_the_legend_highlights_a_setting_and_the_mouse_over_the_chart_tells_numbers(browser, address):
    with opened(browser, address) as page:
        page.get_by_label("Study and task").first.select_option(label="demo: flickr")
        page.wait_for_function("document.querySelectorAll('#curves-plot .mark-line path').length === 2")
        blue, orange = figures.COLOURS[:2]
        assert strokes(page) == {blue: 1, orange: 1}
        page.locator("#curves-plot .role-legend-symbol path").nth(1).click()
        page.wait_for_selector(f"#curves-plot .mark-line path[stroke='{blue}'][opacity^='0.']")
        assert strokes(page)[orange] == 1
        box = page.locator("#curves-plot svg").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 150)
        page.wait_for_selector("#vg-tooltip-element.visible")
        assert "shared" in (told := page.locator("#vg-tooltip-element").inner_text()) or "separate" in told
        assert "seeds" in told


def test_seeds_settings_and_losses_can_be_chosen_and_the_sentence_follows(browser, address):
    with opened(browser, address) as page:
        page.locator("#curves-study").select_option(label="demo: flickr")
        assert page.locator("#curves-says").inner_text() == (
            "demo: flickr, training loss (nats) at the end: separate 3.05; shared 3.55."
        )
        page.locator("#curves-seeds").get_by_label("0").uncheck()
        assert "separate 3.1; shared 3.6." in page.locator("#curves-says").inner_text()
        page.locator("#curves-settings").get_by_label("separate").uncheck()
        assert page.locator("#curves-says").inner_text().endswith("at the end: shared 3.6.")
        page.locator("#curves-settings").get_by_label("shared").uncheck()
        page.wait_for_function("!document.querySelector('#curves-plot svg')")
        assert page.locator("#curves-says").inner_text() == "No curve is chosen."
        page.locator("#curves-settings").get_by_label("shared").check()
        page.get_by_label("Loss", exact=True).select_option(label="validation loss (nats)")
        assert "validation loss (nats) at the end: shared 3.6." in page.locator("#curves-says").inner_text()
        page.wait_for_function("document.querySelectorAll('#curves-plot .role-legend-symbol path').length === 1")
        assert set(strokes(page)) <= {figures.COLOURS[1]}  # a setting keeps its colour when others are not shown


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """The page of a study with long names, a setting of which all runs diverged, and too few seeds to say anything."""
    folder = tmp_path_factory.mktemp("uneven")
    for strategy, score in {"separate": 50.0, "shared": 60.0, "q_is_k": 0.0}.items():
        status = "diverged" if strategy == "q_is_k" else "finished"
        for width, name, seed in itertools.product((64, 128), ("gated", "plain"), (0, 1)):
            fields = {"model__d_ff": width, "model__activation": f"{name}_linear"}
            run = make_record(strategy, "flickr", seed, score / 10 * (1 + seed), status, **fields)
            samples = make.translator(strategy, seed)["samples"]
            records.write(run | {"curve": make.curve(seed), "samples": samples} if score else run, folder)
    (folder / "report.html").write_text(build(folder, ["demo"], folder).text, encoding="utf-8")
    return (folder / "report.html").as_uri()


DRAWN = {"#shifts-plot": 1, "#curves-plot": 1, "#seeds-plot": 1, "#costs-plot": 1}


def test_differences_are_counted_by_the_verdicts_of_the_tables_and_what_is_gone_is_named(browser, uneven):
    with opened(browser, uneven, drawn=DRAWN) as page:
        page.locator("#shifts-strategy").select_option("")
        says = page.locator("#shifts-says").inner_text()
        assert says.startswith("8 differences, by the verdicts of the tables: 4 inconclusive, 4 worse.")
        assert "Without any pair, and not in the picture: demo, flickr: q_is_k" in says and "2 diverged" in says
        page.locator("#shifts summary, #shifts-plot ~ figcaption summary").first.click()
        for row in page.locator("#shifts-table tbody tr").all():
            cells = row.locator("td").all_inner_texts()
            assert {text.split()[-1] for text in cells[3:6]} == {"BLEU" if cells[2] == "BLEU" else "%"}


def test_no_box_is_ticked_that_draws_nothing(browser, uneven):
    with opened(browser, uneven, drawn=DRAWN) as page:
        boxes = page.locator("#curves-settings label").evaluate_all(
            "all => all.map(one => [one.innerText.trim(), one.querySelector('input').checked])"
        )
        assert len(boxes) == 12 and all(ticked == ("q_is_k" not in name) for name, ticked in boxes)
        assert "Nothing to draw of q_is_k" in page.locator("#curves-says").inner_text()


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_long_names_can_be_read_whole_and_axes_end_where_scores_do(browser, uneven, size):
    with opened(browser, uneven, size, drawn=DRAWN) as page:
        for plot in ("#shifts-plot", "#seeds-plot", "#costs-plot", "#curves-plot"):
            texts = page.locator(f"{plot} svg text").all_text_contents()
            assert not [text for text in texts if "\u2026" in text], plot
        marks = page.locator("#seeds-plot .role-axis-label text").all_text_contents()
        numbers = [float(text.replace("\u2212", "-")) for text in marks if text.strip("\u2212-").isdigit()]
        assert numbers and min(numbers) >= 0
        name = page.locator("#translations-list th bdi").nth(2)
        inside = "name => name.getBoundingClientRect().right <= name.closest('th').getBoundingClientRect().right + 1"
        assert name.inner_text().startswith("separate, model.activation=gated_linear, model.d_ff") and name.evaluate(
            inside
        )


def test_maps_stand_side_by_side_and_follow_their_choices(browser, address):
    with opened(browser, address) as page:
        assert page.locator("#maps-plots figcaption").all_inner_texts() == ["separate", "shared"]
        assert "separate 0.2; shared 0.9" in page.locator("#maps-says").inner_text()
        page.get_by_label("Site", exact=True).select_option("decoder.0.cross")
        page.get_by_label("Head", exact=True).select_option("all")
        page.wait_for_function("document.querySelectorAll('#maps-plots svg.marks').length === 4")
        assert page.locator("#maps-plots figcaption").nth(3).inner_text() == "shared, head 1"
        page.locator("#maps summary").click()
        assert "</script>" in page.locator("#maps-table").inner_text()


def test_translations_are_marked_with_words_and_hostile_texts_stay_texts(browser, address):
    with opened(browser, address) as page:
        first = page.locator("#translations-list table").first
        assert first.locator("tr").nth(1).locator("td").inner_text() == make.HOSTILE[0]
        marked = first.get_by_role("row").filter(has_text="shared")
        assert marked.locator("del").text_content() == "[missing: ein]"
        assert marked.locator("ins").text_content() == "[not in the reference: das]"
        assert first.get_by_role("row").filter(has_text="separate").locator("ins, del").count() == 0
        shown = [
            page.locator("#translations-list table").nth(i).locator("td bdi").first.text_content() for i in range(6)
        ]
        assert shown == list(make.HOSTILE)


def test_a_run_leads_to_its_study(browser, address):
    with opened(browser, address) as page:
        page.locator("#study-demo").evaluate("study => study.open = false")
        page.locator("#runs-table").get_by_role("link", name="demo").first.click()
        page.wait_for_selector("#study-demo[open]")


def test_a_hostile_setting_stays_text_in_charts_and_under_the_mouse(browser, tmp_path):
    for value in make.HOSTILE[1:3]:
        run = make_record("shared", model__activation=value)
        records.write(run | {"curve": make.curve(0)}, tmp_path)
    (tmp_path / "report.html").write_text(build(tmp_path, ["demo"], tmp_path).text, encoding="utf-8")
    charts = {"#curves-plot": 1, "#seeds-plot": 1, "#costs-plot": 1}
    with opened(browser, (tmp_path / "report.html").as_uri(), drawn=charts) as page:
        page.locator("#curves-plot svg").scroll_into_view_if_needed()
        box = page.locator("#curves-plot svg").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 150)
        page.wait_for_selector("#vg-tooltip-element.visible")
        assert "model.activation=" in page.locator("#vg-tooltip-element").inner_text()
        assert page.locator("img").count() == 0


def test_the_first_tab_leads_past_the_navigation(browser, address):
    with opened(browser, address) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.locator(".skip").bounding_box()["width"] > 50  # seen when it has the focus
        page.keyboard.press("Enter")
        page.wait_for_function("document.activeElement.id === 'main'")


@pytest.mark.parametrize("size", [DESKTOP, ZOOMED, NARROW])
def test_no_width_makes_the_page_scroll_sideways(browser, address, size):
    with opened(browser, address, size) as page:
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]


@pytest.mark.parametrize("size, scheme", [(DESKTOP, "light"), (PHONE, "dark")])
def test_axe_finds_nothing(browser, address, scheme, size):
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, address, size, color_scheme=scheme) as page:
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_curves_are_drawn_in_the_colours_of_the_figures_over_the_whole_chart(browser, address, scheme):
    import numpy as np
    from PIL import Image

    with opened(browser, address, color_scheme=scheme) as page:
        page.locator("#curves-study").select_option(label="demo: flickr")
        page.wait_for_function("document.querySelectorAll('#curves-plot .mark-line path').length === 2")
        picture = page.locator("#curves-plot").screenshot()
    with Image.open(io.BytesIO(picture)) as shot:
        pixels = np.asarray(shot.convert("RGB"), dtype=int)
    for colour in figures.COLOURS[:2]:
        near = (abs(pixels - tuple(bytes.fromhex(colour[1:]))) < 30).all(axis=-1)
        assert np.count_nonzero(near.any(axis=0)) > pixels.shape[1] / 2, f"{colour} is not drawn in {scheme}"
    assert (pixels.mean() > 128) == (scheme == "light")


def test_without_scripts_the_tables_can_be_read(browser, address):
    with opened(browser, address, java_script_enabled=False) as page:
        assert page.locator("#runs-table tbody tr").count() == 8
        assert page.get_by_text("One matrix is worse").first.is_visible()
