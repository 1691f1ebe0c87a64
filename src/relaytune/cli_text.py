"""What commands print of a verdict and of where a run stands."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from relaytune.core.counts import counted

if TYPE_CHECKING:
    from relaytune.core.lineage import Stretch
    from relaytune.core.quarantine import QuarantinedRow
    from relaytune.core.results import Verdict
    from relaytune.core.traces import Trace, TracedAnswer, TracedRow
    from relaytune.pipeline import Job, StageStanding, StoreStanding

TRACED_ANSWERS_SHOWN = 10
TRACED_ROWS_SHOWN = 3  # per answer, and all that are marked as having taught it
ID_SHOWN = 8  # characters, enough to name a row


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


def trace_text(job: Job, trace: Trace) -> str:
    """The first wrong answers, each with the first rows behind it, and how to take the marked ones out."""
    if not trace.answers:
        return "No wrong answer: nothing to trace."
    width = min(job.screen.console.width, 120)
    shown = trace.answers[:TRACED_ANSWERS_SHOWN]
    lines = [line for answer in shown for line in ("", *_traced_answer_lines(answer, width))]
    if more := len(trace.answers) - len(shown):
        lines += ["", f"In trace.json only: {counted(more, 'more wrong answer')} with the rows behind them."]
    lines += ["", f"Every candidate with its values: {job.run.trace}"]
    if "gradients" in trace.methods:
        lines.append("gradient: above 0, training on the row makes the wrong answer likelier; below 0, less likely.")
    if marked := {id for answer in trace.answers for row in answer.rows if row.taught for id in (row.id, *row.alike)}:
        lines.append(
            "[taught]: the row's answer says what is wrong, it speaks of what is asked about and is near in meaning, "
            "no audit found it right, and its gradient makes the wrong answer likelier. "
            f"Take the {counted(len(marked), 'marked row')} out of training: add --quarantine taught; or "
            "--quarantine ROW[,ROW…], each named by its id or FILE:LINE."
        )
    return "\n".join(lines)


def _traced_answer_lines(answer: TracedAnswer, width: int) -> list[str]:
    wrong = " and ".join(f"'{part}'" for part in answer.wrong) or "nothing that the reference does not say too"
    shown = [(place, row) for place, row in enumerate(answer.rows, 1) if place <= TRACED_ROWS_SHOWN or row.taught]
    lines = [
        f"{answer.id[:ID_SHOWN]} ({answer.source}), {answer.contender}: {answer.wrong_because}",
        _indented("question: ", answer.question, width, 2),
        _indented("answer:   ", answer.answer, width, 2),
        _indented("traced:   ", wrong, width, 2),
        *(line for place, row in shown for line in _row_lines(place, row, answer, width)),
    ]
    more = len(answer.rows) - len(shown)
    return [*lines, f"  {counted(more, 'more row')} in trace.json"] if more else lines


def _row_lines(place: int, row: TracedRow, answer: TracedAnswer, width: int) -> list[str]:
    audited = f", audited: {row.audit}" if row.audit else ""
    lines = [
        f"  {place}. {row.source} ({row.id[:ID_SHOWN]}{audited}){' [taught]' if row.taught else ''}",
        _indented("", f"{row.question} → {row.answer}", width, 5),
        _indented("", "; ".join(row.reasons(answer.num_candidates)), width, 5),
    ]
    if row.alike:
        ids = ", ".join(id[:ID_SHOWN] for id in row.alike)
        lines.append(_indented("", f"nearly the same: {ids}", width, 5))
    return lines


def _indented(label: str, text: str, width: int, indent: int) -> str:
    begin = " " * indent + label
    return fill(" ".join(text.split()), width, initial_indent=begin, subsequent_indent=" " * len(begin))


def quarantine_text(job: Job, added: Sequence[QuarantinedRow]) -> str:
    """What was taken out, what follows from it, and how to take it back."""
    from relaytune.core.records import read_examples

    if not added:
        return f"\nNothing new: these rows are in quarantine already ({job.run.quarantine})."
    source_of = {row.id: row.source for row in read_examples(job.run.train)}
    return "\n".join(
        [
            f"\nOut of training from the next `check` on ({job.run.quarantine}):",
            *(f"  {source_of[row.id]} ({row.id[:ID_SHOWN]}): {row.reason}" for row in added),
            f"Next: {job.command('run')}",
            "  It trains anew without them, and the handoffs so far are replaced. The new adapter answers the held-out "
            "rows once more, which is counted and told with the verdict.",
            "To take a row back, remove its line from that file (for all, delete it) and run the same command.",
        ]
    )
