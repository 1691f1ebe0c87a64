"""What an audit of the training answers says, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relaytune.core.audit import (
    UNTOLD,
    AuditedAnswer,
    AuditResult,
    GateResult,
    PeoplesPart,
    Rate,
    RateInterval,
    RateName,
)
from relaytune.core.claims import CheckedClaim
from relaytune.core.counts import counted
from relaytune.core.facts import Facts

RATE_WORDS: dict[RateName, str] = {
    "clearly_false": "clearly false",
    "inclusive": "false or doubtful",
    "false_premise": "on a false premise",
    "unchecked": "claim nothing that can be checked",
}
MOST_EXAMPLES = 5


def say_rate(rate: RateInterval) -> str:
    """Percent and interval; of all rows there is no interval."""
    if rate.low == rate.high:
        return f"{100 * rate.share:.1f}%"
    return f"{100 * rate.share:.1f}% (95%: {100 * rate.low:.1f} to {100 * rate.high:.1f}%)"


def rate_sentence(result: AuditResult) -> str:
    """The two severities in one sentence, for the verdict and the card, without its full stop."""
    false, inclusive = result.rates["clearly_false"], result.rates["inclusive"]
    by = ", ".join(result.verifiers) + (" and people" if result.people and result.people.num_labelled else "")
    corrected = " (corrected by people's labels)" if false.corrected else ""
    return (
        f"Of the training answers {say_rate(false.best)} are clearly false and {say_rate(inclusive.best)} false or "
        f"doubtful{corrected}, told from {result.num_audited} of {result.num_rows} rows, held against "
        f"{counted(result.num_documents, 'document')} by {by}"
    )


def gate_sentence(facts: Facts, gate: GateResult) -> str:
    """What the gate did, without its full stop."""
    words = RATE_WORDS[facts.count]
    were = "was" if gate.num_out_otherwise == 1 else "were"
    out = f"; {counted(gate.num_out_otherwise, 'row')} {were} taken out otherwise" if gate.num_out_otherwise else ""
    if facts.on_contradiction == "drop":
        return (
            f"{counted(len(gate.dropped), 'false row')} dropped{out}; {words}: "
            f"{say_rate(gate.before)} before, {say_rate(gate.after)} of the {gate.num_remaining} rows that remain"
        )
    return f"no row was dropped (on_contradiction: {facts.on_contradiction}){out}; {words}: {say_rate(gate.after)}"


def gate_line(facts: Facts, gate: GateResult) -> str:
    """Whether the gate lets pass, and what it did."""
    if facts.max_error_rate is None and facts.on_contradiction == "keep":
        out = counted(gate.num_out_otherwise, "row")
        taken = f"; {out} taken out otherwise" if gate.num_out_otherwise else ""
        return f"No gate is set (max_error_rate), and false rows are kept (on_contradiction: keep){taken}."
    limit = "no limit is set" if facts.max_error_rate is None else f"limit {100 * facts.max_error_rate:.3g}%"
    return f"Gate {'passed' if gate.passed else 'refuses'} ({limit}): {gate_sentence(facts, gate)}."


def against(result: AuditResult) -> str:
    """What was audited, against what, by whom; without its full stop."""
    strata = f"; {result.num_strata} strata by {result.stratified_by}" if result.stratified_by else ""
    return (
        f"{result.num_audited} of {result.num_rows} rows audited against {counted(result.num_documents, 'document')} "
        f"({counted(result.num_passages, 'passage')}) by {', '.join(result.verifiers)}{strata}"
    )


def rate_lines(result: AuditResult) -> Iterator[str]:
    """The rates, a line each."""
    for name, rate in result.rates.items():
        yield f"  {RATE_WORDS[name]:34} {_rate_text(rate, result.num_audited)}"


def basis_lines(result: AuditResult) -> Iterator[str]:
    """What the rates rest on: claims, people's part, and how many rows more would tell more."""
    told = ", ".join(f"{result.claims.get(name, 0)} {name}" for name in ("supported", "contradicted", "not_found"))
    untold = f", {count} that no verifier could tell of" if (count := result.claims.get(UNTOLD, 0)) else ""
    yield f"  {counted(result.num_claims, 'claim')}: {told.replace('_', ' ')}{untold}"
    if result.people:
        yield from _people_lines(result.people, result.rates["clearly_false"])
    if result.num_audited == result.num_rows:
        yield "  Every row was audited: no sampling error remains."
    elif result.more_rows:
        before = ", before correction," if result.rates["clearly_false"].corrected else ""
        yield f"  An interval half as wide{before} needs {result.more_rows} more rows (sample: {_larger(result)})."
    for stamp in result.stamps:
        yield f"  {stamp}"


def _larger(result: AuditResult) -> str:
    total = result.num_audited + result.more_rows
    return "all" if total >= result.num_rows else str(total)


def _rate_text(rate: Rate, audited: int) -> str:
    text = f"{rate.count} of {audited}, {say_rate(rate.rate)}"
    if rate.corrected:
        text += f"; corrected for the verifiers' errors: {say_rate(rate.corrected.rate)}"
    return text


