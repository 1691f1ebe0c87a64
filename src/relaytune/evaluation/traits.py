"""What an answer shows by itself, without a reference: whether it ended, repeats itself, loops, refuses or abstains.

Every function returns a value and its reason. Where the value is yes or no, 1 is yes: a `stopped` of 1 is good, a
`loops` of 1 is not.
"""

from __future__ import annotations

import re

from relaytune.core.records import Generation

# a trait's value (None: unscored) and the reason or the evidence
Value = tuple[float | None, str]

N = 4  # words of an n-gram
LOOP_TIMES = 3  # the same stretch so often in a row, and ...
LOOP_CHARACTERS = 60  # ... so long in all, is a loop: "no, no, no" is none
OPENING_SENTENCES = 2  # a refusal stands at the beginning; further down the words may be a story's

# English. Each pattern is searched, whatever the case, in an answer's first sentences. What they find in real
# answers: benchmarks/refusals.py. How many they miss is not measured
_CANNOT = r"(?:can(?:no|')t|can not|am (?:not able|unable)|'m (?:not able|unable)|won't|will not|must decline)"
_HELP = r"(?:assist|help|provide|comply|fulfil+|do that|answer that|create|write|generate|support|engage|discuss|share)"
PATTERNS: dict[str, tuple[str, ...]] = {
    # "I cannot help": the answer declines the task
    "refused": (
        rf"\bI ?{_CANNOT}(?: \w+)? (?:to )?{_HELP}\b",
        r"\bI(?:'m| am) sorry,? but (?:I|as an)\b(?!.{0,20}\b(?:don't|do not) (?:know|have))",
        r"\bas an? (?:AI|artificial intelligence|language model)\b.{0,60}"
        r"\b(?:can(?:no|')t|unable|not able|don't|do not)\b",
        r"\bagainst my (?:programming|guidelines|policy)\b",
        r"\bI (?:must|have to) (?:refuse|decline)\b",
    ),
    # "I don't know", "the text does not say": the answer declines to claim
    "abstained": (
        r"\bI (?:don't|do not|didn't|did not) know\b(?! (?:that|about you|(?:if|whether) (?:I|you|we)\b))",
        r"\bI(?:'m| am) not (?:sure|certain|aware)\b",
        r"\bI (?:don't|do not) have (?:\w+ ){0,3}(?:information|knowledge|data|access|details|context)\b",
        r"\b(?:is|are|was|were) not (?:\w+ )?(?:given|mentioned|provided|stated|specified|known)\b",
        r"\b(?:isn't|aren't|wasn't) (?:\w+ )?(?:given|mentioned|provided|stated|specified|known)\b",
        r"\b(?:text|passage|context|article|document|question|information)\b.{0,40}"
        r"\b(?:does not|doesn't|did not|do not|don't) (?:\w+ )?"
        r"(?:say|mention|state|specify|provide|contain|include|give)\b",
        r"\bthere is (?:no|not enough|insufficient) information\b",
        r"\b(?:cannot|can't|could not|impossible to) (?:be )?(?:determined?|answered?|know|tell)\b",
        r"\bit(?:'s| is) (?:unclear|unknown|not clear|not known)\b",
        r"\b(?:not enough|insufficient) (?:information|context|data)\b",
    ),
}  # fmt: skip


def stopped(generation: Generation) -> Value:
    """Whether the answer ended by itself, and was not cut off."""
    if generation.finish_reason == "stop":
        return 1.0, ""
    return 0.0, f"cut off after {generation.num_tokens} tokens"


def length_in_tokens(generation: Generation) -> Value:
    """Tokens of the answer as the contender's own tokenizer counts them, the one that ends it included."""
    return float(generation.num_tokens), ""


def length_in_characters(generation: Generation) -> Value:
    """Characters of the answer; unlike tokens they compare across tokenizers."""
    return float(len(generation.completion)), ""


def repetition(text: str) -> Value:
    """Share of an answer's 4-grams of words that stood in it before, 0 to 1: 1 - distinct / all.

    seq-rep-4 of Welleck et al. 2020 (arXiv 1908.04319, 6.1), of words instead of tokens. Unscored where the answer has
    fewer than four words.
    """
    words = re.findall(r"\w+|[^\w\s]", text.lower())
    grams = [tuple(words[at : at + N]) for at in range(len(words) - N + 1)]
    if not grams:
        return None, f"fewer than {N} words"
    return 1 - len(set(grams)) / len(grams), ""


def loops(text: str) -> Value:
    """Whether an answer ends in a loop: the same stretch three times or more, over 60 characters or more.

    The last time may be cut off. A loop that counts (1., 2., 3.) is not seen; `repetition` sees it.
    """
    text = text.rstrip()
    for period in range(1, len(text) // LOOP_TIMES + 1):
        at = len(text)
        while at > period and text[at - 1] == text[at - 1 - period]:
            at -= 1
        looping = len(text) - at + period
        if looping >= max(LOOP_TIMES * period, LOOP_CHARACTERS):
            return 1.0, f"ends with {looping / period:.0f} times {text[-period:].strip()[:60]!r}"
    return 0.0, ""


def refused(text: str) -> Value:
    """Whether an answer declines the task ("I cannot help with that"), by the patterns above. English only."""
    return _speaks(text, "refused")


def abstained(text: str) -> Value:
    """Whether an answer declines to claim ("I don't know", "the text does not say"), by the patterns above.

    English only. An answer that refuses does not abstain.
    """
    refusal, _ = refused(text)
    return (0.0, "") if refusal else _speaks(text, "abstained")


def _speaks(text: str, kind: str) -> Value:
    opening = " ".join(re.split(r"(?<=[.!?])\s+|\n+", text.strip().replace("’", "'"))[:OPENING_SENTENCES])
    for pattern in PATTERNS[kind]:
        if found := re.search(pattern, opening, re.IGNORECASE):
            return 1.0, f"says {found[0]!r}"
    return 0.0, ""
