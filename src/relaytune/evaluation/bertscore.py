"""BERTScore (Zhang et al. 2020, arXiv 1904.09675): how well the words of an answer and of a reference match in meaning.

Each token of one text is matched to the most similar token of the other, by the cosine of their hidden states in one
layer of an encoder. The value depends on encoder and layer, so both stand in the score's name, and values are
comparable only under one name. None is rescaled with a baseline: they are not on the scale of published tables, which
mostly come from roberta-large, layer 17.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from relaytune.core.encoder import DEFAULT_ENCODER
from relaytune.core.encoder import Encoder as TextEncoder
from relaytune.core.errors import ModelError

DEFAULT_LAYER = 6  # of the default encoder; benchmarks/bertscore_layer.py

TOKENS_AT_ONCE = 8192  # padding included


@dataclass(frozen=True)
class Encoder:
    """A model whose hidden states are compared. `name` and `layer` (counted from 1) stand in the score's name."""

    name: str
    layer: int
    model: Any
    tokenizer: Any
    max_tokens: int

    @staticmethod
    def load(
        name: str = DEFAULT_ENCODER,
        layer: int | None = None,
        device: str = "cpu",
        tell: Callable[[str], None] = lambda _: None,
    ) -> Encoder:
        """An encoder (or a causal model), named as base models are: hub id, folder, GGUF file or `package:module/path`.

        Raises:
            ModelError: it cannot be found or loaded, the layer is not said or does not exist, or the default
                encoder's package does not hold the weights that it should.
            MachineError: torch or transformers is not installed.
        """
        loaded = TextEncoder.load(name, device, tell)
        num_layers = loaded.model.config.num_hidden_layers
        layer = DEFAULT_LAYER if layer is None and name == DEFAULT_ENCODER else layer
        if layer is None or not 1 <= layer <= num_layers:
            raise ModelError(
                f"say which layer of {name!r} counts, 1 to {num_layers}"
                + (f"; found {layer}" if layer is not None else "")
                + ". Published figures use layer 17 of roberta-large; benchmarks/bertscore_layer.py chooses one.",
                "evaluation.bertscore_layer",
            )
        return Encoder(loaded.name, layer, loaded.model, loaded.tokenizer, loaded.max_tokens)

    def score_name(self, part: str = "f1") -> str:
        """Such as `bertscore_f1[all-MiniLM-L6-v2,layer 6]`; `part` is precision, recall or f1."""
        return f"bertscore_{part}[{self.name},layer {self.layer}]"


@dataclass(frozen=True)
class BertScore:
    """Of one answer, -1 to 1, in practice far above 0.

    Precision: how well the answer's tokens are found in the reference; recall: the reference's in the answer; f1: their
    harmonic mean. `cut`: one of the texts was longer than the encoder reads, and its end does not count.
    """

    precision: float
    recall: float
    f1: float
    cut: bool


@dataclass(frozen=True)
class _Text:
    states_TC: Tensor  # of length 1
    counts_T: Tensor  # 0 at the tokens that the tokenizer adds, which may be matched but do not count
    cut: bool


def bertscore(
    encoder: Encoder,
    references: Sequence[str],
    answers: Sequence[str],
    on_finished: Callable[[int], None] = lambda _: None,
) -> list[BertScore | None]:
    """BERTScore of each answer, without weights by rarity (idf), as the package bert-score computes it by default.

    An answer without tokens scores 0; a reference without tokens leaves its item unscored (None). `on_finished` hears
    how many items are done.
    """
    pairs = list(zip(references, answers, strict=True))
    if not pairs:
        return []
    tokens = encoder.tokenizer([text.strip() for pair in pairs for text in pair], verbose=False)["input_ids"]
    lengths = [min(encoder.max_tokens, max(len(tokens[2 * at]), len(tokens[2 * at + 1]))) for at in range(len(pairs))]
    scores: list[BertScore | None] = [None] * len(pairs)
    done = 0
    for batch in _batches(sorted(range(len(pairs)), key=lengths.__getitem__), lengths):
        encoded = _encode(encoder, [text for at in batch for text in pairs[at]])
        for place, at in enumerate(batch):
            scores[at] = _match(encoded[2 * place], encoded[2 * place + 1])
        done += len(batch)
        on_finished(done)
    return scores


def _match(reference: _Text, answer: _Text) -> BertScore | None:
    """Greedy matching (Zhang et al. 2020, section 3)."""
    cut = reference.cut or answer.cut
    if not reference.counts_T.any():
        return None
    if not answer.counts_T.any():
        return BertScore(0.0, 0.0, 0.0, cut)
    similarity = answer.states_TC @ reference.states_TC.T
    precision = (similarity.amax(1) * answer.counts_T).sum() / answer.counts_T.sum()
    recall = (similarity.amax(0) * reference.counts_T).sum() / reference.counts_T.sum()
    f1 = 2 * precision * recall / (precision + recall)
    return BertScore(precision.item(), recall.item(), f1.item(), cut)


@torch.no_grad()
def _encode(encoder: Encoder, texts: Sequence[str]) -> list[_Text]:
    tokenizer, model = encoder.tokenizer, encoder.model
    stripped = [text.strip() for text in texts]
    whole = tokenizer(stripped, verbose=False)["input_ids"]
    kept = tokenizer(stripped, truncation=True, max_length=encoder.max_tokens)["input_ids"]
    # a causal tokenizer may add nothing to an empty text; the padding that it then holds is never looked at
    longest = max(1, *map(len, kept))
    ids_NT = torch.tensor([[*ids, *[tokenizer.pad_token_id] * (longest - len(ids))] for ids in kept])
    mask_NT = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in kept])
    hidden_NTC = model(
        input_ids=ids_NT.to(model.device), attention_mask=mask_NT.to(model.device), output_hidden_states=True
    ).hidden_states[encoder.layer]
    states_NTC = torch.nn.functional.normalize(hidden_NTC, dim=-1)
    added = {getattr(tokenizer, f"{name}_token_id", None) for name in ("cls", "sep", "bos", "eos")}
    return [
        _Text(
            states_TC[: len(ids)],
            torch.tensor([float(token not in added) for token in ids], device=model.device),
            len(all_ids) > len(ids),
        )
        for ids, all_ids, states_TC in zip(kept, whole, states_NTC, strict=True)
    ]


def _batches(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Pairs, in order of their lengths, that hold at most `TOKENS_AT_ONCE` tokens when padded to the longest."""
    batch: list[int] = []
    for at in order:
        if batch and 2 * (len(batch) + 1) * lengths[at] > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch
