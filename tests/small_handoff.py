"""A handoff of a few bytes, for tests where only its place in a run matters."""

from __future__ import annotations

from pathlib import Path

from relaytune.core.files import sha256_of_file, write_json
from relaytune.core.lineage import SessionRecord
from relaytune.training.manifest import MANIFEST, Identity, Manifest, Probe

IDENTITY = Identity(
    run="a", base_model={}, weights="", template="", training_rows="", validation_rows="", lora={}, training={}
)


def small_handoff(folder: Path, step: int, content: bytes = b"weights", identity: Identity = IDENTITY) -> Path:
    """Write a handoff with one file, `adapter`, into a folder of handoffs; returns its place."""
    path = folder / f"{step:06d}"
    path.mkdir(parents=True)
    (path / "adapter").write_bytes(content)
    manifest = small_manifest(step, identity, files={"adapter": sha256_of_file(path / "adapter")})
    write_json(path / MANIFEST, manifest.model_dump(mode="json"))
    return path


def small_manifest(
    step: int,
    identity: Identity = IDENTITY,
    lineage: tuple[SessionRecord, ...] = (),
    files: dict[str, str] | None = None,
) -> Manifest:
    return Manifest(
        format=1,
        relaytune="0",
        identity=identity,
        step=step,
        planned_steps=100,
        next_example=0,
        num_tokens=0,
        num_supervised_tokens=0,
        rewarmed_from=None,
        first_validation_loss=1.0,
        best_step=step,
        best_validation_loss=1.0,
        validations_without_better=0,
        finished=False,
        stopped_early=False,
        probe=Probe(loss=1.0, num_examples=1, precision="float32", device="cpu"),
        lineage=lineage,
        files=files or {},
    )
