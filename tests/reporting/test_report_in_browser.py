from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from finished_run import HOSTILE, build_run
from judged_run import build_judged_run
from relaytune.reporting import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


def _dom(path: Path, profile: Path) -> str:
    """The document as Chromium sees it after everything that could run has run."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--virtual-time-budget=2000", f"--user-data-dir={profile}",
        "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_browser_shows_the_verdict_and_runs_nothing_that_stood_in_an_answer(tmp_path: Path) -> None:
    report = write_report(build_run(tmp_path / "tickets"))
    # without the policy, so that the escaping alone is what is tested
    bare = tmp_path / "bare.html"
    bare.write_text(re.sub(r"<meta http-equiv=[^>]*>", "", report.read_text(encoding="utf-8")), encoding="utf-8")
    dom = _dom(bare, tmp_path / "profile")
    assert "<title>tickets: iterate</title>" in dom
    assert "<script" not in dom
    assert "<img" not in dom
    assert re.search(r'<h2 id="verdict-title">Iterate</h2>', dom)
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;") in dom


def test_the_policy_stops_a_script_even_if_one_came_through(tmp_path: Path) -> None:
    report = write_report(build_run(tmp_path / "tickets"))
    html = report.read_text(encoding="utf-8").replace("</main>", f"{HOSTILE}</main>")
    report.write_text(html, encoding="utf-8")
    dom = _dom(report, tmp_path / "profile")
    assert "<script>" in dom  # it is there
    assert "<title>tickets: iterate</title>" in dom  # and did not run


def test_the_browser_runs_nothing_that_a_judge_said(tmp_path: Path) -> None:
    report = write_report(build_judged_run(tmp_path / "shop"))
    bare = tmp_path / "bare.html"
    bare.write_text(re.sub(r"<meta http-equiv=[^>]*>", "", report.read_text(encoding="utf-8")), encoding="utf-8")
    dom = _dom(bare, tmp_path / "profile")
    assert "<title>shop-answers: iterate</title>" in dom
    assert "<script" not in dom
    assert f"It repeats {HOSTILE}".replace("<", "&lt;").replace(">", "&gt;") in dom
