from __future__ import annotations

import math

import pytest

from relaytune.core.records import Generation
from relaytune.evaluation.perplexity import reference_nats_per_token, reference_perplexity


def _answer(log_prob: float | None, tokens: int | None) -> Generation:
    return Generation("1", (), "text", "stop", 3, reference_log_prob=log_prob, reference_tokens=tokens)


def test_perplexity_weighs_every_token_alike() -> None:
    answers = [_answer(math.log(1 / 8), 3), _answer(math.log(1 / 2), 1), _answer(None, None)]
    assert reference_nats_per_token(answers[0])[0] == pytest.approx(math.log(2))
    assert reference_perplexity(answers) == pytest.approx(2)
    assert reference_perplexity([_answer(math.log(1 / 81), 2), _answer(0.0, 2)]) == pytest.approx(3)


@pytest.mark.parametrize("saved", [(None, None), (-3.0, None), (-3.0, 0), (None, 4), (-math.inf, 4), (math.nan, 4)])
def test_without_a_usable_probability_the_reference_is_unscored(saved: tuple[float | None, int | None]) -> None:
    value, reason = reference_nats_per_token(_answer(*saved))
    assert value is None
    assert "probability of the reference" in reason
    assert reference_perplexity([_answer(*saved)]) is None
