"""Asking one judge everything: each pair in both orders, each answer on each criterion, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relaytune.core.asking.calls import Refusal, Spending, request_key
from relaytune.core.asking.replies import Replies, ask_all
from relaytune.core.judging import JudgeChoice, Judging
from relaytune.core.preferences import IDENTICAL
from relaytune.core.records import Example, Judgement, Rating
from relaytune.core.screen import Screen
from relaytune.evaluation.judging.prompting import PairPrompt, RatingPrompt, pair_prompt, rating_prompt
from relaytune.evaluation.judging.verdicts import read_points, read_verdict

Answers = Mapping[str, Mapping[str, str]]  # contender → example id → completion


@dataclass(frozen=True)
class JudgeRun:
    """What one judge said, what it took, and how often answers were changed to be inert, by kind."""

    judgements: tuple[Judgement, ...]
    ratings: tuple[Rating, ...]
    spending: Spending
    changes: Mapping[str, int]


@dataclass(frozen=True)
class _Pair:
    id: str
    first: str
    second: str
    prompt: PairPrompt | None  # None: not asked
    verdict_unasked: str = ""  # why not: IDENTICAL, or an answer is missing


@dataclass(frozen=True)
class _Single:
    id: str
    contender: str
    criterion: str
    prompt: RatingPrompt | None


def ask_judge(
    judging: Judging,
    judge: JudgeChoice,
    rubric: str,
    examples: Sequence[Example],
    answers: Answers,
    comparisons: Sequence[tuple[str, str]],
    log: Path,
    screen: Screen,
    device: str = "cpu",
) -> JudgeRun:
    """All judgements and ratings of one judge. What `log` holds of an earlier run is not asked again.

    Raises:
        JudgeError: the server does not answer, or refuses everything; the answers so far are in `log`.
        ModelError: a local judge cannot be loaded.
        MachineError: a package that is needed is not installed, or `log` cannot be written.
    """
    pairs = _pairs(judging, rubric, examples, answers, comparisons) if judging.pairwise else []
    singles = _singles(judging, examples, answers)
    asked = [*(pair.prompt for pair in pairs), *(single.prompt for single in singles)]
    prompts = [prompt for prompt in asked if prompt is not None]
    questions = {request_key(judge, prompt.messages): prompt.messages for prompt in prompts}
    spending = Spending()
    replies = ask_all(judge, questions, log, screen, spending, device)
    return JudgeRun(
        tuple(_judgement(judge, pair, replies) for pair in pairs),
        tuple(_rating(judge, judging.scale, single, replies) for single in singles),
        spending,
        dict(sum((prompt.changes for prompt in prompts), Counter())),
    )


def _pairs(
    judging: Judging,
    rubric: str,
    examples: Sequence[Example],
    answers: Answers,
    comparisons: Sequence[tuple[str, str]],
) -> list[_Pair]:
    pairs = []
    for contender, other in comparisons:
        for example in examples:
            for first, second in ((contender, other), (other, contender)):
                missing = [name for name in (first, second) if example.id not in answers[name]]
                one, two = answers[first].get(example.id, ""), answers[second].get(example.id, "")
                if missing:
                    pairs.append(_Pair(example.id, first, second, None, f"no answer of {' and '.join(missing)}"))
                elif one.strip() == two.strip():
                    pairs.append(_Pair(example.id, first, second, None, IDENTICAL))
                else:
                    prompt = pair_prompt(rubric, example.messages, one, two, judging.max_answer_characters)
                    pairs.append(_Pair(example.id, first, second, prompt))
    return pairs


def _singles(judging: Judging, examples: Sequence[Example], answers: Answers) -> list[_Single]:
    return [
        _Single(
            example.id,
            contender,
            criterion,
            rating_prompt(
                criterion,
                description,
                judging.scale,
                example.messages,
                by_id[example.id],
                judging.max_answer_characters,
            )
            if example.id in by_id
            else None,
        )
        for contender, by_id in answers.items()
        for criterion, description in judging.criteria.items()
        for example in examples
    ]


def _judgement(judge: JudgeChoice, pair: _Pair, replies: Replies) -> Judgement:
    def row(better: str | None, reason: str) -> Judgement:
        return Judgement(pair.id, judge.title, pair.first, pair.second, better, reason)  # type: ignore[arg-type]

    if pair.prompt is None:
        return row("tie" if pair.verdict_unasked == IDENTICAL else None, pair.verdict_unasked)
    reply = replies[request_key(judge, pair.prompt.messages)]
    if isinstance(reply, Refusal):
        return row(None, reply.reason)
    return row(*read_verdict(reply.text, reply.finish_reason, pair.prompt.sides))


def _rating(judge: JudgeChoice, scale: int, single: _Single, replies: Replies) -> Rating:
    def row(value: float | None, reason: str) -> Rating:
        return Rating(single.id, judge.title, single.contender, single.criterion, value, reason)

    if single.prompt is None:
        return row(None, f"no answer of {single.contender}")
    reply = replies[request_key(judge, single.prompt.messages)]
    if isinstance(reply, Refusal):
        return row(None, reply.reason)
    return row(*read_points(reply.text, reply.finish_reason, single.prompt.name, scale))
