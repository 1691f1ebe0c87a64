"""The model card: what a stranger must know before using the adapter, the verdict first."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from relaytune.audit_text import gate_sentence, rate_sentence
from relaytune.core.audit import AuditResult
from relaytune.core.counts import counted
from relaytune.core.recipe import Recipe
from relaytune.core.results import Estimate, EvaluationResult, TrainingResult, Verdict
from relaytune.corroboration import corroboration_lines, wrong_claim_lines
from relaytune.evidence import say_comparison, say_overlap
from relaytune.packaging.loading import asking_lines, base_model_code, loading_lines
from relaytune.testimony import say_win_loss


@dataclass(frozen=True)
class SplitFacts:
    """Size and hashes of one frozen split; `data_hash` is of its rows, wherever they stood."""

    rows: int
    file_sha256: str
    data_hash: str


def model_card(
    recipe: Recipe,
    training: TrainingResult,
    evaluation: EvaluationResult,
    verdict: Verdict,
    data: Mapping[str, SplitFacts],
    audited: AuditResult | None = None,
) -> str:
    """README.md in Markdown, with the front matter that model hubs read."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("relaytune.packaging", "."),
        autoescape=False,  # Markdown, not HTML; a text from data stands in a fence, or on one line
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({"counted": counted, "flat": _flat, "fenced": _fenced, "estimate": _estimate})
    base = base_model_code(recipe.base_model)
    text = environment.get_template("card.md.j2").render(
        recipe=recipe,
        training=training,
        evaluation=evaluation,
        verdict=verdict,
        data=data,
        front_matter=_front_matter(recipe),
        schema=json.dumps(recipe.contract.json_schema, indent=2, ensure_ascii=False),
        base=base,
        loading=loading_lines(recipe),
        asking=asking_lines(recipe),
        settings=_settings(recipe, training),
        stamps=evaluation.judging.stamps if evaluation.judging else (),
        overlaps=[name for name, metric in evaluation.metrics.items() if metric.group == "overlap"],
        overlap=say_overlap(recipe.data.generator),
        judged=_judged(evaluation),
        corroboration=list(corroboration_lines(evaluation)) if evaluation.facts else [],
        wrong_claims=list(wrong_claim_lines(evaluation)),
        audited=_audited(recipe, audited),
        forgotten=[
            f"{row.metric}: {say_comparison(evaluation, row)}"
            for row in evaluation.comparisons
            if evaluation.metrics[row.metric].group == "forgetting" and row.num_pairs
        ],
    )
    return text.strip() + "\n"


def _judged(evaluation: EvaluationResult) -> list[str]:
    """A line for each judge and pair: the verdict, or why there is none."""
    summaries = evaluation.judging.summaries if evaluation.judging else ()
    return [
        f"{said.judge}, {said.contender} against {said.other}: "
        + (f"no verdict: {said.refused}" if said.refused else say_win_loss(said.result))
        for said in summaries
    ]


def _audited(recipe: Recipe, audited: AuditResult | None) -> list[str]:
    """What the audit found in the training answers, and what became of it."""
    if audited is None or recipe.data.facts is None:
        return []
    return [rate_sentence(audited), gate_sentence(recipe.data.facts, audited.gate), *audited.stamps]


def _front_matter(recipe: Recipe) -> str:
    values: dict[str, Any] = {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "relaytune"],
    }
    name = recipe.base_model.name
    if recipe.base_model.is_hub_id:
        return yaml.safe_dump({"base_model": name, **values}, sort_keys=False, allow_unicode=True).strip()
    # a hub refuses a card whose base_model is not a hub id
    note = f"# base_model is not on a hub: {_flat(name)}\n"
    return note + yaml.safe_dump(values, sort_keys=False).strip()


def _settings(recipe: Recipe, training: TrainingResult) -> dict[str, str]:
    chosen = recipe.training
    return {
        "LoRA": f"rank {recipe.lora.rank}, alpha {recipe.lora.alpha:g}, on {', '.join(recipe.lora.target_modules)}",
        "learning rate": f"{chosen.learning_rate:g}, {chosen.schedule}, {chosen.warmup_steps} steps of warm-up",
        "batch": f"{chosen.examples_per_step} examples per step",
        "weight decay, gradient norm": f"{chosen.weight_decay:g}, at most {chosen.max_grad_norm:g}",
        "epochs planned": f"{chosen.num_epochs:g}",
        "steps": f"{training.num_steps} of {training.planned_steps}"
        + (f", {training.num_effective_steps} effective" if training.num_skipped_steps else "")
        + (", stopped early" if training.stopped_early else ""),
        "adapter kept": f"after step {training.best_step}, validation loss "
        f"{training.first_validation_loss:.3f} → {training.best_validation_loss:.3f}",
        "seen": f"{training.num_examples} examples, {training.num_tokens} tokens, "
        f"{training.num_supervised_tokens} of them supervised",
        "precision, device": f"{training.precision}, {training.device}",
        "time": f"{training.wall_seconds:.0f} s",
        "seed": str(chosen.seed),
    }


def _flat(text: str) -> str:
    """A text on one line that cannot break out of a table cell or a quote."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _fenced(text: str, language: str = "text") -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _estimate(estimate: Estimate | None) -> str:
    """A share in percent or a mean as it is, its interval, and what is unscored."""
    if estimate is None or estimate.value is None:
        return "not scored"
    mean, low, high = estimate.right is None, estimate.low, estimate.high
    value = f"{estimate.value:.3g}" if mean else f"{100 * estimate.value:.1f}%"
    interval = ""
    if low is not None and high is not None:
        interval = f" [{low:.3g}, {high:.3g}]" if mean else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{value}{interval}" + (f", {estimate.unscored} unscored" if estimate.unscored else "")
