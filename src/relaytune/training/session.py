"""One session of training: begins with the last handoff if there is one, ends with a handoff or with the adapter."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from relaytune.core.contract import label_span
from relaytune.core.counts import num_examples
from relaytune.core.files import no_space_explained, write_json
from relaytune.core.lineage import SessionRecord, read_metrics
from relaytune.core.model import ModelFolder, find_model, load_model, load_template, package_of
from relaytune.core.recipe import Recipe
from relaytune.core.records import data_hash, read_examples
from relaytune.core.results import Plan, TrainingResult, TrainingStep, read_result, write_result
from relaytune.core.run_folder import METRICS, RunFolder, library_versions, now, relaytune_version, source_commit
from relaytune.core.screen import Screen
from relaytune.core.template import ChatTemplate, EncodedExample
from relaytune.training import memory_use
from relaytune.training.ending import Clock
from relaytune.training.manifest import FORMAT, Identity, training_settings

if TYPE_CHECKING:
    import torch

    from relaytune.training.arriving import Arrival
    from relaytune.training.loop import Progress, Trained
    from relaytune.training.relay import Relay

HEAP_SHARE = 0.8  # of the planned peak, above which what the heap keeps for nothing is given back between steps


def train(recipe: Recipe, run: RunFolder, screen: Screen, began: float) -> tuple[list[Path] | None, bool]:
    """Train on data/train.jsonl as plan.json says, from where the last handoff stands.

    Returns the files of the finished run, or None where the session ended before the run did; and whether a signal
    asked to stop. The session's limit counts from `began` (time.monotonic).

    Raises:
        RunError: the data or the plan is missing, or the loss is no longer a number.
        HandoffError: the last handoff is damaged, belongs to another run, or does not give the loss it gave.
        ModelError: the base model is missing or lacks a target module.
        MachineError: no torch, or no disk.
    """
    plan = read_result(run.plan, Plan)
    folder = find_model(recipe.base_model, screen.say)
    template = load_template(folder)
    train_rows, validation_rows, shown = _encoded(recipe, run, template, screen)

    from relaytune.core.precision import computing, hold_base
    from relaytune.training.arriving import arrive, find_handoff
    from relaytune.training.lora import add_lora
    from relaytune.training.relay import hold, unpack_sessions

    identity = _identity(recipe, run, folder, template)
    clock = Clock(began, recipe.session.limit_seconds, recipe.session.save_every_seconds)
    store, session_id = recipe.session.store, secrets.token_hex(8)
    with hold(run, store, session_id, plan.hardware.name, screen.say) as relay:
        found = find_handoff(run.handoffs, identity, store)
        # the adapter first: its start is drawn in float32, whatever this machine computes in
        model = add_lora(load_model(folder, "cpu"), recipe.lora, recipe.base_model.name, recipe.training.seed)
        model = hold_base(model, plan.precision).to(plan.hardware.device)
        memory_use.forget_peak()
        with computing(plan.precision, plan.hardware.device):
            arrival = arrive(found, model, validation_rows, plan.max_tokens_per_micro_batch, plan.precision)
            if found:
                unpack_sessions(run, *found)
            screen.say(_begins(arrival, plan))
            session = Session(
                recipe, run, plan, identity, model, arrival, validation_rows, len(train_rows), relay, clock, session_id
            )
            trained = session.train(train_rows, screen)
    result = session.result(trained, shown)
    if result is None:
        where = run.handoffs if store is None or relay.unpublished else f"{store} and {run.handoffs}"
        screen.say(
            f"Session {session.number} ended ({session.ended}) after step {trained.progress.step} of {plan.num_steps}, "
            f"with a verified handoff in {where}. Go on with the same command, on this machine or another."
        )
    else:
        write_result(run.training, result)
        screen.say(_summary(result))
    if relay.unpublished:
        raise relay.unpublished
    if result is None:
        return None, clock.signalled
    of_sessions = [path for folder in run.session_folders() for path in sorted(folder.glob("*.json*"))]
    return [run.training, *sorted(run.adapter.iterdir()), *of_sessions], clock.signalled


@dataclass
class Session:
    """Trains, saves on the way, and keeps the record of itself."""

    recipe: Recipe
    run: RunFolder
    plan: Plan
    identity: Identity
    model: Any
    arrival: Arrival
    validation: Sequence[EncodedExample]
    num_rows: int
    relay: Relay
    clock: Clock
    id: str

    def __post_init__(self) -> None:
        # a finished run is only unpacked: that is no session of its own
        self.number = len(self.arrival.lineage) + (not self.arrival.finished)
        self.ended: Literal["not yet", "limit", "signal", "finished"] = "not yet"
        self.began_at = now()
        self._first_step = self.arrival.progress.step if self.arrival.progress else 0  # progress moves on
        self._began = time.perf_counter()
        for folder in self.run.session_folders():
            if int(folder.name) > len(self.arrival.lineage):  # of a past that was given up
                shutil.rmtree(folder, ignore_errors=True)
        if self.arrival.finished:
            return
        write_json(self.run.session(self.number) / "environment.json", _environment(self.plan, self.recipe))

    def train(self, train: Sequence[EncodedExample], screen: Screen) -> Trained:
        """Train until the run's end, the session's limit or a signal."""
        from relaytune.training.arriving import PROBED
        from relaytune.training.handoff import write_adapter
        from relaytune.training.loop import train_adapter

        latest, clock = "", self.clock
        with (
            clock.listening(),
            screen.bar("training", self.plan.num_steps) as bar,
            self._metrics() as metrics,
        ):

            def after_step(step: TrainingStep, progress: Progress, optimizer: torch.optim.AdamW) -> bool:
                nonlocal latest
                clock.stepped()
                print(json.dumps(asdict(step)), file=metrics, flush=True)
                self.relay.reached(step.step)
                if step.validation_loss is not None:
                    latest = f" val {step.validation_loss:.3f}"
                speed = (step.num_tokens - before) / step.seconds
                loss = "no loss" if step.train_loss is None else f"loss {step.train_loss:.3f}"
                skipped = f", {progress.num_skipped_steps} skipped" if progress.num_skipped_steps else ""
                bar.update(step.step, f"{loss}{latest} {speed:,.0f} tokens/s{skipped}")
                if self.plan.hardware.device == "cpu":  # the plan's memory is the GPU's otherwise
                    memory_use.trim_heap_above(HEAP_SHARE * self.plan.peak_memory_gib)
                stop = clock.must_stop()
                over = progress.is_over(self.plan.num_steps, self.recipe.training.early_stopping_patience)
                if not over and (stop or clock.must_save()):
                    self.ended = stop or "not yet"
                    with clock.saving():
                        self._save(progress, optimizer)
                return stop is not None

            clock.begin_steps(self.arrival.probe_seconds * len(self.validation) / PROBED)
            before = self.arrival.progress.num_tokens if self.arrival.progress else 0
            trained = train_adapter(
                self.model,
                train,
                self.validation,
                self.recipe.training,
                self.plan.max_tokens_per_micro_batch,
                after_step,
                self.arrival.progress,
                self.arrival.moments,
                self.recipe.session.rewarm_steps,
                self.plan.precision,
            )
            if trained.finished:
                self.ended = "finished"
                if not self.arrival.finished:
                    self._save(trained.progress, None, stopped_early=trained.stopped_early)
                write_adapter(self.run.adapter, self.model, trained.progress.best_weights)
        return trained

    def _save(self, progress: Progress, optimizer: torch.optim.AdamW | None, stopped_early: bool = False) -> None:
        from relaytune.training.arriving import probe
        from relaytune.training.handoff import forget_older, write_handoff
        from relaytune.training.loop import moments_of
        from relaytune.training.lora import trainable
        from relaytune.training.scaling import finite_loss

        probed = probe(self.model, self.validation, self.plan.max_tokens_per_micro_batch, self.plan.precision)
        finite_loss(probed.loss, progress.step, self.plan.precision)  # what gives no number is not handed on
        record = self._record(progress)
        manifest = {
            "format": FORMAT,
            "relaytune": relaytune_version(),
            "identity": self.identity,
            "step": progress.step,
            "planned_steps": self.plan.num_steps,
            "next_example": self._num_examples(progress),
            "num_tokens": progress.num_tokens,
            "num_supervised_tokens": progress.num_supervised_tokens,
            "num_skipped_steps": progress.num_skipped_steps,
            "scale": progress.scale,
            "rewarmed_from": progress.rewarmed_from,
            "first_validation_loss": progress.first_validation_loss,
            "best_step": progress.best_step,
            "best_validation_loss": progress.best_validation_loss,
            "validations_without_better": progress.validations_without_better,
            "finished": self.ended == "finished",
            "stopped_early": stopped_early,
            "probe": probed,
            "lineage": (*self.arrival.lineage, record),
        }
        moments = None
        # there are none where every step of this session was skipped
        if optimizer is not None and self.recipe.session.carry_moments and optimizer.state:
            moments = moments_of(optimizer, trainable(self.model))
        folder, steps = self.run.handoffs / f"{progress.step:06d}", read_metrics(self.run)
        write_handoff(folder, self.model, manifest, progress.best_weights, moments, steps)
        write_json(self.run.session(self.number) / "session.json", record.model_dump(mode="json"))
        forget_older(self.run.handoffs)
        self.relay.send(folder, progress.step, self.ended != "not yet", self.clock.seconds_left)

    @contextlib.contextmanager
    def _metrics(self) -> Iterator[TextIO]:
        """This session's steps, written as they come; nothing where there is nothing left to train."""
        path = Path(os.devnull) if self.arrival.finished else self.run.session(self.number) / METRICS
        with no_space_explained(path), path.open("w", encoding="utf-8") as file:
            yield file

    def _num_examples(self, progress: Progress) -> int:
        settings = self.recipe.training
        return min(progress.step * settings.examples_per_step, num_examples(self.num_rows, settings.num_epochs))

    def _record(self, progress: Progress) -> SessionRecord:
        return SessionRecord(
            id=self.id,
            number=self.number,
            start=self.arrival.start,
            machine=self.plan.hardware.name,
            device=self.plan.hardware.device,
            precision=self.plan.precision,
            libraries=library_versions(),
            first_step=self._first_step,
            lost_steps=self.relay.lost_steps,
            last_step=progress.step,
            began_at=self.began_at,
            saved_at=now(),
            seconds=time.perf_counter() - self._began,
            ended=self.ended,
        )

    def result(self, trained: Trained, shown: tuple[str, ...]) -> TrainingResult | None:
        """What all sessions did together, once the run is finished."""
        if not trained.finished:
            return None
        progress = trained.progress
        assert progress.first_validation_loss is not None
        walked = self._num_examples(progress)
        seconds = sum(record.seconds for record in self.arrival.lineage)
        if not self.arrival.finished:
            seconds += time.perf_counter() - self._began
        return TrainingResult(
            num_sessions=self.number,
            device=self.plan.hardware.device,
            precision=self.plan.precision,
            num_steps=progress.step,
            num_skipped_steps=progress.num_skipped_steps,
            planned_steps=self.plan.num_steps,
            num_examples=walked,
            num_tokens=progress.num_tokens,
            num_supervised_tokens=progress.num_supervised_tokens,
            best_step=progress.best_step,
            best_validation_loss=progress.best_validation_loss,
            first_validation_loss=progress.first_validation_loss,
            stopped_early=trained.stopped_early,
            wall_seconds=seconds,
            examples_per_second=walked / seconds,
            peak_memory_gib=memory_use.peak_gib(),
            supervised_text_shown=shown,
        )


