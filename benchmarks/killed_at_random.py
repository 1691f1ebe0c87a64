"""Does a run survive SIGKILL at any moment? 200 kills on each kind of store, and the bits of the uninterrupted run.

    OMP_NUM_THREADS=1 python benchmarks/killed_at_random.py [--kills N] [--minutes M] [--stores folder s3]

A random Llama of two small layers is trained by the product's own `session.train`. Each life is a process forked from a
server that has everything imported, and dies by SIGKILL: half of them at a moment drawn from all their time, a quarter
while a handoff is written to disk, a quarter while it is uploaded (the lives say in shared memory what they do). The
next life goes on on one of two machines, two run folders, chosen at random; so either it finds its own handoffs, with
one perhaps that did not reach the store, or it has to fetch them. What is not as in real use:

- a lease expires after 0.3 s (240 s in real use), so that the next life need not wait;
- every step sleeps 30 ms, so that a life has some twenty steps and not a hundred.

Checked after every kill: the next life begins with a verified handoff, refused by nobody, not below the last one in the
store's log; the time since the last published handoff is at most save_every, a step and a save. Checked at the end:
adapter, best adapter, every step's losses and the chain of sessions. Exits with 1 where a check fails.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, MutableSequence
from ctypes import c_double
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file

from relaytune.core.lineage import read_metrics, read_sessions
from relaytune.core.recipe import load_recipe
from relaytune.core.results import TrainingStep
from relaytune.core.run_folder import ADAPTER_WEIGHTS, RunFolder
from relaytune.core.screen import Screen
from relaytune.training import arriving, lease, session
from relaytune.training.ending import Clock
from relaytune.training.relay import Relay
from relaytune.training.store import Store
from stores import KINDS, store

SAVE_EVERY = 1.0
EXPIRES, HEARD_EVERY = 0.3, 0.1
NAP = 0.03  # of every step
STEPS_PER_KILL = 18
PRELOADED = ["relaytune.training.session", "relaytune.training.loop", "relaytune.training.lora", "s3fs", "peft",
             "relaytune.training.relay", "transformers.models.llama.modeling_llama", "filelock"]  # fmt: skip

Memory = MutableSequence[float]  # shared with a life; what lies where:
PHASE, SINCE, PHASE_BEGAN, FIRST_STEP, STEP, LONGEST_STEP, LONGEST_SAVE, WRITING, SENDING = range(9)
BEGINNING, TRAINING, SAVING, UPLOADING = range(4)  # phases
NAMES = {BEGINNING: "beginning", TRAINING: "training", SAVING: "a save", UPLOADING: "an upload"}


def live(recipe_path: Path, runs: Path, url: str | None, memory: Memory, nap: float) -> None:
    """One session, in a process of its own."""
    lease.EXPIRES_SECONDS, lease.HEARD_EVERY_SECONDS = EXPIRES, HEARD_EVERY
    _watch(memory, nap)
    gc.freeze()  # what the server imported; collecting it would take half a second
    place = [] if url is None else [f"session.store={url}"]
    recipe = load_recipe(recipe_path, [f"session.save_every={SAVE_EVERY:.0f}s", *place])
    try:
        session.train(recipe, RunFolder(runs / recipe.name), Screen.silent(), time.monotonic())
    except BaseException:
        (runs / "error.txt").write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)


def _watch(memory: Memory, nap: float) -> None:
    """Let a life say in `memory` what it does. Nothing that it does is changed, but for the nap."""

    def enter(phase: int) -> None:
        memory[PHASE_BEGAN] = time.monotonic()
        memory[PHASE] = phase

    class WatchedClock(Clock):
        def begin_steps(self, validation_seconds: float) -> None:
            super().begin_steps(validation_seconds)
            enter(TRAINING)
            memory[SINCE] = time.monotonic()

        def stepped(self) -> None:
            time.sleep(nap)
            super().stepped()
            memory[LONGEST_STEP] = max(memory[LONGEST_STEP], time.monotonic() - memory[PHASE_BEGAN])
            enter(TRAINING)

        @contextlib.contextmanager
        def saving(self) -> Iterator[None]:
            enter(SAVING)
            begun = time.monotonic()
            with super().saving():
                yield
            memory[LONGEST_SAVE] = max(memory[LONGEST_SAVE], time.monotonic() - begun)
            enter(TRAINING)

    arrive, reached, publish = arriving.arrive, Relay.reached, lease.Lease.publish

    def watched_arrive(*arguments: Any) -> arriving.Arrival:
        arrival = arrive(*arguments)
        memory[FIRST_STEP] = memory[STEP] = arrival.progress.step if arrival.progress else 0
        return arrival

    def watched_reached(relay: Relay, step: int) -> None:
        memory[STEP] = step
        reached(relay, step)

    def watched_publish(its: lease.Lease, folder: Path, step: int) -> None:
        before, began, begun = memory[PHASE], memory[PHASE_BEGAN], time.monotonic()
        memory[PHASE] = UPLOADING
        publish(its, folder, step)
        if before != BEGINNING:
            memory[SINCE] = time.monotonic()
            memory[WRITING], memory[SENDING] = begun - began, time.monotonic() - begun
        memory[PHASE], memory[PHASE_BEGAN] = before, began

    changes: list[tuple[Any, str, Any]] = [
        (session, "Clock", WatchedClock),
        (arriving, "arrive", watched_arrive),
        (Relay, "reached", watched_reached),
        (lease.Lease, "publish", watched_publish),
    ]
    for owner, name, value in changes:
        setattr(owner, name, value)


@dataclass
class Tally:
    """What happened to one run."""

    killed_in: Counter[int] = field(default_factory=Counter)
    lives: int = 0
    refused: int = 0
    lost_seconds: list[float] = field(default_factory=list)
    lost_steps: list[int] = field(default_factory=list)
    longest_step: float = 0.0
    longest_save: float = 0.0
    faults: list[str] = field(default_factory=list)


class Killer:
    """Begins lives of one run and ends them."""

    def __init__(self, machines: list[Path], recipe: Path, url: str, rng: random.Random) -> None:
        self.machines, self.recipe, self.url, self.rng = machines, recipe, url, rng
        self.tally = Tally()
        self._context = multiprocessing.get_context("forkserver")
        self._typical = {BEGINNING: 1.0, SAVING: 0.02, UPLOADING: 0.01}  # seconds, as last seen
        self._store = Store.of_run(url, "small")

    def kill_one(self, when: str) -> None:
        """A life that is killed at a moment `when`; checks what it did and what it left."""
        published = self.published()
        memory, process, _ = self._begin(NAP)
        began = time.monotonic()
        if when == "any moment":
            moment = began + self.rng.uniform(0, self._typical[BEGINNING] + 1.6 * SAVE_EVERY)
            while time.monotonic() < moment and process.is_alive():
                time.sleep(0.002)
        else:
            phase = SAVING if when == "a save" else UPLOADING
            while process.is_alive() and (memory[PHASE] != phase or not memory[SINCE]):
                time.sleep(0.0005)
            time.sleep(self.rng.uniform(0, 0.9 * self._typical[phase]))
        process.kill()
        killed = time.monotonic()
        process.join()
        self._look_at(memory, process.exitcode, began, killed, published)
        time.sleep(EXPIRES)

    def finish(self) -> Path:
        """The last life, which is let live; returns its machine."""
        published = self.published()
        memory, process, machine = self._begin(0.0)
        process.join()
        if process.exitcode != 0:
            self._refused(machine)
        if memory[FIRST_STEP] < published:
            self.tally.faults.append(f"began at step {memory[FIRST_STEP]:.0f}, {published} was published")
        return machine

    def published(self) -> int:
        """The step of the last handoff in the store's log; 0 where there is none."""
        return max((entry.step for entry in lease.read_log(self._store)[1] if entry.kind == "handoff"), default=0)

    def _begin(self, nap: float) -> tuple[Memory, Any, Path]:
        memory: Any = self._context.RawArray(c_double, 9)
        machine = self.rng.choice(self.machines)
        process = self._context.Process(target=live, args=(self.recipe, machine, self.url, memory, nap))
        process.start()
        self.tally.lives += 1
        self._machine = machine
        return memory, process, machine

    def _look_at(self, memory: Memory, code: int | None, began: float, killed: float, published: int) -> None:
        tally, phase = self.tally, int(memory[PHASE])
        if code == 1:
            self._refused(self._machine)
            return
        if code == 0:
            tally.faults.append("the run was over before all kills were made")
            return
        tally.killed_in[phase] += 1
        if not memory[SINCE]:  # it had not begun to train
            return
        if memory[SENDING]:
            self._typical[SAVING], self._typical[UPLOADING] = memory[WRITING], memory[SENDING]
        else:
            self._typical[BEGINNING] = min(3.0, memory[SINCE] - began)
        if memory[FIRST_STEP] < published:
            tally.faults.append(f"began at step {memory[FIRST_STEP]:.0f}, {published} was published")
        # a step or a save that the kill cut short took at least so long
        cut = killed - memory[PHASE_BEGAN]
        tally.longest_step = max(tally.longest_step, memory[LONGEST_STEP], cut if phase == TRAINING else 0)
        tally.longest_save = max(tally.longest_save, memory[LONGEST_SAVE], cut if phase in (SAVING, UPLOADING) else 0)
        tally.lost_seconds.append(killed - memory[SINCE])
        tally.lost_steps.append(int(memory[STEP]) - max(self.published(), int(memory[FIRST_STEP])))
        if tally.lost_seconds[-1] > SAVE_EVERY + tally.longest_step + tally.longest_save:
            tally.faults.append(f"{tally.lost_seconds[-1]:.2f} s lost")

    def _refused(self, machine: Path) -> None:
        self.tally.refused += 1
        self.tally.faults.append((machine / "error.txt").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--stores", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--minutes", type=float, default=60.0, help="a run is killed no more after so many")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    print("| store | kills | in training | in a save | in an upload | while beginning | lives | refused "
          "| largest loss | longest step, save | bits of the uninterrupted run |")  # fmt: skip
    print("|" + " --- |" * 11, flush=True)
    faults = []
    for kind in arguments.stores:
        with tempfile.TemporaryDirectory() as temporary, store(kind, Path(temporary)) as url:
            # every server of forks has the environment of its store
            multiprocessing.set_forkserver_preload(PRELOADED)
            until = time.monotonic() + 60 * arguments.minutes
            faults += line_of(kind, Path(temporary), url, arguments.kills, until, random.Random(arguments.seed))
            _stop_forkserver()
    if faults:
        sys.exit("\n".join(faults))


