"""A handoff is checked, not hoped: what is damaged, foreign or different is refused with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from relaytune.core.errors import HandoffError
from relaytune.core.files import sha256_of_file
from relaytune.core.run_folder import ADAPTER_WEIGHTS
from relaytune.core.sections import Lora, Training
from relaytune.training.arriving import Arrival, arrive, find_handoff, probe
from relaytune.training.handoff import (
    BEST_WEIGHTS,
    MOMENTS,
    forget_older,
    write_handoff,
)
from relaytune.training.loop import Progress, moments_of, train_adapter
from relaytune.training.lora import add_lora, trainable
from relaytune.training.manifest import Identity, handoffs_in
from small_model import random_examples, small_llama

EXAMPLES = random_examples(20, prefix=7)
TRAIN, VALIDATION = EXAMPLES[:12], EXAMPLES[12:]
SETTINGS = Training.model_validate({"num_epochs": 4, "examples_per_step": 4, "learning_rate": 2e-2, "warmup_steps": 0})
LORA = Lora(rank=4, alpha=8)
OURS = Identity(
    run="colours",
    base_model={"name": "small", "revision": None},
    weights="a" * 64,
    template="b" * 64,
    training_rows="c" * 64,
    validation_rows="d" * 64,
    lora=LORA.model_dump(mode="json"),
    training=SETTINGS.model_dump(mode="json"),
)


def adapted(base: Any = None) -> Any:
    return add_lora(base or small_llama(), LORA, "small", seed=0)


def save(
    folder: Path, finished: bool = False, with_moments: bool = True
) -> tuple[Any, Progress, dict[str, dict[str, Tensor]]]:
    """Train a few steps and hand them on; the best step is the first."""
    model = adapted()
    moments: dict[str, dict[str, Tensor]] = {}

    def stop(step: Any, _: Progress, optimizer: torch.optim.AdamW) -> bool:
        moments.update(moments_of(optimizer, trainable(model)))
        return bool(step.step == 5)

    progress = train_adapter(model, TRAIN, VALIDATION, SETTINGS, 1000, stop).progress
    manifest = {
        "format": 1,
        "relaytune": "0",
        "identity": OURS,
        "step": progress.step,
        "planned_steps": 12,
        "next_example": 20,
        "num_tokens": progress.num_tokens,
        "num_supervised_tokens": progress.num_supervised_tokens,
        "rewarmed_from": None,
        "first_validation_loss": progress.first_validation_loss,
        "best_step": progress.best_step,
        "best_validation_loss": progress.best_validation_loss,
        "validations_without_better": progress.validations_without_better,
        "finished": finished,
        "stopped_early": False,
        "probe": probe(model, VALIDATION, 1000, "float32"),
        "lineage": (),
    }
    write_handoff(folder / "000005", model, manifest, progress.best_weights, moments if with_moments else None)
    return model, progress, moments


def arrived(folder: Path, model: Any = None, ours: Identity = OURS) -> Arrival:
    return arrive(find_handoff(folder, ours), model or adapted(), VALIDATION, 1000, "float32")


def test_what_was_handed_on_arrives_to_the_bit(tmp_path: Path) -> None:
    model, progress, moments = save(tmp_path)
    other = adapted()
    arrival = arrived(tmp_path, other)
    assert arrival.start == "resume"
    assert all(torch.equal(weight, trainable(other)[name]) for name, weight in trainable(model).items())
    assert arrival.progress is not None
    assert arrival.progress.best_weights.keys() == progress.best_weights.keys()
    for name, weight in progress.best_weights.items():
        assert torch.equal(weight, arrival.progress.best_weights[name])
    assert (arrival.progress.step, arrival.progress.best_step) == (progress.step, progress.best_step)
    assert progress.best_step < 5  # so that two adapters were handed on
    assert (tmp_path / "000005" / BEST_WEIGHTS).exists()
    assert arrival.moments is not None
    for name, state in moments.items():
        assert all(torch.equal(value, arrival.moments[name][key]) for key, value in state.items())


def test_without_moments_a_session_continues_and_is_rewarmed(tmp_path: Path) -> None:
    save(tmp_path, with_moments=False)
    arrival = arrived(tmp_path)
    assert arrival.start == "continue"
    assert arrival.progress is not None
    assert arrival.progress.rewarmed_from == 5


def test_where_every_step_was_skipped_there_are_no_moments_to_lose(tmp_path: Path) -> None:
    save(tmp_path, with_moments=False)
    change_manifest(tmp_path, lambda values: values.update(num_skipped_steps=5))
    arrival = arrived(tmp_path)
    assert arrival.start == "resume"
    assert arrival.progress is not None
    assert arrival.progress.rewarmed_from is None


def test_where_nothing_was_handed_on_the_run_is_new(tmp_path: Path) -> None:
    assert find_handoff(tmp_path / "handoffs", OURS) is None
    assert arrived(tmp_path).start == "new"


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "000005" / "handoff.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def change_tensors(folder: Path, name: str, change: Callable[[dict[str, Tensor]], None]) -> None:
    """A change that its author hid well: the manifest names the new sha256."""
    path = folder / "000005" / name
    tensors = load_file(path)
    change(tensors)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    change_manifest(folder, lambda values: values["files"].update({name: sha256_of_file(path)}))


def flip_a_byte(folder: Path) -> None:
    path = folder / "000005" / ADAPTER_WEIGHTS
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)


def cut_short(folder: Path) -> None:
    path = folder / "000005" / MOMENTS
    path.write_bytes(path.read_bytes()[:-100])


def zero(tensors: dict[str, Tensor]) -> None:
    for tensor in tensors.values():
        tensor.zero_()


def drop_one(tensors: dict[str, Tensor]) -> None:
    del tensors[next(key for key in sorted(tensors) if "layers.1" in key)]


def add_one(tensors: dict[str, Tensor]) -> None:
    tensors["base_model.model.surprise.lora_A.weight"] = torch.ones(2)


def reshape_one(tensors: dict[str, Tensor]) -> None:
    key = next(iter(sorted(tensors)))
    tensors[key] = tensors[key][:, :-1]


def spoil_one(tensors: dict[str, Tensor]) -> None:
    tensors[next(iter(sorted(tensors)))].fill_(float("nan"))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (flip_a_byte, f"{ADAPTER_WEIGHTS} was altered or cut short"),
        (cut_short, f"{MOMENTS} was altered or cut short"),
        (lambda folder: (folder / "000005" / MOMENTS).unlink(), f"{MOMENTS} is missing"),
        (lambda folder: (folder / "000005" / "more.txt").write_text("x"), "more.txt is in no manifest"),
        (lambda folder: (folder / "000005" / "handoff.json").unlink(), "no handoff.json in it"),
        (lambda folder: (folder / "000005" / "handoff.json").write_text('{"format": 1, "st'), "not readable as JSON"),
        (lambda folder: change_manifest(folder, lambda v: v.update(format=3)), "format 3; this relaytune knows"),
        (lambda folder: change_manifest(folder, lambda v: v.pop("step")), "step: Field required"),
        (lambda folder: change_manifest(folder, lambda v: v["probe"].update(loss=float("nan"))), "a finite number"),
        (lambda folder: change_manifest(folder, lambda v: v.update(stp=1)), "stp: Extra inputs are not permitted"),
        (lambda folder: change_tensors(folder, ADAPTER_WEIGHTS, zero), "every lora_B is zero"),
        (lambda folder: change_tensors(folder, ADAPTER_WEIGHTS, drop_one), r"layers\.1\..* is missing"),
        (lambda folder: change_tensors(folder, ADAPTER_WEIGHTS, add_one), "surprise.lora_A.weight is unknown"),
        (lambda folder: change_tensors(folder, ADAPTER_WEIGHTS, reshape_one), "has shape"),
        (lambda folder: change_tensors(folder, ADAPTER_WEIGHTS, spoil_one), "no numbers"),
        (lambda folder: change_tensors(folder, MOMENTS, drop_one), "not the moments of this adapter"),
        (
            lambda folder: change_manifest(folder, lambda v: v["probe"].update(loss=9.0)),
            r"the probe disagrees\. 8 validation rows gave a loss of 9\.000000",
        ),
    ],
)
def test_a_damaged_handoff_is_refused_with_the_reason(
    tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    save(tmp_path)
    damage(tmp_path)
    with pytest.raises(HandoffError, match=reason):
        arrived(tmp_path)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"weights": "e" * 64}, "other base weights (aaaaaaaaaaaa… there, eeeeeeeeeeee… here)"),
        (
            {"weights": "e" * 64, "base_model": {"name": "small", "revision": "v2"}},
            "another base model or revision: revision None there, 'v2' here",
        ),
        ({"template": "e" * 64}, "another tokenizer or chat template"),
        ({"training_rows": "e" * 64}, "other training rows"),
        ({"validation_rows": "e" * 64}, "other validation rows"),
        ({"lora": Lora(rank=8, alpha=8).model_dump(mode="json")}, "other LoRA settings: rank 4 there, 8 here"),
        (
            {"training": {**SETTINGS.model_dump(mode="json"), "learning_rate": 0.1}},
            "other training settings: learning_rate 0.02 there, 0.1 here",
        ),
    ],
)
def test_a_handoff_of_another_run_is_refused_and_what_differs_is_named(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    save(tmp_path)
    with pytest.raises(HandoffError, match=re.escape(reason)):
        find_handoff(tmp_path, OURS.model_copy(update=changed))


def test_all_that_differs_is_named_at_once(tmp_path: Path) -> None:
    save(tmp_path)
    with pytest.raises(
        HandoffError, match=r"(?s)other base weights.*other training rows.*delete .*000005 to begin anew"
    ):
        find_handoff(tmp_path, OURS.model_copy(update={"weights": "e" * 64, "training_rows": "f" * 64}))


def test_base_weights_that_compute_something_else_are_caught_by_the_probe(tmp_path: Path) -> None:
    save(tmp_path)
    base = small_llama()
    with torch.no_grad():
        base.lm_head.weight.mul_(1.2)
    with pytest.raises(HandoffError, match="the probe disagrees"):
        arrived(tmp_path, adapted(base))


def test_an_adapter_that_nothing_would_train_is_refused(tmp_path: Path) -> None:
    save(tmp_path)
    frozen = adapted().requires_grad_(False)
    with pytest.raises(HandoffError, match="the adapter is frozen"):
        arrived(tmp_path, frozen)


def test_a_finished_run_is_unpacked_and_not_begun_again(tmp_path: Path) -> None:
    save(tmp_path, finished=True)
    assert arrived(tmp_path).finished


def test_the_same_weights_under_another_name_are_the_same_run(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "000005" / ".DS_Store").write_text("left by a file manager")
    assert find_handoff(tmp_path, OURS.model_copy(update={"base_model": {"name": "/elsewhere/small"}}))


def test_the_last_three_handoffs_are_kept(tmp_path: Path) -> None:
    for step in (1, 20, 3, 100, 7):
        (tmp_path / f"{step:06d}").mkdir()
    (tmp_path / ".000200.abcd").mkdir()  # one that was never completed
    forget_older(tmp_path)
    assert [path.name for path in handoffs_in(tmp_path)] == ["000007", "000020", "000100"]
    assert not (tmp_path / ".000200.abcd").exists()
