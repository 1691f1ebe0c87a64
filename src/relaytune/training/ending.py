"""When a session saves and when it stops: wall-clock, a limit, a signal."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any, Literal

Ended = Literal["limit", "signal"]
MARGIN = 1.5  # steps and saves vary; a session that is killed loses everything since its last save


class Clock:
    """Measures steps and saves of a session, and says after each step whether to save or to stop.

    Args:
        began: when the session began (time.monotonic), loading included.
        limit_seconds: the session ends before so many; may be infinite.
        save_every_seconds: from one save to the next.
    """

    def __init__(self, began: float, limit_seconds: float, save_every_seconds: float) -> None:
        self._began = began
        self._limit = limit_seconds
        self._save_every = save_every_seconds
        self._last_step = self._last_save = time.monotonic()
        self._longest_step = 0.0
        self._longest_save = 5.0  # until one was measured
        self.signalled = False

    def begin_steps(self, validation_seconds: float) -> None:
        """Loading is over. A step with its validation is not yet measured: it takes at least the latter."""
        self._last_step = self._last_save = time.monotonic()
        self._longest_step = validation_seconds

    def stepped(self) -> None:
        """A step, with its validation if it had one, has ended."""
        now = time.monotonic()
        self._longest_step = max(self._longest_step, now - self._last_step)
        self._last_step = now

    def must_stop(self) -> Ended | None:
        """Why the session has to stop now, if it has to."""
        if self.signalled:
            return "signal"
        needed = MARGIN * (self._longest_step + self._longest_save)
        return "limit" if needed > self.seconds_left else None

    @property
    def seconds_left(self) -> float:
        """Until the session's limit; may be infinite."""
        return self._limit - (time.monotonic() - self._began)

    def must_save(self) -> bool:
        """Whether the last save is too long ago."""
        return time.monotonic() - self._last_save >= self._save_every

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Measures a save."""
        begun = time.monotonic()
        yield
        self._last_save = self._last_step = time.monotonic()
        self._longest_save = max(self._longest_save, self._last_save - begun)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop the session after the running step; a second one ends it at once."""

        def hear(number: int, _: Any) -> None:
            if self.signalled:
                signal.signal(number, before[number])
                signal.raise_signal(number)
            self.signalled = True
            # not through the screen, whose lock the interrupted code may hold
            os.write(2, b"\nStopping after this step, with a handoff. Once more: stop at once, without one.\n")

        before: dict[int, Any] = {}
        try:
            for signalled in (signal.SIGTERM, signal.SIGINT):
                with contextlib.suppress(ValueError):  # not the main thread: its owner handles signals
                    before[signalled] = signal.signal(signalled, hear)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
