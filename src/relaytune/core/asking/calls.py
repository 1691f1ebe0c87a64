"""One call of a judge: what is asked, what came back, and the log that keeps every answer as it comes.

A run that is killed loses nothing: what the log holds is not asked again. A request is known by the sha256 of all that
was sent and where to, so a log of other prompts, another model or other settings simply does not match.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from relaytune.core.errors import JudgeError
from relaytune.core.files import no_space_explained, read_jsonl, sha256_of_value
from relaytune.core.judging import JudgeChoice
from relaytune.core.records import Message


@dataclass(frozen=True)
class Completion:
    """What a judge answered; `finish_reason` is "stop" where it ended by itself."""

    text: str
    finish_reason: str
    model: str = ""  # as the server names it
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Refusal:
    """The server would not answer this one request, e.g. as it is too long. It is asked again in the next run."""

    reason: str


@dataclass
class Spending:
    """What judging took so far. Tokens and cost include answers kept from earlier runs."""

    num_calls: int = 0
    num_kept: int = 0  # answered in an earlier run
    num_refused: int = 0
    num_retries: int = 0
    num_without_usage: int = 0  # answers whose server did not say how many tokens
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = None  # None where the recipe gives no prices
    retry_reasons: dict[str, int] = field(default_factory=dict)

    def add(self, judge: JudgeChoice, completion: Completion) -> None:
        """Count one answer."""
        self.num_calls += 1
        if completion.prompt_tokens is None or completion.completion_tokens is None:
            self.num_without_usage += 1
        self.prompt_tokens += completion.prompt_tokens or 0
        self.completion_tokens += completion.completion_tokens or 0
        prices = judge.usd_per_million_input_tokens, judge.usd_per_million_output_tokens
        if prices != (None, None):
            self.usd = (self.prompt_tokens * (prices[0] or 0) + self.completion_tokens * (prices[1] or 0)) / 1e6

    def add_retry(self, reason: str) -> None:
        """Count one request that had to be sent again."""
        self.num_retries += 1
        self.retry_reasons[reason] = self.retry_reasons.get(reason, 0) + 1

    @property
    def words(self) -> str:
        """For beside a progress bar."""
        parts = [f"{self.prompt_tokens + self.completion_tokens:,} tokens"]
        if self.usd is not None:
            parts.append(f"${self.usd:.2f}")
        if self.num_retries:
            parts.append("1 retry" if self.num_retries == 1 else f"{self.num_retries} retries")
        if self.num_refused:
            parts.append(f"{self.num_refused} refused")
        return ", ".join(parts)


def request_body(judge: JudgeChoice, messages: Sequence[Message]) -> dict[str, Any]:
    """The chat completion request for these messages."""
    body: dict[str, Any] = {"model": judge.model, "messages": list(messages), judge.max_tokens_key: judge.max_tokens}
    if judge.temperature is not None:
        body["temperature"] = judge.temperature
    return body


def request_key(judge: JudgeChoice, messages: Sequence[Message]) -> str:
    """sha256 of a request and the server it goes to."""
    return sha256_of_value({"server": judge.base_url or "local", "body": request_body(judge, messages)})


class CallLog:
    """A JSON Lines file of completions by request key, written line by line."""

    def __init__(self, path: Path) -> None:
        """Read what is there; a last line that was cut off is dropped.

        Raises:
            DataError: the file is not of JSON objects.
            JudgeError: a line is not of a call.
        """
        self._path = path
        self._lock = threading.Lock()
        self._completions: dict[str, Completion] = {}
        if path.exists():
            self._read()

    def _read(self) -> None:
        for number, row in enumerate(read_jsonl(self._path, may_be_cut=True), start=1):
            try:
                key = row.pop("key")
                self._completions[key] = Completion(**row)
            except (KeyError, TypeError) as error:
                raise JudgeError(
                    f"{self._path}:{number}: not a line of a log of judge's calls ({error}). Move the file away; "
                    "judging begins anew."
                ) from error
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with no_space_explained(self._path):
                os.truncate(self._path, whole)

    def get(self, key: str) -> Completion | None:
        """The answer to this request, if there is one."""
        return self._completions.get(key)

    def add(self, key: str, completion: Completion) -> None:
        """Keep an answer; it is on disk when this returns.

        Raises:
            MachineError: the disk is full, or the place cannot be written.
        """
        line = json.dumps({"key": key, **asdict(completion)}, ensure_ascii=False) + "\n"
        with self._lock, no_space_explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            self._completions[key] = completion

    @property
    def completions(self) -> Mapping[str, Completion]:
        """All answers by request key."""
        return self._completions
