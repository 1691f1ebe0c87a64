"""Can this machine really train? Things are tried; `is_available()` is not asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from relaytune.core.model import cache_folder
from relaytune.core.recipe import Recipe
from relaytune.doctor.base_model import check_base_model
from relaytune.doctor.cards import Build, Card, judge_build
from relaytune.doctor.check import Check, summary
from relaytune.doctor.gpu import cards_of_driver, check_gpus, read_build
from relaytune.doctor.storage import check_disk, check_memory, check_store
from relaytune.doctor.training import check_four_bit_step, check_lora_step
from relaytune.doctor.versions import check_agreement, check_library, check_python, installed_version

__all__ = ["Check", "examine", "summary"]


def examine(recipe: Recipe | None = None, runs: Path = Path("runs")) -> Iterator[Check]:
    """Try everything that training needs, one check after the other; each comes as soon as it is made.

    Args:
        recipe: its base model and store are looked at too.
        runs: the folder of runs, which need not exist.
    """
    yield check_python()
    cards, build = cards_of_driver(), read_build()
    yield judge_build(build, cards)
    for library in ("transformers", "peft", "safetensors"):
        yield check_library(library, with_torch=bool(build.version))
    yield check_agreement()
    if build.version:
        yield from _computation(build, cards)
    yield check_memory()
    yield check_disk("disk, runs", runs, "name another folder with --runs")
    yield check_disk("disk, models", cache_folder(), "set RELAYTUNE_CACHE to a folder on another disk")
    if recipe is not None:
        yield check_base_model(recipe.base_model)
        if recipe.session.store is not None:
            yield check_store(recipe.session.store)


def _computation(build: Build, cards: tuple[Card, ...]) -> Iterator[Check]:
    """The GPUs, and a step of training on the first that works; on the CPU where none does."""
    device, num_gpus = "cpu", 0
    if build.cuda and not build.fault:
        for index, (card, products) in enumerate(check_gpus(build, cards)):
            yield card
            yield products
            num_gpus += 1
            if device == "cpu" and products.state == "ok":
                device = f"cuda:{index}"
    if not num_gpus:
        yield Check("GPU", "ok", "none that torch can use; training runs on the CPU")
    elif installed_version("bitsandbytes"):
        yield check_library("bitsandbytes", with_torch=True)
    yield check_lora_step(device)
    yield check_four_bit_step(device)