def _encoded(
    recipe: Recipe, run: RunFolder, template: ChatTemplate, screen: Screen
) -> tuple[list[EncodedExample], list[EncodedExample], tuple[str, ...]]:
    """Training and validation rows as tokens, and the supervised tokens of three, which are shown."""
    train, validation = read_examples(run.train), read_examples(run.validation)
    rows = [*train, *validation]
    spans = [label_span(recipe.contract, row.completion) for row in rows]
    if recipe.training.label_weight != 1 and (unmarked := spans.count((0, 0))):
        screen.say(f"label_weight: {unmarked} of {len(spans)} answers hold no label; their tokens all weigh 1.")
    encoded = [template.encode(row, span, recipe.training.label_weight) for row, span in zip(rows, spans, strict=True)]
    labels = [row.completion[begin:end] for row, (begin, end) in zip(train, spans, strict=False)]
    examples = [encoded[index] for index in _three_kinds(labels)]
    shown = tuple(template.decode(example.completion_ids, special=True) for example in examples)
    screen.say("Supervised tokens of three examples (everything else is context and teaches nothing):")
    for example, text in zip(examples, shown, strict=True):
        heavy = [token for token, weight in zip(example.completion_ids, example.weights, strict=True) if weight != 1]
        mark = f"  ({template.decode(heavy)!r} counts {recipe.training.label_weight:g} times)" if heavy else ""
        screen.say(f"  {text!r}{mark}")
    return encoded[: len(train)], encoded[len(train) :], shown


