"""What this machine has, and how fast it multiplies matrices: measured, not looked up."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from relaytune.core.precision import Precision
from relaytune.core.results import Hardware

if TYPE_CHECKING:
    import torch

# one projection of SmolLM2-135M over a micro-batch of 1024 tokens: (1024, 576) @ (576, 1536)
ROWS, INNER, COLUMNS = 1024, 576, 1536
FLOPS = 2 * ROWS * INNER * COLUMNS
SECONDS_PER_MEASUREMENT = 0.25
GIB = 2**30


def measure_hardware(folder: Path) -> Hardware:
    """Measure this machine; free disk is that of the file system of `folder`, which need not exist yet.

    A GPU counts only when it has run a small product. Speeds are those of `device`; there are none where neither
    torch nor numpy is installed. Takes about half a second, and the import of torch.
    """
    total_gib, free_gib = memory_gib()
    device, name, num_gpus, gpu_memory_gib = "cpu", _cpu_name(), 0, 0.0
    speeds: dict[Precision, float] = {}
    if importlib.util.find_spec("torch"):
        import torch

        if _gpu_works():
            properties = torch.cuda.get_device_properties(0)
            device, name, num_gpus = "cuda", properties.name, torch.cuda.device_count()
            gpu_memory_gib = properties.total_memory / GIB
        speeds = _torch_gflops(torch.device(device))
    elif importlib.util.find_spec("numpy"):
        speeds = {"float32": _numpy_gflops()}
    return Hardware(
        device=device,
        name=name,
        num_cores=_num_cores(),
        num_gpus=num_gpus,
        memory_gib=total_gib,
        free_memory_gib=free_gib,
        gpu_memory_gib=gpu_memory_gib,
        free_disk_gib=free_disk_gib(folder),
        product_gflops=speeds,
    )


def _gpu_works() -> bool:
    """Whether a kernel really runs: a driver may be there without kernels for this card."""
    import torch

    if not torch.cuda.is_available():
        return False
    try:
        ones = torch.ones(64, 64, device="cuda")
        return bool((ones @ ones).sum().item() == 64**3)
    except RuntimeError:
        return False


def _torch_gflops(device: torch.device) -> dict[Precision, float]:
    """GFLOP/s of products in each precision that pays to be known here."""
    import torch
    from torch.nn import functional as F

    from relaytune.core.precision import products, sixteen_bits

    def measured(precision: Precision) -> float:
        dtype = sixteen_bits(precision) or torch.float32
        tokens = torch.ones(ROWS, INNER, device=device, dtype=dtype)
        weight = torch.ones(COLUMNS, INNER, device=device, dtype=dtype)

        def product() -> None:
            F.linear(tokens, weight)
            if device.type == "cuda":
                torch.cuda.synchronize()

        with torch.inference_mode(), products(precision):
            return _gflops(product)

    speeds: dict[Precision, float] = {"float32": measured("float32")}
    others: tuple[Precision, ...] = ("bfloat16", "float16")
    if device.type == "cpu":
        others = ("bfloat16_products",) if torch.backends.mkldnn.is_available() else ()  # type: ignore[no-untyped-call]
    for precision in others:
        with contextlib.suppress(RuntimeError):  # not offered
            speeds[precision] = measured(precision)
    return speeds


def _numpy_gflops() -> float:
    import numpy as np

    tokens, weight = np.ones((ROWS, INNER), np.float32), np.ones((INNER, COLUMNS), np.float32)

    def product() -> None:
        tokens @ weight

    return _gflops(product)


def _gflops(product: Callable[[], None]) -> float:
    """The best of at least three products: other programs only ever make one slower."""
    product()
    best, count, begun = math.inf, 0, time.perf_counter()
    while count < 3 or time.perf_counter() - begun < SECONDS_PER_MEASUREMENT:
        before = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - before)
        count += 1
    return FLOPS / best / 1e9


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine() or "unknown CPU"


def _num_cores() -> int:
    """Physical cores that this process may use: two hardware threads of one core count once."""
    if not hasattr(os, "sched_getaffinity"):
        return psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return len({_core_of(cpu) for cpu in os.sched_getaffinity(0)})


def _core_of(cpu: int) -> tuple[str, ...]:
    topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
    try:
        return tuple((topology / name).read_text().strip() for name in ("physical_package_id", "core_id"))
    except OSError:
        return (str(cpu),)


def free_disk_gib(folder: Path) -> float:
    """Free disk of the file system where `folder` is, or would be made."""
    return shutil.disk_usage(existing_folder(folder)).free / GIB


def existing_folder(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def memory_gib() -> tuple[float, float]:
    """(total, available) of this process: the machine's, or less where a control group limits it."""
    machine = psutil.virtual_memory()
    total, available = machine.total, machine.available
    for limit, used in cgroup_memory_bytes():
        total, available = min(total, limit), min(available, max(0, limit - used))
    return total / GIB, available / GIB


def cgroup_memory_bytes(
    own: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")
) -> Iterator[tuple[int, int]]:
    """(limit, used) in bytes of every control group (version 1 or 2) around this process that has a limit.

    A container sees its own group at the root of the mount, while `own` may name it by the host's path: the
    groups from that path up to the root are read, as far as they are there. File cache that the kernel gives back
    when asked (`inactive_file`) does not count as used.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            files, root = ("memory.max", "memory.current", "inactive_file"), mount
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            root = mount / "memory"
        else:
            continue
        group = root / path.strip("/")
        for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(root))):
            yield from _limit_and_use(folder, *files)


def _limit_and_use(folder: Path, limit_file: str, usage_file: str, cache_key: str) -> Iterator[tuple[int, int]]:
    try:
        limit = (folder / limit_file).read_text().strip()
        usage = int((folder / usage_file).read_text())
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return
    if limit != "max":
        yield int(limit), usage - int(statistics.get(cache_key, 0))
