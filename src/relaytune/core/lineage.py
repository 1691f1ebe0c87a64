"""The sessions that a run is made of, and what happened at the seams between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from relaytune.core.errors import RunError
from relaytune.core.files import read_json
from relaytune.core.precision import Precision
from relaytune.core.results import TrainingStep, read_steps
from relaytune.core.run_folder import METRICS, RunFolder

SEAM_STEPS = 5  # on either side, whose mean loss is compared: single steps have different rows


class SessionRecord(BaseModel):
    """One stretch of training on one machine, up to the handoff that holds this record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str  # of its own, also in a store's log
    number: int
    start: Literal["new", "continue", "resume"]
    machine: str
    device: str
    precision: Precision
    libraries: dict[str, str]
    first_step: int  # steps that the run had when the session began
    lost_steps: int  # that the session before had made after its last handoff, and that were made again
    last_step: int
    began_at: str
    saved_at: str
    seconds: float
    ended: Literal["not yet", "limit", "signal", "finished"]


@dataclass(frozen=True)
class Stretch:
    """One session with what its steps say. Losses are means over `SEAM_STEPS` steps, in nats; None without any."""

    record: SessionRecord
    loss_before: float | None  # at the end of the session before
    first_loss: float | None
    last_loss: float | None
    first_rate: float | None
    last_rate: float | None
    skipped_steps: int  # in float16


def read_sessions(run: RunFolder) -> list[SessionRecord]:
    """What the sessions of this run did, as far as their last handoffs tell.

    Raises:
        RunError: another version of relaytune wrote them.
    """
    paths = [folder / "session.json" for folder in run.session_folders()]
    try:
        return [SessionRecord.model_validate(read_json(path)) for path in paths if path.is_file()]
    except ValidationError as error:
        raise RunError(
            f"{run.sessions}: not the sessions of this version of relaytune; another one trained this run. Use "
            "that one, or begin anew with another --runs."
        ) from error


def read_metrics(run: RunFolder) -> list[TrainingStep]:
    """The steps of all sessions of this run; a step that was lost and made again counts as made last.

    Raises:
        RunError: another version of relaytune wrote them.
        DataError: a file is damaged.
    """
    steps: list[TrainingStep] = []
    for folder in run.session_folders():
        if (folder / METRICS).is_file() and (made := read_steps(folder / METRICS)):
            steps = [step for step in steps if step.step < made[0].step] + made
    return steps


def stretches(records: Sequence[SessionRecord], steps: Sequence[TrainingStep]) -> list[Stretch]:
    """Each session with the losses and learning rates at its ends."""
    found: list[Stretch] = []
    for record in records:
        own = [step for step in steps if record.first_step < step.step <= record.last_step]
        found.append(
            Stretch(
                record,
                found[-1].last_loss if found else None,
                _mean_loss(own[:SEAM_STEPS]),
                _mean_loss(own[-SEAM_STEPS:]),
                own[0].learning_rate if own else None,
                own[-1].learning_rate if own else None,
                sum(step.skipped for step in own),
            )
        )
    return found


def _mean_loss(steps: Sequence[TrainingStep]) -> float | None:
    losses = [step.train_loss for step in steps if step.train_loss is not None]
    return sum(losses) / len(losses) if losses else None
