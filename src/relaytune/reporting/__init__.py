"""One self-contained HTML report about a run."""

from __future__ import annotations

from relaytune.reporting.report import write_report

__all__ = ["write_report"]
