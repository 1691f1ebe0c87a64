"""A judge behind an OpenAI-compatible server: one request, sent again while it is worth it, never showing the key."""

from __future__ import annotations

import email.utils
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from relaytune.core.asking.calls import Completion, Refusal, request_body
from relaytune.core.errors import JudgeError
from relaytune.core.judging import JudgeChoice
from relaytune.core.model import require
from relaytune.core.records import Message

if TYPE_CHECKING:
    import httpx

MAX_ATTEMPTS = 6
FIRST_WAIT_SECONDS = 1.0  # doubled each time, up to
LONGEST_WAIT_SECONDS = 60.0
LONGEST_RETRY_AFTER_SECONDS = 600.0
_WORTH_ANOTHER_TRY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_REFUSED_FOR_ITSELF = frozenset({400, 413, 422})


class _Fault(Exception):
    """A fault that may pass; `retry_after` seconds where the server said so."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class JudgeServer:
    """Asks one judge; may be used from several threads. `on_retry` is called by one of them at a time."""

    def __init__(self, judge: JudgeChoice, on_retry: Callable[[str], None] = lambda _: None) -> None:
        """Raises JudgeError where the variable of the key is not set."""
        require("httpx", extra="eval")
        import httpx

        assert judge.base_url is not None
        self._judge = judge
        self._url = f"{judge.base_url}/chat/completions"
        self._key = _key(judge)
        self._on_retry = on_retry
        self._stopped = threading.Event()
        self._turn = threading.Lock()
        self._next_turn = 0.0
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx.Client(headers=headers, timeout=judge.timeout_seconds)

    def stop(self) -> None:
        """Try nothing again and begin nothing new: that raises JudgeError. Requests under way go on."""
        self._stopped.set()

    def close(self) -> None:
        """Close the connections; only after the last request."""
        self._client.close()

    def ask(self, messages: Sequence[Message]) -> Completion | Refusal:
        """One chat completion, at most MAX_ATTEMPTS tries; a Refusal where the server objects to this request.

        Raises:
            JudgeError: the key, the model or the address is wrong, or the server stays away.
        """
        wait = FIRST_WAIT_SECONDS
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return self._try(messages)
            except _Fault as fault:
                if attempt == MAX_ATTEMPTS:
                    raise self._error(f"gave up after {MAX_ATTEMPTS} tries, the last: {fault.reason}") from None
                if fault.retry_after is not None and fault.retry_after > LONGEST_RETRY_AFTER_SECONDS:
                    raise self._error(
                        f"{fault.reason}; it asks to wait {fault.retry_after:.0f} seconds. Run again after that"
                    ) from None
                with self._turn:
                    self._on_retry(fault.reason)
                pause = fault.retry_after if fault.retry_after is not None else wait * random.uniform(0.75, 1.25)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
                if self._stopped.wait(pause):
                    break
        raise self._error("was stopped")

    def _try(self, messages: Sequence[Message]) -> Completion | Refusal:
        import httpx

        self._wait_for_turn()
        started = time.monotonic()
        try:
            response = self._client.post(self._url, json=request_body(self._judge, messages))
        except httpx.TimeoutException:
            raise _Fault(f"no answer within {self._judge.timeout_seconds:g} seconds") from None
        except httpx.TransportError as error:
            raise _Fault(f"no connection ({self._without_key(str(error)) or type(error).__name__})") from None
        except (httpx.InvalidURL, UnicodeError) as error:
            raise self._error(self._without_key(str(error))) from None
        return self._read(response, time.monotonic() - started)

    def _read(self, response: httpx.Response, seconds: float) -> Completion | Refusal:
        status = response.status_code
        said = self._without_key(" ".join(response.text.split()))[:300]
        if status in _WORTH_ANOTHER_TRY:
            raise _Fault(f"status {status}", _retry_after(response))
        if status in _REFUSED_FOR_ITSELF:
            return Refusal(f"refused by the server with status {status}: {said}")
        if status in (401, 403):
            variable = self._judge.api_key_env
            advice = f"check the key in {variable}" if variable else "name the key's variable in api_key_env"
            raise self._error(f"status {status}: the key is missing or not accepted; {advice}. It says: {said}")
        if status == 404:
            raise self._error(
                f"status 404: no such model ({self._judge.model!r}) or no such address ({self._url}); a base_url "
                f"mostly ends with /v1. It says: {said}"
            )
        if status != 200:
            raise self._error(f"status {status}. It says: {said}")
        completion = _completion(response, seconds, self._without_key)
        if completion is None:
            raise _Fault("status 200 with something that is no chat completion")
        return completion

    def _wait_for_turn(self) -> None:
        """Keep to requests_per_minute, evenly spread."""
        if self._stopped.is_set():
            raise self._error("was stopped")
        if self._judge.requests_per_minute is None:
            return
        with self._turn:
            now = time.monotonic()
            turn = max(now, self._next_turn)
            self._next_turn = turn + 60 / self._judge.requests_per_minute
        if self._stopped.wait(turn - now):
            raise self._error("was stopped")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text

    def _error(self, what: str) -> JudgeError:
        return JudgeError(f"judge {self._judge.title} at {self._judge.base_url}: {what}.")


def _key(judge: JudgeChoice) -> str:
    if judge.api_key_env is None:
        return ""
    key = os.environ.get(judge.api_key_env, "").strip()
    if not key:
        raise JudgeError(
            f"judge {judge.title}: the environment variable {judge.api_key_env} is not set. Set it to the key of "
            f"{judge.base_url}, or take api_key_env out of the recipe if the server needs none."
        )
    if not key.isascii() or not key.isprintable():
        raise JudgeError(f"judge {judge.title}: {judge.api_key_env} holds characters that no key has.")
    return key


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, section 10.2.3: a number or a date)."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _completion(response: httpx.Response, seconds: float, clean: Callable[[str], str]) -> Completion | None:
    """What the body says; None where it is no chat completion."""
    try:
        body: Any = response.json()
        choice = body["choices"][0]
        text = choice["message"]["content"]
        finish_reason = choice.get("finish_reason") or ""
        usage = body.get("usage") or {}
        prompt_tokens, completion_tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
        model = body.get("model") or ""
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    if not isinstance(text, (str, type(None))):
        return None
    return Completion(
        clean(text or ""),
        clean(str(finish_reason)),
        clean(str(model)),
        prompt_tokens if isinstance(prompt_tokens, int) else None,
        completion_tokens if isinstance(completion_tokens, int) else None,
        round(seconds, 3),
    )
