from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from relaytune.core.claims import Claim, Passage
from relaytune.core.errors import ModelError
from relaytune.facts.verifying import entailment
from relaytune.facts.verifying.entailment import EntailmentVerifier

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{number}" for number in range(40))]
LABELS = {0: "contradiction", 1: "entailment", 2: "neutral"}
MAX_TOKENS = 128


def save(folder: Path, labels: dict[int, str] = LABELS, kind: Any = BertForSequenceClassification) -> Path:
    """A classifier of random weights that gives very different probabilities, with a tokenizer of forty words."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=MAX_TOKENS, id2label=labels, label2id={label: at for at, label in labels.items()},
        initializer_range=2.0,
    )  # fmt: skip
    kind(config).save_pretrained(folder)
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=MAX_TOKENS,
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("nli"))


def claim(*numbers: int) -> Claim:
    text = words(numbers)
    return Claim(text, "s", "answer", text, "", ("statement",))


def passage(*numbers: int) -> Passage:
    return Passage(words(numbers), "a.md", "line 1", "", words(numbers))


def words(numbers: Sequence[int]) -> str:
    return " ".join(f"w{number}" for number in numbers)


CLAIMS = [claim(at, at + 3) for at in range(12)]
PASSAGES = [[passage(*range(at, at + size)) for size in (2, 5, 9)] for at in range(12)]


def by_definition(verifier: EntailmentVerifier, claim: Claim, passage: Passage) -> dict[str, float]:
    """Probabilities by label, of one pair by itself."""
    encoded = verifier.tokenizer(passage.text, claim.text, return_tensors="pt")
    with torch.no_grad():
        probabilities = verifier.model(**encoded).logits[0].softmax(-1)
    return {label: probabilities[at].item() for at, label in LABELS.items()}


@pytest.mark.parametrize("tokens_at_once", [1, 60, 4096])
def test_verdicts_follow_from_the_models_probabilities_however_pairs_are_batched(
    model: Path, tokens_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entailment, "TOKENS_AT_ONCE", tokens_at_once)
    verifier = EntailmentVerifier.load(str(model))
    seen = set()
    for one, own, verdict in zip(CLAIMS, PASSAGES, verifier.verify(CLAIMS, PASSAGES), strict=True):
        given = [by_definition(verifier, one, passage) for passage in own]
        entailed = max(row["entailment"] for row in given)
        contradicted = max(row["contradiction"] for row in given)
        assert verdict is not None
        if entailed > 0.5 and entailed >= contradicted:
            expected, label = "supported", "entailment"
        elif contradicted > 0.9:
            expected, label = "contradicted", "contradiction"
        else:
            expected, label = "not_found", ""
        assert verdict.support == expected
        if label:
            best = max(range(3), key=lambda at: given[at][label])
            assert [evidence.passage_id for evidence in verdict.evidence] == [own[best].id]
        seen.add(expected)
    assert {"supported", "contradicted"} <= seen


def test_its_name_and_probability_stand_in_the_verdict(model: Path) -> None:
    verifier = EntailmentVerifier.load(str(model))
    (verdict,) = verifier.verify(CLAIMS[:1], PASSAGES[:1])
    assert verdict is not None
    assert verdict.verifier == verifier.name == f"entailment:{model.name}"
    assert "0." in verdict.reason or "1.00" in verdict.reason


def test_a_claim_without_passages_is_not_found_and_others_keep_their_own(model: Path) -> None:
    verifier = EntailmentVerifier.load(str(model))
    alone = verifier.verify(CLAIMS[:2], PASSAGES[:2])
    between = verifier.verify([CLAIMS[0], CLAIMS[5], CLAIMS[1]], [PASSAGES[0], [], PASSAGES[1]])
    assert [between[0], between[2]] == alone
    assert between[1] is not None
    assert between[1].support == "not_found"
    assert verifier.verify([], []) == []


def test_a_claim_too_long_for_the_model_gets_no_verdict_and_is_counted(model: Path) -> None:
    verifier = EntailmentVerifier.load(str(model))
    long = claim(*([1, 2] * 60))
    told = verifier.verify([long, CLAIMS[0]], [PASSAGES[0], PASSAGES[0]])
    assert told[0] is None
    assert told[1] == verifier.verify(CLAIMS[:1], PASSAGES[:1])[0]
    assert verifier.untold == {"the claim is too long for the model": 1}


def test_a_passage_too_long_for_the_model_is_cut_and_the_claim_is_not(model: Path) -> None:
    verifier = EntailmentVerifier.load(str(model))
    long, shortened = passage(*([7] * 500)), passage(*([7] * (MAX_TOKENS - 3 - 2)))
    (verdict,), (same,) = verifier.verify(CLAIMS[:1], [[long]]), verifier.verify(CLAIMS[:1], [[shortened]])
    assert verdict is not None
    assert same is not None
    assert (verdict.support, verdict.reason) == (same.support, same.reason)


@pytest.mark.parametrize("labels", [{0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, {0: "entailment", 1: "not_entailment"}])
def test_a_model_whose_labels_are_not_those_of_entailment_is_refused(tmp_path: Path, labels: dict[int, str]) -> None:
    with pytest.raises(ModelError, match=f"^data.facts.entailment: the labels of .* are {labels[0]}, {labels[1]}"):
        EntailmentVerifier.load(str(save(tmp_path, labels)))


def test_labels_are_found_in_any_order_and_case(tmp_path: Path, model: Path) -> None:
    shouted = save(tmp_path, {at: label.upper() for at, label in LABELS.items()})
    expected = [one and one.support for one in EntailmentVerifier.load(str(model)).verify(CLAIMS, PASSAGES)]
    assert [one and one.support for one in EntailmentVerifier.load(str(shouted)).verify(CLAIMS, PASSAGES)] == expected


def test_a_model_without_the_weights_of_its_classifier_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, kind=BertModel)
    with pytest.raises(ModelError, match=r"^data\.facts\.entailment: .* lacks weights of a classifier"):
        EntailmentVerifier.load(str(folder))


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no \*\.safetensors"):
        EntailmentVerifier.load(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        EntailmentVerifier.load(str(tmp_path))
