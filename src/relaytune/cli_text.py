"""What commands print of a verdict and of where a run stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relaytune.core.lineage import Stretch
    from relaytune.core.results import Verdict
    from relaytune.pipeline import Job, StageStanding, StoreStanding


def noted_verdict_text(job: Job, verdict: Verdict) -> str:
    """The verdict, and where its note lies."""
    return f"{verdict_text(verdict)}\nNote: {job.run.verdict_text}"


def verdict_text(verdict: Verdict) -> str:
    """The verdict with its clauses and the next change."""
    lines = [f"\nVerdict: {verdict.outcome}. {verdict.reason}"]
    lines += [
        f"  [{'x' if c.holds else ' '}] {c.role.replace('_', ' ')}: {c.text}\n      {c.evidence}"
        for c in verdict.clauses
    ]
    if verdict.next_change:
        lines.append(f"Next change: {verdict.next_change}")
    return "\n".join(lines)


def status_text(
    job: Job, rows: Sequence[StageStanding], trained: Sequence[Stretch], store: StoreStanding | None
) -> str:
    """Stages, sessions, the store and the next command."""
    lines = [f"Run folder: {job.run.path}"]
    lines += [
        f"  {row.stage:14} {f'relaytune {row.command}':20} "
        + (f"{row.finished_at[:19].replace('T', ' ')} UTC {row.wall_seconds:8.1f} s  " if row.finished_at else "")
        + row.state
        for row in rows
    ]
    for stretch in trained:
        lines += _session_lines(stretch)
    if store:
        handoff = f"handoff of step {store.last_step}, {store.published_at}" if store.last_step else "no handoff yet"
        lines.append(f"Store: {store.url}: {handoff}")
        if store.holder:
            expired = "" if store.alive else "; its lease has expired"
            lines.append(f"  held by a session on {store.holder}, heard of {store.silent_seconds:.0f} s ago{expired}")
    unfinished = [row for row in rows if row.state != "done"]
    lines.append(
        f"Next: {job.command('run')}"
        if unfinished
        else "Everything is done. Change the recipe or the data and run again."
    )
    return "\n".join(lines)


def _session_lines(stretch: Stretch) -> list[str]:
    record = stretch.record
    lines = [
        f"  session {record.number}: {record.start}, steps {record.first_step + 1} to {record.last_step} on "
        f"{record.machine} ({record.device}, {record.precision}), {record.seconds:.0f} s, saved {record.saved_at}, "
        f"ended: {record.ended}"
    ]
    if stretch.first_loss is not None and stretch.last_loss is not None:
        before = "" if stretch.loss_before is None else f"{stretch.loss_before:.3f} before the seam, "
        lines.append(
            f"    loss {before}{stretch.first_loss:.3f} → {stretch.last_loss:.3f}, "
            f"learning rate {stretch.first_rate:.2e} → {stretch.last_rate:.2e}"
        )
    if stretch.skipped_steps:
        lines.append(f"    skipped steps, whose gradients overflowed in float16: {stretch.skipped_steps}")
    if record.lost_steps:
        lines.append(f"    {record.lost_steps} steps of the session before were lost and made again")
    return lines
