"""What the audit puts into the quarantine, and takes out of it again; entries of a trace or a person stay."""

from __future__ import annotations

from collections.abc import Mapping

from relaytune.core.quarantine import QuarantinedRow, read_quarantine, write_quarantine
from relaytune.core.run_folder import now
from relaytune.pipeline.job import Job


def undo_drops(job: Job) -> None:
    """Where the recipe says something else than `on_contradiction: drop`, rows that an audit dropped come back.

    Where it names no sources they stay: so a session on another machine, which cannot audit, trains on the same rows.
    """
    facts = job.recipe.data.facts
    if facts is not None and facts.on_contradiction != "drop":
        settle_drops(job, {})


def settle_drops(job: Job, dropped: Mapping[str, str]) -> bool:
    """Let the audit's entries be these: id → reason. A row that is there for another cause is left as it is.

    Returns whether anything changed, so that the rows must be frozen anew.
    """
    before = read_quarantine(job.run.quarantine)
    after = {id: row for id, row in before.items() if row.by != "audit"}
    for id, reason in dropped.items():
        if id not in after:
            same = id in before and before[id].reason == reason
            after[id] = before[id] if same else QuarantinedRow(id, "audit", reason, now())
    if after == before:
        return False
    write_quarantine(job.run.quarantine, after.values())
    if back := sorted(before.keys() - after.keys()):
        rows = (
            "1 row that the audit had dropped is"
            if len(back) == 1
            else f"{len(back)} rows that the audit had dropped are"
        )
        job.screen.say(f"{rows} back.")
    return True
