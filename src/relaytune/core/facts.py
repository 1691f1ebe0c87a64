"""The recipe's section `data.facts`: the sources that answers are held against, who verifies, and the gate."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from relaytune.core.judging import JudgeChoice
from relaytune.core.section import Section


class Facts(Section):
    """How the training answers are audited against sources, and what follows for training."""

    sources: str = Field(description="a folder of documents (.txt, .md, .html, .pdf), relative to the recipe")
    sample: int | Literal["all"] | None = Field(
        None, description="training rows audited, drawn by the seed; none: as many as `precision` needs"
    )
    precision: float = Field(0.05, gt=0, lt=0.5, description="half the width of the rate's 95% interval")
    stratify_by: str | None = Field(None, description="column of the data file; the sample is drawn within its values")
    seed: int = Field(0, ge=0, description="of the sample")
    passages: int = Field(5, gt=0, le=50, description="best passages that each claim is held against")
    entailment: str | None = Field(None, description="an entailment model: hub id, folder, package:…")
    judge: JudgeChoice | None = Field(None, description="a judge that reads passages and must quote its evidence")
    same_family: Literal["refuse", "allow"] = Field("refuse", description="a judge related to who wrote the answers")
    human_labels: str | None = Field(None, description="a CSV file of people's labels, relative to the recipe")
    max_error_rate: float | None = Field(
        None, ge=0, lt=1, description="training is refused unless the interval lies below; none: no gate"
    )
    count: Literal["clearly_false", "inclusive"] = Field(
        "clearly_false", description="the rate that the gate reads; inclusive: also what no source says"
    )
    on_contradiction: Literal["keep", "drop", "refuse"] = Field(
        "keep", description="audited rows that the sources contradict: train on them, leave them out, or stop"
    )

    @field_validator("sample", mode="before")
    @classmethod
    def _number_or_all(cls, value: Any) -> Any:
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if value is None or value == "all" or is_number:
            return value
        raise ValueError("should be a whole number from 1 on, or all")
