"""Asking one model many things: what a log holds is not asked again, the rest in threads, or on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

from relaytune.core.asking.calls import CallLog, Completion, Refusal, Spending
from relaytune.core.asking.local import LocalJudge
from relaytune.core.asking.server import JudgeServer
from relaytune.core.errors import JudgeError
from relaytune.core.judging import JudgeChoice
from relaytune.core.records import Message
from relaytune.core.screen import Screen

REFUSALS_BEFORE_STOPPING = 5  # when nothing else has come back: then it is not about single requests

CUT_OFF = "cut off at max_tokens"

Replies = dict[str, Completion | Refusal]  # request key → what came back


def ask_all(
    judge: JudgeChoice,
    questions: Mapping[str, Sequence[Message]],
    path: Path,
    screen: Screen,
    spending: Spending,
    device: str = "cpu",
    local: LocalJudge | None = None,
) -> Replies:
    """Replies to all questions, by request key: those that the log at `path` holds, and the others asked now.

    What it takes is added to `spending`. Who asks a local judge several times keeps it loaded as `local`; otherwise it
    is loaded on `device` for this once.

    Raises:
        JudgeError: the server does not answer, or refuses everything; the answers so far are in the log.
        ModelError: a local judge cannot be loaded.
        MachineError: a package that is needed is not installed, or the log cannot be written.
    """
    log = CallLog(path)
    replies: Replies = {}
    for key in questions:
        if kept := log.get(key):
            replies[key] = kept
            spending.add(judge, kept)
            spending.num_kept += 1
    unanswered = {key: messages for key, messages in questions.items() if key not in replies}
    if not unanswered:
        return replies
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
            once = local or LocalJudge(judge, device, screen.say)
            try:
                once.answer(list(unanswered.values()), lambda place, reply: take(keys[place], reply))
            finally:
                if local is None:
                    once.close()
        else:
            _ask_server(judge, unanswered, take, spending, path)
    return replies


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


def whole_text(completion: str, finish_reason: str) -> tuple[str, str]:
    """The completion without its thoughts, or why it cannot be read."""
    if finish_reason != "stop":
        return "", CUT_OFF if finish_reason == "length" else f"ended by {finish_reason or 'nothing'}"
    _, thoughts_end, rest = completion.rpartition("</think>")
    text = rest if thoughts_end else completion
    if not thoughts_end and completion.lstrip().startswith("<think>"):
        return "", "thoughts without an end"
    return (text, "") if text.strip() else ("", "empty")


def whole_lines(completion: str, finish_reason: str) -> tuple[str, str]:
    """`whole_text`, but of a completion that was cut off the lines before the last one count."""
    if finish_reason != "length":
        return whole_text(completion, finish_reason)
    lines, ended, _ = completion.rpartition("\n")
    return whole_text(lines, "stop") if ended else ("", CUT_OFF)
