from __future__ import annotations

import numpy as np
import pytest
import torch

from relaytune.core.encoder import Encoder

pytestmark = pytest.mark.model

TEXTS = ["The fee is 70 EUR.", "Applicants pay seventy euros.", "Our dog sleeps on the sofa.", "word " * 600, "x"]


def test_vectors_are_the_mean_of_the_last_states_however_texts_are_batched() -> None:
    encoder = Encoder.load()
    vectors = encoder.embed(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        tokens = encoder.tokenizer(text, return_tensors="pt", truncation=True, max_length=encoder.max_tokens)
        with torch.no_grad():
            mean = encoder.model(**tokens).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_no_texts_have_no_vectors() -> None:
    assert Encoder.load().embed([]).shape == (0, 384)
