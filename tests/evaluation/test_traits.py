from __future__ import annotations

import pytest

from relaytune.core.records import Generation
from relaytune.evaluation.traits import (
    length_in_characters,
    length_in_tokens,
    loops,
    repetition,
    stopped,
)


def test_an_answer_that_was_cut_off_did_not_stop() -> None:
    ended = Generation("1", (), "four", "stop", 2)
    assert (stopped(ended), length_in_tokens(ended), length_in_characters(ended)) == ((1, ""), (2, ""), (4, ""))
    assert stopped(Generation("1", (), "four and", "length", 64)) == (0, "cut off after 64 tokens")


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("one two three four five six", 0),
        ("a b c d a b c d", 1 / 5),  # abcd bcda cdab dabc abcd
        ("no no no no no no no", 3 / 4),
        ("A b, c D! a B, c d!", 3 / 9),  # a b , c d ! a b , c d !
    ],
)
def test_repetition_is_the_share_of_four_grams_seen_before(text: str, share: float) -> None:
    value, reason = repetition(text)
    assert value == pytest.approx(share)
    assert reason == ""


def test_repetition_of_a_very_short_answer_is_unscored() -> None:
    for text in ("", "yes it is", "yes, it"):
        assert repetition(text) == (None, "fewer than 4 words")


@pytest.mark.parametrize(
    "text",
    [
        "It depends. " + "The answer is the capital of France. " * 3,
        "The answer is " + "the capital of " * 8 + "the cap",
        "0." + "0" * 80,
        "Steps:\n" + "- Mix the flour\n- Add the milk\n" * 4,
    ],
)
def test_an_answer_that_ends_in_a_loop_is_seen(text: str) -> None:
    value, reason = loops(text)
    assert value == 1
    assert reason.startswith("ends with")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no, no, no",
        "ha ha ha ha ha ha!",
        "The answer is the capital of France. " * 2,
        "The same sentence stands here twice or more. " * 4 + "But it goes on to something else.",
        "1. Mix the flour.\n2. Add the milk.\n3. Bake it.",
    ],
)
def test_an_answer_that_does_not_end_in_a_loop_is_left_alone(text: str) -> None:
    assert loops(text) == (0, "")
