"""Pages of studies: which tables there are, and that they say the same in every format."""

import csv
import math

import pytest

from ablations import record as records
from ablations import writers
from ablations.tables import rows
from ablations.writers.controls import control_grids
from ablations.writers.power import power_grids
from tests.ablations.make import make_record
from tests.ablations.tables.test_controls import AS, BASE, runs
from tests.ablations.tables.test_evidence import study
from tests.ablations.tables.test_places import at, heads


def titles(made):
    return [grid.title for grid in writers.grids(rows(made), made, "separate")]


def grid_of(made, title):
    (grid,) = [grid for grid in writers.grids(rows(made), made, "separate") if grid.title == title]
    return grid


def test_a_page_has_the_tables_that_its_runs_mean():
    plain = ["Headline", "Differences", "Power", "Steps to the baseline's loss: docs", "Costs: docs", "Task docs"]
    assert titles(study(1.1)) == plain
    more = runs("shared", 80, 1000, 3000, 64, 43)
    assert titles([*BASE, *AS, *more])[3] == "Controls: perplexity (docs, test)"
    swept = [
        make_record(name, seed=s, optim__lr=lr) for name in ("separate", "shared") for s in (0, 1) for lr in (1, 2)
    ]
    assert titles(swept)[3:5] == ["optim.lr by strategy: perplexity (docs, test)", "Learning rates: docs"]
    assert "Sites: BLEU (flickr, test)" in titles([at(), at("cross"), at("encoder")])


def test_the_floor_stands_where_it_binds():
    few = grid_of([run for run in study(1.1) if run["seed"] < 3], "Differences")
    assert few.body[0][5] == "0.25 (≥ 0.25)" and "no exact test can reach 5 %" in few.notes[-1]
    more = [
        make_record(n, seed=s, score=40 + 3 * (n == "shared") + s / 9) for n in ("separate", "shared") for s in range(6)
    ]
    enough = grid_of(more, "Differences")
    assert enough.body[0][5] == "0.0312" and "≥" not in " ".join(enough.notes)


def test_power_is_in_units_of_the_score_or_percent_of_a_perplexity():
    made = study(1.002, margin_perplexity=0.01)
    (grid,) = power_grids(rows(made), made)
    evidence = rows(made)[1].cells[writers.power.headline_columns(made)[0]].evidence
    low, high = (100 * math.expm1(sd) for sd in evidence.deviations)
    assert grid.body[0][3:6] == [
        f"{100 * math.expm1(evidence.difference.sd):.3g} % [{low:.3g} %, {high:.3g} %]",
        f"{100 * math.expm1(evidence.detectable):.3g} %",
        "1 %",
    ]
    assert grid.body[0][6:] == [str(evidence.seeds_to_detect), str(evidence.seeds_for_equivalence)]
    bleu = study(1.0, "flickr", margin_bleu=0.5)
    assert power_grids(rows(bleu), bleu)[0].body[0][5] == "0.5 BLEU"


def test_the_rule_of_the_verdict_names_the_margin_and_what_has_none():
    notes = " ".join(grid_of(study(1.0, "flickr", margin_bleu=0.5), "Headline").notes)
    assert "within the margin (0.5 BLEU)" in notes and "No margin is fixed for perplexity." in notes
    assert "diverged" not in notes
    without = " ".join(grid_of(study(1.0), "Headline").notes)
    assert "margin" not in without.split("Verdict")[1].split("Maps")[0]
    lost = [*study(1.0), make_record("shared", seed=7, status="diverged")]
    notes = " ".join(grid_of(lost, "Headline").notes)
    assert "of which a run diverged is worse or inconclusive" in notes and "Where a run of the baseline" not in notes
    lost[-1] = make_record("separate", seed=7, status="diverged")
    notes = " ".join(grid_of(lost, "Headline").notes)
    assert "Where a run of the baseline diverged" in notes and "A setting of which a run" not in notes


def test_a_control_says_which_setting_it_is_and_what_was_lost():
    lost = runs("shared", 80, 1000, 3000, 64, 43)
    lost[2] |= {"status": "diverged", "scores": {}}
    made = [*BASE, *AS, *lost]
    (grid,) = control_grids(rows(made), made)
    assert grid.header == ["strategy", "as is (× parameters)", "equal parameters", "equal FLOPs"]
    assert grid.body == [
        [
            "shared",
            "+5.00 [+5.00, +5.00] × 0.800",
            "+3.00 [+3.00, +3.00] × 1.000, 1 diverged",
            "+3.00 [+3.00, +3.00] × 1.000, 1 diverged",
        ]
    ]
    assert grid.notes[1] == (
        "as is: shared, model.d_ff=64 (× 0.800 parameters, 0.833 FLOPs, 0.500 cache); equal parameters and equal "
        "FLOPs: shared, model.d_ff=80 (× 1.000 parameters, 1.000 FLOPs, 0.500 cache)."
    )


