from __future__ import annotations

from collections import Counter

import pytest

from relaytune.core.errors import DataError
from relaytune.core.records import Example, Message
from relaytune.data.splitting import split_validation


def example(text: str, answer: str) -> Example:
    return Example.of([Message(role="user", content=text)], answer, f"{text}:{answer}")


def label_of(example: Example) -> str | None:
    return example.completion


def rows(**counts: int) -> list[Example]:
    return [example(f"{label} {n}", label) for label, count in counts.items() for n in range(count)]


def test_labels_keep_their_shares_and_every_row_is_on_one_side() -> None:
    examples = rows(a=60, b=30, c=10)
    train, validation = split_validation(examples, 0.2, 0, label_of)
    assert Counter(e.completion for e in validation) == {"a": 12, "b": 6, "c": 2}
    assert sorted(e.id for e in train + validation) == sorted(e.id for e in examples)


def test_shares_that_are_no_whole_numbers_still_sum_to_the_fraction() -> None:
    _, validation = split_validation(rows(a=14, b=14, c=12), 0.1, 0, label_of)
    assert len(validation) == 4


def test_both_sides_keep_the_original_order() -> None:
    examples = rows(a=40)
    for side in split_validation(examples, 0.3, 1, label_of):
        places = [examples.index(each) for each in side]
        assert places == sorted(places)


def test_the_split_depends_on_the_rows_and_the_seed_but_not_on_the_order_of_the_rows() -> None:
    examples = rows(a=40, b=40)
    first = split_validation(examples, 0.2, 7, label_of)
    assert split_validation(examples, 0.2, 7, label_of) == first
    backwards = split_validation(examples[::-1], 0.2, 7, label_of)
    assert {e.id for e in backwards[1]} == {e.id for e in first[1]}
    assert split_validation(examples, 0.2, 8, label_of) != first


def test_rows_with_the_same_input_stay_on_one_side() -> None:
    examples = [example(f"text {n % 20}", f"answer {n % 3}") for n in range(100)]
    for seed in range(10):
        train, validation = split_validation(examples, 0.2, seed, lambda _: None)
        assert validation
        assert not {e.messages[0]["content"] for e in train} & {e.messages[0]["content"] for e in validation}


def test_a_label_with_a_single_row_is_always_trained_on() -> None:
    examples = rows(a=9, rare=1)
    for seed in range(20):
        train, validation = split_validation(examples, 0.45, seed, label_of)
        assert "rare" in {e.completion for e in train}
        assert validation


@pytest.mark.parametrize("count", [2, 3])
def test_each_side_gets_at_least_one_row(count: int) -> None:
    examples = [example(str(n), str(n)) for n in range(count)]
    train, validation = split_validation(examples, 0.01, 0, label_of)
    assert (len(train), len(validation)) == (count - 1, 1)


def test_rows_with_one_input_only_cannot_be_split() -> None:
    with pytest.raises(DataError, match="1 different inputs among 2"):
        split_validation([example("x", "a"), example("x", "b")], 0.1, 0, label_of)
