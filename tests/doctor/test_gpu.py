from __future__ import annotations

import math
from pathlib import Path

import pytest

from relaytune.doctor.cards import Build, Card
from relaytune.doctor.gpu import TOLERANCES, cards_of_driver, check_gpus, check_products, parse_cards, read_build

torch = pytest.importorskip("torch")

AMPERE, TURING = Card("A100", (8, 0)), Card("T4", (7, 5))


def test_nvidia_smi_is_read() -> None:
    answer = "Tesla T4, 7.5, 550.54.15\nTesla T4, 7.5, 550.54.15\n"
    assert parse_cards(answer) == (Card("Tesla T4", (7, 5), "550.54.15"),) * 2
    assert parse_cards("Tesla C1060, [N/A], 340.1\n") == ()


@pytest.mark.parametrize(
    ("script", "cards"),
    [
        ("echo 'NVIDIA H100, 9.0, 580.1'", (Card("NVIDIA H100", (9, 0), "580.1"),)),
        ("echo NVIDIA-SMI has failed, because it could not, communicate; exit 9", ()),
    ],
)
def test_a_driver_that_does_not_answer_has_no_cards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, cards: tuple[Card, ...]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cards_of_driver() == cards


def test_without_nvidia_smi_there_are_no_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cards_of_driver() == ()


def test_the_installed_torch_is_imported() -> None:
    build = read_build()
    assert build.version == torch.__version__
    assert build.cuda == (torch.version.cuda or "")


def test_products_are_right_on_this_machine_in_every_type() -> None:
    check = check_products("CPU products", "cpu", AMPERE, Build())
    assert check.state == "ok", check.seen
    assert all(name in check.seen for name in TOLERANCES)


def test_bfloat16_is_not_tried_on_a_card_that_only_emulates_it() -> None:
    assert "bfloat16" not in check_products("CPU products", "cpu", TURING, Build()).seen


@pytest.mark.parametrize("error", [1e-3, math.nan])
def test_a_device_that_computes_wrongly_has_failed(monkeypatch: pytest.MonkeyPatch, error: float) -> None:
    monkeypatch.setattr("relaytune.doctor.gpu.product_error", lambda *_: error)
    check = check_products("GPU 0 products", "cpu", AMPERE, Build())
    assert check.state == "failed"
    assert "do not train on it" in check.advice


def test_a_kernel_that_cannot_run_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def product(*_: str) -> float:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    monkeypatch.setattr("relaytune.doctor.gpu.product_error", product)
    check = check_products("GPU 0 products", "cuda:0", Card("P100", (6, 0)), Build("2.14.0", "13.0", ("sm_75",)))
    assert check.state == "failed"
    assert check.seen == "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    assert "takes kernels for sm_60" in check.advice


@pytest.mark.gpu
def test_every_gpu_runs_its_products() -> None:
    lines = list(check_gpus(read_build(), cards_of_driver()))
    assert len(lines) == torch.cuda.device_count()
    for card, products in lines:
        assert "capability" in card.seen
        assert products.state == "ok", products.seen
