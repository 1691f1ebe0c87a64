"""By what answers are measured: of a recipe, or of a comparison of files."""

from __future__ import annotations

from dataclasses import dataclass

from relaytune.core.contract import Contract
from relaytune.core.facts import Facts
from relaytune.core.judging import Judging
from relaytune.core.metrics import Metric, metrics_of
from relaytune.core.rule import DecisionRule
from relaytune.core.sections import Evaluation


@dataclass(frozen=True)
class Criteria:
    """What is asked of answers, and the rule that decides."""

    contract: Contract | None
    evaluation: Evaluation
    judging: Judging | None
    rule: DecisionRule | None
    generator: str | None = None  # the model that wrote the references; None: not stated
    base_model: str | None = None  # that the contenders are; None: not stated
    facts: Facts | None = None  # sources that answers are held against

    @property
    def metrics(self) -> dict[str, Metric]:
        """Everything that is measured, by name."""
        return metrics_of(self.contract, self.evaluation, self.judging, self.facts)

    @property
    def main_metric(self) -> str:
        """The metric that the rule decides by: of its first comparison, else of its first clause; without a rule the
        first that is measured.
        """
        if self.rule is None:
            return next(iter(self.metrics))
        beats = [clause.metric for clause in self.rule.keep_when if clause.kind == "beats"]
        return beats[0] if beats else self.rule.keep_when[0].metric