def _three_kinds(labels: Sequence[str]) -> list[int]:
    """Indices of three examples, of different labels where there are any."""
    first_of = {label: index for index, label in reversed(list(enumerate(labels)))}
    of_kinds = sorted(first_of.values())[:3]
    others = [index for index in range(min(len(labels), 3)) if index not in of_kinds]
    return sorted([*of_kinds, *others[: 3 - len(of_kinds)]])


def _identity(recipe: Recipe, run: RunFolder, folder: ModelFolder, template: ChatTemplate) -> Identity:
    return Identity(
        run=recipe.name,
        base_model=recipe.base_model.model_dump(mode="json"),
        weights=folder.fingerprint,
        template=template.hash,
        training_rows=data_hash(read_examples(run.train)),
        validation_rows=data_hash(read_examples(run.validation)),
        lora=recipe.lora.model_dump(mode="json"),
        training=training_settings(recipe),
    )


def _begins(arrival: Arrival, plan: Plan) -> str:
    if arrival.finished:
        return "This run is finished: its last handoff was verified, and the adapter is unpacked from it."
    if arrival.progress is None:
        return f"Start: new, {plan.num_steps} steps."
    last, step = arrival.lineage[-1], arrival.progress.step
    inherited = "adapter, place in the data, schedule" + (" and the optimizer's moments" if arrival.moments else "")
    how = " The optimizer is fresh, and the learning rate is re-warmed." if arrival.start == "continue" else ""
    changes = [
        f"{name} {here}, {there} there"
        for name, here, there in (
            ("device", plan.hardware.device, last.device),
            ("precision", plan.precision, last.precision),
        )
        if here != there
    ]
    replanned = f" Re-planned: {'; '.join(changes)}." if changes else ""
    return (
        f"Start: {arrival.start} after step {step} of {plan.num_steps}; session {last.number} on {last.machine} saved "
        f"it at {last.saved_at}. Inherited and verified: {inherited} (the probe's loss was {arrival.probe_saved:.6f}, "
        f"and is {arrival.probe_loss:.6f} here).{how}{replanned}"
    )


def _summary(result: TrainingResult) -> str:
    early = f", stopped early (of {result.planned_steps} planned)" if result.stopped_early else ""
    sessions = "" if result.num_sessions == 1 else f" over {result.num_sessions} sessions"
    untrained = (
        " Training never lowered the validation loss: the adapter kept is the untrained one."
        if result.best_step == 0
        else ""
    )
    skipped = (
        f" ({result.num_effective_steps} effective: the gradients of {result.num_skipped_steps} overflowed in float16)"
        if result.num_skipped_steps
        else ""
    )
    return (
        f"{result.num_steps} steps{skipped}{early}{sessions}, {result.num_examples} examples in "
        f"{result.wall_seconds:.0f} s; validation loss {result.first_validation_loss:.3f} → "
        f"{result.best_validation_loss:.3f} (after step {result.best_step}, kept in adapter/).{untrained}"
    )


def _environment(plan: Plan, recipe: Recipe) -> dict[str, object]:
    import torch

    return {
        "relaytune": relaytune_version(),
        "commit": source_commit(),
        "base_model_package": package_of(recipe.base_model),
        "libraries": library_versions(),
        "platform": platform.platform(),
        "hardware": asdict(plan.hardware),
        "num_threads": torch.get_num_threads(),
    }
