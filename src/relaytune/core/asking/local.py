"""A judge that is a model on this machine: the same prompts, answered greedily."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from relaytune.core.asking.calls import Completion, Refusal
from relaytune.core.judging import JudgeChoice
from relaytune.core.records import Message

if TYPE_CHECKING:
    from relaytune.core.template import ChatTemplate

PROMPTS_AT_ONCE = 32  # answered together; what is kept when a run is killed comes in such portions


class LocalJudge:
    """A judge that is loaded when it is first asked, and stays loaded until it is closed."""

    def __init__(self, judge: JudgeChoice, device: str, tell: Callable[[str], None]) -> None:
        """`tell` hears what takes long."""
        self._judge = judge
        self._device = device
        self._tell = tell
        self._loaded: tuple[Any, ChatTemplate, int] | None = None  # model, template, tokens of its context

    def answer(
        self, prompts: Sequence[Sequence[Message]], on_answer: Callable[[int, Completion | Refusal], None]
    ) -> None:
        """Answer prompts; `on_answer` hears the place of each and its answer.

        A prompt that exceeds the model's context, or that holds one of its control tokens, is refused.

        Raises:
            ModelError: the model cannot be had, or is of a kind that cannot be run here.
            MachineError: torch or transformers is not installed.
        """
        if self._loaded is None:
            self._loaded = self._load()
        _answer(self._judge, *self._loaded, prompts, on_answer)

    def close(self) -> None:
        """Give its memory back."""
        if self._loaded is not None:
            import torch

            self._loaded = None
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _load(self) -> tuple[Any, ChatTemplate, int]:
        from relaytune.core.model import find_model, load_config, load_model, load_template
        from relaytune.core.sections import BaseModelChoice

        folder = find_model(BaseModelChoice.model_validate({"name": self._judge.model}), self._tell)
        context_tokens = int(load_config(folder).get("max_position_embeddings", 1 << 30))
        return load_model(folder, self._device).eval(), load_template(folder), context_tokens


def _answer(
    judge: JudgeChoice,
    model: Any,
    template: ChatTemplate,
    context_tokens: int,
    prompts: Sequence[Sequence[Message]],
    on_answer: Callable[[int, Completion | Refusal], None],
) -> None:
    from relaytune.core.decoding import decode, stop_ids

    stop = stop_ids(model, template)
    fitting: list[tuple[int, list[int]]] = []
    for place, messages in enumerate(prompts):
        contents = " ".join(message["content"] for message in messages)
        control = next((token for token in template.special_tokens if token in contents), None)
        ids = template.prompt_ids(messages)
        if control is not None:
            on_answer(place, Refusal(f"holds the judge's control token {control!r}"))
        elif len(ids) + judge.max_tokens > context_tokens:
            on_answer(place, Refusal(f"does not fit the judge's context of {context_tokens:,} tokens"))
        else:
            fitting.append((place, ids))
    for begin in range(0, len(fitting), PROMPTS_AT_ONCE):
        portion = fitting[begin : begin + PROMPTS_AT_ONCE]
        started = time.monotonic()
        rows = decode(model, [ids for _, ids in portion], judge.max_tokens, stop)
        seconds = round((time.monotonic() - started) / len(portion), 3)
        for (place, ids), row in zip(portion, rows, strict=True):
            text = template.decode(row.ids[:-1] if row.stopped else row.ids)
            reason = "stop" if row.stopped else "length"
            on_answer(place, Completion(text, reason, judge.model, len(ids), len(row.ids), seconds))
