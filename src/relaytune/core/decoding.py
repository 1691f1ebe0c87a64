"""Decoding of many prompts that share a prefix: greedy, or sampled.

The prefix runs once. Prompts are prefilled packed, without padding. A row that finishes leaves the batch at once
(the last row moves into its place), and waiting prompts take the free places. Shapes as in core/attention.py;
N is the number of rows in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from relaytune.core.attention import Packing, attend_causally, attend_packed, joint_attention
from relaytune.core.counts import LOGIT_POSITIONS_AT_ONCE, answers_at_once
from relaytune.core.template import ChatTemplate, shared_prefix_length

PREFILL_TOKENS_AT_ONCE = 8192  # of prompts read in one pass
BRANCH_TOKENS_AT_ONCE = 64  # of labels scored side by side, for each prompt


@dataclass
class Decoded:
    """Tokens generated for one prompt (with the stop token, if it came), and label log-probabilities, in nats."""

    ids: list[int] = field(default_factory=list)
    stopped: bool = False
    label_log_probs: list[float] | None = None


@dataclass(frozen=True)
class Continuations:
    """Label texts as tokens: `head` is common to all, `tails` (each at least one token) are compared."""

    head: list[int]
    tails: list[list[int]]


@dataclass(frozen=True)
class Sampling:
    """Tokens drawn at random, from the smallest set of tokens whose probabilities sum to `top_p` or more (nucleus
    sampling, Holtzman et al. 2020, arXiv 1904.09751, 3.1).

    The random number of a token is made of the seed, the prompt's name and the place in the answer, so it does not hang
    on what else is in the batch.
    """

    temperature: float  # above 0
    top_p: float  # above 0, at most 1
    seed: int

    def draw(self, logits_NV: Tensor, rows: Sequence[tuple[str, int]]) -> list[int]:
        """One token for each row, which is (name of the prompt, place in the answer)."""
        probs_NV = (logits_NV.double() / self.temperature).softmax(-1)
        if self.top_p < 1:
            sorted_NV, order_NV = probs_NV.sort(dim=-1, descending=True, stable=True)
            outside_NV = sorted_NV.cumsum(-1) - sorted_NV >= self.top_p
            probs_NV = probs_NV.masked_fill(outside_NV.gather(-1, order_NV.argsort(-1)), 0)
        # in the vocabulary's order, so that a last bit of the logits moves a boundary by no more than a last bit
        sums_NV = probs_NV.cumsum(-1)
        random_N = torch.tensor([self._uniform(*row) for row in rows], dtype=torch.double, device=logits_NV.device)
        tokens_N1 = torch.searchsorted(sums_NV, (random_N * sums_NV[:, -1])[:, None], right=True)
        return tokens_N1[:, 0].tolist()

    def _uniform(self, name: str, place: int) -> float:
        """In [0, 1)."""
        digest = blake2b(f"{self.seed} {place} {name}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest) >> 11) / (1 << 53)


class _PrefixLayout:
    """The prefix alone; keeps its keys and values."""

    def __init__(self) -> None:
        self.kept: list[tuple[Tensor, Tensor]] = []

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        assert layer == len(self.kept)
        self.kept.append((key[0].contiguous(), value[0].contiguous()))
        return attend_causally(query[0], key[0], value[0]).unsqueeze(0)


def known_prefix(model: Any, ids: list[int]) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of a prefix, (K, P, D) a layer; P may be 0."""
    weight = model.get_output_embeddings().weight
    if not ids:
        config = model.config
        D = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        empty = weight.new_zeros(config.num_key_value_heads, 0, D)
        return [(empty, empty)] * config.num_hidden_layers
    layout = _PrefixLayout()
    ids_1P = torch.tensor([ids], device=weight.device)
    positions_1P = torch.arange(len(ids), device=weight.device)[None]
    model.get_decoder()(input_ids=ids_1P, position_ids=positions_1P, use_cache=False, layout=layout)
    return layout.kept


