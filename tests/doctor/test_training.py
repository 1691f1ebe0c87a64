from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import pytest

from relaytune.doctor.training import (
    Step,
    check_four_bit_step,
    check_lora_step,
    four_bit_layer,
    judge_step,
    make_step,
)

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="no bitsandbytes")


def test_a_step_is_really_made_on_the_cpu() -> None:
    check = check_lora_step("cpu")
    assert check.state == "ok", check.seen
    assert check.seen.startswith("float32 on the CPU: output and gradients within ")


def test_a_step_leaves_the_random_numbers_of_its_caller_alone() -> None:
    before = torch.get_rng_state()
    check_lora_step("cpu")
    assert torch.equal(torch.get_rng_state(), before)


def _layer_of(weight: Any) -> Any:
    layer = torch.nn.Linear(*weight.shape, bias=False)
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    return layer


def test_a_layer_with_weights_that_are_a_little_off_is_noticed() -> None:
    step = make_step("cpu", lambda weight, _: (_layer_of(weight * 1.0001), weight))
    assert step.error > 1e-5
    check = judge_step("LoRA step", "cpu", "float32", step)
    assert check.state == "failed"
    assert "computes wrongly" in check.advice


def test_a_backward_pass_that_is_wrong_is_noticed() -> None:
    def make(weight: Any, _: str) -> tuple[Any, Any]:
        layer = _layer_of(weight)
        # the same output, half the gradient
        layer.register_forward_pre_hook(lambda _, rows: (rows[0] / 2 + rows[0].detach() / 2,))
        return layer, weight

    assert make_step("cpu", make).error > 0.01


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step(math.nan, 2.0, 1.9), "computes wrongly"),
        (Step(1e-6, 2.0, 2.0), "does not learn"),
        (Step(1e-6, 2.0, math.nan), "does not learn"),
        (Step(1e-6, 2.0, 1.9, quantization_error=0.5), "computes wrongly"),
    ],
)
def test_what_a_step_must_not_give(step: Step, words: str) -> None:
    check = judge_step("4-bit step", "cuda:0", "float32", step)
    assert check.state == "failed"
    assert words in check.advice


def test_without_a_gpu_four_bits_are_not_tried_and_that_is_said() -> None:
    check = check_four_bit_step("cpu")
    assert check.state == "warning"
    assert check.seen == "not tried: there is no GPU that works"


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_without_bitsandbytes_a_gpu_machine_is_told_the_command() -> None:
    check = check_four_bit_step("cuda:0")
    assert (check.state, check.seen) == ("warning", "not tried: bitsandbytes is not installed")
    assert "`pip install bitsandbytes`" in check.advice


@needs_bitsandbytes
@pytest.mark.parametrize("compute", ["float16", "bfloat16"])
def test_a_layer_in_four_bits_is_right_on_the_cpu_too(compute: str) -> None:
    step = make_step("cpu", four_bit_layer(compute))
    check = judge_step("4-bit step", "cpu", compute, step)
    assert check.state == "ok", check.seen
    assert 0.05 < step.quantization_error < 0.15


@pytest.mark.gpu
def test_a_step_is_really_made_on_a_gpu() -> None:
    check = check_lora_step("cuda:0")
    assert check.state == "ok", check.seen


@pytest.mark.gpu
@needs_bitsandbytes
def test_a_step_in_four_bits_is_really_made_on_a_gpu() -> None:
    check = check_four_bit_step("cuda:0")
    assert check.state == "ok", check.seen
    assert "NF4 weights within" in check.seen
