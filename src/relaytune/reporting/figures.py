"""The charts of an evaluation: every contender with its interval, every difference, every judge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from relaytune.audit_text import RATE_WORDS
from relaytune.core.audit import AuditResult, RateInterval
from relaytune.core.counts import counted
from relaytune.core.method_or_data import MethodOrData
from relaytune.core.metrics import Metric
from relaytune.core.results import ContenderResult, EvaluationResult, Interval, PreferenceSummary
from relaytune.core.sections import CONTENDERS
from relaytune.evidence import LABEL_METRICS, OneLabel
from relaytune.reporting import charts, formats

CHARTED_GROUPS = ("judgement", "facts", "format", "judge", "overlap", "forgetting")


def contender_charts(evaluation: EvaluationResult, one_label: OneLabel | None) -> dict[str, str]:
    """Metric → its contenders with their intervals and the length of their answers; not of style and preferences."""
    return {
        name: _contenders(evaluation, metric, one_label)
        for name, metric in evaluation.metrics.items()
        if metric.kind != "preference"
        and metric.group in CHARTED_GROUPS
        and any(name in result.estimates for result in evaluation.contenders.values())
    }


def _contenders(evaluation: EvaluationResult, metric: Metric, one_label: OneLabel | None) -> str:
    # answers to general questions have lengths of their own, which are not these
    aside = metric.group != "forgetting"
    rows = [
        _contender(metric, result, length(evaluation, result) if aside else "")
        for result in evaluation.contenders.values()
        if metric.group != "forgetting" or metric.name in result.estimates
    ]
    description = f"{metric.name} with 95% intervals: {_described(rows)}"
    if metric.kind == "mean":
        return charts.mean_chart(rows, description)
    reference = one_label.rate if one_label and metric.name in LABEL_METRICS else None
    return charts.rate_chart(rows, description, reference)


def _contender(metric: Metric, result: ContenderResult, aside: str) -> charts.Interval:
    name, found = result.contender, result.estimates.get(metric.name)
    if found is None or found.value is None:
        return charts.Interval(name, series(name), None, None, None, formats.NOT_SCORED, aside)
    # the table says why there is none; on a narrow page a chart has no room for it
    interval = "no interval" if found.low is None else formats.estimate_interval(found, metric)
    text = f"{formats.estimate(found.value, metric)}  {interval}"
    return charts.Interval(name, series(name), found.value, found.low, found.high, text, aside)


def strata_chart(tested: MethodOrData) -> str:
    """The forest plot of the stratified test: the harm in each stratum, and how far the two differ."""
    harms = [
        _harm(
            f"rows around verified {one.name}",
            "tuned",
            one.difference,
            one.interval,
            counted(one.num_prompts, "prompt"),
        )
        for one in (tested.right, tested.wrong)
        if one is not None
    ]
    if tested.interaction is not None:
        harms.append(_harm("wrong less right", "imported", tested.interaction, tested.interaction_interval, ""))
    if not harms:
        return ""
    return charts.difference_chart(harms, f"Errors of tuned less those of base, 95% intervals: {_described(harms)}")


def _harm(label: str, series: str, value: float, interval: Interval, aside: str) -> charts.Interval:
    low, high = interval or (None, None)
    ends = "no interval" if low is None or high is None else formats.points_interval(low, high)
    return charts.Interval(label, series, value, low, high, f"{formats.points(value)}  {ends}", aside)


def length(evaluation: EvaluationResult, result: ContenderResult) -> str:
    """How long a contender's answers are: in tokens where all contenders have them, else in characters."""
    if all(other.mean_num_tokens for other in evaluation.contenders.values()):
        return f"{result.mean_num_tokens:.0f} tokens"
    return f"{result.mean_num_characters:.0f} characters"


def series(contender: str) -> str:
    """The CSS class with a contender's colour; all that were imported share one."""
    return contender if contender in CONTENDERS else "imported"


