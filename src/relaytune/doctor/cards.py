"""What an NVIDIA card can do and which torch it takes: judgements on facts, no torch.

The facts, by compute capability (PyTorch's CUDA support matrix of releases 2.8 to 2.14 and the plan for 2.15;
bitsandbytes' installation guide):

    below 5.0       no build of a torch that relaytune works with
    5.0 to 7.2      builds with CUDA 12.6 only, planned until torch 2.14 (P100: 6.0, V100: 7.0)
    from 7.5        any build (T4: 7.5, A100: 8.0, H100: 9.0)
    from 6.0        bitsandbytes in 4 bits
    from 7.0        triton, and so torch.compile
    from 8.0        bfloat16; below, torch emulates it, slowly, and says that it is supported
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from relaytune.doctor.check import Check
from relaytune.doctor.versions import NEEDED
from relaytune.planning.memory import SAFE_SHARE

Capability = tuple[int, int]
ANY_TORCH_FROM: Capability = (5, 0)
ANY_CUDA_FROM: Capability = (7, 5)
TRITON_FROM: Capability = (7, 0)
BFLOAT16_FROM: Capability = (8, 0)
AFTER_CUDA_12_6 = "2.15"  # of torch


@dataclass(frozen=True)
class Card:
    """One NVIDIA GPU; `driver` is empty where nvidia-smi does not answer."""

    name: str
    capability: Capability
    driver: str = ""


@dataclass(frozen=True)
class Build:
    """The installed torch.

    Args:
        version: empty where it is not installed or cannot be imported.
        cuda: the CUDA version that it was built with; empty for a CPU build.
        architectures: of its kernels, e.g. sm_80 (for 8.0 and newer 8.x) or compute_90 (for 9.0 and all newer).
        fault: why it cannot be imported, or why CUDA does not start.
    """

    version: str = ""
    cuda: str = ""
    architectures: tuple[str, ...] = ()
    fault: str = ""


def judge_build(build: Build, cards: Sequence[Card]) -> Check:
    """Whether this torch can be used, and uses the cards that the driver sees."""
    if not build.version:
        return Check("torch", "failed", build.fault or "not installed", install_command(cards))
    seen = f"{build.version}, {f'CUDA {build.cuda}' if build.cuda else 'CPU build'}"
    if not SpecifierSet(NEEDED["torch"]).contains(build.version, prereleases=True):
        return Check("torch", "failed", f"{seen}; relaytune needs torch{NEEDED['torch']}", install_command(cards))
    if cards and not build.cuda:
        seen += f"; this machine has an NVIDIA GPU ({cards[0].name}), which it cannot use"
        return Check("torch", "failed", seen, install_command(cards))
    if not build.fault or (not cards and re.search("no NVIDIA driver|No CUDA GPUs", build.fault)):
        return Check("torch", "ok", seen)
    if "No CUDA GPUs" in build.fault:
        seen += f"; {cards[0].name} is hidden from it"
        return Check("torch", "warning", seen, "Unset CUDA_VISIBLE_DEVICES, if the GPU is to be used.")
    driver = f"Driver {cards[0].driver} does not start it" if cards else "The driver does not start it"
    advice = f"{driver}: update the driver, or take a build that is made for it: {install_command(cards)}"
    return Check("torch", "failed", f"{seen}; {build.fault}", advice)


def judge_card(name: str, card: Card, free_gib: float, total_gib: float) -> Check:
    """What kind of card it is, and whether its memory is free."""
    limits = [
        *(["float16, no bfloat16"] if card.capability < BFLOAT16_FROM else []),
        *(["no triton, no torch.compile"] if card.capability < TRITON_FROM else []),
    ]
    facts = [
        card.name,
        f"capability {dotted(card.capability)}",
        f"{free_gib:.1f} of {total_gib:.1f} GiB free",
        *([f"driver {card.driver}"] if card.driver else []),
    ]
    seen = "; ".join([", ".join(facts), *limits])
    if free_gib < SAFE_SHARE * total_gib:
        advice = (
            f"Other programs hold {total_gib - free_gib:.1f} GiB (nvidia-smi names them): end them. The plan counts on "
            f"{SAFE_SHARE:.0%} of the card's memory."
        )
        return Check(name, "warning", seen, advice)
    return Check(name, "ok", seen)


def explain(error: str, card: Card, build: Build) -> str:
    """What to do about an error that a kernel on this card raised."""
    if "no kernel image" in error or not covers(build.architectures, card.capability):
        if card.capability < ANY_TORCH_FROM:
            needed = f"torch{NEEDED['torch']} has kernels from {dotted(ANY_TORCH_FROM)} on; use another card."
        else:
            needed = f"Take a build that has them: {install_command([card])}"
        return (
            f"This card takes kernels for sm_{card.capability[0]}{card.capability[1]}; torch {build.version} (CUDA "
            f"{build.cuda}) has those for {', '.join(build.architectures) or 'others'}. {needed}"
        )
    if "out of memory" in error:
        return "Other programs hold the card's memory (nvidia-smi names them): end them."
    return "Restart the session, or the machine. If that does not help, the driver or the card is at fault."


def covers(architectures: Sequence[str], capability: Capability) -> bool:
    """Whether one of a build's architectures has kernels for a card; True where none are known."""
    for architecture in architectures:
        kind, number = architecture.split("_")
        if not number.isdigit():  # sm_90a and the like run on that very card, beside the plain ones
            continue
        made_for = divmod(int(number), 10)
        if made_for <= capability and (kind == "compute" or made_for[0] == capability[0]):
            return True
    return not architectures


def install_command(cards: Sequence[Card]) -> str:
    """The command, in backticks, that installs a torch for these cards, or for the CPU.

    uv knows where each build is to be had; pip would have to be told.
    """
    if not cards:
        backend, limit = "cpu", ""
    elif any(card.capability < ANY_CUDA_FROM for card in cards):
        backend, limit = "cu126", f",<{AFTER_CUDA_12_6}"
    else:
        backend, limit = "auto", ""
    return (
        f"`pip install uv && uv pip install --python {shlex.quote(sys.executable)} --torch-backend={backend} "
        f"--reinstall-package torch 'torch{NEEDED['torch']}{limit}'`"
    )


def dotted(capability: Capability) -> str:
    """(7, 5) as 7.5."""
    return f"{capability[0]}.{capability[1]}"
