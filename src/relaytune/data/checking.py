"""All checks on the training and held-out rows, before anything is trained."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from relaytune.core.contract import Answer, Contract, read_answer
from relaytune.core.counts import counted
from relaytune.core.errors import DataError, ModelError
from relaytune.core.recipe import Recipe
from relaytune.core.records import Example, Finding
from relaytune.data.duplicates import (
    contradictions,
    each_once,
    in_both_splits,
    near_duplicates,
    repeated_inputs,
    same_row_twice,
)
from relaytune.data.loading import BLANK_LINES, UNREADABLE_FILE, Row, load_rows, shown
from relaytune.data.rendering import literal_ends, missing_column, render
from relaytune.data.splitting import group_by_input, split_validation

FEW_TRAINING_ROWS = 50
FEW_HELD_OUT_ROWS = 30
_PLACES_SHOWN = 20
_SEVERITIES = ("error", "warning", "note")


class Encoded(Protocol):
    """Token ids of one example; `completion_ids` are the supervised ones."""

    @property
    def prompt_ids(self) -> Sequence[int]:
        """Tokens that the model is given."""
        ...

    @property
    def completion_ids(self) -> Sequence[int]:
        """Tokens that the model learns to give."""
        ...


class Template(Protocol):
    """What the checks need of the model's chat template."""

    special_tokens: tuple[str, ...]

    def encode(self, example: Example) -> Encoded:
        """Tokens of one example; raises ModelError where the template cannot render it."""
        ...


@dataclass(frozen=True)
class CheckedData:
    """The three splits and everything that was found; usable where `raise_on_errors(findings)` passes."""

    train: list[Example]
    validation: list[Example]
    held_out: list[Example]
    findings: list[Finding]  # errors first, then warnings, then notes
    num_dropped: int  # training rows left out by data.on_error: drop


@dataclass(frozen=True)
class _Split:
    """The rows of one file, their examples, and what is wrong with them one by one."""

    rows: list[Row]
    examples: list[Example]
    findings: list[Finding]


class _Record:
    """What was found so far, and which training rows `data.on_error: drop` has left out for it."""

    def __init__(self, drop: bool, held_places: set[str], findings: Sequence[Finding]) -> None:
        self.findings = list(findings)
        self.dropped: set[str] = set()
        self._drop = drop
        self._held_places = held_places

    def settle(self, train: list[Example], faults: Sequence[Finding]) -> list[Example]:
        """Add the faults; returns the training rows that stay: all of them, unless told to drop."""
        for fault in faults:
            if self._drop and fault.severity == "error" and fault.check != UNREADABLE_FILE:
                self.dropped |= set(fault.where) - self._held_places
                left_out = f"left out: {fault.message}"
                self.findings.append(replace(fault, severity="warning", message=left_out))
            else:
                self.findings.append(fault)
        return [example for example in train if example.source not in self.dropped]


def check(recipe: Recipe, recipe_folder: Path, template: Template | None) -> CheckedData:
    """Load, render and check both files, and cut the validation rows.

    Without a template lengths and special tokens are not checked, and a note says so. Nothing is raised for
    faulty data: see `raise_on_errors`. With `data.on_error: drop` training rows with an error are left out
    and their errors become warnings; errors of held-out rows and of whole files stay errors.
    """
    if (recipe_folder / recipe.data.train).resolve() == (recipe_folder / recipe.data.held_out).resolve():
        message = f"data.train and data.held_out are the same file, {recipe.data.train}"
        advice = "split it into two: a held-out row that was trained on measures nothing"
        return CheckedData([], [], [], [Finding("error", "same_file", message, advice=advice)], 0)
    held = _read_split(recipe, recipe_folder, recipe.data.held_out, recipe.data.max_held_out_rows, template)
    read = _read_split(recipe, recipe_folder, recipe.data.train, recipe.data.max_train_rows, template)
    held_out = held.examples
    answers = {example.id: read_answer(recipe.contract, example.completion) for example in (*read.examples, *held_out)}
    held_faults = held.findings + _outside_contract(held_out, answers)
    held_places = {place for fault in held_faults for place in fault.where} | {e.source for e in held_out}
    record = _Record(recipe.data.on_error == "drop", held_places, held_faults)

    train = record.settle(read.examples, read.findings + _outside_contract(read.examples, answers))
    train = record.settle(train, contradictions(train, answers, recipe.contract))
    train = record.settle(train, in_both_splits(train, held_out))
    findings = record.findings + _dropped_rows(record.dropped, len(train))
    if recipe.data.facts is not None and recipe.data.facts.stratify_by:
        findings += without_stratum(recipe.data.facts.stratify_by, train, read.rows)
    findings += same_row_twice(train) + repeated_inputs(held_out)
    findings += near_duplicates(train, held_out, literal_ends(recipe.task.input or ""))
    held_out = each_once(held_out)
    findings += _few_rows(train, held_out)
    if template is None:
        findings.append(_not_measured(len(train) + len(held_out)))
    validation: list[Example] = []
    if len(group_by_input(train)) >= 2:
        train, validation = split_validation(
            train,
            recipe.data.validation_fraction,
            recipe.training.seed,
            lambda example: answers[example.id].label,
        )
    elif not any(finding.check == UNREADABLE_FILE for finding in read.findings):
        findings.append(_nothing_to_validate(train, recipe.data.train))
    splits = {"train": train, "validation": validation, "held_out": held_out}
    findings += _label_balance(splits, answers, recipe.contract)
    findings.sort(key=lambda finding: _SEVERITIES.index(finding.severity))
    return CheckedData(train, validation, held_out, findings, len(record.dropped))


