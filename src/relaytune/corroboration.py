"""What the sources said of the answers, in words that a person reads."""

from __future__ import annotations

from collections.abc import Iterator

from relaytune.core.counts import counted
from relaytune.core.method_or_data import MethodOrData, StratumResult
from relaytune.core.results import EvaluationResult, WrongClaim
from relaytune.evidence import compare, estimate_of, say_comparison, say_estimate, say_p

_SAID = {
    "factual_errors": "confident errors",
    "abstained": "abstentions",
    "unsupported": "errors or claims that no source makes",
    "unchecked": "nothing to check",
}
WRONG_CLAIMS_SHOWN = 12  # facts.jsonl has them all


def corroboration_lines(evaluation: EvaluationResult) -> Iterator[str]:
    """Errors and abstentions of each contender, and the first against the others in errors; no full stops."""
    for contender in evaluation.contenders:
        said = [f"{words} {say_estimate(estimate_of(evaluation, contender, name))}" for name, words in _SAID.items()]
        yield f"{contender}: {', '.join(said)}"
    first, *others = evaluation.contenders
    for other in others:
        comparison = compare(evaluation, "factual_errors", first, other)
        if comparison is not None:
            yield f"factual_errors: {say_comparison(evaluation, comparison)}"


def wrong_claim_lines(evaluation: EvaluationResult) -> Iterator[str]:
    """The first contender's wrong claims with what the sources say, then how many are not shown; no full stops."""
    if evaluation.facts is None:
        return
    claims = evaluation.facts.wrong_claims
    yield from (say_wrong_claim(claim) for claim in claims[:WRONG_CLAIMS_SHOWN])
    if len(claims) > WRONG_CLAIMS_SHOWN:
        yield f"and {len(claims) - WRONG_CLAIMS_SHOWN} more, in facts.jsonl"


def say_wrong_claim(wrong: WrongClaim) -> str:
    """`asked "…", it says "…": the source says 70 EUR (fees.md, lines 3-4: "…")`."""
    says = "it builds on" if wrong.part == "question" else "it says"
    quoted = f' ({wrong.citation}: "{_flat(wrong.quotation)}")' if wrong.quotation else ""
    return f'asked "{_flat(wrong.question)}", {says} "{_flat(wrong.claim)}": {_flat(wrong.reason)}{quoted}'


def method_or_data_lines(tested: MethodOrData) -> Iterator[str]:
    """What the stratified test concludes, and what it rests on; no full stops."""
    yield tested.conclusion
    yield from (say_stratum(one) for one in (tested.right, tested.wrong) if one is not None)
    left_out = f"left out: {counted(tested.num_mixed, 'prompt')}"
    if tested.num_too_few_verified:
        left_out += (
            f", {tested.num_too_few_verified} of them because fewer than three of their nearest training rows are "
            "verified right or wrong (data.facts.sample audits more)"
        )
    if between := tested.num_mixed - tested.num_too_few_verified:
        left_out += f", {between} between rows that are verified right and rows that are verified wrong"
    yield left_out
    if tested.num_unscored:
        yield f"{counted(tested.num_unscored, 'held-out row')} without a verdict on base's or on tuned's answer"


def say_stratum(found: StratumResult) -> str:
    """Errors of base and tuned where the training rows around the prompts are right, or wrong."""
    interval = "too few for an interval"
    if found.interval is not None:
        interval = f"{100 * found.interval[0]:+.0f} to {100 * found.interval[1]:+.0f}"
    cases = f", {counted(found.num_cases, 'case')}" if found.num_cases < found.num_prompts else ""
    return (
        f"training rows around verified {found.name}: {counted(found.num_prompts, 'prompt')}{cases}, "
        f"{counted(found.num_training_rows, 'row')}; errors of tuned {say_estimate(found.tuned)} "
        f"against base {say_estimate(found.base)}; difference "
        f"{100 * found.difference:+.0f} points ({interval}), {say_p(found.p_value)}"
    )


def _flat(text: str, most: int = 300) -> str:
    """A text on one line, cut where it is long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[:most]}…"
