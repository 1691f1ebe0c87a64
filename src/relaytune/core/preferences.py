"""What judges say of a pair of answers: both orders make one verdict, several judges one preference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relaytune.core.records import Judgement

# the reason of a tie between two answers that are the same text: no judge was asked
IDENTICAL = "identical answers, not asked"


@dataclass(frozen=True)
class PairVerdict:
    """What one judge says of one example: 1 prefers the contender, -1 the other, 0 neither, None unscored."""

    preference: int | None
    first_order: int | None  # the same of the order in which the contender is shown first
    second_order: int | None
    reason: str = ""  # why it is unscored, or IDENTICAL
    one_order: bool = False  # only one order was judged: the other is None

    @property
    def consistent(self) -> bool:
        """Both orders say the same, or only one was judged."""
        return self.one_order or self.first_order == self.second_order


def pair_verdicts(judgements: Iterable[Judgement], judge: str, contender: str, other: str) -> dict[str, PairVerdict]:
    """One verdict an example from the judgements of one judge on one pair of contenders.

    Where two orders were judged and disagree, it is a tie. A pair that was judged in one order only counts as it is.
    """
    orders: dict[str, dict[bool, tuple[int | None, str]]] = {}
    for row in judgements:
        if row.judge == judge and {row.first, row.second} == {contender, other}:
            contender_first = row.first == contender
            sign = {"first": 1, "second": -1, "tie": 0, None: None}[row.better]
            preference = sign if sign is None or contender_first else -sign
            orders.setdefault(row.id, {})[contender_first] = preference, row.reason
    return {id: _pair_verdict(both) for id, both in orders.items()}


def _pair_verdict(orders: Mapping[bool, tuple[int | None, str]]) -> PairVerdict:
    if len(orders) == 1:
        (contender_first,) = orders
        ((preference, reason),) = orders.values()
        first, second = (preference, None) if contender_first else (None, preference)
        return PairVerdict(preference, first, second, "" if preference is not None else reason, one_order=True)
    (first, first_reason), (second, second_reason) = orders[True], orders[False]
    if first is None or second is None:
        return PairVerdict(None, first, second, first_reason if first is None else second_reason)
    reason = IDENTICAL if first_reason == IDENTICAL else ""
    return PairVerdict(first if first == second else 0, first, second, reason)


def combine_judges(verdicts_by_judge: Sequence[Mapping[str, PairVerdict]]) -> dict[str, int | None]:
    """The majority's preference for each example: the sign of the sum over the judges that scored it.

    None where none of them did. Judges whose verdict is refused are to be left out by the caller.
    """
    ids = {id: None for verdicts in verdicts_by_judge for id in verdicts}
    combined: dict[str, int | None] = {}
    for id in ids:
        votes = [
            verdicts[id].preference
            for verdicts in verdicts_by_judge
            if id in verdicts and verdicts[id].preference is not None
        ]
        total = sum(vote or 0 for vote in votes)
        combined[id] = (total > 0) - (total < 0) if votes else None
    return combined
