from __future__ import annotations

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from relaytune.core.errors import ModelError
from relaytune.core.records import Example, Message
from relaytune.core.template import ChatTemplate

_NO_SYSTEM_MESSAGE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ message['role'] + ' : ' + message['content'] + ' <end> ' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'assistant : ' }}{% endif %}"
)


def _template(text: str | None) -> ChatTemplate:
    words = {word: number for number, word in enumerate(["<unk>", "<end>", "user", "assistant", ":", "hello"])}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="<unk>")), unk_token="<unk>", eos_token="<end>"
    )
    tokenizer.chat_template = text
    return ChatTemplate(tokenizer)


def test_a_template_that_refuses_a_system_message_says_so() -> None:
    template = _template(_NO_SYSTEM_MESSAGE)
    question: Message = {"role": "user", "content": "hello"}
    assert template.prompt_ids([question])
    with pytest.raises(ModelError, match="refuses messages of the roles system, user: System role not supported"):
        template.prompt_ids([{"role": "system", "content": "hello"}, question])


def test_a_base_model_without_a_chat_template_is_refused() -> None:
    with pytest.raises(
        ModelError, match=r"^base_model\.name: .*has no chat template; choose an instruction-tuned model"
    ):
        _template(None)


def test_only_the_tokens_that_touch_the_span_weigh_more() -> None:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({"<unk>": 0, "<end>": 1}, unk_token="<unk>")), eos_token="<end>"
    )
    tokenizer.backend_tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['content'] + ' <end> ' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '' }}{% endif %}"
    )
    example = Example.of([{"role": "user", "content": "is it?"}], "it is very high today", "here")
    encoded = ChatTemplate(tokenizer).encode(example, (6, 15), 20.0)
    assert encoded.weights == [1, 1, 20, 20, 1, 1]  # the last one ends the turn
    assert ChatTemplate(tokenizer).encode(example).weights == [1] * 6
