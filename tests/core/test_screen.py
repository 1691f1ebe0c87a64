from __future__ import annotations

import io

import pytest
from rich.console import Console

from relaytune.core import screen
from relaytune.core.screen import Screen


def test_where_output_is_no_terminal_a_bar_writes_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    shown = Screen(Console(file=written, width=80))
    with shown.bar("training", 4) as bar:
        bar.update(1, "loss 3")
        assert written.getvalue() == ""
        monkeypatch.setattr(screen, "SECONDS_BETWEEN_LINES", 0.0)
        bar.update(2, "loss 2")
        assert "2/4" in written.getvalue()
        assert "loss 2" in written.getvalue()
        monkeypatch.setattr(screen, "SECONDS_BETWEEN_LINES", 60.0)
        bar.update(4, "loss 1")
    assert [line.split()[0] for line in written.getvalue().splitlines() if line] == ["training"] * 2
