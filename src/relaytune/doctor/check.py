"""One line of an examination."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from relaytune.core.errors import RelaytuneError

State = Literal["ok", "warning", "failed"]
NAME_COLUMNS, STATE_COLUMNS = 16, 9
GLUE = "\0"  # a space at which no line is broken


@dataclass(frozen=True)
class Check:
    """One thing that was tried: what was seen, and what to do where that is not enough."""

    name: str
    state: State
    seen: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """The check as `--json` prints it."""
        return {"check": self.name, "state": self.state, "seen": self.seen, "advice": self.advice}

    def text(self, width: int) -> str:
        """The check in columns, wrapped to `width`; the advice begins on a line of its own.

        A command (in backticks) is never wrapped, so that it can be copied.
        """
        head = f"{self.state:<{STATE_COLUMNS}}{self.name:<{NAME_COLUMNS}}"
        parts = (self.seen, self.advice and f"→{GLUE}{self.advice}")
        lines = [line for part in parts for line in _wrap(part, max(width - len(head), 40))]
        return f"\n{'':{len(head)}}".join([head + lines[0], *lines[1:]])


def _wrap(text: str, width: int) -> list[str]:
    glued = re.sub("`[^`]+`", lambda command: command[0].replace(" ", GLUE), text)
    lines = textwrap.wrap(glued, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace(GLUE, " ") for line in lines]


def attempt(name: str, trial: Callable[[], Check], advice: str) -> Check:
    """Make a trial; whatever it raises is a failed check with this advice."""
    try:
        return trial()
    except Exception as error:  # a broken library can raise anything
        return Check(name, "failed", cause(error), advice)


def cause(error: Exception) -> str:
    """An error in one line."""
    words = " ".join(str(error).split())[:400]
    if isinstance(error, RelaytuneError):
        return words  # says what happened by itself
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def summary(checks: Sequence[Check]) -> str:
    """One line about all of them."""
    failed, warnings = (sum(check.state == state for check in checks) for state in ("failed", "warning"))
    noted = f"{len(checks)} checks, {failed} failed, {warnings} {'warning' if warnings == 1 else 'warnings'}"
    return f"This machine is not ready: {noted}." if failed else f"This machine can train: {noted}."
