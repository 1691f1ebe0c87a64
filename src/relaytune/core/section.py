"""What every section of a recipe is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """One section of a recipe: unknown keys are errors, and true is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic takes true for 1
        given = value if isinstance(value, (list, tuple)) else [value]
        kinds = set(_kinds(cls.model_fields[info.field_name or ""].annotation))
        if {int, float} & kinds and bool not in kinds and any(isinstance(one, bool) for one in given):
            raise PydanticCustomError("float_type" if float in kinds else "int_type", "should be a number")
        return value


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation allows, those in a union or a list one by one."""
    inner = get_args(annotation)
    if not inner:
        yield annotation
    for kind in inner:
        yield from _kinds(kind)
