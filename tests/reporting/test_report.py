from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from report_page import Page, section, written

from finished_run import HOSTILE, build_run, change_json, recipe_values, write_recipe_values
from relaytune.core.errors import RunError
from relaytune.core.files import write_json, write_jsonl
from relaytune.core.run_folder import RunFolder
from relaytune.reporting import write_report

SECTIONS = (
    "verdict", "contenders", "differences", "judges", "forgetting", "limits", "flips", "confusion", "gap", "few-shot",
    "losses", "sessions", "supervised", "audit", "data", "plan", "risks", "environment", "provenance", "reproduce",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("runs") / "tickets").path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> RunFolder:
    """A copy of a finished run that a test may damage."""
    shutil.copytree(finished, tmp_path / "tickets")
    return RunFolder(tmp_path / "tickets")


def test_the_verdict_stands_before_everything_else(run: RunFolder) -> None:
    page = written(run)
    sections = [attributes["id"] for attributes in page.all("section")]
    assert tuple(sections) == SECTIONS
    verdict = section(run, "verdict")
    assert "Iterate" in verdict
    assert "Set evaluation.max_new_tokens to 96 (now 48)." in verdict


def test_each_clause_stands_with_whether_it_holds_and_its_evidence(run: RunFolder) -> None:
    verdict = section(run, "verdict")
    assert "✓ tuned beats best_prompt on label_accuracy holds : best_prompt is few_shot" in verdict
    assert "✗ tuned contract_pass at least 0.95 does not hold : tuned 149/160" in verdict
    # a reason to discard that does not hold is no merit
    assert "– best_prompt beats tuned on label_accuracy does not hold" in verdict


def test_a_discard_clause_that_holds_stands_out(run: RunFolder) -> None:
    verdict = json.loads(run.verdict.read_text(encoding="utf-8"))
    verdict["clauses"][-1]["holds"] = True
    write_json(run.verdict, verdict)
    assert "! best_prompt beats tuned on label_accuracy holds" in section(run, "verdict")


def test_what_knowing_nothing_scores_is_said_and_drawn_where_labels_are_scored(run: RunFolder) -> None:
    assert "Knowing nothing, always answering critical would be right in 40/160 (25%)" in section(run, "contenders")
    drawn = write_report(run).read_text(encoding="utf-8").count('class="reference"')
    assert drawn == 2  # label_accuracy and likeliest_label_accuracy, not the format


def test_a_weighted_loss_is_called_weighted(run: RunFolder) -> None:
    assert "Loss in nats per supervised token:" in section(run, "losses")
    values = recipe_values()
    write_recipe_values(run, values | {"training": values["training"] | {"label_weight": 20}})
    said = "Weighted loss in nats per supervised token (tokens of the label count 20 times)"
    assert said in section(run, "losses")
    assert "count 20 times in the loss" in section(run, "supervised")


def test_the_advice_beside_a_keep_is_for_those_who_go_on(run: RunFolder) -> None:
    assert "What the evidence shows, most telling first" in section(run, "verdict")
    change_json(run.verdict, outcome="keep")
    assert "If you go on, most telling first" in section(run, "verdict")


def test_a_rule_changed_after_evaluation_is_said_beside_the_verdict(run: RunFolder) -> None:
    assert "was changed after" not in section(run, "verdict")
    change_json(
        run.verdict,
        rule_changed_after_evaluation=True,
        rule_history=[{"rule": "tuned label_accuracy at least 0.90"}],
    )
    verdict = section(run, "verdict")
    assert "The rule was changed after the evaluation" in verdict
    assert "tuned label_accuracy at least 0.90" in verdict


