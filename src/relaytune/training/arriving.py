"""How a session begins: new, or with what the last handoff brings, checked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from relaytune.core.errors import HandoffError
from relaytune.core.lineage import SessionRecord
from relaytune.core.precision import Precision
from relaytune.core.run_folder import ADAPTER_WEIGHTS
from relaytune.core.template import EncodedExample, shared_prefix_length
from relaytune.training.handoff import (
    BEST_WEIGHTS,
    load_moments,
    load_weights,
    put,
)
from relaytune.training.loop import Progress, mean_loss
from relaytune.training.manifest import Identity, Manifest, Probe, handoffs_in, read_manifest, refuse_foreign

PROBED = 8  # validation rows
# How far the probe may lie from where it was saved: relative, and in nats for losses near 0; of two precisions the
# wider one counts. Measured, CPU and H100, against float32 on the CPU (benchmarks/probe_tolerance.py): at most 5.1e-6,
# 2.7e-3, 9.5e-3 and 4.2e-2 in this order.
TOLERANCES: dict[Precision, tuple[float, float]] = {
    "float32": (5e-5, 1e-5),
    "float16": (1e-2, 1e-3),
    "bfloat16_products": (3e-2, 2e-3),
    "bfloat16": (1.2e-1, 5e-3),
}


@dataclass(frozen=True)
class Arrival:
    """What a session begins with."""

    start: Literal["new", "continue", "resume"]
    progress: Progress | None
    moments: dict[str, dict[str, Tensor]] | None
    lineage: tuple[SessionRecord, ...]
    probe_saved: float = 0.0  # loss of `PROBED` validation rows when the handoff was saved
    probe_loss: float = 0.0  # and here
    probe_seconds: float = 0.0  # what it took
    finished: bool = False  # a run whose last handoff stands at its end: nothing is left but to unpack it


def find_handoff(handoffs: Path, ours: Identity, store: str | None = None) -> tuple[Path, Manifest] | None:
    """The latest handoff, checked but for its weights; None where the run is new. `store` it came from, for messages.

    Raises:
        HandoffError: it is damaged, of another run, or of a newer format.
    """
    found = handoffs_in(handoffs)
    if not found:
        return None
    folder = found[-1]
    try:
        manifest = read_manifest(folder)
        refuse_foreign(str(folder), manifest, ours)
    except HandoffError as error:
        earlier = f"delete {folder} to go on from {found[-2].name}" if found[1:] else f"delete {folder} to begin anew"
        if store:
            earlier = f"begin anew with another name or another session.store (now {store})"
        raise HandoffError(f"{error}\nPut right what differs, or {earlier}.") from error
    return folder, manifest


def arrive(
    found: tuple[Path, Manifest] | None,
    model: Any,
    validation: Sequence[EncodedExample],
    max_tokens: int,
    precision: Precision,
) -> Arrival:
    """Put what the handoff brings into the model, and check by the probe that it still does what it did.

    Raises:
        HandoffError: the weights are not this adapter's, or the probe disagrees.
    """
    if found is None:
        return Arrival("new", None, None, ())
    folder, manifest = found
    untrained = manifest.num_skipped_steps == manifest.step
    weights = load_weights(folder, ADAPTER_WEIGHTS, model, may_be_untrained=untrained)
    best = weights
    if (folder / BEST_WEIGHTS).exists():
        best = load_weights(folder, BEST_WEIGHTS, model, may_be_untrained=manifest.best_step == 0)
    moments = load_moments(folder, model)
    exact = moments is not None or untrained  # where all steps were skipped there are no moments yet
    put(model, weights)
    begun = time.perf_counter()
    arrived = probe(model, validation, max_tokens, precision)
    probe_seconds = time.perf_counter() - begun
    _refuse_other_loss(folder, manifest.probe, arrived)
    progress = Progress(
        step=manifest.step,
        num_tokens=manifest.num_tokens,
        num_supervised_tokens=manifest.num_supervised_tokens,
        num_skipped_steps=manifest.num_skipped_steps,
        scale=manifest.scale,
        rewarmed_from=manifest.rewarmed_from if exact else manifest.step,
        first_validation_loss=manifest.first_validation_loss,
        best_step=manifest.best_step,
        best_validation_loss=manifest.best_validation_loss,
        validations_without_better=manifest.validations_without_better,
        best_weights=best,
    )
    start: Literal["continue", "resume"] = "resume" if exact else "continue"
    return Arrival(
        start,
        progress,
        moments,
        manifest.lineage,
        manifest.probe.loss,
        arrived.loss,
        probe_seconds,
        manifest.finished,
    )


def probe(
    model: Any,
    validation: Sequence[EncodedExample],
    max_tokens: int,
    precision: Precision,
) -> Probe:
    """The model's loss on the first validation rows, as it stands."""
    rows = validation[:PROBED]
    prefix = shared_prefix_length([example.prompt_ids for example in rows])
    device = next(model.parameters()).device.type
    return Probe(
        loss=mean_loss(model, rows, prefix, max_tokens), num_examples=len(rows), precision=precision, device=device
    )


def _refuse_other_loss(folder: Path, saved: Probe, arrived: Probe) -> None:
    relative, absolute = max(TOLERANCES[saved.precision], TOLERANCES[arrived.precision])
    allowed = relative * abs(saved.loss) + absolute
    apart = abs(arrived.loss - saved.loss)
    if not apart <= allowed:
        raise HandoffError(
            f"{folder}: the probe disagrees. {saved.num_examples} validation rows gave a loss of {saved.loss:.6f} when "
            f"it was saved ({saved.precision}, {saved.device}) and {arrived.loss:.6f} here ({arrived.precision}, "
            f"{arrived.device}): {apart:.6f} apart, at most {allowed:.6f} is allowed. The base model or its "
            "libraries compute something else here; compare the versions in the manifest with this machine's."
        )