class _Rows:
    """Own keys and values of the rows in the batch, (rows, K, S, D) a layer, filled from the front."""

    def __init__(self, model: Any, prefix: list[tuple[Tensor, Tensor]], num_rows: int, num_tokens: int) -> None:
        weight = next(model.parameters())
        K, _, D = prefix[0][0].shape
        shape = (num_rows, K, num_tokens, D)
        self.prefix = prefix
        self.keys = [torch.zeros(shape, dtype=weight.dtype, device=weight.device) for _ in prefix]
        self.values = [torch.zeros(shape, dtype=weight.dtype, device=weight.device) for _ in prefix]
        self.lengths = torch.zeros(num_rows, dtype=torch.long, device=weight.device)

    def move(self, source: int, target: int) -> None:
        """Copy one row over another."""
        for tensor in (*self.keys, *self.values, self.lengths):
            tensor[target] = tensor[source]


@dataclass(frozen=True)
class _PrefillLayout:
    """Packed prompts without their prefix, whose keys and values are known; fills rows from `first` on."""

    rows: _Rows
    packing: Packing
    first: int

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        B, L = len(self.packing.lengths), max(self.packing.lengths)
        for store, new in ((self.rows.keys, key), (self.rows.values, value)):
            store[layer][self.first : self.first + B, :, :L] = self.packing.pad(new[0]).transpose(0, 1)
        return attend_packed(self.packing, query[0], key[0], value[0], self.rows.prefix[layer]).unsqueeze(0)