def test_what_data_and_answers_hold_is_shown_as_text_and_never_as_markup(run: RunFolder) -> None:
    page = written(run)
    assert HOSTILE in page.text
    assert page.all("script") == []
    assert page.all("img") == []
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("place", ["finding", "label", "environment", "verdict", "supervised text"])
def test_markup_is_escaped_wherever_it_comes_from(run: RunFolder, place: str) -> None:
    hostile = "</style></pre></svg>\"'><script>1</script>"
    if place == "finding":
        finding = {
            "severity": "error",
            "check": hostile,
            "message": hostile,
            "where": [hostile],
            "advice": hostile,
        }
        write_json(run.findings, {"findings": [finding], "num_dropped": 0})
    elif place == "label":
        evaluation = json.loads(run.evaluation.read_text(encoding="utf-8"))
        evaluation["contenders"][hostile] = {
            **evaluation["contenders"]["base"],
            "confusion": {hostile: {hostile: 3}},
        }
        write_json(run.evaluation, evaluation)
    elif place == "environment":
        write_json(run.session(1) / "environment.json", {hostile: {hostile: hostile}})
    elif place == "verdict":
        change_json(run.verdict, reason=hostile, next_change=hostile, remaining_risks=[hostile])
    else:
        change_json(run.training, supervised_text_shown=[hostile])
    page = written(run)
    assert hostile in page.text
    assert page.all("script") == []


def test_the_file_asks_nothing_of_the_network(run: RunFolder) -> None:
    page = written(run)
    assert page.all("link") == [{"rel": "icon", "href": "data:,"}]
    assert all(str(attributes["href"]).startswith("#") for attributes in page.all("a"))
    assert not [name for _, attributes in page.tags for name in attributes if name in ("src", "srcset", "xlink:href")]
    policy = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    style = run.report.read_text(encoding="utf-8").split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_every_link_inside_the_page_has_its_target(run: RunFolder) -> None:
    page = written(run)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(attributes["href"]).removeprefix("#") for attributes in page.all("a")} <= set(ids)


def test_charts_and_tables_can_be_read_without_seeing_them(run: RunFolder) -> None:
    page = written(run)
    charts = [svg for svg in page.all("svg") if svg.get("class") == "chart"]
    assert len(charts) == 7  # four metrics, differences, the training gap, losses
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in charts)
    assert "tuned 74.4%" in str(charts[0]["aria-label"])
    assert len(page.all("caption")) == len(page.all("table"))
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4", "h5")]
    assert levels[0] == 1
    # no level of heading is skipped on the way down
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


def test_the_same_run_gives_the_same_report(run: RunFolder) -> None:
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_format_and_judgement_are_counted_apart(run: RunFolder) -> None:
    contenders = section(run, "contenders")
    judgement, form = contenders.split("Judgement")[1].split("Format")
    assert "label_accuracy : the label" in judgement
    assert "contract_pass : the answer keeps" not in judgement
    assert "contract_pass : the answer keeps" in form


def test_unscored_and_cut_off_answers_are_counted_and_explained(run: RunFolder) -> None:
    contenders = section(run, "contenders")
    assert "53 of 158 2 unscored" in contenders
    assert "base, likeliest_label_accuracy: 2 × no label probabilities saved" in contenders
    assert "answers cut off 11 of 160 4 of 160 33 of 160" in contenders


def test_a_rate_without_any_scored_answer_is_not_drawn_as_zero(run: RunFolder) -> None:
    evaluation = json.loads(run.evaluation.read_text(encoding="utf-8"))
    nothing = {"right": 0, "scored": 0, "unscored": 160, "value": None, "low": None, "high": None}
    evaluation["contenders"]["tuned"]["estimates"]["label_accuracy"] = nothing
    write_json(run.evaluation, evaluation)
    page = written(run)
    label_chart = next(svg for svg in page.all("svg") if str(svg.get("aria-label")).startswith("label_accuracy"))
    assert "tuned not scored" in str(label_chart["aria-label"])
    assert "not scored 160 unscored" in section(run, "contenders")


def test_a_pair_without_rows_in_common_shows_no_difference(run: RunFolder) -> None:
    evaluation = json.loads(run.evaluation.read_text(encoding="utf-8"))
    evaluation["comparisons"][0].update(num_pairs=0, num_unscored=160, difference=0.0, low=-1.0, high=1.0)
    write_json(run.evaluation, evaluation)
    assert "no row is scored for both" in section(run, "differences")


def test_flipped_rows_show_the_message_and_both_answers_without_the_shared_instruction(
    run: RunFolder,
) -> None:
    flips = section(run, "flips")
    assert "We were charged twice for 4 licences" in flips
    assert "expected high , few_shot medium, tuned high" in flips
    assert '{"priority": "medium", "reason": "a way round exists"}' in flips
    assert "You set the priority" not in flips


