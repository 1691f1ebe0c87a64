"""Rates among all rows, from those audited; corrected for the verifiers' errors where people labelled enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from relaytune.core.audit import AuditedAnswer, Correction, PeoplesPart, Rate, RateInterval, RateName
from relaytune.core.counts import counted
from relaytune.core.results import Share
from relaytune.core.statistics import (
    Confusion,
    DoubleSample,
    SampledShare,
    Stratum,
    draw_faulty_rows,
    middle_and_limits,
    sampled_share,
    share_interval,
)

# of labels in the order of drawing; with fewer the coverage was not measured (benchmarks/audit_coverage.py)
MIN_LABELS = 30
SEVERITIES: Mapping[RateName, tuple[str, ...]] = {"clearly_false": ("false",), "inclusive": ("false", "doubtful")}


@dataclass(frozen=True)
class AuditedSample:
    """The audited answers in the order in which they were drawn, and what they stand for."""

    answers: Sequence[AuditedAnswer]
    stratum_of: Mapping[str, str]  # of every row of the population, by id

    @property
    def num_rows(self) -> int:
        """Of the population."""
        return len(self.stratum_of)

    def share(self, counts: Callable[[AuditedAnswer], bool]) -> SampledShare:
        """The share of the population that `counts`, with its interval."""
        rows = Counter(self.stratum_of.values())
        sampled = Counter(answer.stratum for answer in self.answers)
        counted = Counter(answer.stratum for answer in self.answers if counts(answer))
        return sampled_share([Stratum(rows[name], sampled[name], counted[name]) for name in rows])

    def labelled_in_order(self) -> Sequence[AuditedAnswer]:
        """Those that people labelled without a gap from the first drawn on: a random choice among the audited."""
        for place, answer in enumerate(self.answers):
            if not answer.labels:
                return self.answers[:place]
        return self.answers


def count_rates(sample: AuditedSample) -> dict[RateName, Rate]:
    """All rates of a sample."""
    return {
        "clearly_false": _rate(sample, partial(_is_faulty, "clearly_false"), correct(sample, "clearly_false")),
        "inclusive": _rate(sample, partial(_is_faulty, "inclusive"), correct(sample, "inclusive")),
        "false_premise": _rate(sample, lambda answer: answer.checked.false_premise),
        "unchecked": _rate(sample, lambda answer: answer.verdict == "unchecked"),
    }


def _is_faulty(name: RateName, answer: AuditedAnswer) -> bool:
    return answer.verdict in SEVERITIES[name]


def _rate(sample: AuditedSample, counts: Callable[[AuditedAnswer], bool], corrected: Correction | None = None) -> Rate:
    found = sample.share(counts)
    return Rate(sum(map(counts, sample.answers)), RateInterval(found.share, found.low, found.high), corrected)


def remaining(sample: AuditedSample, name: RateName, out: frozenset[str]) -> RateInterval:
    """The rate among the rows that remain when `out` (ids) are left out.

    Of audited rows it is known which remain; rows not audited carry the rate of the population. Nothing remains: 0.
    """
    kept = sum(id not in out for id in sample.stratum_of)
    if kept == 0:
        return RateInterval(0.0, 0.0, 0.0)
    audited = {answer.id for answer in sample.answers}
    num_left = sample.num_rows - len(audited)
    kept_left = sum(id not in out and id not in audited for id in sample.stratum_of)
    faulty = [answer for answer in sample.answers if _is_faulty(name, answer)]
    kept_faulty = sum(answer.id not in out for answer in faulty)

    def among_kept(share: float) -> float:
        faulty_left = max(share * sample.num_rows - len(faulty), 0.0)
        return (kept_faulty + (faulty_left * kept_left / num_left if num_left else 0.0)) / kept

    found = sample.share(partial(_is_faulty, name))
    return RateInterval(*(among_kept(share) for share in (found.share, found.low, found.high)))


def correct(sample: AuditedSample, name: RateName, out: frozenset[str] = frozenset()) -> Correction | None:
    """The rate among the rows that remain without `out`, as people would have found it; None with too few labels."""
    faults = SEVERITIES[name]
    heard = sample.labelled_in_order()
    if len(heard) < MIN_LABELS:
        return None
    table = Counter((answer.checked.verdict in faults, answer.human_verdict in faults) for answer in heard)
    people = Confusion(table[True, True], table[True, False], table[False, True], table[False, False])
    known = {answer.id for answer in heard}
    flags = sample.share(lambda answer: answer.checked.verdict in faults)
    flagged = [answer for answer in sample.answers if answer.checked.verdict in faults]
    num_sampled, num_left = len(sample.answers), sample.num_rows - len(sample.answers)
    drawn = draw_faulty_rows(
        DoubleSample(
            sample.num_rows,
            num_sampled,
            len(flagged),
            max(flags.share * sample.num_rows - len(flagged), 0.0) / num_left if num_left else 0.0,
            num_sampled / flags.design_effect * _share_left(sample) if flags.design_effect else num_sampled,
            people,
        )
    )
    sampled_ids = {answer.id for answer in sample.answers}
    kept = sum(id not in out for id in sample.stratum_of)
    kept_left = sum(id not in out and id not in sampled_ids for id in sample.stratum_of)
    unlabelled = [answer for answer in sample.answers if answer.id not in known]
    faulty = (
        sum(answer.human_verdict in faults and answer.id not in out for answer in heard)
        + drawn.unsampled * (kept_left / num_left if num_left else 0.0)
        + drawn.flagged * _kept_share([one for one in unlabelled if one.checked.verdict in faults], out)
        + drawn.unflagged * _kept_share([one for one in unlabelled if one.checked.verdict not in faults], out)
    )
    rate = RateInterval(*middle_and_limits(faulty / max(kept, 1)))
    sensitive = [float(answer.checked.verdict in faults) for answer in heard if answer.human_verdict in faults]
    specific = [float(answer.checked.verdict not in faults) for answer in heard if answer.human_verdict not in faults]
    return Correction(rate, len(heard), _share(sensitive), _share(specific))


def _share_left(sample: AuditedSample) -> float:
    """The finite-population correction, which the design effect holds and the drawing of rows makes by itself."""
    return (sample.num_rows - len(sample.answers)) / max(sample.num_rows - 1, 1)


def _kept_share(answers: Sequence[AuditedAnswer], out: frozenset[str]) -> float:
    return sum(answer.id not in out for answer in answers) / len(answers) if answers else 0.0


def _share(values: Sequence[float]) -> Share:
    return Share(sum(values), len(values), sum(values) / len(values) if values else None, share_interval(values))


def peoples_part(sample: AuditedSample, num_unused: int) -> PeoplesPart | None:
    """What people labelled; None where they labelled nothing."""
    labelled = [answer for answer in sample.answers if answer.labels]
    if not labelled and not num_unused:
        return None
    heard = len(sample.labelled_in_order())
    several = [answer for answer in labelled if len(answer.labels) > 1]
    gap = sample.answers[heard].source if heard < len(labelled) else ""
    reason = ""
    if heard < MIN_LABELS:
        behind = f" ({gap} is the first without a label, and {len(labelled) - heard} stand behind it)" if gap else ""
        reason = (
            f"{counted(heard, 'row')} labelled from the first drawn on{behind}, and at least {MIN_LABELS} are needed"
        )
    return PeoplesPart(
        tuple(dict.fromkeys(label.labeller for answer in labelled for label in answer.labels)),
        len(labelled),
        num_unused,
        heard,
        gap,
        len(several),
        sum(len({label.label for label in answer.labels}) > 1 for answer in several),
        reason,
    )
