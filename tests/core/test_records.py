from __future__ import annotations

from pathlib import Path

import pytest

from relaytune.core.errors import DataError
from relaytune.core.files import write_jsonl
from relaytune.core.records import (
    Example,
    Generation,
    Judgement,
    Message,
    Rating,
    data_hash,
    read_examples,
    read_generations,
    read_judgements,
    read_ratings,
    write_examples,
    write_generations,
    write_judgements,
    write_ratings,
)


def _asks(text: str) -> list[Message]:
    return [{"role": "system", "content": "Sort."}, {"role": "user", "content": text}]


def test_an_examples_id_follows_from_its_content_and_not_from_its_place() -> None:
    first = Example.of(_asks("a"), "low", "train.jsonl:1")
    assert first.id == Example.of(_asks("a"), "low", "other.csv:7").id
    assert first.id != Example.of(_asks("a"), "urgent", "train.jsonl:1").id
    assert first.id != Example.of(_asks("b"), "low", "train.jsonl:1").id


def test_examples_read_back_are_the_examples_written(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    examples = [Example.of(_asks("a\u2028b"), "low", "train.jsonl:1"), Example.of(_asks("ü"), "", "x.csv:2")]
    write_examples(path, examples)
    assert read_examples(path) == examples


def test_generations_read_back_are_the_generations_written(tmp_path: Path) -> None:
    path = tmp_path / "tuned.jsonl"
    generations = [
        Generation("1", tuple(_asks("a")), "low", "stop", 2, {"low": -0.1, "urgent": -2.4}),
        Generation("2", tuple(_asks("b")), "urg", "length", 1),
    ]
    write_generations(path, generations)
    assert read_generations(path) == generations


def test_another_tools_generations_are_read_without_label_probabilities(tmp_path: Path) -> None:
    path = tmp_path / "tuned.jsonl"
    row = {"id": "1", "messages": _asks("a"), "completion": "low", "finish_reason": "stop", "num_tokens": 2}
    write_jsonl(path, [{**row, "model": "theirs"}])
    assert read_generations(path) == [Generation("1", tuple(_asks("a")), "low", "stop", 2)]


def test_a_generation_without_a_needed_field_is_refused_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "tuned.jsonl"
    row = {"id": "1", "messages": _asks("a"), "completion": "low", "finish_reason": "stop", "num_tokens": 2}
    write_jsonl(path, [row, {"id": "2", "messages": _asks("b"), "completion": "low"}])
    with pytest.raises(DataError, match=r"tuned\.jsonl: row 2 lacks finish_reason, num_tokens"):
        read_generations(path)


def test_the_hash_of_data_knows_order_and_content_but_not_files() -> None:
    one, two = Example.of(_asks("a"), "low", "t:1"), Example.of(_asks("b"), "low", "t:2")
    moved = Example.of(_asks("a"), "low", "u:9")
    assert data_hash([one, two]) == data_hash([moved, two])
    assert len({data_hash(rows) for rows in ([one, two], [two, one], [one], [one, one], [])}) == 5


def test_judgements_and_ratings_read_back_are_those_written(tmp_path: Path) -> None:
    judgements = [
        Judgement("1", "j", "tuned", "base", "tie", "ü\u2028"),
        Judgement("1", "j", "base", "tuned", None, "no verdict line"),
    ]
    write_judgements(tmp_path / "judgements.jsonl", judgements)
    assert read_judgements(tmp_path / "judgements.jsonl") == judgements
    ratings = [Rating("1", "j", "base", "tone", 2.0, ""), Rating("1", "j", "tuned", "tone", None, "empty")]
    write_ratings(tmp_path / "ratings.jsonl", ratings)
    assert read_ratings(tmp_path / "ratings.jsonl") == ratings
