"""The training rows whose prompts are nearest to a held-out prompt, each different row once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from relaytune.core.claims import Statement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALIKE = 0.9  # share of words in common from which two rows with the same numbers are one
_NEGATIONS = {"no", "not", "nor", "never", "neither", "none", "nothing", "without", "cannot", "t"}  # t: of "don't"


def nearest_rows(
    prompts_PC: NDArray[np.float32], rows_RC: NDArray[np.float32], rows: Sequence[Statement], count: int = 5
) -> list[list[str]]:
    """For each prompt the ids of the `count` nearest rows, nearest first, by the cosine of their prompts' embeddings.

    Embeddings are of length 1: `prompts_PC` of the held-out prompts, `rows_RC` of the prompts of `rows`. A row that is
    one and the same as a nearer one (`same_row`) is no further neighbour, and the next one takes its place.
    """
    import numpy as np

    chosen = []
    for similarity_R in prompts_PC @ rows_RC.T:
        found: list[Statement] = []
        for at in np.argsort(-similarity_R, kind="stable"):
            row = rows[at]
            if not any(same_row(row, nearer) for nearer in found):
                found.append(row)
            if len(found) == count:
                break
        chosen.append([row.id for row in found])
    return chosen


def same_row(first: Statement, second: Statement) -> bool:
    """Whether two rows are one and the same, so that one verdict on both is one verdict.

    They are where their questions and answers hold the same numbers and negations and share nine words of ten. Two rows
    that make the same claim in other words are two: training saw the claim twice.
    """
    if first.id == second.id:
        return True
    one, other = _words(first), _words(second)
    if _decisive(one) != _decisive(other):
        return False
    shared = sum((one & other).values())
    return shared >= ALIKE * sum((one | other).values())


def _words(row: Statement) -> Counter[str]:
    return Counter(re.findall(r"\d+(?:[.,:]\d+)*|\w+", f"{row.question} {row.answer}".casefold()))


def _decisive(words: Counter[str]) -> Counter[str]:
    """The numbers and negations: with one of them changed another thing is said."""
    return Counter({word: count for word, count in words.items() if word[0].isdigit() or word in _NEGATIONS})
