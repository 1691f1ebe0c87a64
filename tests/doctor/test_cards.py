from __future__ import annotations

import pytest

from relaytune.doctor.cards import Build, Card, covers, explain, install_command, judge_build, judge_card

P100 = Card("Tesla P100-PCIE-16GB", (6, 0), "550.54.15")
T4 = Card("Tesla T4", (7, 5), "550.54.15")
H100 = Card("NVIDIA H100 80GB HBM3", (9, 0), "580.159.04")
# as PyTorch publishes them
CUDA_12_6 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
CUDA_13 = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")
NEW = Build("2.14.0+cu130", "13.0", CUDA_13)
OLD = Build("2.14.0+cu126", "12.6", CUDA_12_6)
CPU = Build("2.14.0+cpu")
NO_KERNEL = "CUDA error: no kernel image is available for execution on the device"


@pytest.mark.parametrize(
    ("architectures", "capability", "covered"),
    [
        (CUDA_13, (6, 0), False),
        (CUDA_12_6, (6, 0), True),
        (CUDA_12_6, (6, 1), True),
        (CUDA_13, (7, 0), False),
        (CUDA_13, (7, 5), True),
        (CUDA_13, (8, 9), True),
        (CUDA_13, (9, 0), True),
        (CUDA_12_6, (12, 0), False),
        (CUDA_13, (12, 1), True),
        (("sm_90", "compute_90"), (10, 0), True),
        (("sm_61",), (6, 0), False),
        (("sm_90a",), (9, 0), False),
        ((), (6, 0), True),
    ],
)
def test_which_cards_a_build_has_kernels_for(
    architectures: tuple[str, ...], capability: tuple[int, int], covered: bool
) -> None:
    assert covers(architectures, capability) is covered


def test_what_each_card_cannot_do_is_said() -> None:
    p100, t4, h100 = (judge_card("GPU 0", card, 15.5, 16.0) for card in (P100, T4, H100))
    assert p100.seen == (
        "Tesla P100-PCIE-16GB, capability 6.0, 15.5 of 16.0 GiB free, driver 550.54.15; float16, no bfloat16; "
        "no triton, no torch.compile"
    )
    assert t4.seen.endswith("driver 550.54.15; float16, no bfloat16")
    assert h100.seen.endswith("driver 580.159.04")
    assert {p100.state, t4.state, h100.state} == {"ok"}


def test_a_card_whose_memory_is_taken_is_a_warning() -> None:
    check = judge_card("GPU 0", T4, 4.0, 15.0)
    assert check.state == "warning"
    assert "Other programs hold 11.0 GiB" in check.advice
    assert "70%" in check.advice


def test_a_p100_is_told_which_torch_has_its_kernels() -> None:
    advice = explain(NO_KERNEL, P100, NEW)
    assert "takes kernels for sm_60; torch 2.14.0+cu130 (CUDA 13.0) has those for sm_75, sm_80" in advice
    assert "--torch-backend=cu126 --reinstall-package torch 'torch>=2.9,<2.15'" in advice


def test_a_card_newer_than_the_build_is_told_to_take_what_its_driver_takes() -> None:
    advice = explain(NO_KERNEL, Card("NVIDIA RTX 5090", (12, 0)), OLD)
    assert "takes kernels for sm_120" in advice
    assert "--torch-backend=auto --reinstall-package torch 'torch>=2.9'`" in advice


def test_a_card_too_old_for_any_build_is_told_so() -> None:
    advice = explain(NO_KERNEL, Card("Tesla K80", (3, 7)), OLD)
    assert "torch>=2.9 has kernels from 5.0 on; use another card" in advice
    assert "pip install" not in advice


def test_an_error_under_another_name_is_explained_by_the_architectures_too() -> None:
    assert "sm_60" in explain("CUBLAS_STATUS_ARCH_MISMATCH", P100, NEW)
    assert "Restart the session" in explain("CUDA error: unspecified launch failure", T4, NEW)
    assert "Other programs hold" in explain("CUDA out of memory. Tried to allocate 2 MiB", T4, NEW)


@pytest.mark.parametrize(
    ("build", "cards", "state", "seen", "advice"),
    [
        (NEW, (H100,), "ok", "2.14.0+cu130, CUDA 13.0", ""),
        (CPU, (), "ok", "2.14.0+cpu, CPU build", ""),
        (Build(), (), "failed", "not installed", "--torch-backend=cpu"),
        (Build(), (T4,), "failed", "not installed", "--torch-backend=auto"),
        (Build(), (P100,), "failed", "not installed", "--torch-backend=cu126"),
        (Build(fault="OSError: libcudart.so.12"), (T4,), "failed", "OSError: libcudart.so.12", "--torch-backend=auto"),
        (
            CPU,
            (T4,),
            "failed",
            "this machine has an NVIDIA GPU (Tesla T4), which it cannot use",
            "--torch-backend=auto",
        ),
        (CPU, (P100,), "failed", "which it cannot use", "--torch-backend=cu126"),
        (Build("2.4.1+cu121", "12.1"), (T4,), "failed", "relaytune needs torch>=2.9", "--torch-backend=auto"),
        (
            Build("2.14.0", "13.2", fault="The NVIDIA driver on your system is too old (found version 12040)."),
            (T4,),
            "failed",
            "CUDA 13.2; The NVIDIA driver on your system is too old",
            "Driver 550.54.15 does not start it: update the driver, or take a build that is made for it: `pip install",
        ),
        (
            Build("2.14.0", "13.2", fault="Found no NVIDIA driver on your system."),
            (),
            "ok",
            "2.14.0, CUDA 13.2",
            "",
        ),
        (
            Build("2.14.0", "13.2", fault="No CUDA GPUs are available"),
            (T4,),
            "warning",
            "Tesla T4 is hidden from it",
            "CUDA_VISIBLE_DEVICES",
        ),
        (
            Build("2.14.0", "13.2", fault="CUDA driver initialization failed"),
            (),
            "failed",
            "CUDA driver initialization failed",
            "The driver does not start it",
        ),
    ],
)
def test_a_torch_is_judged_by_the_cards_that_the_driver_sees(
    build: Build, cards: tuple[Card, ...], state: str, seen: str, advice: str
) -> None:
    check = judge_build(build, cards)
    assert check.state == state
    assert seen in check.seen
    assert advice in check.advice
    assert bool(advice) == bool(check.advice)


def test_the_oldest_card_decides_which_torch_to_install() -> None:
    assert "--torch-backend=cu126" in install_command([H100, P100])
