"""The peer for training speed: TRL's SFTTrainer on a CPU, with the settings that are best for it there.

python trl_sft.py job.json result.json

job.json holds
    model               folder of the base model
    rows                [{"messages": [...], "completion": "..."}] in training order, one pass
    examples_per_step, micro_batch, num_steps
    lora                {"rank", "alpha", "target_modules"}
    learning_rate, schedule, warmup_steps, weight_decay, max_grad_norm
    precision           float32, bfloat16_products (float32 weights and sums, products in bfloat16) or
                        bfloat16 (TRL's own bf16, the frozen weights in bfloat16 too, the adapter in float32)
    head                trl (where not given): as shipped; supervised: see `score_supervised_positions_only`
    seed, initial_adapter (folder or null), threads
result.json holds step_seconds (everything between two optimizer steps), losses (nats per supervised token of the
step), peak_rss_mib (of the whole process) and versions.

What was tried for TRL 1.16.0 with transformers 5.23.0, torch 2.13.0, SmolLM2-135M, rows of about 260 tokens, AMX, on
one shared core (differences below a quarter may be noise):
    micro_batch         of 16 a step: 8 and 4 alike, 16 a third slower and 13.8 GiB against 7.7 and 4.7
    gradient_checkpointing   off: on is TRL's default and recomputes every activation
    loss                TRL's fused head cannot be turned off. Without Triton it scores all positions, not only
                        the supervised ones: about a third of the step, hence `head: supervised`
    padding_free        works on a CPU (SDPA with a dense mask, like losses) and is slower: the mask makes attention
                        quadratic in the tokens of the whole micro-batch, and padding is a few per cent here
    packing             out: bfd chooses which rows share a step, wrapped cuts rows in the middle
    group_by_length, batch_rebalance   out: both shuffle, and the loss curves could not be compared; instead the rows
                        of one step are sorted by length, which leaves the step's update as it is
    torch_compile       out: more than two minutes to compile, then no faster
    attn_implementation sdpa (the default); eager was no faster, flash attention has no CPU kernel
    bf16                on float32 weights it casts them in every step and is slower than on bfloat16 weights; after
                        the first steps its loss lies above that of float32, that of bfloat16_products does not
    optimizer           fused AdamW: the same update as adamw_torch, in one pass over the weights
    use_liger_kernel, Hub kernels   out: Triton, or a download
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

# before datasets, huggingface_hub and tokenizers are imported
os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")

import datasets
import torch
import trl
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback

from relaytune.core.sections import Training
from relaytune.training.schedule import learning_rate

Job = dict[str, Any]


class Record(TrainerCallback):  # type: ignore[misc]
    """When each optimizer step ended, and its loss."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.losses: list[float] = []

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """The first step begins: loading its rows counts."""
        self.ends.append(time.perf_counter())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """The optimizer has stepped."""
        self.ends.append(time.perf_counter())

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        """TRL logs a loss a step, and a summary without one at the end."""
        if "loss" in logs:
            self.losses.append(logs["loss"])


def main() -> None:
    """Train as the job says and write what was measured."""
    job: Job = {"head": "trl"} | json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    refuse_wrong_counts(job)
    torch.set_num_threads(job["threads"])
    if job["precision"] == "bfloat16_products":
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    if job["head"] == "supervised":
        score_supervised_positions_only()

    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    record = Record()
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(job, tokenizer, record, folder)
        trainer.train()
    result = {
        "step_seconds": [end - begin for begin, end in zip(record.ends, record.ends[1:], strict=False)],
        "losses": record.losses,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "versions": {
            name: version(name) for name in ("trl", "transformers", "peft", "accelerate", "datasets", "torch")
        },
    }
    assert len(record.losses) == len(record.ends) - 1 == job["num_steps"], "a step or its loss was not seen"
    Path(sys.argv[2]).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def refuse_wrong_counts(job: Job) -> None:
    """The rows are exactly those of the steps (the last step may be shorter), and micro-batches fill a step."""
    rows, steps, per_step = len(job["rows"]), job["num_steps"], job["examples_per_step"]
    if not (steps - 1) * per_step < rows <= steps * per_step:
        raise SystemExit(f"{rows} rows do not make {steps} steps of {per_step}")
    if per_step % job["micro_batch"]:
        raise SystemExit(f"micro_batch {job['micro_batch']} does not divide examples_per_step {per_step}")
    if job["precision"] not in ("float32", "bfloat16_products", "bfloat16"):
        raise SystemExit(f"precision {job['precision']!r}: float32, bfloat16_products or bfloat16")
    if job["head"] not in ("trl", "supervised"):
        raise SystemExit(f"head {job['head']!r}: trl or supervised")