def raise_on_errors(findings: Iterable[Finding]) -> None:
    """Refuse faulty data.

    Raises:
        DataError: there are errors; its message lists them all, each with at most 20 of its rows.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    count = "1 kind of fault" if len(errors) == 1 else f"{len(errors)} kinds of faults"
    raise DataError("\n".join([f"{count} in the data", *map(_as_text, errors)]))


def _as_text(finding: Finding) -> str:
    lines = [f"  - {finding.check}: {finding.message}"]
    if finding.where:
        more = len(finding.where) - _PLACES_SHOWN
        shown_places = ", ".join(finding.where[:_PLACES_SHOWN])
        lines.append(f"    at {shown_places}" + (f" and {more} more" if more > 0 else ""))
    if finding.advice:
        lines.append(f"    to do: {finding.advice}")
    return "\n".join(lines)


def without_stratum(column: str, examples: Sequence[Example], rows: Iterable[Row]) -> list[Finding]:
    """The examples whose rows lack the column that the audit's sample is to be stratified by, as one error."""
    row_at = {row.source: row for row in rows}
    theirs = [row_at.get(example.source, Row({}, example.source)) for example in examples]
    return _by_kind(missing_column(column, row, "data.facts.stratify_by") for row in theirs if column not in row.values)


def _read_split(recipe: Recipe, folder: Path, name: str, max_rows: int | None, template: Template | None) -> _Split:
    rows, loaded = load_rows(folder / name, name)
    findings: list[Finding] = []
    if max_rows is not None and len(rows) > max_rows:
        message = (
            f"{max_rows} of {len(rows)} rows are used, drawn with seed {recipe.training.seed}; "
            "the others were not checked"
        )
        findings.append(Finding("note", "subset", message, (name,)))
        drawn = random.Random(recipe.training.seed).sample(range(len(rows)), max_rows)
        rows = [rows[place] for place in sorted(drawn)]
    examples: list[Example] = []
    per_row = list(loaded)
    for row in rows:
        example, faults = render(row, recipe)
        per_row += faults
        if example is not None:
            examples.append(example)
    if template is not None:
        findings += _unfit_for_template(examples, template, recipe.training.max_length)
    return _Split(rows, examples, _by_kind(per_row) + findings)


def _by_kind(findings: Iterable[Finding]) -> list[Finding]:
    """Faults of single rows that share check and advice become one finding, which shows the first."""
    merged: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        about_file = finding.check in (UNREADABLE_FILE, BLANK_LINES)
        key = (finding.severity, finding.check, finding.advice, finding.message if about_file else "")
        merged.setdefault(key, []).append(finding)
    result = []
    for same in merged.values():
        where = tuple(dict.fromkeys(place for finding in same for place in finding.where))
        message = same[0].message if len(where) == 1 else f"{len(where)} rows; the first: {same[0].message}"
        result.append(replace(same[0], message=message, where=where))
    return result


def _outside_contract(examples: Sequence[Example], answers: Mapping[str, Answer]) -> list[Finding]:
    advice = {
        True: "correct the answers, or the contract",
        False: "correct the answers: they cannot even be read as the contract says",
    }
    return _by_kind(
        Finding(
            "error",
            "outside_contract",
            f"{answers[example.id].problem}; the answer is {shown(example.completion)}",
            (example.source,),
            advice[answers[example.id].parses],
        )
        for example in examples
        if not answers[example.id].passes
    )


