"""How much memory this process takes, and giving back what its heap keeps for nothing."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from pathlib import Path

GIB = 2**30


def forget_peak() -> None:
    """Give back what earlier stages left on the heap, and start the kernel's high-water mark of this process anew.

    Linux and CUDA only; elsewhere the mark covers the whole process.
    """
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    _trim()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_gib() -> float:
    """The most that was taken since `forget_peak`: of the GPU where one was used, else of this process."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / GIB
    try:
        status = Path("/proc/self/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 2**20
    except (OSError, StopIteration):
        import resource

        unit = GIB if os.uname().sysname == "Darwin" else 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def trim_heap_above(gib: float) -> None:
    """Give freed memory back where this process has more than so much.

    Steps of different shapes leave holes in the C library's heap, which grows over a run although no more is live.
    Not after every step: memory that is given back has to be faulted in anew, 8% of a step.
    """
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        if pages * os.sysconf("SC_PAGE_SIZE") > gib * GIB:
            _trim()


def _trim() -> None:
    with contextlib.suppress(OSError, AttributeError):  # the GNU C library only
        ctypes.CDLL(None).malloc_trim(0)
