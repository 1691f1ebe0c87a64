from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from command_line import write_task
from relaytune.core.errors import UsageError
from relaytune.core.screen import Screen
from relaytune.pipeline import open_job


def test_until_a_time_of_day_is_a_limit_that_ends_then(tmp_path: Path) -> None:
    recipe = write_task(tmp_path)
    later = datetime.now() + timedelta(hours=3, minutes=5)
    job = open_job(recipe, tmp_path / "runs", [], Screen.silent(), until=f"{later:%H:%M}")
    assert 3 * 3600 + 3 * 60 < job.recipe.session.limit_seconds <= 3 * 3600 + 5 * 60
    # the next command is for another time of day
    assert "session.limit" not in job.command("train")


def test_a_time_of_day_that_has_passed_is_tomorrows(tmp_path: Path) -> None:
    earlier = datetime.now() - timedelta(minutes=2)
    job = open_job(write_task(tmp_path), tmp_path / "runs", [], Screen.silent(), until=f"{earlier:%H:%M}")
    assert 23 * 3600 < job.recipe.session.limit_seconds < 24 * 3600


@pytest.mark.parametrize("time_of_day", ["25:00", "5h30m", "17", "12:60", "half past five"])
def test_what_is_no_time_of_day_is_refused(tmp_path: Path, time_of_day: str) -> None:
    with pytest.raises(UsageError, match=r"a time of day from 0:00 to 23:59 is needed, e\.g\. 17:30"):
        open_job(write_task(tmp_path), tmp_path / "runs", [], Screen.silent(), until=time_of_day)
