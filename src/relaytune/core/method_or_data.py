"""What the stratified test of method against data found (method_or_data.json)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from relaytune.core.results import Estimate, Interval

# right: at least three of a prompt's nearest training rows are verified right and none wrong; wrong: the reverse
StratumName = Literal["right", "wrong"]
# data: tuned errs more where the rows around are wrong, and not so where they are right; method_or_both: it errs more
# where the rows are right; nothing: neither is shown
Finding = Literal["data", "method_or_both", "nothing"]
# by the number of prompts that a finding rests on: 60 and more, 30 to 60, fewer (which is stated as not shown)
Level = Literal["established", "indicative", "exploratory"]
# what counts as an error of an answer: that the sources contradict it; or that they do not support it, unless it says
# that it does not know
CountedAsError = Literal["contradicted", "not_verified"]


@dataclass(frozen=True)
class StratumResult:
    """Errors of base and tuned on the held-out prompts of one stratum; difference is tuned less base.

    A case is what counts as independent: prompts whose place rests on the same training rows are one.
    """

    name: StratumName
    num_prompts: int
    num_cases: int
    num_training_rows: int  # different verified rows among the neighbours of its prompts
    base: Estimate
    tuned: Estimate
    only_tuned: int  # rows on which only tuned errs
    only_base: int
    difference: float
    interval: Interval
    p_value: float  # exact McNemar, cases summed
    base_right: int  # cases on which base does not err somewhere: only there can tuned do worse
    can_show_worse: bool

    @property
    def worse(self) -> bool:
        """Whether tuned is shown to err more than base."""
        return self.difference > 0 and self.p_value <= 0.05


@dataclass(frozen=True)
class MethodOrData:
    """Whether the data or the method is to blame for errors of tuned that base does not make."""

    finding: Finding
    level: Level
    conclusion: str  # in words, with its reasons
    right: StratumResult | None  # None where no prompt belongs to it
    wrong: StratumResult | None
    # difference in `wrong` less difference in `right`, 95%; None without both
    interaction: float | None
    interaction_interval: Interval
    # errors of tuned alone, `wrong` less `right`: an indication, since the questions of the strata differ
    tuned_contrast: float | None
    tuned_contrast_interval: Interval
    num_mixed: int  # prompts left out: neither stratum
    num_too_few_verified: int  # of these, with fewer than three neighbours that are verified right or wrong
    num_unscored: int  # held-out rows without a verdict on base's or tuned's answer
    encoder: str
    counted: CountedAsError = "contradicted"

    @property
    def shown(self) -> Finding:
        """What may be said: a finding that rests on too few prompts is not shown."""
        return "nothing" if self.level == "exploratory" else self.finding