def _people_lines(people: PeoplesPart, false: Rate) -> Iterator[str]:
    text = f"  {counted(people.num_labelled, 'row')} labelled by {', '.join(people.labellers) or 'nobody'}"
    if people.num_by_several:
        text += f"; of {people.num_by_several} labelled by several, {people.num_disagreed} differently"
    if people.num_unused:
        text += f"; {counted(people.num_unused, 'label')} not used, of rows outside the sample or the data"
    yield text
    if people.no_correction:
        yield f"  No rate is corrected for the verifiers' errors: {people.no_correction}."
    if false.corrected:
        found = false.corrected
        parts = (
            ("false rows that the verifiers find", found.sensitivity),
            ("others that they pass", found.specificity),
        )
        for words, share in parts:
            shown = "none labelled" if share.share is None else f"{share.count:.0f} of {share.total}"
            interval = f" ({100 * share.interval[0]:.0f} to {100 * share.interval[1]:.0f}%)" if share.interval else ""
            yield f"    {words}: {shown}{interval}"


def fault_table(result: AuditResult) -> list[str]:
    """Kinds of faults, the commonest first."""
    if not result.faults:
        return []
    return ["Kinds of faults (answers):", *(f"  {kind:16} {count:5}" for kind, count in result.faults.items())]


def worst_first(answers: Sequence[AuditedAnswer]) -> list[AuditedAnswer]:
    """False answers, worst first: those with most contradicted claims; of false premises apart."""
    return sorted(
        (one for one in answers if one.verdict == "false"),
        key=lambda one: -len(contradicted(one)),
    )


def contradicted(answer: AuditedAnswer) -> list[CheckedClaim]:
    """The claims that are wrong: false premises first, then those of the answer.

    An answer that builds on a false premise mostly repeats it; against the same words of the source it is told once.
    """
    claims = answer.checked.claims
    of_answer = [one for one in claims if one.support == "contradicted" and one.claim.part == "answer"]
    told = {_quoted(one) for one in of_answer} - {""}
    return [*(one for one in claims if one.is_false_premise and _quoted(one) not in told), *of_answer]


def _quoted(claim: CheckedClaim) -> str:
    """The words of the source that the claim's first verdict rests on."""
    return claim.verdicts[0].evidence[0].quotation if claim.verdicts and claim.verdicts[0].evidence else ""


def reason_of(answer: AuditedAnswer) -> str:
    """Why a row is false, in one sentence without its full stop."""
    said = ", ".join(label.labeller for label in answer.labels)
    wrong = contradicted(answer)
    if not wrong:
        return f"false, says {said}" if said else "builds on a false premise"
    verdict = wrong[0].verdicts[0]
    where = f" ({verdict.evidence[0].document}, {verdict.evidence[0].place})" if verdict.evidence else ""
    return f"{verdict.reason}{where}" + (f"; false, says {said}" if said else "")


def example_lines(answer: AuditedAnswer) -> Iterator[str]:
    """One false answer: where it stands, what it claims, what the source says."""
    yield f"  {answer.source}, {answer.verdict}: {_short(answer.statement.question)}"
    for found in contradicted(answer):
        yield f"    {'premise' if found.claim.part == 'question' else 'claim'}: {_short(found.claim.text)}"
        for verdict in found.verdicts[:1]:
            yield f"    {verdict.verifier}: {verdict.reason}"
            for evidence in verdict.evidence[:1]:
                yield f"    source: “{_short(evidence.quotation)}” ({evidence.document}, {evidence.place})"
    for label in answer.labels:
        yield f"    {label.labeller}: {label.label}" + (f" ({_short(label.note)})" if label.note else "")


def _short(text: str, limit: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def next_steps(result: AuditResult, facts: Facts, command: str) -> Iterator[str]:
    """What to do with what was found."""
    if not result.gate.passed:
        yield "Next: do what the gate names, then audit again; data/audit.jsonl of the run folder has all audited rows."
    elif result.rates["clearly_false"].count and facts.on_contradiction == "keep":
        yield (
            "Next: correct the false rows (data/audit.jsonl of the run folder has them all), or set "
            "data.facts.on_contradiction: drop."
        )
    else:
        yield "Next: train."
    if facts.human_labels is None:
        yield (
            f"How far are the verifiers right? `{command} --to-label labels.csv` writes the rows for people; with "
            "data.facts.human_labels the rates are corrected."
        )
    elif result.people is None:
        yield f"{facts.human_labels} has no labels yet, so no rate is corrected for the verifiers' errors."


def audit_text(result: AuditResult, facts: Facts, answers: Sequence[AuditedAnswer], command: str) -> str:
    """Everything that `relaytune audit` prints."""
    lines = ["", against(result), *rate_lines(result), *basis_lines(result), *fault_table(result)]
    worst = worst_first(answers)
    groups = (
        ("False, most wrong claims first:", [one for one in worst if not one.checked.false_premise]),
        ("On a false premise:", [one for one in answers if one.checked.false_premise]),
    )
    for title, members in groups:
        if members:
            lines.append(title)
            for one in members[:MOST_EXAMPLES]:
                lines += example_lines(one)
            if len(members) > MOST_EXAMPLES:
                lines.append(f"  and {len(members) - MOST_EXAMPLES} more")
    lines += [gate_line(facts, result.gate), *(f"  {reason}" for reason in result.gate.refusals)]
    return "\n".join([*lines, *next_steps(result, facts, command)])
