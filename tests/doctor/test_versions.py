from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from relaytune.doctor import versions
from relaytune.doctor.versions import NEEDED, PYTHONS, check_agreement, check_library, check_python

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def _install(folder: Path, name: str, version: str, requires: str = "", code: str | None = None) -> None:
    """A distribution as an installer leaves it: metadata, and a module where `code` is given."""
    metadata = folder / f"{name}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata.write_text("\n".join([*lines, *([f"Requires-Dist: {requires}"] if requires else [])]) + "\n")
    if code is not None:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(code)


def test_the_needed_versions_are_those_of_the_project() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    assert project["requires-python"] == PYTHONS
    wanted = {need.name: str(need.specifier) for need in map(Requirement, project["optional-dependencies"]["train"])}
    assert {name: wanted[name] for name in NEEDED} == NEEDED


def test_this_python_will_do_and_another_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_python().state == "ok"
    monkeypatch.setattr(versions, "PYTHONS", ">=3.99")
    check = check_python()
    assert check.state == "failed"
    assert "relaytune needs >=3.99" in check.seen


@pytest.mark.parametrize("name", ["transformers", "peft", "safetensors"])
def test_a_library_is_really_imported(name: str) -> None:
    pytest.importorskip("torch")
    assert check_library(name, with_torch=True).state == "ok"


def test_a_library_that_is_not_installed_is_named_with_the_command() -> None:
    check = check_library("no-such-library", with_torch=True)
    assert (check.state, check.seen) == ("failed", "not installed")
    assert check.advice == "`pip install 'relaytune[train]'`"


def test_a_library_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "peft", "0.10.0")
    monkeypatch.syspath_prepend(str(tmp_path))
    check = check_library("peft", with_torch=True)
    assert check.state == "failed"
    assert check.seen == "0.10.0; relaytune needs peft>=0.21"
    assert check.advice == "`pip install --upgrade 'peft>=0.21'`"


def test_a_library_that_does_not_import_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "half_installed", "1.0", code="raise OSError('libcudart.so.12: cannot open')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(versions.MODULES, "half_installed", "half_installed")
    check = check_library("half_installed", with_torch=True)
    assert (check.state, check.seen) == ("failed", "OSError: libcudart.so.12: cannot open")
    assert check.advice.startswith("1.0 is installed and cannot be imported")


def test_a_library_made_for_another_torch_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "torch", "2.14.0")
    _install(tmp_path, "torchvision", "0.24.0", requires="torch==2.9.0")
    monkeypatch.syspath_prepend(str(tmp_path))
    check = check_agreement()
    assert check.state == "warning"
    assert "torchvision 0.24.0 needs torch==2.9.0, and 2.14.0 is installed" in check.seen
    assert "torchvision" in check.advice


def test_what_a_library_needs_and_is_not_there_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "peft", "0.30.0", requires="a-library-of-the-future>=1")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "peft 0.30.0 needs a-library-of-the-future>=1, and none is installed" in check_agreement().seen


def test_what_only_an_extra_needs_is_no_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "peft", "0.30.0", requires='a-library-of-the-future>=1; extra == "dev"')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "a-library-of-the-future" not in check_agreement().seen
