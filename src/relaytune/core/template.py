"""The one object that turns messages into tokens: in training, evaluation and export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from relaytune.core.errors import ModelError
from relaytune.core.files import sha256_of_text, sha256_of_value
from relaytune.core.records import Example, Message


@dataclass(frozen=True)
class EncodedExample:
    """Token ids of one example. Only `completion_ids`, which end with the end-of-turn token, are supervised.

    `weights` says how much each of them counts in the loss.
    """

    id: str
    prompt_ids: list[int]
    completion_ids: list[int]
    weights: list[float]

    @property
    def ids(self) -> list[int]:
        """Prompt and completion together."""
        return self.prompt_ids + self.completion_ids


class ChatTemplate:
    """A tokenizer with its chat template.

    A completion is tokenized apart from its prompt, so that in training a prompt has exactly the tokens that it has
    when the model is asked. pad and end-of-turn may be one token: nothing here masks by token value.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise ModelError(
                f"{tokenizer.name_or_path} has no chat template; choose an instruction-tuned model", "base_model.name"
            )
        self._tokenizer = tokenizer
        self.special_tokens: tuple[str, ...] = tuple(tokenizer.all_special_tokens)

    @cached_property
    def hash(self) -> str:
        """Changes with the template's text, the special tokens, or any entry of the vocabulary."""
        return sha256_of_value(
            [
                self._tokenizer.chat_template,
                sorted(self.special_tokens),
                sha256_of_text(self._tokenizer.backend_tokenizer.to_str()),
            ]
        )

    @cached_property
    def end_of_turn_id(self) -> int:
        """The token that ends an answer: what the template puts right behind the assistant's text."""
        tail = self._after_content([{"role": "user", "content": "x"}], "y")
        special = set(self._tokenizer.all_special_ids)
        if not tail or tail[0] not in special:
            raise ModelError(
                "the chat template puts no special token behind an answer, so a model could never learn to stop; "
                f"it puts {self._tokenizer.decode(tail)!r}. Choose a base model whose template ends its turns."
            )
        return tail[0]

    def _rendered(self, messages: Sequence[Message], *, ask: bool) -> str:
        from jinja2 import TemplateError

        try:
            text = self._tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=ask)
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in messages)
            raise ModelError(
                f"the base model's chat template refuses messages of the roles {roles}: {error}"
            ) from error
        assert isinstance(text, str)
        return text

    def _after_content(self, messages: Sequence[Message], content: str) -> list[int]:
        prompt = self._rendered(messages, ask=True)
        whole = self._rendered([*messages, {"role": "assistant", "content": content}], ask=False)
        if not whole.startswith(prompt + content):
            raise ModelError(
                "the chat template renders an answered conversation differently from the question before it; "
                "training on it would not teach what is asked later. Choose another base model or template."
            )
        return self.tokenize(whole[len(prompt) + len(content) :])

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text, nothing added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """Text of token ids; special tokens are left out unless asked for."""
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=not special, clean_up_tokenization_spaces=False
        )
        return text

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a conversation up to where the answer begins."""
        return self.tokenize(self._rendered(messages, ask=True))

    def encode(self, example: Example, span: tuple[int, int] = (0, 0), weight_of_span: float = 1.0) -> EncodedExample:
        """Tokens of prompt and completion; those that touch characters `span` of the completion weigh more.

        Raises:
            ModelError: the template renders this conversation differently once it is answered.
        """
        self._after_content(example.messages, example.completion)
        encoding = self._tokenizer(example.completion, add_special_tokens=False, return_offsets_mapping=True)
        begin, end = span
        weights = [
            weight_of_span if first < end and last > begin else 1.0 for first, last in encoding["offset_mapping"]
        ]
        return EncodedExample(
            example.id,
            self.prompt_ids(example.messages),
            [*encoding["input_ids"], self.end_of_turn_id],
            [*weights, 1.0],
        )


def shared_prefix_length(rows: Sequence[list[int]]) -> int:
    """How many tokens all rows begin with, at most one less than the shortest row has."""
    if not rows:
        return 0
    first, last = min(rows), max(rows)
    limit = min(len(row) for row in rows) - 1
    length = 0
    while length < limit and first[length] == last[length]:
        length += 1
    return length
