"""A judge that is a model on this machine: the same prompts, answered greedily."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from relaytune.core.asking.calls import Completion, Refusal
from relaytune.core.judging import JudgeChoice
from relaytune.core.records import Message

PROMPTS_AT_ONCE = 32  # answered together; what is kept when a run is killed comes in such portions


def answer_locally(
    judge: JudgeChoice,
    prompts: Sequence[Sequence[Message]],
    device: str,
    on_answer: Callable[[int, Completion | Refusal], None],
    tell: Callable[[str], None],
) -> None:
    """Load the judge and answer prompts; `on_answer` hears the place of each and its answer.

    A prompt that exceeds the model's context, or that holds one of its control tokens, is refused.

    Raises:
        ModelError: the model cannot be had, or is of a kind that cannot be run here.
        MachineError: torch or transformers is not installed.
    """
    from relaytune.core.decoding import decode, stop_ids
    from relaytune.core.model import find_model, load_config, load_model, load_template
    from relaytune.core.sections import BaseModelChoice

    folder = find_model(BaseModelChoice.model_validate({"name": judge.model}), tell)
    model, template = load_model(folder, device).eval(), load_template(folder)
    context_tokens = int(load_config(folder).get("max_position_embeddings", 1 << 30))
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