def line_of(kind: str, folder: Path, url: str, kills: int, until: float, rng: random.Random) -> list[str]:
    """Kill a run so many times, print a line of the table; returns what was wrong."""
    recipe = prepare(folder, STEPS_PER_KILL * kills)
    for name in ("whole", "one", "other"):
        shutil.copytree(folder / "runs", folder / name)
    unread = multiprocessing.RawArray(c_double, 9)  # kept until the end, or its place would be given to the lives
    whole = multiprocessing.get_context("forkserver").Process(
        target=live, args=(recipe, folder / "whole", None, unread, 0.0)
    )
    whole.start()
    killer = Killer([folder / "one", folder / "other"], recipe, url, rng)
    moments = [("any moment", "a save", "any moment", "an upload")[number % 4] for number in range(kills)]
    rng.shuffle(moments)
    for number, moment in enumerate(moments, start=1):
        if time.monotonic() > until:
            break
        killer.kill_one(moment)
        print(f"{kind}: {number} of {kills} kills, {len(killer.tally.faults)} faults", file=sys.stderr, flush=True)
    last = killer.finish()
    whole.join()
    tally = killer.tally
    differences = compare(RunFolder(folder / "whole" / "small"), RunFolder(last / "small"))
    killed, loss = tally.killed_in, max(tally.lost_seconds, default=0.0)
    print(
        f"| {kind} | {killed.total()} | {killed[TRAINING]} | {killed[SAVING]} | {killed[UPLOADING]} "
        f"| {killed[BEGINNING]} | {tally.lives} | {tally.refused} | {loss:.2f} s, {max(tally.lost_steps, default=0)} "
        f"steps | {tally.longest_step:.2f} s, {tally.longest_save:.2f} s | {'no' if differences else 'yes'} |",
        flush=True,
    )
    return [f"{kind}: {fault}" for fault in (*tally.faults, *differences)]


