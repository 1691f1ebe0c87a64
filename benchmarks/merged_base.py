"""A tuned model as a base model: the adapter merged into the weights, in a folder that a recipe can name."""

from __future__ import annotations

from pathlib import Path

from peft import PeftModel
from transformers import AutoTokenizer

from relaytune.core.model import load_model
from relaytune.pipeline import Job


def save_merged(job: Job, folder: Path) -> None:
    """Write the run's tuned model, tokenizer and template into a folder that is there."""
    merged = PeftModel.from_pretrained(load_model(job.model, "cpu"), job.run.adapter).merge_and_unload()
    merged.save_pretrained(folder)
    AutoTokenizer.from_pretrained(job.model.path).save_pretrained(folder)
