"""What an evaluation cannot show, read off its own figures: few rows, repeated prompts, answers cut off, one judge."""

from __future__ import annotations

from collections.abc import Iterator

from relaytune.core.counts import counted
from relaytune.core.results import ContenderResult, EvaluationResult, JudgingResult
from relaytune.core.statistics import smallest_detectable_win_share
from relaytune.testimony import is_person, say_share

WIDE_DIFFERENCE = 0.10  # a held-out set that misses a true difference of this size is small


def weaknesses_of(evaluation: EvaluationResult) -> Iterator[str]:
    """One sentence each, without its full stop; the widest first."""
    yield from _too_few_rows(evaluation)
    yield from _repeated_prompts(evaluation)
    for result in evaluation.contenders.values():
        yield from _cut_off_or_unscored(result)
    yield from _only_closeness(evaluation)
    yield from _judged(evaluation)


def _too_few_rows(evaluation: EvaluationResult) -> Iterator[str]:
    smallest, prompts = evaluation.smallest_detectable_difference, evaluation.num_prompts
    rows = counted(prompts, "held-out row" if prompts == evaluation.num_held_out else "different prompt")
    if evaluation.metrics[evaluation.main_metric].kind == "mean":
        return  # how small a difference of means can be found depends on their spread
    where = "(where 40% of the rows tell two contenders apart)"
    if smallest >= 1:
        yield f"{rows} are too few to find even a true difference of 40 points with 80% power {where}"
    elif smallest > WIDE_DIFFERENCE:
        yield f"{rows} find a true difference with 80% power only from {100 * smallest:.0f} points on {where}"


def _repeated_prompts(evaluation: EvaluationResult) -> Iterator[str]:
    repeated = evaluation.num_held_out - evaluation.num_prompts
    if repeated:
        yield (
            f"{repeated} of {evaluation.num_held_out} held-out rows repeat the prompt of another; a prompt counts as "
            "one case in every interval and test"
        )


def _cut_off_or_unscored(result: ContenderResult) -> Iterator[str]:
    if result.num_truncated:
        yield f"{result.num_truncated} of {result.num_answers} answers of {result.contender} were cut off"
    # a metric of which nothing is scored was not measured, which is said where it stands
    unscored = [
        f"{metric} {found.unscored}" for metric, found in result.estimates.items() if found.unscored and found.scored
    ]
    if unscored:
        yield f"unscored answers of {result.contender}: {', '.join(unscored)} (scores.jsonl gives the reasons)"


def _only_closeness(evaluation: EvaluationResult) -> Iterator[str]:
    groups = {metric.group for metric in evaluation.metrics.values()}
    if "overlap" in groups and not groups & {"judgement", "judge", "facts"}:
        yield "only the overlap with references was measured: it tells how close answers are to these, not how good"


def _judged(evaluation: EvaluationResult) -> Iterator[str]:
    judging = evaluation.judging
    if judging is None:
        return
    yield from (stamp.rstrip(".") for stamp in judging.stamps)
    yield from _few_judged_prompts(evaluation)
    judges = {*(row.judge for row in judging.summaries), *judging.raters}
    people = {judge for judge in judges if is_person(judge)}
    if len(judges) == 1 and not people:
        yield f"one judge, {judges.pop()}, and no labels of people to hold it against"
    elif judges and not people:
        yield "no labels of people to hold the judges against"
    for row in judging.summaries:
        pair = f"{row.judge} on {row.contender} against {row.other}"
        if row.refused:
            yield f"no verdict of {pair}: {row.refused}"
        bias = row.first_slot
        if bias.interval and not bias.interval[0] <= 0.5 <= bias.interval[1]:
            yield f"{pair} prefers the {'first' if (bias.share or 0) > 0.5 else 'second'} place: {say_share(bias)}"
        if row.caution:
            yield f"{pair}: {row.caution}"
    yield from _equal_points(judging)


def _few_judged_prompts(evaluation: EvaluationResult) -> Iterator[str]:
    judged = [row.num_clusters for row in evaluation.comparisons if evaluation.metrics[row.metric].kind == "preference"]
    if not judged or max(judged) == 0:
        return
    prompts = max(judged)
    share = smallest_detectable_win_share(prompts)
    if share is None:
        yield f"{prompts} prompts show no preference at all with 80% power"
    else:
        ratio = f"{100 * share:.0f}:{100 - 100 * share:.0f}"
        yield f"{prompts} prompts without ties show a preference of {ratio} and above with 80% power; ties cost more"


def _equal_points(judging: JudgingResult) -> Iterator[str]:
    counts = judging.equal_points or {}
    tied, elsewhere = counts.get("tied, points equal", 0), counts.get("tied, points different", 0)
    if tied and not elsewhere:
        yield (
            f"all {tied} ties are between answers with equal points, and none between others: preference and points "
            "may be one judgement, not two"
        )
