"""From a finished run to a folder that holds the adapter and everything that says what it is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from relaytune.core.audit import AuditResult
from relaytune.core.errors import RunError
from relaytune.core.files import folder_replaced, read_json, sha256_of_file, write_json, write_text
from relaytune.core.recipe import Recipe, load_recipe
from relaytune.core.records import data_hash, read_examples
from relaytune.core.results import EvaluationResult, TrainingResult, Verdict, read_result
from relaytune.core.run_folder import ADAPTER_WEIGHTS, Provenance, RunFolder
from relaytune.packaging.card import SplitFacts, model_card

ADAPTER_CONFIG = "adapter_config.json"
CHECKSUMS = "checksums.sha256"


def write_package(run: RunFolder) -> Path:
    """Write `package/`: adapter, card, recipe, evaluation, judgements, verdict, environment, hashes. Returns its path.

    The folder is filled beside its place and then renamed, so that it is never there by half.

    Raises:
        RunError: the run is not finished, or its evaluation is of another adapter than the one of its session.
        DataError: a file of the run is damaged.
        MachineError: the disk is full, or the folder cannot be written.
    """
    _refuse_unfinished(run)
    recipe = load_recipe(run.recipe)
    training = read_result(run.training, TrainingResult)
    adapter = _evaluated_adapter(run)
    evaluation, verdict = read_result(run.evaluation, EvaluationResult), read_result(run.verdict, Verdict)
    data = _data_facts(run)
    copied = {
        adapter / ADAPTER_WEIGHTS: ADAPTER_WEIGHTS,
        run.recipe: "recipe.yaml",
        run.evaluation: "evaluation.json",
        run.verdict: "verdict.json",
        run.verdict_text: "verdict.md",
        run.last_session / "environment.json": "environment.json",
    }
    audited = read_result(run.audit_result, AuditResult) if recipe.data.facts else None
    copied |= {path: path.name for path in (run.judgements, run.ratings) if path.is_file()}
    if audited:
        copied[run.audit_result] = "audit.json"
    with folder_replaced(run.package) as new:
        for source, name in copied.items():
            shutil.copyfile(source, new / name)
        write_json(new / ADAPTER_CONFIG, _portable_config(read_json(adapter / ADAPTER_CONFIG), recipe))
        write_json(new / "data_hashes.json", {name: asdict(facts) for name, facts in data.items()})
        write_text(new / "README.md", model_card(recipe, training, evaluation, verdict, data, audited))
        sums = [f"{sha256_of_file(path)}  {path.name}\n" for path in sorted(new.iterdir())]
        write_text(new / CHECKSUMS, "".join(sums))
    return run.package


def _refuse_unfinished(run: RunFolder) -> None:
    needed = {
        run.recipe: "run",
        run.train: "check",
        run.validation: "check",
        run.held_out: "check",
        run.training: "train",
        run.last_session / "environment.json": "train",
        run.provenance("tuned"): "evaluate",
        run.evaluation: "evaluate",
        run.verdict: "decide",
        run.verdict_text: "decide",
    }
    missing = [f"{path} (made by `relaytune {command}`)" for path, command in needed.items() if not path.is_file()]
    if missing:
        raise RunError(
            "the run is not finished, so there is nothing to package yet. Missing:\n  " + "\n  ".join(missing)
        )


def _evaluated_adapter(run: RunFolder) -> Path:
    """The adapter that training kept, if it is whole and the one whose answers were evaluated."""
    adapter = run.adapter
    missing = [str(adapter / name) for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS) if not (adapter / name).is_file()]
    if missing:
        raise RunError(
            f"{run.training} is there, but these are missing:\n  "
            + "\n  ".join(missing)
            + "\nCopy the adapter back into the run folder, or run `relaytune train` again."
        )
    evaluated = read_result(run.provenance("tuned"), Provenance).inputs.get("adapter")
    found = sha256_of_file(adapter / ADAPTER_WEIGHTS)
    if evaluated != found:
        raise RunError(
            f"{adapter / ADAPTER_WEIGHTS}: its sha256 is {found}, but the evaluation is of {evaluated}. The verdict "
            "would be about another adapter. Run `relaytune evaluate` and `relaytune decide` again."
        )
    return adapter


def _portable_config(config: Mapping[str, object], recipe: Recipe) -> dict[str, object]:
    """PEFT's settings without the place where the base model lay on the training machine."""
    choice = recipe.base_model
    return {**config, "base_model_name_or_path": choice.name, "revision": choice.revision}


def _data_facts(run: RunFolder) -> dict[str, SplitFacts]:
    facts = {}
    for name, path in (("train", run.train), ("validation", run.validation), ("held_out", run.held_out)):
        examples = read_examples(path)
        facts[name] = SplitFacts(len(examples), sha256_of_file(path), data_hash(examples))
    return facts