def difference_chart(evaluation: EvaluationResult, metric: Metric) -> str:
    """Every pair of contenders on one metric; empty where nothing is compared."""
    rows = [
        charts.Interval(
            f"{compared.contender} − {compared.other}",
            series(compared.contender),
            compared.difference,
            compared.low,
            compared.high,
            f"{formats.difference(compared.difference, metric)}  {formats.difference_interval(compared, metric)}",
        )
        for compared in evaluation.comparisons
        if compared.metric == metric.name
        and compared.num_pairs
        and not evaluation.judging_refused(metric.name, compared.contender, compared.other)
    ]
    if not rows:
        return ""
    drawn = charts.mean_difference_chart if metric.kind == "mean" else charts.difference_chart
    return drawn(rows, f"Differences in {metric.name} with 95% intervals: {_described(rows)}")


def audit_chart(audit: AuditResult) -> str:
    """The rates that the audit found, and those corrected for the verifiers' errors."""
    rows = []
    for name, found in audit.rates.items():
        rows.append(_audited_rate(RATE_WORDS[name], "base", found.rate, f"{found.count} of {audit.num_audited}"))
        if found.corrected:
            aside = f"{found.corrected.num_labels} labels"
            rows.append(_audited_rate(f"{RATE_WORDS[name]}, corrected", "judge", found.corrected.rate, aside))
    return charts.rate_chart(rows, f"Rates among the training answers with 95% intervals: {_described(rows)}")


def _audited_rate(label: str, series: str, rate: RateInterval, aside: str) -> charts.Interval:
    text = f"{formats.percent(rate.share)}  {formats.interval(rate.low, rate.high)}"
    return charts.Interval(label, series, rate.share, rate.low, rate.high, text, aside)


def outcome_chart(summaries: Sequence[PreferenceSummary]) -> str:
    """How often each judge preferred the one, neither, the other."""
    rows = [
        charts.Outcomes(
            said.judge,
            series(said.contender),
            series(said.other),
            said.result.wins,
            said.result.ties,
            said.result.losses,
            f"{said.result.wins} · {said.result.ties} · {said.result.losses}",
            bool(said.refused),
        )
        for said in summaries
    ]
    described = "; ".join(f"{row.label} {row.wins} won, {row.ties} tied, {row.losses} lost" for row in rows)
    return charts.outcome_chart(rows, f"Verdicts of each judge: {described}")


def margin_chart(summaries: Sequence[PreferenceSummary]) -> str:
    """Share won less share lost by each judge; a judge whose verdict is refused has no dot."""
    rows = []
    for said in summaries:
        difference, (low, high) = said.result.difference, said.result.interval or (None, None)
        if said.refused or difference is None:
            rows.append(charts.Interval(said.judge, "judge", None, None, None, "no verdict"))
            continue
        text = f"{formats.signed(100 * difference)}  {formats.points_interval(low, high)}"
        rows.append(charts.Interval(said.judge, "judge", difference, low, high, text))
    return charts.difference_chart(rows, f"Share won less share lost, with 95% intervals: {_described(rows)}")


def gap_chart(evaluation: EvaluationResult) -> str:
    """The main metric of tuned on training rows and on held-out rows; empty where one of them is not there."""
    metric, tuned = evaluation.metrics[evaluation.main_metric], evaluation.contenders.get("tuned")
    pairs = {
        "training rows": evaluation.train_estimate,
        "held-out rows": tuned.estimates.get(metric.name) if tuned else None,
    }
    rows = [
        charts.Interval(
            name, "tuned", found.value, found.low, found.high,
            f"{formats.estimate(found.value, metric)}  {formats.estimate_interval(found, metric)}",
        )
        for name, found in pairs.items()
        if found is not None and found.value is not None
    ]  # fmt: skip
    if len(rows) < len(pairs):
        return ""
    drawn = charts.mean_chart if metric.kind == "mean" else charts.rate_chart
    return drawn(rows, f"{metric.name} of tuned with 95% intervals: {_described(rows)}")


def _described(rows: Iterable[charts.Interval]) -> str:
    return "; ".join(f"{row.label} {row.text}" for row in rows)
