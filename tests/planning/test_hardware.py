from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from relaytune.planning import measure_hardware
from relaytune.planning.hardware import cgroup_memory_bytes


def test_this_machine_has_positive_facts_that_fit_together(tmp_path: Path) -> None:
    hardware = measure_hardware(tmp_path)
    assert hardware.device in ("cpu", "cuda")
    assert hardware.name
    assert hardware.num_cores >= 1
    assert 0 < hardware.free_memory_gib <= hardware.memory_gib
    assert hardware.free_disk_gib > 0
    assert "float32" in hardware.product_gflops
    assert all(speed > 0 for speed in hardware.product_gflops.values())
    assert (hardware.num_gpus > 0) == (hardware.device == "cuda") == (hardware.gpu_memory_gib > 0)


def test_the_folder_need_not_exist_and_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "tickets"
    assert measure_hardware(folder).free_disk_gib > 0
    assert not folder.parent.exists()


def test_measuring_leaves_the_precision_of_products_as_it_was() -> None:
    torch = pytest.importorskip("torch")
    matmul = torch.backends.mkldnn.matmul
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = "ieee"
        measure_hardware(Path())
        assert matmul.fp32_precision == "ieee"
    finally:
        matmul.fp32_precision = before


def test_a_limit_of_control_groups_version_2_is_seen_anywhere_above(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/box/job\n")
    _group(tmp_path / "mount/box/job", "memory.max", "max", "memory.current", 700, "inactive_file 100\n")
    _group(tmp_path / "mount/box", "memory.max", "4000", "memory.current", 900, "anon 5\ninactive_file 300\n")
    assert list(cgroup_memory_bytes(own, tmp_path / "mount")) == [(4000, 600)]


def test_a_container_of_version_1_sees_its_limit_at_the_root(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n")
    root = tmp_path / "mount/memory"
    _group(root, "memory.limit_in_bytes", "8000", "memory.usage_in_bytes", 500, "total_inactive_file 50\n")
    assert list(cgroup_memory_bytes(own, tmp_path / "mount")) == [(8000, 450)]


def test_a_system_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert list(cgroup_memory_bytes(tmp_path / "nothing", tmp_path)) == []


def test_planning_starts_without_torch_numpy_and_scipy() -> None:
    code = "import sys, relaytune.planning; print(sorted({'torch', 'numpy', 'scipy'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def _group(folder: Path, limit_file: str, limit: str, usage_file: str, usage: int, statistics: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / limit_file).write_text(f"{limit}\n")
    (folder / usage_file).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(statistics)