def compare(whole: RunFolder, killed: RunFolder) -> list[str]:
    """How the killed run's end differs from the uninterrupted one's."""
    if not killed.training.exists():
        return ["the run did not finish"]
    found = []
    last = f"handoffs/{len(read_metrics(whole)):06d}/{ADAPTER_WEIGHTS}"
    for name in (last, f"adapter/{ADAPTER_WEIGHTS}"):
        ours, theirs = load_file(killed.path / name), load_file(whole.path / name)
        if ours.keys() != theirs.keys() or not all(ours[key].equal(theirs[key]) for key in ours):
            found.append(f"{name} differs")
    if losses(killed) != losses(whole):
        found.append(f"losses differ: {len(losses(killed))} steps, {len(losses(whole))} there")
    ends = [(record.first_step, record.last_step) for record in read_sessions(killed)]
    if any(before[1] != after[0] for before, after in zip([(0, 0), *ends], ends, strict=False)):
        found.append(f"the sessions do not join: {ends}")
    if halves := [path.name for path in killed.handoffs.iterdir() if path.name.startswith(".")]:
        found.append(f"{len(halves)} half-written handoffs were left on the disk")
    return found


def losses(run: RunFolder) -> list[tuple[int, float | None, float | None]]:
    def key(step: TrainingStep) -> tuple[int, float | None, float | None]:
        return step.step, step.train_loss, step.validation_loss

    return [key(step) for step in read_metrics(run)]


