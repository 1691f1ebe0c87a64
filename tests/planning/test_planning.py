from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planning_facts import LAPTOP, MISTRAL, SMOLLM2, TICKETS, recipe_with

from relaytune.core.errors import MachineError
from relaytune.core.precision import Precision
from relaytune.core.results import DataSize, Hardware, ModelSize, Plan, read_result, write_result
from relaytune.planning import make_plan, plan_lines


def _plan(
    recipe_values: dict[str, Any],
    data: DataSize = TICKETS,
    model: ModelSize = SMOLLM2,
    hardware: Hardware = LAPTOP,
    detectable_difference: float = 0.1,
    **training: Any,
) -> Plan:
    return make_plan(recipe_with(recipe_values, **training), data, model, hardware, detectable_difference)


def test_an_ordinary_run_has_a_plan_without_warnings(recipe_values: dict[str, Any]) -> None:
    plan = _plan(recipe_values, num_epochs=1.5, examples_per_step=16)
    assert plan.num_steps == 38
    assert plan.warnings == ()
    assert 1 < plan.peak_memory_gib < 0.7 * LAPTOP.free_memory_gib
    assert plan.training_seconds > 0
    assert plan.evaluation_seconds > 0
    assert plan.disk_gib == pytest.approx(0.55, abs=0.05)


@pytest.mark.parametrize(
    ("others", "precision"),
    [
        ({}, "float32"),
        ({"bfloat16_products": 299.0}, "float32"),
        ({"bfloat16_products": 300.0}, "bfloat16_products"),
    ],
)
def test_on_a_cpu_auto_precision_is_chosen_by_the_measured_speed_of_products(
    recipe_values: dict[str, Any], others: dict[Precision, float], precision: str
) -> None:
    machine = replace(LAPTOP, product_gflops={"float32": 200.0, **others})
    assert _plan(recipe_values, hardware=machine).precision == precision


AMPERE: dict[Precision, float] = {"float32": 15_000.0, "bfloat16": 60_000.0, "float16": 62_000.0}
TURING: dict[Precision, float] = {"float32": 4_000.0, "bfloat16": 2_000.0, "float16": 25_000.0}  # bfloat16 is emulated


@pytest.mark.parametrize(
    ("products", "model", "gpu_memory_gib", "precision"),
    [
        (AMPERE, SMOLLM2, 24.0, "float32"),  # so small that the card waits for its kernels
        (AMPERE, MISTRAL, 80.0, "bfloat16"),  # float16 is no faster, and can overflow
        (TURING, SMOLLM2, 15.0, "float32"),
        (TURING, MISTRAL, 80.0, "float16"),
        ({"float32": 15_000.0, "bfloat16": 15_000.0}, MISTRAL, 36.0, "bfloat16"),  # float32 does not fit
    ],
)
def test_on_a_gpu_auto_precision_is_chosen_by_predicted_time_and_by_what_fits(
    recipe_values: dict[str, Any],
    products: dict[Precision, float],
    model: ModelSize,
    gpu_memory_gib: float,
    precision: str,
) -> None:
    card = replace(LAPTOP, device="cuda", num_gpus=1, gpu_memory_gib=gpu_memory_gib, product_gflops=products)
    plan = _plan(recipe_values, model=model, hardware=card)
    assert plan.precision == precision, plan.precision_reason
    assert ("does not fit" in plan.precision_reason) == (gpu_memory_gib == 36.0)
    warnings = " ".join(plan.warnings)
    assert ("answers are generated in float32" in warnings) == (gpu_memory_gib == 36.0)
    assert ("passes through main memory in float32, 27.0 GiB" in warnings) == (model is MISTRAL)  # 12 GiB are free


def test_the_reason_for_a_precision_names_what_was_measured(recipe_values: dict[str, Any]) -> None:
    machine = replace(LAPTOP, product_gflops={"float32": 200.0, "bfloat16_products": 700.0})
    reason = _plan(recipe_values, hardware=machine).precision_reason
    assert reason == "3.5 times as fast as float32 (products, measured)"
    slow = replace(LAPTOP, product_gflops={"float32": 200.0, "bfloat16_products": 240.0})
    assert "at most 1.2 times as fast" in _plan(recipe_values, hardware=slow).precision_reason
    assert "no other one is offered" in _plan(recipe_values).precision_reason


