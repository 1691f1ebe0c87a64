"""Asking one judge everything: each pair in both orders, each answer on each criterion, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from relaytune.core.errors import JudgeError
from relaytune.core.judging import JudgeChoice, Judging
from relaytune.core.preferences import IDENTICAL
from relaytune.core.records import Example, Judgement, Message, Rating
from relaytune.core.screen import Screen
from relaytune.evaluation.judging.calls import CallLog, Completion, Refusal, Spending, request_key
from relaytune.evaluation.judging.local import answer_locally
from relaytune.evaluation.judging.prompting import PairPrompt, RatingPrompt, pair_prompt, rating_prompt
from relaytune.evaluation.judging.server import JudgeServer
from relaytune.evaluation.judging.verdicts import read_points, read_verdict

REFUSALS_BEFORE_STOPPING = 5  # when nothing else has come back: then it is not about single requests

Answers = Mapping[str, Mapping[str, str]]  # contender → example id → completion
Replies = dict[str, Completion | Refusal]  # request key → what came back


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
    replies, spending = _replies(judge, questions, log, screen, device)
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


def _replies(
    judge: JudgeChoice, questions: Mapping[str, Sequence[Message]], path: Path, screen: Screen, device: str
) -> tuple[Replies, Spending]:
    """Replies to all questions, by request key: those of the log, and the others asked now."""
    log, spending = CallLog(path), Spending()
    replies: Replies = {}
    for key in questions:
        if kept := log.get(key):
            replies[key] = kept
            spending.add(judge, kept)
            spending.num_kept += 1
    unanswered = {key: messages for key, messages in questions.items() if key not in replies}
    if not unanswered:
        return replies, spending
    with screen.bar(f"Judge {judge.title}", len(questions)) as bar:

        def take(key: str, reply: Completion | Refusal) -> None:
            if isinstance(reply, Completion):
                log.add(key, reply)
                spending.add(judge, reply)
            else:
                spending.num_refused += 1
            replies[key] = reply
            bar.update(len(replies), spending.words)

        if judge.base_url is None:
            keys = list(unanswered)
            answer_locally(
                judge,
                list(unanswered.values()),
                device,
                lambda place, reply: take(keys[place], reply),
                screen.say,
            )
        else:
            _ask_server(judge, unanswered, take, spending, path)
    return replies, spending


def _ask_server(
    judge: JudgeChoice,
    questions: Mapping[str, Sequence[Message]],
    take: Callable[[str, Completion | Refusal], None],
    spending: Spending,
    path: Path,
) -> None:
    server = JudgeServer(judge, spending.add_retry)
    try:
        _ask_in_threads(server, judge, questions, take, spending)
    except JudgeError as error:
        raise JudgeError(f"{error} {spending.num_calls} answers are kept in {path}; run again to go on.") from None
    finally:
        server.close()


def _ask_in_threads(
    server: JudgeServer,
    judge: JudgeChoice,
    questions: Mapping[str, Sequence[Message]],
    take: Callable[[str, Completion | Refusal], None],
    spending: Spending,
) -> None:
    """Ask with `requests_at_once` threads; replies are taken in this one, as they come."""
    waiting = iter(questions.items())
    running: dict[Future[Completion | Refusal], str] = {}
    pool = ThreadPoolExecutor(judge.requests_at_once)
    try:
        while True:
            for key, messages in islice(waiting, judge.requests_at_once - len(running)):
                running[pool.submit(server.ask, messages)] = key
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                key = running.pop(future)
                take(key, reply := future.result())
                _refuse_to_go_on(judge, spending, reply)
    finally:
        # what is under way is paid for: it is waited for and kept
        server.stop()
        pool.shutdown(cancel_futures=True)
        for future, key in running.items():
            if not future.cancelled() and future.exception() is None:
                take(key, future.result())


def _refuse_to_go_on(judge: JudgeChoice, spending: Spending, reply: Completion | Refusal) -> None:
    if isinstance(reply, Refusal) and not spending.num_calls and spending.num_refused >= REFUSALS_BEFORE_STOPPING:
        raise JudgeError(
            f"judge {judge.title} at {judge.base_url}: the first {spending.num_refused} requests were all refused. "
            f"The last: {reply.reason}."
        )
