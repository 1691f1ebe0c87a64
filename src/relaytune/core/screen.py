"""What a person sees while a stage works: lines, and a bar with the time left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

SECONDS_BETWEEN_LINES = 60.0  # where output is no terminal


class _Time(ProgressColumn):
    """The time left, and at the end the time it took."""

    def render(self, task: Task) -> Text:
        seconds = task.finished_time if task.finished else task.time_remaining
        if seconds is None:
            return Text("-:-- left")
        minutes = f"{int(seconds) // 60}:{int(seconds) % 60:02}"
        return Text(f"in {minutes}" if task.finished else f"{minutes} left")


class Bar:
    """A progress bar; `update` says how much is done and a few words beside it."""

    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress = progress
        self._task = task
        self._last_line = time.monotonic()

    def update(self, done: int, words: str = "") -> None:
        """Show that `done` of the total are done."""
        self._progress.update(self._task, completed=done, words=words)
        console = self._progress.console
        if not console.is_terminal and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            console.print(self._progress.get_renderable())


class Screen:
    """Prints to a terminal, or nowhere (`Screen.silent()`, the default when used from Python)."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @staticmethod
    def silent() -> Screen:
        """A screen that shows nothing."""
        return Screen(Console(quiet=True))

    def say(self, text: str = "") -> None:
        """Print one line or several, as they are."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        """Print the name of a stage."""
        self.console.print(f"\n[bold]{text}[/bold]")

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Bar]:
        """A bar with the time left, in 80 columns; where output is no terminal, a line a minute and its last state."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            _Time(),
            TextColumn("{task.fields[words]}"),
        )
        with Progress(*columns, console=self.console, refresh_per_second=2) as progress:
            yield Bar(progress, progress.add_task(label, total=total, words=""))
