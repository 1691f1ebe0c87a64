"""The peer for generation on a GPU: vLLM, greedy, all prompts at once.

python vllm_generate.py job.json result.json

job.json holds model (folder), prompts (a list of message lists), max_new_tokens, threads, device (cpu, which needs
vLLM's build for CPUs, or cuda) and precision (float32 where not given, or bfloat16).
result.json holds seconds (from messages to texts; neither loading nor a first prompt is counted), completions in the
order of the prompts, num_tokens (generated ones, the end-of-turn tokens included) and versions. Memory is not told:
vLLM takes a share of the card beforehand, whatever it needs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

# before they are imported
os.environ.update(HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_LOGGING_LEVEL="ERROR")

from vllm import LLM, SamplingParams


def main() -> None:
    """Answer the job's prompts and write what was measured."""
    job: dict[str, Any] = {"precision": "float32"} | json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if job["device"] == "cpu":
        os.environ["OMP_NUM_THREADS"] = str(job["threads"])
    model = LLM(model=job["model"], dtype=job["precision"], max_model_len=2048, gpu_memory_utilization=0.5)
    greedy = SamplingParams(temperature=0, max_tokens=job["max_new_tokens"])
    model.chat(job["prompts"][:1], greedy, use_tqdm=False)

    begun = time.perf_counter()
    answers = [output.outputs[0] for output in model.chat(job["prompts"], greedy, use_tqdm=False)]
    result = {
        "seconds": time.perf_counter() - begun,
        "completions": [answer.text for answer in answers],
        "num_tokens": sum(len(answer.token_ids) for answer in answers),
        "versions": {name: version(name) for name in ("transformers", "torch")},
    }
    Path(sys.argv[2]).write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
