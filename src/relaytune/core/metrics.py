"""What can be measured of an answer: names, kinds and directions. A rule is written in these names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from relaytune.core.contract import Contract
    from relaytune.core.facts import Facts
    from relaytune.core.judging import Judging
    from relaytune.core.sections import Evaluation

# share: right or wrong; mean: a number; preference: of two answers, so that no contender has one by itself
Kind = Literal["share", "mean", "preference"]
Group = Literal["judgement", "facts", "format", "overlap", "style", "judge", "forgetting"]

PREFERENCE = "preference"
FACTUAL_ERRORS = "factual_errors"


@dataclass(frozen=True)
class Metric:
    """One thing that is measured. Means are in the unit that `meaning` names."""

    name: str
    kind: Kind
    group: Group
    meaning: str
    lower_is_better: bool = False
    bounds: tuple[float, float] | None = None  # of a mean's values; None: without an upper end

    @property
    def difference_bounds(self) -> tuple[float, float] | None:
        """Within which the difference of two values lies."""
        return None if self.bounds is None else (self.bounds[0] - self.bounds[1], self.bounds[1] - self.bounds[0])


_BOUNDS = {"rouge_l": (0.0, 1.0), "sentence_bleu": (0.0, 100.0), "bertscore": (-1.0, 1.0), "repetition": (0.0, 1.0)}


def _table(kind: Kind, group: Group, lower_is_better: bool = False, **meanings: str) -> dict[str, Metric]:
    return {
        name: Metric(name, kind, group, meaning, lower_is_better, _BOUNDS.get(name))
        for name, meaning in meanings.items()
    }


_KNOWN: Mapping[str, Metric] = {
    **_table(
        "share",
        "judgement",
        label_accuracy="the label that the answer gives is the expected one",
        likeliest_label_accuracy="of all allowed labels the expected one is the likeliest, whatever was written",
        exact_match="the answer is the expected one",
        numeric_match="the answer's number is the expected one",
    ),
    **_table(
        "share",
        "facts",
        lower_is_better=True,
        factual_errors="the sources contradict a claim of the answer, or the premise that it builds on",
        unsupported="the sources contradict something that the answer claims, or do not say it",
        unchecked="the answer claims nothing that can be checked, so that it is no error and no support either",
    ),
    **_table("share", "facts", verified="the sources support every claim of the answer that can be checked"),
    **_table("share", "format", parses="the answer can be read at all", contract_pass="the answer keeps the contract"),
    **_table(
        "mean",
        "overlap",
        rouge_l="ROUGE-L F1 with the reference, 0 to 1",
        sentence_bleu="SacreBLEU of each answer with its reference, 0 to 100",
        bertscore="BERTScore F1 with the reference, not rescaled; its encoder is named beside it",
    ),
    **_table(
        "mean",
        "overlap",
        lower_is_better=True,
        reference_nats="nats per token of the reference under the contender; exp of it is the perplexity",
    ),
    **_table("share", "style", stopped="the answer ended by itself"),
    **_table(
        "share",
        "style",
        lower_is_better=True,
        loops="the answer ends in a loop",
        refused="the answer declines to help",
        abstained="the answer says that it does not know",
    ),
    **_table(
        "mean", "style", lower_is_better=True, repetition="share of the answer's 4-grams that repeat an earlier one"
    ),
    **_table("share", "forgetting", general_right="answers to general questions that are right"),
    **_table(
        "mean",
        "forgetting",
        lower_is_better=True,
        general_nats="nats per token of general texts under the contender",
    ),
    **_table("preference", "judge", preference="preferred by the judges, both orders shown"),
}


def contract_metrics(contract: Contract) -> tuple[str, ...]:
    """The scores that a contract allows; each is right or wrong for one answer."""
    if contract.allowed_labels:
        shared = ("contract_pass", "label_accuracy", "likeliest_label_accuracy")
        return ("parses", *shared) if contract.kind == "json_schema" else shared
    matches = {
        "free_text": ("contract_pass",),
        "json_schema": ("parses", "contract_pass", "exact_match"),
        "regex": ("contract_pass", "exact_match"),
        "number": ("contract_pass", "numeric_match"),
    }
    return matches[contract.kind]


FACT_METRICS = tuple(name for name, metric in _KNOWN.items() if metric.group == "facts")


def metrics_of(
    contract: Contract | None, evaluation: Evaluation, judging: Judging | None, facts: Facts | None = None
) -> dict[str, Metric]:
    """Everything that is measured under these sections of a recipe, by name, the judgement first."""
    names = [
        *(contract_metrics(contract) if contract else ()),
        *(FACT_METRICS if facts else ()),
        *evaluation.scorers_for(contract),
        *("stopped", "loops", "repetition", "refused", "abstained"),
        *(("general_right", "general_nats") if evaluation.forgetting else ()),
    ]
    found = [_KNOWN[name] for name in names]
    if judging is not None:
        found += [
            Metric(name, "mean", "judge", meaning, name in judging.lower_is_better, (0.0, float(judging.scale)))
            for name, meaning in judging.criteria.items()
        ]
        found += [_KNOWN[PREFERENCE]] if judging.pairwise else []
    order: tuple[Group, ...] = ("judgement", "facts", "format", "judge", "overlap", "style", "forgetting")
    return {metric.name: metric for metric in sorted(found, key=lambda metric: order.index(metric.group))}