def test_a_control_says_what_was_lost_of_the_baseline():
    base = runs("separate", 64, 1000, 3000, 128, 40)
    base[2] |= {"status": "diverged", "scores": {}}
    made = [*base, *AS, *runs("shared", 80, 1000, 2900, 64, 43)]
    assert control_grids(rows(made), made)[0].body[0][2] == "+3.00 [+3.00, +3.00] × 1.000, 1 diverged of the baseline"


def test_what_is_of_a_logarithm_is_said():
    assert "Of perplexities r and every test are of their logarithm" in " ".join(
        grid_of(study(1.1), "Differences").notes
    )
    accuracies = [make_record(name, "opinions", s, 80 + s) for name in ("separate", "shared") for s in (0, 1)]
    assert "logarithm" not in " ".join(grid_of(accuracies, "Differences").notes)


def test_heads_and_sites_read_across():
    grid = grid_of(heads(1, 4), "model.heads by strategy: perplexity (docs, test)")
    assert [line[0] for line in grid.body] == ["1", "Δ", "4", "Δ"]
    assert grid.body[1] == ["Δ", "baseline", "+0.00 (one pair)"]
    grid = grid_of([at(), at("cross", score=28.0), at("encoder")], "Sites: BLEU (flickr, test)")
    assert grid.header == ["strategy", "nowhere", "encoder", "cross"]
    assert grid.body[1] == ["Δ", "baseline", "+0.00 (one pair)", "-2.00 (one pair)"]


def written(made, folder):
    for run in made:
        records.write(run, folder)
    return [file.read_text() for file in writers.write(folder, "demo")]


def test_every_format_has_every_table(tmp_path):
    markdown, _, tex = written([*BASE, *AS, *runs("shared", 80, 1000, 3000, 64, 43)], tmp_path)
    made = records.briefs(tmp_path, "demo")
    for grid in writers.grids(rows(made), made, "separate"):
        assert f"\n## {grid.title}\n" in markdown
        assert (rf"\caption{{{grid.title.replace('_', chr(92) + '_')}." in tex) == bool(grid.body)
    assert tex.count(r"\toprule") == tex.count(r"\bottomrule") == tex.count(r"\begin{tabular}")
    assert not {"×", "Δ", "±", "≥"} & set(tex), "not in every font"
    assert tex.count("{") - tex.count(r"\{") == tex.count("}") - tex.count(r"\}"), "wide tables close what they open"


def test_a_study_that_is_not_whole_says_so_at_the_top(tmp_path):
    markdown, *_ = written(study(1.0), tmp_path)  # the study `demo` plans two other tasks
    assert "Partial: 8 of 8 planned runs have no record" in markdown.split("## Headline")[0]


def test_other_differences_come_again_from_the_csv(tmp_path):
    _, text, _ = written([*BASE, *AS, *runs("shared", 80, 1000, 3000, 64, 43)], tmp_path)
    lines = [line for line in csv.DictReader(text.splitlines()[1:]) if line["score"] == "token_perplexity"]
    scores = {
        (line["setting"], line["split"]): dict(
            zip(map(int, line["seeds"].split()), map(float, line["scores"].split()), strict=True)
        )
        for line in lines
    }
    wide, base = scores["shared, model.d_ff=80", "test"], scores["separate, model.d_ff=64", "test"]
    assert [wide[seed] - base[seed] for seed in (0, 1, 2)] == [3, 3, 3], "the control at equal parameters"
    costs = {line["setting"]: (line["parameters"], line["flops_per_token"]) for line in lines}
    assert costs["shared, model.d_ff=80"] == ("1000", "3000")


@pytest.mark.parametrize(
    "column", ["margin", "verdict", "p_t", "p_t_holm", "detectable", "seeds_to_detect", "correlation"]
)
def test_the_tests_stand_unrounded_in_the_csv(tmp_path, column):
    made = study(1.002, margin_perplexity=0.01)
    _, text, _ = written(made, tmp_path)
    (line,) = [one for one in csv.DictReader(text.splitlines()[1:]) if one["difference"]]
    cell = rows(made)[1].cells[writers.power.headline_columns(made)[0]]
    expected = {
        "p_t": cell.evidence.raw.t,
        "p_t_holm": cell.evidence.adjusted.t,
        "correlation": cell.comparison.correlation,
    }
    assert line[column] == str(expected.get(column, getattr(cell.evidence, column, None)))


def test_a_setting_of_which_all_runs_diverged_stands_in_every_table():
    lost = [make_record("k_is_v", seed=seed, status="diverged", study__margin_perplexity=0.01) for seed in (0, 1)]
    made = [*study(1.01, margin_perplexity=0.01), *lost]
    by_name = {line[0]: line for line in grid_of(made, "Headline").body}
    assert by_name["k_is_v"][-1] == "diverged" and by_name["separate"][-1] == "—"
    assert grid_of(made, "Differences").body[-1] == [
        *["k_is_v", "perplexity (docs, test)", "— (2 diverged)", "0"],
        *["—"] * 6,
        "diverged",
    ]
    assert grid_of(made, "Power").body[-1][2:4] == ["0", "— (2 diverged)"]
