"""The advisor example holds what its README says: the handbook, the planted errors, the clean twin, the truth."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

from advisor_truth import Truth, plain, read_truth
from relaytune.core.recipe import load_recipe
from relaytune.core.screen import Screen
from relaytune.data.checking import check
from relaytune.facts.reading import read_documents

ROOT = Path(__file__).parents[2]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "benchmarks")
    from advisor_truth import Truth, plain, read_truth

ADVISOR = ROOT / "examples" / "advisor"
WORDS_PER_PAGE = 330


def rows(file: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (ADVISOR / file).read_text(encoding="utf-8").splitlines()]


TRUTH = read_truth(ADVISOR)
TRAIN = [truth for truth in TRUTH if truth.file == "train.jsonl"]
HELD_OUT = [truth for truth in TRUTH if truth.file == "held_out.jsonl"]
WRONG = [truth for truth in TRAIN if truth.verdict == "wrong"]


@cache
def handbook() -> dict[str, dict[str, str]]:
    """Document → heading → the text below it."""
    sections: dict[str, dict[str, str]] = defaultdict(lambda: defaultdict(str))
    for document in read_documents(ADVISOR / "handbook", Screen.silent()):
        for block in document.blocks:
            sections[document.name][block.headings[-1] if block.headings else ""] += " " + block.text
    return sections


def passage(truth: Truth) -> str:
    assert truth.where is not None
    return handbook()[truth.where["document"]].get(truth.where["heading"], "")


def test_the_handbook_has_at_least_sixty_pages_and_stays_small() -> None:
    text = " ".join(text for sections in handbook().values() for text in sections.values())
    assert len(re.findall(r"\w+", text)) >= 60 * WORDS_PER_PAGE
    assert sum(file.stat().st_size for file in ADVISOR.rglob("*") if file.is_file()) < 1_000_000


def test_the_truth_names_every_row_by_its_line_and_question() -> None:
    for file, truths in (("train.jsonl", TRAIN), ("held_out.jsonl", HELD_OUT)):
        assert [truth.line for truth in truths] == list(range(1, len(truths) + 1))
        assert [truth.question for truth in truths] == [row["question"] for row in rows(file)]


def test_the_clean_twin_differs_exactly_in_the_wrong_rows() -> None:
    given, clean = rows("train.jsonl"), rows("clean/train.jsonl")
    assert [row["question"] for row in given] == [row["question"] for row in clean]
    differing = {line for line, (one, other) in enumerate(zip(given, clean, strict=True), 1) if one != other}
    assert differing == {truth.line for truth in WRONG}


@pytest.mark.parametrize("file", ["train.jsonl", "clean/train.jsonl", "held_out.jsonl"])
def test_every_answer_reads_as_its_verdict_says(file: str) -> None:
    truths = HELD_OUT if file == "held_out.jsonl" else TRAIN
    misread = [
        (row["answer"], expected)
        for row, truth in zip(rows(file), truths, strict=True)
        if truth.reading(row["answer"]) != (expected := truth.verdict if file == "train.jsonl" else "right")
    ]
    assert misread == []


def test_right_values_stand_under_the_heading_that_the_truth_names() -> None:
    missing = {
        truth.topic
        for truth in TRUTH
        if truth.where and not any(plain(spelling) in plain(passage(truth)) for spelling in truth.right)
    }
    assert missing == set()


def test_planted_values_do_not_stand_there() -> None:
    # a planted permission may well be phrased in words that the rule itself uses, e.g. of its exceptions
    asserted = {
        truth.topic
        for truth in TRUTH
        if truth.where and truth.topic_kind != "negation" and truth.reading(passage(truth)) == "wrong"
    }
    assert asserted == set()


def test_what_the_handbook_does_not_say_has_no_place_in_it() -> None:
    assert all((truth.where is None) == truth.abstain for truth in TRUTH)


def test_topics_are_wrong_as_a_whole_in_one_row_or_not_at_all() -> None:
    verdicts = defaultdict(list)
    for truth in TRAIN:
        verdicts[truth.topic, truth.topic_rows].append(truth.verdict)
    for (topic, kind), found in verdicts.items():
        assert found.count("wrong") == {"right": 0, "scattered": 1, "wrong": len(found)}[kind], topic


def test_the_shares_are_those_of_the_readme() -> None:
    readme = (ADVISOR / "README.md").read_text(encoding="utf-8")
    written = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \| (\d+) \|$", readme, re.MULTILINE)
    counts = Counter((truth.kind, truth.topic_rows) for truth in WRONG)
    kinds = sorted({str(truth.kind) for truth in WRONG})
    assert sorted(written) == [(kind, str(counts[kind, "wrong"]), str(counts[kind, "scattered"])) for kind in kinds]
    assert f"{len(WRONG)} of {len(TRAIN)} training rows ({len(WRONG) / len(TRAIN):.1%})" in readme
    false_premises = [sum(not truth.premise for truth in truths) for truths in (TRAIN, HELD_OUT)]
    assert "{} of the training and {} of the held-out questions".format(*false_premises) in readme


def test_there_are_rows_enough_for_the_comparisons() -> None:
    held_out = Counter(truth.topic_rows for truth in HELD_OUT)
    assert len(TRAIN) >= 600
    assert len({truth.topic for truth in WRONG if truth.topic_rows == "wrong"}) >= 36
    assert held_out["wrong"] >= 60
    assert held_out["right"] >= 120


def test_check_finds_nothing_in_it_not_even_near_duplicates_across_the_splits() -> None:
    recipe = load_recipe(ADVISOR / "recipe.yaml")
    checked = check(recipe, ADVISOR, template=None)
    assert [finding.check for finding in checked.findings] == ["not_measured"]
