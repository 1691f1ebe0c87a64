from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from report_page import Page, section, written

from finished_run import HOSTILE, write_recipe_values
from judged_run import STEADY, WAVERING, build_judged_run, judged_values
from relaytune.core.files import write_json
from relaytune.core.run_folder import RunFolder
from relaytune.reporting import write_report


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_judged_run(tmp_path_factory.mktemp("runs") / "shop").path


@pytest.fixture
def run(judged: Path, tmp_path: Path) -> RunFolder:
    """A copy of a judged run that a test may damage."""
    shutil.copytree(judged, tmp_path / "shop")
    return RunFolder(tmp_path / "shop")


def _evaluation(run: RunFolder) -> dict[str, Any]:
    loaded = json.loads(run.evaluation.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def _charts(run: RunFolder, begins: str) -> list[str]:
    labels = [" ".join(str(svg.get("aria-label")).split()) for svg in written(run).all("svg")]
    return [label for label in labels if label.startswith(begins)]


def _html(run: RunFolder, name: str) -> str:
    html = write_report(run).read_text(encoding="utf-8")
    return html.split(f'<section id="{name}"')[1].split("</section>")[0]


def test_the_stamp_of_a_related_judge_stands_in_the_verdict_and_above_the_judges(run: RunFolder) -> None:
    stamp = "smollm3-judge is of the family of the base model"
    assert stamp in section(run, "verdict")
    assert section(run, "judges").index(stamp) < section(run, "judges").index("tuned against few_shot")


def test_a_judge_without_a_verdict_is_told_with_its_reason_and_gets_no_dot(run: RunFolder) -> None:
    assert f"{WAVERING}: no verdict. Consistency 0.14 is below 0.6" in section(run, "judges")
    (margins, _) = _charts(run, "Share won less share lost")
    assert f"{WAVERING} no verdict" in margins
    assert f"{STEADY} −8.7 [−29.3, +12.8]" in margins


def test_every_judge_stands_with_wins_ties_and_losses_and_what_its_word_is_worth(run: RunFolder) -> None:
    found = {(row["judge"], row["other"]): row for row in _evaluation(run)["judging"]["summaries"]}
    row = found[STEADY, "few_shot"]
    judges = section(run, "judges")
    result = row["result"]
    assert _charts(run, "Verdicts")[0].startswith(
        f"Verdicts of each judge: {STEADY} {result['wins']} won, {result['ties']} tied, {result['losses']} lost"
    )
    for share in ("consistency", "first_slot", "longer_wins"):
        assert f"{100 * row[share]['share']:.1f}%" in judges
    assert f"{row['num_inconsistent']} ties because the two orders disagree" in judges
    assert "3 unscored (no verdict line 2, cut off at max_tokens 1)" in judges
    matched = row["length_matched"]
    assert f"{matched['wins']} · {matched['ties']} · {matched['losses']}" in judges


def test_a_caution_that_length_decides_stands_out(run: RunFolder) -> None:
    evaluation = _evaluation(run)
    evaluation["judging"]["summaries"][0]["caution"] = "this may be a preference for length"
    write_json(run.evaluation, evaluation)
    assert f"{STEADY}: This may be a preference for length." in section(run, "judges")


def test_where_every_judge_is_refused_no_preference_is_drawn(run: RunFolder) -> None:
    evaluation = _evaluation(run)
    for row in evaluation["judging"]["summaries"]:
        row["refused"] = "it changes its mind"
    write_json(run.evaluation, evaluation)
    assert _charts(run, "Differences in preference") == []
    assert "no verdict see the judges" in section(run, "differences")
    assert "No verdict is stated: qwen3-32b: it changes its mind" in section(run, "judges")


def test_agreement_and_correction_by_people_have_their_intervals(run: RunFolder) -> None:
    judging = _evaluation(run)["judging"]
    judges = section(run, "judges")
    agreement = judging["agreements"][1]["agreement"]
    low, high = (f"{end:.2f}".replace("-", "−") for end in agreement["interval"])
    assert f"{agreement['kappa']:.2f} [{low}, {high}]" in judges
    correction = next(row for row in judging["corrections"] if row["about"] == "factual_errors of tuned")
    assert f"{correction['judged']:.2f} {correction['corrected']['estimate']:.2f} [" in judges
    # nothing is left out, only folded
    html = _html(run, "judges")
    assert html.count("<tr><th") - html.count('<tr><th scope="col"') == (
        len(judging["summaries"]) + len(judging["agreements"]) + len(judging["corrections"])
    )


def test_the_rows_won_and_lost_are_those_of_the_evaluation_and_show_the_judges_words(run: RunFolder) -> None:
    compared = next(
        row for row in _evaluation(run)["comparisons"] if (row["metric"], row["other"]) == ("preference", "few_shot")
    )
    flips = section(run, "flips")
    assert f"Tuned preferred {compared['wins']} " in flips
    assert f"few_shot preferred {compared['losses']} " in flips
    assert f"{STEADY} prefers tuned The answer is right and says no more than it must." in flips
    assert f"{WAVERING} changes its mind with the order: a tie" in flips
    assert "1 row is not compared" in flips


def test_rows_are_not_flipped_by_preference_without_judgements(run: RunFolder) -> None:
    run.judgements.unlink()
    assert "There is nothing of a tuned model to hold against the best prompt yet" in section(run, "flips")


def test_what_a_judge_says_is_shown_as_text_and_never_as_markup(run: RunFolder) -> None:
    page = written(run)
    assert f"It repeats {HOSTILE}, which nobody asked for." in page.text
    assert page.all("script") == page.all("img") == []


def test_of_a_mean_the_largest_differences_are_shown_both_ways(run: RunFolder) -> None:
    evaluation = _evaluation(run)
    write_json(run.evaluation, evaluation | {"main_metric": "rouge_l"})
    scores = [json.loads(line) for line in run.scores.read_text(encoding="utf-8").splitlines()]
    by_row: dict[str, dict[str, float]] = {}
    for row in scores:
        if row["scorer"] == "rouge_l":
            by_row.setdefault(row["id"], {})[row["contender"]] = row["value"]
    prompt = evaluation["best_prompt"]["rouge_l"]
    changes = sorted((values["tuned"] - values[prompt] for values in by_row.values()), reverse=True)
    html = _html(run, "flips")
    shown = re.findall(r"<b>([+−][\d.]+)</b>", html)
    gained = [change for change in changes if change > 0]
    assert shown[:10] == [f"{change:+.3g}" for change in gained[:10]]
    assert f"Tuned better than {prompt} {len(gained)} " in Page(html).text
    assert f"{len(gained) - 10} further rows are not shown" in Page(html).text


def test_means_have_a_chart_on_their_own_axis_with_the_length_of_answers(run: RunFolder) -> None:
    (chart,) = _charts(run, "rouge_l with 95% intervals")
    assert "tuned 0.93 [0.9" in chart
    contenders = _html(run, "contenders")
    # hosted has no token counts, so that all lengths are in characters
    assert contenders.count(">111 characters</tspan>") == 5
    assert "26.3 tokens 111 characters" in Page(contenders).text


def test_a_value_without_an_interval_is_a_hollow_dot(run: RunFolder) -> None:
    evaluation = _evaluation(run)
    evaluation["contenders"]["hosted"]["estimates"]["factual_errors"] |= {"low": None, "high": None}
    write_json(run.evaluation, evaluation)
    (chart,) = _charts(run, "factual_errors")
    assert "hosted 0.0139 no interval" in chart
    assert "0.0139 no interval, nearly all the same 72 scored" in section(run, "contenders")
    assert "dot hollow" in _html(run, "contenders")


@pytest.mark.parametrize(
    ("generator", "said"),
    [
        ("gemini-1.0-pro", "fidelity to references written by gemini-1.0-pro, not quality"),
        ("people", "closeness to the references, not quality"),
        (None, "closeness to the references, not quality"),
    ],
)
def test_overlap_is_never_called_quality(run: RunFolder, generator: str | None, said: str) -> None:
    values = judged_values()
    values["data"]["generator"] = generator
    write_recipe_values(run, values)
    contenders = section(run, "contenders")
    assert contenders.lower().count(said) == 3  # above the charts and beside both metrics


def test_what_was_forgotten_stands_before_and_after(run: RunFolder) -> None:
    forgetting = section(run, "forgetting")
    assert "40 general questions and read 24 general texts" in forgetting
    assert "tuned − base −15.0 [−27.5, −2.8] 0.031 0 6 40" in forgetting
    (right,) = _charts(run, "general_right")
    assert "tuned 67.5%" in right
    assert "few_shot" not in right


def test_what_the_evaluation_cannot_show_is_told_once_and_apart_from_the_risks(run: RunFolder) -> None:
    repeated = "11 of 72 held-out rows repeat the prompt of another"
    assert repeated in section(run, "limits")
    assert repeated not in section(run, "risks")
    assert "one training run with one seed" in section(run, "risks").replace("One", "one")


def test_measures_that_the_rule_does_not_ask_about_are_folded(run: RunFolder) -> None:
    shown = re.sub(r"<details>.*?</details>", "", _html(run, "differences"), flags=re.DOTALL)
    assert {"preference", "factual_errors", "contract_pass"} <= set(re.findall(r">(\w+)(?= <span|</th>)", shown))
    assert "rouge_l" not in shown
    assert "few_shot − base" not in shown
    assert "few_shot − base" in section(run, "differences")


def test_an_imported_contender_is_called_one(run: RunFolder) -> None:
    assert "hosted answered elsewhere" in section(run, "contenders")


def test_a_run_that_is_to_be_judged_and_is_not_yet_says_so(run: RunFolder) -> None:
    write_json(run.evaluation, _evaluation(run) | {"judging": None, "main_metric": "rouge_l"})
    assert "Nobody has judged the answers yet" in section(run, "judges")


def test_headings_tables_and_links_stay_in_order(run: RunFolder) -> None:
    page = written(run)
    assert len(page.all("caption")) == len(page.all("table"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(attributes["href"]).removeprefix("#") for attributes in page.all("a")} <= set(ids)