def _unfit_for_template(examples: Sequence[Example], template: Template, max_length: int) -> list[Finding]:
    special = re.compile("|".join(map(re.escape, sorted(template.special_tokens, key=len, reverse=True))))
    findings: list[Finding] = []
    too_long: list[tuple[Example, int, int]] = []
    for example in examples:
        texts = [*(message["content"] for message in example.messages), example.completion]
        match = special.search("\n".join(texts))
        if match and match[0]:
            message = f"the text contains the model's special token {match[0]!r}"
            advice = "remove it: the model would read it as the end or the start of a turn"
            findings.append(Finding("error", "special_token", message, (example.source,), advice))
            continue
        try:
            encoded = template.encode(example)
        except ModelError as error:
            advice = "change the messages, or choose another base model"
            findings.append(Finding("error", "template", str(error), (example.source,), advice))
            continue
        if not encoded.completion_ids:
            message = f"no token to learn from in the completion {shown(example.completion)}"
            advice = "give the row an answer"
            findings.append(Finding("error", "no_supervised_token", message, (example.source,), advice))
        if len(encoded.prompt_ids) + len(encoded.completion_ids) > max_length:
            too_long.append((example, len(encoded.prompt_ids), len(encoded.completion_ids)))
    return _by_kind(findings) + _too_long(too_long, max_length)


def _too_long(rows: Sequence[tuple[Example, int, int]], max_length: int) -> list[Finding]:
    if not rows:
        return []
    counts = [
        f"{example.source} {prompt + completion} tokens ({prompt} + {completion})"
        for example, prompt, completion in rows[:_PLACES_SHOWN]
    ]
    more = len(rows) - _PLACES_SHOWN
    listed = "; ".join(counts) + (f"; and {more} more" if more > 0 else "")
    longest = max(prompt + completion for _, prompt, completion in rows)
    message = f"longer than training.max_length {max_length} (prompt + completion): {listed}"
    advice = f"shorten the rows, or set training.max_length to {longest}; rows are never cut"
    where = tuple(example.source for example, _, _ in rows)
    return [Finding("error", "too_long", message, where, advice)]


def _dropped_rows(dropped: set[str], num_left: int) -> list[Finding]:
    if not dropped:
        return []
    message = f"{len(dropped)} faulty training rows were left out (data.on_error: drop); {num_left} remain"
    return [Finding("warning", "dropped_rows", message, advice="correct the rows rather than lose them")]


def _few_rows(train: Sequence[Example], held_out: Sequence[Example]) -> list[Finding]:
    findings = []
    if 0 < len(train) < FEW_TRAINING_ROWS:
        message = (
            f"only {len(train)} training rows, validation included (fewer than {FEW_TRAINING_ROWS}): they "
            "can teach the form of an answer, hardly the judgement, and another seed may give another result"
        )
        findings.append(Finding("warning", "few_training_rows", message, advice="collect more rows"))
    if 0 < len(held_out) < FEW_HELD_OUT_ROWS:
        # half of a 95% interval around a rate of one half, in percentage points
        points = 100 * 1.96 * math.sqrt(0.25 / len(held_out))
        message = (
            f"only {counted(len(held_out), 'held-out row')} (fewer than {FEW_HELD_OUT_ROWS}): a measured rate is "
            f"uncertain by up to ±{points:.0f} points, so only a very large difference can be shown"
        )
        findings.append(Finding("warning", "few_held_out_rows", message, advice="hold out more rows"))
    return findings


def _not_measured(num_rows: int) -> Finding:
    message = f"{num_rows} rows were not checked for length and special tokens: the base model was not loaded"
    return Finding("note", "not_measured", message)


def _nothing_to_validate(train: Sequence[Example], name: str) -> Finding:
    message = (
        "no training row is left"
        if not train
        else f"all {len(train)} training rows have the same input, so none can be set apart for validation"
    )
    return Finding("error", "too_few_inputs", message, (name,), "give at least two rows with different inputs")


def _label_balance(
    splits: Mapping[str, Sequence[Example]], answers: Mapping[str, Answer], contract: Contract
) -> list[Finding]:
    if not contract.allowed_labels:
        return []
    counts = {name: Counter(answers[example.id].label for example in examples) for name, examples in splits.items()}
    without = [None] if any(counted[None] for counted in counts.values()) else []
    labels = [*contract.allowed_labels, *without]
    lines = [
        f"{name}: " + ", ".join(f"{label or '(none)'} {given[label]}" for label in labels)
        for name, given in counts.items()
    ]
    findings = [Finding("note", "label_balance", "rows per label; " + "; ".join(lines))]
    trained = counts["train"] + counts["validation"]
    for title, given, meaning in (
        ("training", trained, "the model is not taught it"),
        ("held-out", counts["held_out"], "nothing is measured about it"),
    ):
        absent = [label for label in contract.allowed_labels if not given[label]]
        if absent and given:
            message = f"no {title} row has the label {', '.join(map(repr, absent))}: {meaning}"
            advice = "add rows with it, or remove it from the contract"
            findings.append(Finding("warning", "absent_label", message, advice=advice))
    return findings
