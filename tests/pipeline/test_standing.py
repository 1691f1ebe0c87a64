from __future__ import annotations

from pathlib import Path

from command_line import write_task
from relaytune.pipeline import open_job, store_standing
from relaytune.training.lease import Lease
from relaytune.training.store import Store
from small_handoff import small_handoff


def test_the_last_handoff_of_a_store_is_the_last_one_that_is_still_there(tmp_path: Path) -> None:
    store = Store.of_run(str(tmp_path / "store"), "tickets")
    with (lease := Lease(store, "first", "a machine")).held():
        for step in (3, 6):
            lease.publish(small_handoff(tmp_path / "here", step), step)
    job = open_job(write_task(tmp_path), tmp_path / "runs", [f"session.store={tmp_path / 'store'}"])

    def last_step() -> int | None:
        standing = store_standing(job)
        assert standing is not None
        return standing.last_step

    assert last_step() == 6
    store.remove(f"handoffs/{store.names('handoffs')[-1]}")
    assert last_step() == 3