def score_supervised_positions_only() -> None:
    """Let TRL's fused head skip the unsupervised positions, as it does where Triton runs.

    A change to TRL, not a setting of it: it shows how much of a difference to the peer is this one thing.
    """
    import trl.trainer.utils

    trl.trainer.utils._use_triton = lambda _device: True


def make_trainer(job: Job, tokenizer: Any, record: Record, folder: str) -> Any:
    """TRL's trainer on encoded rows."""
    model = load_model(job)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        weights,
        lr=job["learning_rate"],
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=job["weight_decay"],
        fused=True,
    )
    training = Training.model_validate({key: job[key] for key in ("learning_rate", "schedule", "warmup_steps")})
    # transformers' own warm-up begins at a rate of 0; the same schedule makes the loss curves comparable
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate(step, job["num_steps"], training) / training.learning_rate
    )
    settings = trl.SFTConfig(
        output_dir=folder,
        use_cpu=True,
        bf16=job["precision"] == "bfloat16",
        per_device_train_batch_size=job["micro_batch"],
        gradient_accumulation_steps=job["examples_per_step"] // job["micro_batch"],
        max_steps=job["num_steps"],
        max_grad_norm=job["max_grad_norm"],
        max_length=None,
        train_sampling_strategy="sequential",
        gradient_checkpointing=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        seed=job["seed"],
    )
    trainer = trl.SFTTrainer(
        model=model,
        args=settings,
        train_dataset=datasets.Dataset.from_list(encode(job, tokenizer)),
        processing_class=tokenizer,
        callbacks=[record],
        optimizers=(optimizer, scheduler),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def load_model(job: Job) -> Any:
    """The base model with the given adapter, or with a new one that is made of the seed."""
    dtype = torch.bfloat16 if job["precision"] == "bfloat16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype)
    if job["initial_adapter"]:
        return PeftModel.from_pretrained(model, job["initial_adapter"], is_trainable=True)
    torch.manual_seed(job["seed"])
    lora = job["lora"]
    return get_peft_model(
        model,
        LoraConfig(
            r=lora["rank"], lora_alpha=lora["alpha"], target_modules=lora["target_modules"], task_type="CAUSAL_LM"
        ),
    )


def encode(job: Job, tokenizer: Any) -> list[dict[str, list[int]]]:
    """Tokens and labels of all rows, each step's rows longest first.

    TRL would also supervise what the template puts behind the end-of-turn token, so it is given tokens.
    """
    encoded = []
    for row in job["rows"]:
        prompt = tokenizer.apply_chat_template(row["messages"], add_generation_prompt=True, tokenize=False)
        answered = tokenizer.apply_chat_template(
            [*row["messages"], {"role": "assistant", "content": row["completion"]}], tokenize=False
        )
        if not answered.startswith(prompt + row["completion"] + tokenizer.eos_token):
            raise SystemExit("the chat template does not end an answer with the tokenizer's end-of-sequence token")
        prompt_ids = tokenizer.encode(prompt, add_special_tokens=False)
        completion_ids = [
            *tokenizer.encode(row["completion"], add_special_tokens=False),
            tokenizer.eos_token_id,
        ]
        encoded.append({"input_ids": prompt_ids + completion_ids, "labels": [-100] * len(prompt_ids) + completion_ids})
    steps = [
        encoded[begin : begin + job["examples_per_step"]] for begin in range(0, len(encoded), job["examples_per_step"])
    ]
    return [row for step in steps for row in sorted(step, key=lambda row: -len(row["input_ids"]))]


if __name__ == "__main__":
    main()
