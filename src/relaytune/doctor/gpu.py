"""The GPUs and the torch of this machine, and products of matrices that are really run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from relaytune.doctor.cards import BFLOAT16_FROM, Build, Card, explain, judge_card
from relaytune.doctor.check import Check, cause
from relaytune.planning.memory import GIB

if TYPE_CHECKING:
    import torch

SIZE = 512  # of the matrices
# relative distance (Frobenius norm) from the float64 product of the same numbers. Rounding the result alone gives about
# 3e-8, 2e-4 and 2e-3; TF32 in the place of float32 would give 3e-4
TOLERANCES = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}


def cards_of_driver() -> tuple[Card, ...]:
    """The cards that nvidia-smi names; none where it is missing or has no driver to ask."""
    query = ["nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_cards(answer)


def parse_cards(answer: str) -> tuple[Card, ...]:
    """Cards from nvidia-smi's table, e.g. `Tesla T4, 7.5, 550.54.15`."""
    rows = re.findall(r"^(.+), (\d+)\.(\d+), (\S+)$", answer, re.MULTILINE)
    return tuple(Card(name, (int(major), int(minor)), driver) for name, major, minor, driver in rows)


def read_build() -> Build:
    """Import torch, and start CUDA where it is built for it."""
    if importlib.util.find_spec("torch") is None:
        return Build()
    try:
        import torch
    except Exception as error:  # a library that is missing or of another version can raise anything
        return Build(fault=cause(error))
    version, cuda = torch.__version__, torch.version.cuda or ""
    if not cuda:
        return Build(version)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old cards: said in our own words where a kernel fails
            torch.cuda.init()  # type: ignore[no-untyped-call]
            return Build(version, cuda, tuple(torch.cuda.get_arch_list()))
    except RuntimeError as error:
        return Build(version, cuda, fault=" ".join(str(error).split())[:300])


def check_gpus(build: Build, cards: tuple[Card, ...]) -> Iterator[tuple[Check, Check]]:
    """Two lines for each GPU that torch can address: the card, and products run on it."""
    import torch

    driver = cards[0].driver if cards else ""
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        card = Card(properties.name, (properties.major, properties.minor), driver)
        yield (
            check_card(f"GPU {index}", index, card, build),
            check_products(f"GPU {index} products", f"cuda:{index}", card, build),
        )


def check_card(name: str, index: int, card: Card, build: Build) -> Check:
    """What card it is, and how much of its memory is free."""
    import torch

    try:
        free, total = torch.cuda.mem_get_info(index)
    except RuntimeError as error:
        return Check(name, "failed", f"{card.name}: {cause(error)}", explain(str(error), card, build))
    return judge_card(name, card, free / GIB, total / GIB)


def check_products(name: str, device: str, card: Card, build: Build) -> Check:
    """Multiply matrices on a device in each type that the card computes in, and compare with float64 on the CPU."""
    types = [name for name in TOLERANCES if name != "bfloat16" or card.capability >= BFLOAT16_FROM]
    try:
        errors = {type_name: product_error(device, type_name) for type_name in types}
    except RuntimeError as error:
        return Check(name, "failed", cause(error), explain(str(error), card, build))
    seen = "relative error " + ", ".join(
        f"{type_name} {error:.0e} (at most {TOLERANCES[type_name]:.0e})" for type_name, error in errors.items()
    )
    # written so that a NaN is wrong too
    if not all(error <= TOLERANCES[type_name] for type_name, error in errors.items()):
        return Check(name, "failed", seen, "It computes wrongly: do not train on it. Restart it, or use another.")
    return Check(name, "ok", seen)


def product_error(device: str, type_name: str) -> float:
    """Relative error of one product of two matrices on a device, against float64 on the CPU."""
    import torch

    random = torch.Generator().manual_seed(0)
    dtype: torch.dtype = getattr(torch, type_name)
    a, b = (torch.randn(SIZE, SIZE, generator=random).to(dtype) for _ in range(2))
    return relative_error(a.to(device) @ b.to(device), a.double() @ b.double())


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Distance of two tensors as a share of the second one's norm."""
    return float((found.detach().cpu().double() - expected).norm() / expected.norm())
