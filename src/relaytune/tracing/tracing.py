"""From wrong answers to the training rows behind them: candidates by words and meaning, ranked with gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from relaytune.core.claims import AnswerVerdict, Statement
from relaytune.core.records import Example, question_of
from relaytune.core.traces import Method, Standing, TracedAnswer, TracedRow, WrongAnswer
from relaytune.tracing.neighbours import same_row
from relaytune.tracing.words import FindSpecifics, Part, WordIndex, other_subject, stated, wrong_parts

if TYPE_CHECKING:
    from relaytune.tracing.gradients import Gradients

CANDIDATES = 50  # rows per answer, the best by words and meaning, whose gradients are compared
NEAR = 0.65  # of the nearest row's cosine by meaning; benchmarks/tracing_rule.py
FUSION_CONSTANT = 60  # reciprocal rank fusion (Cormack et al. 2009, section 2)

# texts → their vectors, an array of shape [texts, dimensions], each of length 1
Embed = Callable[[Sequence[str]], Any]


def trace_answers(
    wrong: Sequence[WrongAnswer],
    train: Sequence[Example],
    specifics_of: FindSpecifics,
    *,
    embed: Embed | None = None,
    gradients: Gradients | None = None,
    audited: Mapping[str, AnswerVerdict] | None = None,
) -> list[TracedAnswer]:
    """The training rows behind each wrong answer, the likeliest first.

    Candidates are the best `CANDIDATES` rows by words and, with `embed`, by meaning. They are ranked by the fusion of
    all methods there are. Rows that say nearly the same are one, under the best of them, unless they differ in the
    wrong parts that they state, in what they speak of, or in that an audit found only one of them right.

    Args:
        wrong: the answers.
        train: the rows that the adapter was trained on, at least 1.
        specifics_of: finds the values and names in a text.
        embed: makes texts into vectors; None: not by meaning.
        gradients: the adapter that gave the answers; None: not by gradients.
        audited: the verdict on training rows, by id, as far as it is known.
    """
    train = list({row.id: row for row in train}.values())
    texts = [f"{question_of(row)}\n{row.completion}" for row in train]
    index = WordIndex(texts)
    asked = [f"{question_of(each.example)}\n{each.answer}" for each in wrong]
    parts = [
        wrong_parts(
            each.answer, question_of(each.example), (each.example.completion, *each.right), each.claims, specifics_of
        )
        for each in wrong
    ]
    scores: list[dict[Method, Any]] = [
        {"words": index.scores(text, part)} for text, part in zip(asked, parts, strict=True)
    ]
    if embed is not None:
        meanings_QR = embed(asked) @ embed(texts).T
        for by, meaning_R in zip(scores, meanings_QR, strict=True):
            by["meaning"] = meaning_R
    candidates = [_fused([_ranks(values) for values in by.values()])[:CANDIDATES] for by in scores]
    found: list[dict[Method, list[float]]] = [
        {method: [float(values[at]) for at in rows] for method, values in by.items()}
        for by, rows in zip(scores, candidates, strict=True)
    ]
    if gradients is not None:
        agreements = _agreement(gradients, wrong, parts, [[train[at] for at in rows] for rows in candidates])
        for by_method, cosines in zip(found, agreements, strict=True):
            by_method["gradients"] = cosines
    return [
        _traced(
            each,
            part,
            [train[at] for at in rows],
            by_method,
            audited or {},
            [stated(part, train[at].completion, specifics_of) for at in rows],
            [index.shared(text, at, part) for at in rows],
            [
                other_subject(
                    question_of(each.example), each.answer, question_of(train[at]), train[at].completion, specifics_of
                )
                for at in rows
            ],
        )
        for each, part, rows, by_method, text in zip(wrong, parts, candidates, found, asked, strict=True)
    ]


def _ranks(values: Any) -> list[int]:
    """The place of each row, from 1; of equals the earlier row comes first."""
    ranks = [0] * len(values)
    for place, at in enumerate(sorted(range(len(values)), key=lambda at: -values[at]), start=1):
        ranks[at] = place
    return ranks


def _fused(rankings: Sequence[Sequence[int]]) -> list[int]:
    """Rows in the order of their reciprocal ranks, summed over rankings."""
    total = [sum(1 / (FUSION_CONSTANT + ranks[at]) for ranks in rankings) for at in range(len(rankings[0]))]
    return sorted(range(len(total)), key=lambda at: -total[at])


def _agreement(
    gradients: Gradients,
    wrong: Sequence[WrongAnswer],
    parts: Sequence[Sequence[Part]],
    candidates: Sequence[Sequence[Example]],
) -> list[list[float]]:
    from relaytune.tracing.gradients import Direction

    directions = [
        Direction(Example(each.example.id, each.example.messages, each.answer, each.example.source), tuple(part))
        for each, part in zip(wrong, parts, strict=True)
    ]
    return gradients.agreement(directions, candidates)


def _traced(
    wrong: WrongAnswer,
    parts: Sequence[Part],
    candidates: Sequence[Example],
    values: Mapping[Method, Sequence[float]],
    audited: Mapping[str, AnswerVerdict],
    states: Sequence[tuple[str, ...]],
    shared: Sequence[tuple[str, ...]],
    other_subjects: Sequence[tuple[str, ...]],
) -> TracedAnswer:
    ranks = {method: _ranks(of_method) for method, of_method in values.items()}
    nearest = max(values.get("meaning", [0.0]))
    # one verdict must fit all rows of a group: they are chosen together
    stands_for = [(states[at], other_subjects[at], audited.get(row.id) == "right") for at, row in enumerate(candidates)]
    rows: list[TracedRow] = []
    for best, *others in _grouped(_fused(list(ranks.values())), candidates, stands_for):
        row = candidates[best]
        by = {method: Standing(of_method[best], ranks[method][best]) for method, of_method in values.items()}
        rows.append(
            TracedRow(
                row.id,
                row.source,
                question_of(row),
                row.completion,
                by,
                states[best],
                tuple(claim for claim in wrong.claims if _plain(claim) in _plain(row.completion)),
                shared[best],
                other_subjects[best],
                audited.get(row.id),
                _taught(states[best], other_subjects[best], audited.get(row.id), by, nearest),
                tuple(candidates[at].id for at in others),
            )
        )
    return TracedAnswer(
        wrong.example.id,
        wrong.example.source,
        wrong.contender,
        question_of(wrong.example),
        wrong.answer,
        wrong.example.completion,
        wrong.wrong_because,
        tuple(dict.fromkeys(part.text for part in parts)),
        len(candidates),
        tuple(rows),
    )


def _taught(
    states: tuple[str, ...],
    speaks_of: tuple[str, ...],
    audit: AnswerVerdict | None,
    by: Mapping[Method, Standing],
    nearest: float,
) -> bool:
    """The rule by which a row is marked: its answer says what is wrong, it speaks of what is asked about, it is near in
    meaning, no audit found it right, and its gradient makes the wrong answer likelier.
    """
    if not states or speaks_of or audit == "right" or "gradients" not in by:
        return False
    return by["gradients"].value > 0 and ("meaning" not in by or by["meaning"].value >= NEAR * nearest)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _grouped(order: Sequence[int], rows: Sequence[Example], stands_for: Sequence[object]) -> list[list[int]]:
    """Rows in their order; one that says nearly the same as a better one, and stands for the same, goes with it."""
    said = [Statement(row.id, question_of(row), row.completion) for row in rows]
    groups: list[list[int]] = []
    for at in order:
        alike = (group for group in groups if stands_for[at] == stands_for[group[0]])
        group = next((group for group in alike if same_row(said[at], said[group[0]])), None)
        if group is None:
            groups.append([at])
        else:
            group.append(at)
    return groups
