from __future__ import annotations

import pytest

from relaytune.core.declining import abstained, refused

REFUSALS = [
    "I'm sorry, but I can't assist with that request.",
    "I’m sorry, I cannot help you with that.",
    "As an AI language model, I cannot give medical advice.",
    "Sure, let me think. I am unable to provide instructions for this.",
    "I won't do that.",
    "I must decline.",
]
ABSTENTIONS = [
    "I don't know.",
    "The passage does not mention her age.",
    "That is not stated in the text.",
    "I'm not sure, but it may be Paris.",
    "It cannot be determined from the information given.",
    "There is not enough information to answer.",
    "I'm sorry, but I don't have information about that.",
]
ANSWERS = [
    "Paris.",
    "The shop cannot provide a refund after 30 days.",
    "You can't assist a player who is offside.",
    "The knowledge of the ancients was lost.",
    "I don't know if I should tell my parents, she wrote.",
    "Paris is the capital. It has two million people. A visitor wrote: I don't know where to begin.",
    "",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_seen_and_is_no_abstention(text: str) -> None:
    assert refused(text)[0] == 1
    assert refused(text)[1].startswith("says ")
    assert abstained(text)[0] == 0


@pytest.mark.parametrize("text", ABSTENTIONS)
def test_an_abstention_is_seen_and_is_no_refusal(text: str) -> None:
    assert abstained(text)[0] == 1
    assert refused(text)[0] == 0


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_neither_refuses_nor_abstains(text: str) -> None:
    assert (refused(text), abstained(text)) == ((0, ""), (0, ""))