def test_flips_that_are_not_shown_are_counted(run: RunFolder) -> None:
    evaluation = json.loads(run.evaluation.read_text(encoding="utf-8"))
    pair = next(c for c in evaluation["comparisons"] if c["metric"] == "label_accuracy" and c["other"] == "few_shot")
    assert (pair["wins"], pair["losses"]) == (45, 24)
    html = write_report(run).read_text(encoding="utf-8")
    flips = html.split('<section id="flips"')[1].split("</section>")[0]
    assert flips.count('<details class="flip">') == 40 + 24
    text = Page(flips).text
    assert "Tuned right, few_shot wrong 45" in text
    assert "5 further rows are not shown" in text
    assert "Tuned wrong, few_shot right 24" in text


def test_rows_without_a_score_of_both_are_not_taken_for_flips(run: RunFolder) -> None:
    rows = [json.loads(line) for line in run.scores.read_text(encoding="utf-8").splitlines()]
    lost = next(row["id"] for row in rows)
    write_jsonl(run.scores, [row for row in rows if row["id"] != lost])
    assert "1 row is not compared" in section(run, "flips")


def test_the_confusion_matrix_counts_every_answer_of_a_label(run: RunFolder) -> None:
    confusion = section(run, "confusion")
    assert "tuned given → expected ↓ critical high medium low (none)" in confusion
    counts = confusion.split("(none)")[1].split("critical")[1].split("high")[0].split()
    assert sum(map(int, counts)) == 40


def test_many_labels_become_a_list_of_the_most_frequent_mistakes(run: RunFolder) -> None:
    labels = [f"intent_{number}" for number in range(30)]
    evaluation = json.loads(run.evaluation.read_text(encoding="utf-8"))
    for result in evaluation["contenders"].values():
        result["confusion"] = {
            label: {label: 5, labels[number - 1]: number} for number, label in enumerate(labels) if number
        }
    write_json(run.evaluation, evaluation)
    confusion = section(run, "confusion")
    assert "intent_29 intent_28 29" in confusion
    assert "4 rarer kinds are not shown" in confusion
    assert "intent_1 intent_0 1" not in confusion


def test_a_contract_without_labels_has_no_confusion_and_says_so(run: RunFolder) -> None:
    evaluation = json.loads(run.evaluation.read_text(encoding="utf-8"))
    for result in evaluation["contenders"].values():
        result["confusion"] = {}
    write_json(run.evaluation, evaluation)
    values = recipe_values()
    values["contract"] = {"free_text": "A polite and complete answer."}
    values["decision"] = {"keep_when": ["tuned contract_pass at least 0.9"]}
    write_recipe_values(run, values)
    assert "This contract has no labels" in section(run, "confusion")


def test_the_gap_between_training_and_held_out_rows_is_said_in_points(run: RunFolder) -> None:
    assert "right 4.6 points more often than on held-out rows" in section(run, "gap")


def test_the_choice_of_the_few_shot_prompt_shows_all_trials(run: RunFolder) -> None:
    few_shot = section(run, "few-shot")
    assert "4 1 50.0% 4 2 60.4% ✓ chosen 8 1 56.2% 8 2 58.3%" in few_shot
    assert "The 4 examples in the chosen prompt" in few_shot
    assert "train.jsonl:2" in few_shot


def test_examples_of_the_prompt_that_cannot_be_found_are_counted(run: RunFolder) -> None:
    lines = run.train.read_text(encoding="utf-8").splitlines(keepends=True)
    run.train.write_text("".join([lines[0], *lines[2:]]), encoding="utf-8")
    assert "1 of them are not in data/train.jsonl" in section(run, "few-shot")


def test_findings_stand_with_file_and_line(run: RunFolder) -> None:
    data = section(run, "data")
    assert "2 training rows with errors were left out" in data
    assert "train.jsonl:81" in data
    assert "train 432 21,804" in data
    assert "11 more places" in data


def test_plan_and_measurement_stand_side_by_side(run: RunFolder) -> None:
    plan = section(run, "plan")
    assert "training time 6 min 52 s 7 min 1 s 1.02 ×" in plan
    assert "peak memory 2.31 GiB 2.18 GiB 0.94 ×" in plan
    assert "evaluation time 3 min 8 s 3 min 24 s 1.08 ×" in plan


