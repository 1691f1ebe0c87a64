from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from relaytune.core.encoder import Encoder
from relaytune.core.errors import MachineError

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


def test_other_work_has_as_many_threads_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        Encoder.load().embed(TEXTS)
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_no_texts_have_no_vectors() -> None:
    assert Encoder.load().embed([]).shape == (0, 384)


def test_vectors_are_kept_and_a_file_that_is_damaged_or_of_other_texts_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAYTUNE_CACHE", str(tmp_path))
    encoder, said = Encoder.load(), list[str]()
    vectors = encoder.embed_once(TEXTS[:2], tell=said.append)
    (path,) = (tmp_path / "vectors").iterdir()
    whole = path.read_bytes()
    encoder.embed_once(TEXTS[1:3], tell=said.append)
    (other,) = set((tmp_path / "vectors").iterdir()) - {path}
    assert said == []
    one_bit_off = whole[:-1] + bytes([whole[-1] ^ 1])
    for content in (b"", b"not vectors", whole[:-8], one_bit_off, other.read_bytes()):
        path.write_bytes(content)
        np.testing.assert_array_equal(encoder.embed_once(TEXTS[:2], tell=said.append), vectors)
        assert str(path) in said.pop()
        np.testing.assert_array_equal(encoder.embed_once(TEXTS[:2], tell=said.append), vectors)
        assert said == []


def test_vectors_that_are_kept_are_read_and_not_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAYTUNE_CACHE", str(tmp_path))
    encoder, finished = Encoder.load(), list[int]()
    vectors = encoder.embed_once(TEXTS)
    monkeypatch.setattr(Encoder, "embed", None)
    np.testing.assert_array_equal(encoder.embed_once(TEXTS, finished.append), vectors)
    assert finished == [len(TEXTS)]
    with pytest.raises(TypeError):
        encoder.embed_once(TEXTS[1:])


def test_a_cache_that_cannot_be_written_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAYTUNE_CACHE", str(tmp_path))
    (tmp_path / "vectors").symlink_to("/sys")  # where not even root can make a file
    with pytest.raises(MachineError, match=r"cannot be written \(Permission denied\).*RELAYTUNE_CACHE"):
        Encoder.load().embed_once(TEXTS[:1])
