"""What an answer shows by itself, without a reference: whether it ended, repeats itself or loops.

Whether it refuses or abstains: `core/declining.py`.

Every function returns a value and its reason. Where the value is yes or no, 1 is yes: a `stopped` of 1 is good, a
`loops` of 1 is not.
"""

from __future__ import annotations

import re

from relaytune.core.declining import Value
from relaytune.core.records import Generation

N = 4  # words of an n-gram
LOOP_TIMES = 3  # the same stretch so often in a row, and ...
LOOP_CHARACTERS = 60  # ... so long in all, is a loop: "no, no, no" is none


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
