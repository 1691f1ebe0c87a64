"""All judges and people of a recipe, heard: every judgement and rating of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relaytune.core.judging import JudgeChoice, Judging
from relaytune.core.model import named_by
from relaytune.core.records import Example, Generation, Judgement, Rating
from relaytune.core.screen import Screen
from relaytune.evaluation.judging.asking import ask_judge
from relaytune.evaluation.judging.human_labels import read_human_labels


@dataclass(frozen=True)
class Hearing:
    """Who judges what, and where: `logs` is a folder that keeps what judges answer, as it comes."""

    judging: Judging
    rubric: str
    pairs: Sequence[tuple[str, str]]
    labels_folder: Path  # judging.human_labels is relative to it
    logs: Path
    screen: Screen
    device: str = "cpu"


def hear(
    hearing: Hearing, examples: Sequence[Example], answers: Mapping[str, Mapping[str, str]]
) -> tuple[list[Judgement], list[Rating]]:
    """Ask every judge, and read the people's labels. `answers`: contender → example id → completion.

    Raises:
        JudgeError: a judge does not answer; what it has answered is kept.
        DataError: the file of human labels is faulty.
        ModelError, MachineError: a local judge cannot be loaded, or a package is missing.
    """
    judging, say = hearing.judging, hearing.screen.say
    judgements: list[Judgement] = []
    ratings: list[Rating] = []
    if judging.human_labels:  # first: a fault in the file is found before anything is paid for
        labels = hearing.labels_folder / judging.human_labels
        ids = {example.id for example in examples}
        people = read_human_labels(labels, ids, answers, judging.criteria, judging.scale)
        judgements += people.judgements
        ratings += people.ratings
        say(f"{labels}: {len(people.judgements)} judgements and {len(people.ratings)} ratings of people")
    for judge in judging.judges:
        log = hearing.logs / _file_name(judge)
        with named_by("judging.judges"):
            said = ask_judge(
                judging, judge, hearing.rubric, examples, answers, hearing.pairs, log, hearing.screen, hearing.device
            )
        judgements += said.judgements
        ratings += said.ratings
        earlier = f", {said.spending.num_kept} of them of an earlier run" if said.spending.num_kept else ""
        say(f"{judge.title}: {said.spending.num_calls} answers{earlier}, {said.spending.words}")
        for kind, count in said.changes.items():
            say(f"  {kind} in the answers shown, made harmless: {count}")
    return judgements, ratings


def answers_to_judge(
    generations: Mapping[str, Sequence[Generation]], *, exclude_truncated: bool
) -> dict[str, dict[str, str]]:
    """Contender → example id → completion, without answers that were cut off, where these are left out."""
    return {
        name: {row.id: row.completion for row in rows if not (exclude_truncated and row.finish_reason == "length")}
        for name, rows in generations.items()
    }


def _file_name(judge: JudgeChoice) -> str:
    return "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in judge.title) + ".jsonl"
