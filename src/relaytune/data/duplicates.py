"""Rows that say the same thing twice, contradict each other, or give the held-out answers away."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from relaytune.core.contract import Answer, Contract
from relaytune.core.files import canonical_json
from relaytune.core.records import Example, Finding, Severity
from relaytune.data.loading import shown
from relaytune.data.splitting import group_by_input

NEAR_DUPLICATE = 0.8  # Jaccard similarity of word 3-shingles
_SHINGLE_WORDS = 3
# 21 bands of 6 rows miss 2 of 1,000 pairs at 0.8; their false candidates fall to the exact check
_BANDS, _BAND_ROWS = 21, 6
_CASES_SHOWN = 10


def same_row_twice(train: Sequence[Example]) -> list[Finding]:
    """The same input with the same completion, more than once in the training rows."""
    by_id: dict[str, list[Example]] = {}
    for example in train:
        by_id.setdefault(example.id, []).append(example)
    repeated = [rows for rows in by_id.values() if len(rows) > 1]
    advice = "keep one of each, unless it is meant to count more than once"
    text = "the same row more than once in training (all are kept)"
    return _finding("warning", "same_row_twice", text, repeated, advice)


def contradictions(train: Sequence[Example], answers: Mapping[str, Answer], contract: Contract) -> list[Finding]:
    """The same input with different answers in the training rows.

    An error where the answers judge differently: other labels, or, in a contract without labels, another JSON
    value or text. A warning where only the wording differs: the same label, or free text, of which two may be
    right. `answers` is by example id; answers outside the contract are left to that check.
    """
    judged: list[list[Example]] = []
    worded: list[list[Example]] = []
    for group in group_by_input([example for example in train if answers[example.id].passes]):
        if len({_judgement(answers[example.id], contract) for example in group}) > 1:
            (worded if contract.kind == "free_text" else judged).append(group)
        elif len({example.completion for example in group}) > 1 and contract.allowed_labels:
            worded.append(group)
    text = "the same input with contradictory answers in training"
    advice = "decide which answer is right and remove the others"
    wording = "the same input with answers that differ in their wording in training"
    wording_advice = "fine if all are right; otherwise keep the better one"
    return [
        *_finding("error", "contradictory_answers", text, judged, advice, _answers_of),
        *_finding("warning", "several_answers", wording, worded, wording_advice, _answers_of),
    ]


def in_both_splits(train: Sequence[Example], held_out: Sequence[Example]) -> list[Finding]:
    """Held-out inputs that also stand among the training rows, with the same or another answer."""
    held_sources = {example.source for example in held_out}
    held_ids = {example.id for example in held_out}
    same_row: list[list[Example]] = []
    same_input: list[list[Example]] = []
    for group in group_by_input([*train, *held_out]):
        if 0 < sum(example.source in held_sources for example in group) < len(group):
            trained = [example for example in group if example.source not in held_sources]
            leaks_answer = any(example.id in held_ids for example in trained)
            (same_row if leaks_answer else same_input).append(group)
    advice = "remove the training rows: a held-out row that was trained on measures nothing"
    row_text = "the same row in training and held-out"
    input_text = "the same input in training and held-out, with another answer"
    return [
        *_finding("error", "row_in_both_splits", row_text, same_row, advice),
        *_finding("error", "input_in_both_splits", input_text, same_input, advice, _answers_of),
    ]


def repeated_inputs(held_out: Sequence[Example]) -> list[Finding]:
    """The same input more than once in the held-out rows."""
    repeated = [group for group in group_by_input(held_out) if len(group) > 1]
    advice = (
        "hold out other inputs instead: however often it stands there, an input counts as one case in every interval "
        "and test, and the very same row is asked once"
    )
    text = "the same input more than once in held-out"
    return _finding("warning", "held_out_input_twice", text, repeated, advice, _answers_of)


def each_once(examples: Sequence[Example]) -> list[Example]:
    """The examples without those that are the very same row as an earlier one."""
    first: dict[str, Example] = {}
    for example in examples:
        first.setdefault(example.id, example)
    return list(first.values())


def near_duplicates(
    train: Sequence[Example], held_out: Sequence[Example], ends: tuple[str, str] = ("", "")
) -> list[Finding]:
    """Training rows whose last user message nearly equals that of a held-out row.

    Candidates come from MinHash LSH (Broder 1997; datasketch) on word 3-shingles, and each is verified by its
    exact Jaccard similarity. One pair is named per training row. Rows with the very same input are left to
    `in_both_splits`. `ends` are the recipe's own words around every input, which say nothing about likeness.
    Words are runs of letters and digits, so in scripts without spaces only nearly equal texts are found.
    """
    pairs = _alike(train, held_out, ends, lambda one, other: one.messages != other.messages)
    text = "training rows that nearly repeat a held-out row"
    advice = "remove the training rows if they are the same case in other words"
    return _finding_of_pairs("near_duplicates", text, pairs, advice)


def near_contradictions(
    train: Sequence[Example], answers: Mapping[str, Answer], contract: Contract, ends: tuple[str, str] = ("", "")
) -> list[Finding]:
    """Training rows whose last user messages are nearly or wholly equal, and whose answers judge differently.

    Nearly equal as in `near_duplicates`, judged as in `contradictions`: in free text two answers may both be right,
    and answers outside the contract do not count. A pair may differ in just the word that decides, so these are rows
    to look at, not errors. `where` holds the rows of each pair side by side; one pair is named per row.
    """
    if contract.kind == "free_text":
        return []
    judged = [example for example in train if answers[example.id].passes]
    judgements = {example.id: _judgement(answers[example.id], contract) for example in judged}
    pairs = _alike(judged, judged, ends, lambda one, other: judgements[one.id] != judgements[other.id])
    each_once = {frozenset((one.source, other.source)): (one, other, alike) for one, other, alike in reversed(pairs)}
    text = "training rows with nearly the same input that are answered differently"
    advice = "read them side by side: where the inputs mean the same, correct one answer or remove the row"
    return _finding_of_pairs("near_contradictions", text, list(each_once.values())[::-1], advice)


def _alike(
    rows: Sequence[Example],
    others: Sequence[Example],
    ends: tuple[str, str],
    wanted: Callable[[Example, Example], bool],
) -> list[tuple[Example, Example, float]]:
    """For each row the first of the others that is nearly its equal and is wanted with it, and their similarity."""
    from datasketch import MinHash, MinHashLSH

    indexed = _with_shingles(others, ends)
    index = MinHashLSH(num_perm=_BANDS * _BAND_ROWS, params=(_BANDS, _BAND_ROWS))
    for place, minhash in enumerate(_minhashes(MinHash, [shingles for _, shingles in indexed])):
        index.insert(place, minhash)
    shingled = _with_shingles(rows, ends)
    minhashes = _minhashes(MinHash, (shingles for _, shingles in shingled))
    pairs: list[tuple[Example, Example, float]] = []
    for (example, shingles), minhash in zip(shingled, minhashes, strict=True):
        for place in sorted(index.query(minhash)):
            other, other_shingles = indexed[place]
            if not wanted(example, other):
                continue
            similarity = _jaccard(shingles, other_shingles)
            if similarity >= NEAR_DUPLICATE:
                pairs.append((example, other, similarity))
                break
    return pairs


def _finding_of_pairs(
    check: str, text: str, pairs: Sequence[tuple[Example, Example, float]], advice: str
) -> list[Finding]:
    if not pairs:
        return []
    named = [f"{one.source} ~ {other.source} ({similarity:.2f})" for one, other, similarity in pairs]
    first = shown(pairs[0][0].messages[-1]["content"])
    message = f"{text}: {len(pairs)} (Jaccard similarity in brackets): {_joined(named)}; the first: {first}"
    where = dict.fromkeys(example.source for one, other, _ in pairs for example in (one, other))
    return [Finding("warning", check, message, tuple(where), advice)]


def _with_shingles(examples: Iterable[Example], ends: tuple[str, str]) -> list[tuple[Example, frozenset[str]]]:
    before, after = ends
    rows = []
    for example in examples:
        text = example.messages[-1]["content"].removeprefix(before).removesuffix(after)
        words = re.findall(r"\w+", text.casefold())
        last_start = max(len(words) - _SHINGLE_WORDS, 0)
        shingles = {" ".join(words[start : start + _SHINGLE_WORDS]) for start in range(last_start + 1)}
        if words:
            rows.append((example, frozenset(shingles)))
    return rows


def _minhashes(minhash: type, all_shingles: Iterable[frozenset[str]]) -> Iterator[object]:
    encoded = ([shingle.encode() for shingle in shingles] for shingles in all_shingles)
    hashes: Iterator[object] = minhash.generator(encoded, num_perm=_BANDS * _BAND_ROWS)  # type: ignore[attr-defined]
    return hashes


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    if min(len(one), len(other)) / max(len(one), len(other)) < NEAR_DUPLICATE:
        return 0.0  # too different in length to be alike
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def _judgement(answer: Answer, contract: Contract) -> str | None:
    if contract.allowed_labels:
        return answer.label
    return canonical_json(answer.value)


def _input_of(group: Sequence[Example]) -> str:
    return shown(group[0].messages[-1]["content"])


def _answers_of(group: Sequence[Example]) -> str:
    first_of_each = {example.completion: example for example in reversed(group)}
    answers = [f"{shown(each.completion)} in {each.source}" for each in reversed(first_of_each.values())]
    return f"{_input_of(group)} is answered {_joined(answers)}"


def _finding(
    severity: Severity,
    check: str,
    text: str,
    groups: Sequence[Sequence[Example]],
    advice: str,
    show: Callable[[Sequence[Example]], str] = _input_of,
) -> list[Finding]:
    """One finding about groups of rows that belong together; none without groups."""
    if not groups:
        return []
    where = tuple(example.source for group in groups for example in group)
    if len(groups) == 1:
        return [Finding(severity, check, f"{text}: {show(groups[0])}", where, advice)]
    together = _joined([" + ".join(example.source for example in group) for group in groups])
    message = f"{text}: {len(groups)} cases ({together}); the first: {show(groups[0])}"
    return [Finding(severity, check, message, where, advice)]


def _joined(items: Sequence[str]) -> str:
    more = len(items) - _CASES_SHOWN
    return ", ".join(items[:_CASES_SHOWN]) + (f" and {more} more" if more > 0 else "")