def prepare(folder: Path, steps: int) -> Path:
    """A base model, rows, a recipe and a plan in folder/runs; returns the recipe's path."""
    write_base_model(folder / "model")
    rows = steps // 90 + 20  # two a step, a quarter for validation at most, less than 100 epochs
    for name, first, count in (("train", 0, rows), ("held_out", 10_000, 40)):
        lines = [f'{{"text": "ticket {number * 7919 % 99991}", "label": "{"ab"[number % 2]}"}}\n'
                 for number in range(first, first + count)]  # fmt: skip
        (folder / f"{name}.jsonl").write_text("".join(lines))
    values = {
        "name": "small",
        "task": {"instruction": "Sort.", "input": "{text}", "completion": "{label}"},
        "contract": {"labels": ["a", "b"]},
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl", "validation_fraction": 8.5 / rows},
        "base_model": {"name": str(folder / "model")},
        "lora": {"rank": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj", "down_proj"]},
        "training": {
            "num_epochs": round(steps / (rows - 8), 3),
            "examples_per_step": 1,
            "max_length": 128,
            "learning_rate": 1e-3,
            "validations_per_epoch": 3,
            "early_stopping_patience": 10**6,
            "precision": "float32",
        },
        "decision": {"keep_when": ["tuned label_accuracy at least 0.9"]},
    }
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(values))
    words = [sys.executable, "-W", "ignore", "-m", "relaytune", "plan", str(recipe), "--runs", str(folder / "runs")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return recipe


def write_base_model(folder: Path) -> None:
    """A random Llama with a tokenizer of bytes and a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    template = (
        "{% for message in messages %}<|begin|>{{ message['role'] + '\n' + message['content'] }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|begin|>", eos_token="<|end|>", pad_token="<|end|>"
    )
    fast.chat_template = template
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id, pad_token_id=fast.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)


def _stop_forkserver() -> None:
    from multiprocessing import forkserver

    server: Any = forkserver
    server._forkserver._stop()


if __name__ == "__main__":
    main()
