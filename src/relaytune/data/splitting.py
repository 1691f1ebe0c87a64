"""Cutting validation rows from the training rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from relaytune.core.errors import DataError
from relaytune.core.files import sha256_of_text
from relaytune.core.records import Example


def group_by_input(examples: Sequence[Example]) -> list[list[Example]]:
    """Examples with the same messages together; groups, and rows in them, in their original order."""
    groups: dict[tuple[tuple[str, str], ...], list[Example]] = {}
    for example in examples:
        key = tuple((message["role"], message["content"]) for message in example.messages)
        groups.setdefault(key, []).append(example)
    return list(groups.values())


def split_validation(
    examples: Sequence[Example], fraction: float, seed: int, label_of: Callable[[Example], str | None]
) -> tuple[list[Example], list[Example]]:
    """Split training rows into (train, validation), each in the original order.

    About `fraction` of the rows of each label go to validation, and at least one row to each side. Rows with
    the same input stay together, and every label keeps a row to train on. Which rows go is decided by a hash
    of seed and example id: the order of the rows and the machine do not matter.

    Raises:
        DataError: fewer than two different inputs.
    """
    groups = group_by_input(examples)
    if len(groups) < 2:
        raise DataError(
            f"{len(groups)} different inputs among {len(examples)} training rows; at least 2 are needed, "
            "one to train on and one to validate on. Add rows."
        )
    # each group is led by its smallest id, so that the order of the rows does not count
    ranked = sorted(
        (sorted(group, key=lambda example: example.id) for group in groups),
        key=lambda group: sha256_of_text(f"{seed}:{group[0].id}"),
    )
    strata: dict[str | None, list[list[Example]]] = {}
    for group in ranked:
        strata.setdefault(label_of(group[0]), []).append(group)
    quotas = _quotas({label: sum(map(len, stratum)) for label, stratum in strata.items()}, fraction)
    chosen: set[str] = set()
    for label, stratum in strata.items():
        room = quotas[label]
        for group in stratum[:-1]:  # the last one stays: every label is trained on
            if len(group) <= room:
                chosen.update(example.id for example in group)
                room -= len(group)
    if not chosen:
        chosen.update(example.id for example in min(ranked, key=len))
    train = [example for example in examples if example.id not in chosen]
    return train, [example for example in examples if example.id in chosen]


def _quotas(counts: Mapping[str | None, int], fraction: float) -> dict[str | None, int]:
    """Validation rows per label by the method of largest remainders; they sum to the whole share."""
    shares = {label: fraction * count for label, count in counts.items()}
    quotas = {label: math.floor(share) for label, share in shares.items()}
    left = max(1, round(fraction * sum(counts.values()))) - sum(quotas.values())
    by_remainder = sorted(shares, key=lambda label: (quotas[label] - shares[label], label or ""))
    for label in by_remainder[: max(0, left)]:
        quotas[label] += 1
    return quotas