def test_a_precision_that_the_recipe_names_is_not_overruled(recipe_values: dict[str, Any]) -> None:
    machine = replace(LAPTOP, product_gflops={"float32": 200.0, "bfloat16_products": 2000.0})
    assert _plan(recipe_values, hardware=machine, precision="float32").precision == "float32"
    without = _plan(recipe_values, precision="bfloat16_products")
    assert without.precision == "bfloat16_products"
    assert any("was not measured" in warning for warning in without.warnings)
    assert without.training_seconds > 0


def test_the_peak_is_that_of_a_step_not_of_a_budget_that_it_never_fills(
    recipe_values: dict[str, Any],
) -> None:
    machine = replace(LAPTOP, free_memory_gib=500.0)
    small = _plan(recipe_values, hardware=machine, examples_per_step=2)
    large = _plan(recipe_values, hardware=machine, examples_per_step=64)
    assert small.max_tokens_per_micro_batch == large.max_tokens_per_micro_batch == 4096
    assert small.peak_memory_gib < large.peak_memory_gib / 2


def test_each_shortcoming_has_its_warning_and_only_that(recipe_values: dict[str, Any]) -> None:
    def warned(**changes: Any) -> list[str]:
        return [warning.partition(":")[0] for warning in _plan(recipe_values, **changes).warnings]

    assert warned(hardware=replace(LAPTOP, free_memory_gib=1.5)) == ["Too little memory"]
    assert warned(hardware=replace(LAPTOP, free_disk_gib=1.9)) == ["Little disk"]
    assert warned(num_epochs=40) == ["Long training"]
    assert warned(detectable_difference=0.21) == ["Few held-out rows"]
    assert warned(data=replace(TICKETS, num_validation=19)) == ["Few validation rows"]


def test_values_at_the_limit_are_not_warned_of(recipe_values: dict[str, Any]) -> None:
    data = replace(TICKETS, num_validation=20)
    machine = replace(LAPTOP, free_disk_gib=2.0)
    assert _plan(recipe_values, data, hardware=machine, detectable_difference=0.2).warnings == ()


def test_a_model_that_the_disk_cannot_hold_is_warned_of(recipe_values: dict[str, Any]) -> None:
    warnings = _plan(recipe_values, model=MISTRAL).warnings
    assert not any("disk" in warning for warning in warnings)
    small_disk = replace(LAPTOP, free_disk_gib=10.0)
    assert any("27.5 GiB" in warning for warning in _plan(recipe_values, model=MISTRAL, hardware=small_disk).warnings)


def test_long_training_is_no_warning_on_a_gpu(recipe_values: dict[str, Any]) -> None:
    card = replace(LAPTOP, device="cuda", num_gpus=1, gpu_memory_gib=80.0)
    plan = _plan(recipe_values, hardware=card, num_epochs=40)
    assert plan.training_seconds > 3600
    assert plan.warnings == ()


def test_a_machine_whose_speed_is_unknown_gets_no_invented_times(recipe_values: dict[str, Any]) -> None:
    with pytest.raises(MachineError, match="pip install"):
        _plan(recipe_values, hardware=replace(LAPTOP, product_gflops={}))


def test_a_plan_survives_its_file(recipe_values: dict[str, Any], tmp_path: Path) -> None:
    plan = _plan(recipe_values, data=replace(TICKETS, num_validation=5))
    write_result(tmp_path / "plan.json", plan)
    assert read_result(tmp_path / "plan.json", Plan) == plan


def test_the_printed_plan_holds_facts_predictions_and_every_warning(recipe_values: dict[str, Any]) -> None:
    plan = _plan(recipe_values, data=replace(TICKETS, num_validation=5), detectable_difference=0.26)
    lines = plan_lines(plan)
    text = "\n".join(lines)
    assert "134.5 M parameters" in text
    assert "400 training, 5 validation, 160 held-out" in text
    assert f"{plan.peak_memory_gib:.1f} GiB" in text
    assert "26 points" in text
    assert [line for line in lines if line.startswith("warning: ")] == [f"warning: {w}" for w in plan.warnings]
    assert len(plan.warnings) == 2
    assert all("\n" not in line for line in lines)
