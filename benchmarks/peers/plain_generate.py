"""The peer for generation: transformers' `generate`, greedy, in padded batches of prompts of like length.

python plain_generate.py job.json result.json

job.json holds model (folder), prompts (a list of message lists), batch_size, max_new_tokens, threads, device (cpu where
not given, or cuda) and precision (float32 where not given, or bfloat16).
result.json holds seconds (from messages to texts; loading the model is not counted, nor is a first prompt on a GPU,
which loads the kernels), completions in the order of the prompts, num_tokens (generated ones, the end-of-turn tokens
included, padding not), peak_mib (of the whole process, or of the tensors on the GPU) and versions.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

# before huggingface_hub and tokenizers are imported
os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    """Answer the job's prompts and write what was measured."""
    job: dict[str, Any] = {"precision": "float32", "device": "cpu"} | json.loads(
        Path(sys.argv[1]).read_text(encoding="utf-8")
    )
    torch.set_num_threads(job["threads"])
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[job["precision"]]
    tokenizer = AutoTokenizer.from_pretrained(job["model"], padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype).eval().to(job["device"])
    if job["device"] == "cuda":
        generate(model, tokenizer, job["prompts"][:1], 1, 2)

    begun = time.perf_counter()
    answers = generate(model, tokenizer, job["prompts"], job["batch_size"], job["max_new_tokens"])
    completions = tokenizer.batch_decode(answers, skip_special_tokens=True)
    seconds = time.perf_counter() - begun
    result = {
        "seconds": seconds,
        "completions": completions,
        "num_tokens": sum(map(len, answers)),
        "peak_mib": peak_mib(job["device"]),
        "versions": {name: version(name) for name in ("transformers", "torch")},
    }
    Path(sys.argv[2]).write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def peak_mib(device: str) -> float:
    """Of the whole process; on a GPU of the tensors there."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def generate(model: Any, tokenizer: Any, prompts: list[Any], batch_size: int, max_new_tokens: int) -> list[list[int]]:
    """Token ids of each answer, its end-of-turn token included, in the order of the prompts."""
    texts = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=False)
    rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
    # longest first: a batch that does not fit into memory fails at once
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
    answers: list[list[int]] = [[] for _ in rows]
    for begin in range(0, len(order), batch_size):
        batch = order[begin : begin + batch_size]
        inputs = tokenizer.pad({"input_ids": [rows[index] for index in batch]}, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=max_new_tokens,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        for index, ids in zip(batch, output[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            ends = ids.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in ids else len(ids)
            answers[index] = ids[:ends]
    return answers


if __name__ == "__main__":
    main()