def test_losses_that_are_not_numbers_are_counted(run: RunFolder) -> None:
    metrics = run.session(1) / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    rows[3]["train_loss"] = rows[4]["train_loss"] = None
    write_jsonl(metrics, rows)
    assert "2 steps had a training loss that is not a number" in section(run, "losses")
    assert (
        "nan" not in write_report(run).read_text(encoding="utf-8").lower().split("<polyline")[1].split("</polyline")[0]
    )


def _without(*names: str) -> Any:
    return pytest.param(names, id=names[0])


@pytest.mark.parametrize(
    "names",
    [
        _without("data"),
        _without("data/findings.json"),
        _without("data/held_out.jsonl"),
        _without("plan.json"),
        _without("sessions"),
        _without("training.json"),
        _without("sessions/01/metrics.jsonl"),
        _without("sessions/01/environment.json"),
        _without("generations"),
        _without("generations/tuned.jsonl"),
        _without("scores.jsonl"),
        _without("evaluation.json"),
        _without("verdict.json"),
        _without("provenance"),
    ],
)
def test_a_missing_part_is_said_and_nothing_crashes(run: RunFolder, names: tuple[str, ...]) -> None:
    for name in names:
        path = run.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = written(run)
    assert tuple(attributes["id"] for attributes in page.all("section")) == SECTIONS


def test_a_run_that_has_only_a_recipe_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "tickets")
    write_recipe_values(run, recipe_values())
    page = written(run)
    for sentence in (
        "No verdict yet",
        "tuned label_accuracy at least 0.70",
        "Nothing has been evaluated yet. Next: relaytune evaluate recipe.yaml",
        "There was no training yet. Next: relaytune train recipe.yaml",
        "The data has not been checked yet. Next: relaytune check recipe.yaml",
        "Nothing has been planned yet. Next: relaytune plan recipe.yaml",
        "No few-shot prompt has been chosen",
        "No stage has recorded its making yet",
    ):
        assert sentence in page.text


def test_before_training_the_prompts_are_reported_and_tuned_is_named_as_missing(run: RunFolder) -> None:
    evaluation = json.loads(run.evaluation.read_text(encoding="utf-8"))
    del evaluation["contenders"]["tuned"]
    evaluation["comparisons"] = [c for c in evaluation["comparisons"] if c["contender"] != "tuned"]
    evaluation["train_estimate"] = None
    write_json(run.prompts_evaluation, evaluation)
    shutil.rmtree(run.sessions)
    run.training.unlink()
    for path in (run.verdict, run.evaluation, run.scores, run.generation("tuned")):
        path.unlink()
    contenders = section(run, "contenders")
    assert "tuned has not answered: there was no training yet." in contenders
    assert "few_shot 61.3%" not in contenders.split("tuned has not answered")[0]
    assert "61.3%" in contenders
    assert "few_shot − base" in section(run, "differences")


def test_a_second_look_at_the_held_out_rows_is_said(run: RunFolder) -> None:
    assert "answered by base once, few_shot once, tuned once." in section(run, "contenders")
    write_json(run.looks, [{"contender": name} for name in ("base", "few_shot", "tuned", "tuned")])
    assert "tuned 2 times. Each further look" in section(run, "contenders")


def test_an_adapter_that_was_never_better_than_the_untrained_one_is_said(run: RunFolder) -> None:
    change_json(run.training, best_step=0, best_validation_loss=2.41)
    losses = section(run, "losses")
    assert "the adapter that was kept is the untrained one" in losses
    assert "kept, step 0: 2.410" in losses


def test_an_interrupted_training_shows_its_steps_and_says_that_it_is_unfinished(run: RunFolder) -> None:
    run.training.unlink()
    losses = section(run, "losses")
    assert "has not finished" in losses
    assert "Loss in nats" in losses


def test_stages_made_under_different_recipes_are_said(run: RunFolder) -> None:
    assert "versions of the recipe" not in section(run, "provenance")
    change_json(run.provenance("plan"), recipe_hash="0" * 64)
    assert "made under 2 versions of the recipe" in section(run, "provenance")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"recipe\.yaml: not there"):
        write_report(RunFolder(tmp_path))


def test_a_file_of_another_version_is_refused_by_name(run: RunFolder) -> None:
    write_json(run.verdict, {"outcome": "perhaps"})
    with pytest.raises(RunError, match=r"verdict\.json: not a Verdict"):
        write_report(run)