class _ExtendLayout:
    """L more tokens of the rows `begin:end`, behind what each already holds: branches that do not see each other."""

    def __init__(self, rows: _Rows, begin: int, end: int, branch_lengths: Sequence[int]) -> None:
        self._rows = rows
        self._span = slice(begin, end)
        lengths = rows.lengths[begin:end]
        device, num_new = lengths.device, sum(branch_lengths)
        branch_L = torch.tensor([b for b, n in enumerate(branch_lengths) for _ in range(n)], device=device)
        depth_L = torch.tensor([place for n in branch_lengths for place in range(n)], device=device)
        self.positions_NL = lengths[:, None] + depth_L
        self._slots_NL = lengths[:, None] + torch.arange(num_new, device=device)
        self._row_N1 = torch.arange(begin, end, device=device)[:, None]
        self._size = int(lengths.max()) + num_new
        place_NS = torch.arange(self._size, device=device) - lengths[:, None]  # among the new tokens
        own_LL = ((branch_L[:, None] == branch_L) & (depth_L[:, None] >= depth_L)).to(device)
        own_NLS = own_LL[:, place_NS.clamp(0, num_new - 1)].transpose(0, 1) & (place_NS < num_new)[:, None]
        seen_NLS = torch.where((place_NS < 0)[:, None], True, own_NLS)
        dtype = rows.keys[0].dtype
        bias_NLS = torch.zeros(seen_NLS.shape, dtype=dtype, device=lengths.device).masked_fill(~seen_NLS, float("-inf"))
        self._bias = bias_NLS[:, None, None]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        N, H, L, D = query.shape
        K = key.shape[1]
        for store, new in ((self._rows.keys, key), (self._rows.values, value)):
            store[layer][self._row_N1, :, self._slots_NL] = new.transpose(1, 2)
        out = joint_attention(
            query.view(N, K, H // K, L, D).transpose(0, 1),
            self._rows.keys[layer][self._span, :, : self._size],
            self._rows.values[layer][self._span, :, : self._size],
            self._rows.prefix[layer],
            self._bias,
        )
        return out.transpose(0, 1).reshape(N, H, L, D).transpose(1, 2)


@torch.no_grad()
def decode(
    model: Any,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    stop_ids: frozenset[int],
    labels: Continuations | None = None,
    on_finished: Callable[[int], None] = lambda _: None,
    sampling: Sampling | None = None,
    names: Sequence[str] = (),
) -> list[Decoded]:
    """Answers to prompts (token ids), in their order.

    Args:
        model: a causal language model with our attention.
        prompts: token ids; each at least 2.
        max_new_tokens: where an answer is cut.
        stop_ids: an answer ends with any of these.
        labels: if given, their log-probabilities right behind each prompt are returned too.
        on_finished: hears how many prompts are done.
        sampling: how tokens are drawn; None takes the likeliest (greedy).
        names: of the prompts, for sampling alone, e.g. the examples' ids.
    """
    return _Decoder(model, prompts, max_new_tokens, stop_ids, labels, on_finished, sampling, names).run()


def _rows_at_once(prefix: Sequence[tuple[Tensor, Tensor]], num_tokens: int) -> int:
    """Rows whose own keys and values, so many tokens each, fit beside what the device holds already."""
    key = prefix[0][0]
    on_gpu = key.device.type == "cuda"
    free_bytes = torch.cuda.mem_get_info(key.device)[0] if on_gpu else 0
    K, _, D = key.shape
    return answers_at_once(on_gpu, free_bytes, 2 * len(prefix) * K * D * num_tokens * key.element_size())


class _Decoder:
    def __init__(
        self,
        model: Any,
        prompts: Sequence[list[int]],
        max_new_tokens: int,
        stop_ids: frozenset[int],
        labels: Continuations | None,
        on_finished: Callable[[int], None],
        sampling: Sampling | None,
        names: Sequence[str],
    ) -> None:
        self._decoder = model.get_decoder()
        self._head_VC = model.get_output_embeddings().weight
        self._device = self._head_VC.device
        self._max_new_tokens = max_new_tokens
        self._stop_ids = stop_ids
        self._labels = labels
        self._on_finished = on_finished
        self._sampling = sampling
        self._names = names
        self._P = shared_prefix_length(prompts)
        self._own = [list(prompt[self._P :]) for prompt in prompts]
        self._results = [Decoded() for _ in prompts]
        # longest first: the cache is sized once, and late small rows fill the gaps
        self._waiting = sorted(range(len(prompts)), key=lambda index: len(self._own[index]))
        self._active: list[int] = []  # prompt index of each row in the batch
        room = max_new_tokens
        if labels is not None:
            longest_branch = max(len(tail) - 1 for tail in labels.tails)
            room = max(room, len(labels.head) + max(longest_branch, BRANCH_TOKENS_AT_ONCE))
        longest = max((len(own) for own in self._own), default=0)
        if prompts:
            prefix = known_prefix(model, list(prompts[0][: self._P]))
            num_rows = min(_rows_at_once(prefix, longest + room), len(prompts))
            self._rows = _Rows(model, prefix, num_rows, longest + room)

    def run(self) -> list[Decoded]:
        while self._waiting or self._active:
            # refill in groups: a prefill of many prompts costs little more than of one
            if len(self._active) <= len(self._rows.lengths) // 2:
                while self._waiting and len(self._active) < len(self._rows.lengths):
                    self._prefill()
            self._step()
            self._on_finished(len(self._results) - len(self._waiting) - len(self._active))
        return self._results

    def _hidden(self, ids: Any, positions: Any, layout: Any) -> Tensor:
        """(N, L, C) last hidden states."""
        ids_NL = torch.as_tensor(ids, device=self._device)
        positions_NL = torch.as_tensor(positions, device=self._device)
        hidden: Tensor = self._decoder(
            input_ids=ids_NL, position_ids=positions_NL, use_cache=False, layout=layout
        ).last_hidden_state
        return hidden

    def _extend(self, begin: int, ids_NL: list[list[int]], branch_lengths: Sequence[int] | None = None) -> Tensor:
        """Hidden states of more tokens behind the rows from `begin` on; lengths stay as they are."""
        layout = _ExtendLayout(self._rows, begin, begin + len(ids_NL), branch_lengths or [len(ids_NL[0])])
        return self._hidden(ids_NL, self._P + layout.positions_NL, layout)

    def _prefill(self) -> None:
        first = len(self._active)
        group: list[int] = []
        num_tokens = 0
        while self._waiting and first + len(group) < len(self._rows.lengths):
            num_tokens += len(self._own[self._waiting[-1]])
            if group and num_tokens > PREFILL_TOKENS_AT_ONCE:
                break
            group.append(self._waiting.pop())
        lengths = [len(self._own[index]) for index in group]
        ids = [token for index in group for token in self._own[index]]
        positions = [self._P + place for length in lengths for place in range(length)]
        layout = _PrefillLayout(self._rows, Packing.of(lengths, self._device), first)
        hidden_TC = self._hidden([ids], [positions], layout)[0]
        last_NC = hidden_TC[torch.tensor(lengths, device=self._device).cumsum(0) - 1]
        self._rows.lengths[first : first + len(group)] = torch.tensor(lengths, device=self._device)
        self._active += group
        if self._labels is not None:
            self._score_labels(first, group, last_NC, self._labels)
        self._take(first, last_NC)

    def _score_labels(self, first: int, group: list[int], last_NC: Tensor, labels: Continuations) -> None:
        lengths = self._rows.lengths[first : first + len(group)]
        if labels.head:
            last_NC = self._extend(first, [labels.head] * len(group))[:, -1]
            lengths += len(labels.head)
        start_NV = torch.nn.functional.linear(last_NC, self._head_VC).float().log_softmax(-1)
        totals = start_NV[:, [tail[0] for tail in labels.tails]]
        for together in _side_by_side(labels.tails):
            tails = [labels.tails[label] for label in together]
            ids = [token for tail in tails for token in tail[:-1]]
            owners = [label for label, tail in zip(together, tails, strict=True) for _ in tail[:-1]]
            targets = torch.tensor([token for tail in tails for token in tail[1:]], device=self._device)
            hidden_NLC = self._extend(first, [ids] * len(group), [len(tail) - 1 for tail in tails])
            log_probs = self._log_probs(hidden_NLC.flatten(0, 1), targets.repeat(len(group))).view(len(group), -1)
            totals.index_add_(1, torch.tensor(owners, device=self._device), log_probs)
        lengths -= len(labels.head)
        for index, row in zip(group, totals.tolist(), strict=True):
            self._results[index].label_log_probs = row

    def _log_probs(self, hidden_MC: Tensor, targets_M: Tensor) -> Tensor:
        """(M,) log-probabilities of the targets, in float32."""
        parts = []
        for begin in range(0, len(targets_M), LOGIT_POSITIONS_AT_ONCE):
            chunk = slice(begin, begin + LOGIT_POSITIONS_AT_ONCE)
            logits = torch.nn.functional.linear(hidden_MC[chunk], self._head_VC).float()
            parts.append(-torch.nn.functional.cross_entropy(logits, targets_M[chunk], reduction="none"))
        return torch.cat(parts)

    def _step(self) -> None:
        if self._active:
            last_tokens = [[self._results[index].ids[-1]] for index in self._active]
            hidden_NC = self._extend(0, last_tokens)[:, 0]
            self._rows.lengths[: len(self._active)] += 1
            self._take(0, hidden_NC)

    def _take(self, first: int, hidden_NC: Tensor) -> None:
        """Give each row from `first` on its next token; finished rows leave the batch."""
        logits_NV = torch.nn.functional.linear(hidden_NC, self._head_VC)
        if self._sampling is None:
            tokens = logits_NV.argmax(-1).tolist()
        else:
            rows = [(self._names[index], len(self._results[index].ids)) for index in self._active[first:]]
            tokens = self._sampling.draw(logits_NV, rows)
        for index, token in zip(self._active[first:], tokens, strict=True):
            result = self._results[index]
            result.ids.append(token)
            result.stopped = token in self._stop_ids
        for row in reversed(range(first, len(self._active))):
            result = self._results[self._active[row]]
            if result.stopped or len(result.ids) >= self._max_new_tokens:
                last = len(self._active) - 1
                if row != last:
                    self._rows.move(last, row)
                    self._active[row] = self._active[last]
                self._active.pop()


def _side_by_side(tails: Sequence[list[int]]) -> Iterator[list[int]]:
    """Groups of labels (by index) whose tokens behind the first fit into one pass; labels of one token need none."""
    group: list[int] = []
    tokens = 0
    for label, tail in enumerate(tails):
        more = len(tail) - 1
        if group and tokens + more > BRANCH_TOKENS_AT_ONCE:
            yield group
            group, tokens = [], 0
        if more:
            group.append(label)
            tokens += more
    if group:
        yield group


def stop_ids(model: Any, template: ChatTemplate) -> frozenset[int]:
    """Tokens that end an answer: the template's end of turn, and what the model's own configuration names."""
    own = model.generation_config.eos_token_id
    return frozenset({template.end_of_turn_id, *(own if isinstance(own, list) else [own] if own is not None else [])})
