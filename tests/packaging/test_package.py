from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from finished_run import HANDOFF, TRAINING_FOLDER, build_run, change_json, recipe_values, write_recipe_values
from judged_run import build_judged_run
from relaytune.core.errors import RunError
from relaytune.core.files import sha256_of_file, write_json
from relaytune.core.recipe import load_recipe
from relaytune.core.run_folder import RunFolder
from relaytune.packaging import write_package

FILES = {
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "checksums.sha256",
    "data_hashes.json",
    "environment.json",
    "evaluation.json",
    "recipe.yaml",
    "verdict.json",
    "verdict.md",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("runs") / "tickets").path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> RunFolder:
    """A copy of a finished run that a test may damage."""
    shutil.copytree(finished, tmp_path / "tickets")
    return RunFolder(tmp_path / "tickets")


def _card(run: RunFolder) -> str:
    return (write_package(run) / "README.md").read_text(encoding="utf-8")


def _front_matter(card: str) -> dict[str, Any]:
    loaded = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(loaded, dict)
    return loaded


def _python_blocks(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)\n```", card, flags=re.S)


def test_the_package_holds_the_adapter_and_what_says_what_it_is(run: RunFolder) -> None:
    package = write_package(run)
    assert package == run.package
    assert {path.name for path in package.iterdir()} == FILES
    weights = package / "adapter_model.safetensors"
    assert weights.read_bytes() == (run.path / HANDOFF / "adapter_model.safetensors").read_bytes()
    assert load_recipe(package / "recipe.yaml") == load_recipe(run.recipe)
    assert (package / "verdict.md").read_bytes() == run.verdict_text.read_bytes()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_sha256sum_verifies_every_file_and_sees_an_altered_one(run: RunFolder) -> None:
    package = write_package(run)
    check = ["sha256sum", "--strict", "-c", "checksums.sha256"]
    good = subprocess.run(check, cwd=package, capture_output=True, text=True, check=False)
    assert good.returncode == 0
    assert {line.removesuffix(": OK") for line in good.stdout.splitlines()} == FILES - {"checksums.sha256"}
    with (package / "evaluation.json").open("a") as file:
        file.write(" ")
    assert subprocess.run(check, cwd=package, capture_output=True, check=False).returncode == 1


def test_the_place_of_the_base_model_on_the_training_machine_is_nowhere(run: RunFolder) -> None:
    package = write_package(run)
    config = json.loads((package / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == recipe_values()["base_model"]["name"]
    assert config["r"] == 16
    for path in package.iterdir():
        assert TRAINING_FOLDER.encode() not in path.read_bytes(), path.name
        assert str(run.path).encode() not in path.read_bytes(), path.name


def test_the_verdict_stands_at_the_top_of_the_card(run: RunFolder) -> None:
    card = _card(run)
    assert "**Verdict: iterate. This adapter does not yet meet the rule" in card
    assert "set evaluation.max_new_tokens to 96" in card
    assert card.index("**Verdict: iterate") < card.index("\n## ")
    assert "*tuned contract_pass at least 0.95*: **does not hold** (tuned 149/160" in card


def test_a_discarded_adapter_says_so_before_anything_else(run: RunFolder) -> None:
    change_json(run.verdict, outcome="discard", reason="The best prompt beats it.", next_change="use few_shot")
    body = _card(run).split("---\n", 2)[2].strip()
    verdict = "**Verdict: discard. Do not use this adapter; it is kept as a record.** The best prompt beats it."
    assert body.startswith(f"# tickets\n\n> {verdict}\n")


def test_a_kept_adapter_has_no_next_change(run: RunFolder) -> None:
    change_json(run.verdict, outcome="keep", reason="Every clause holds.", next_change="")
    card = _card(run)
    assert "> **Verdict: keep.** Every clause holds.\n\nA LoRA adapter" in card


def test_a_rule_that_was_changed_after_the_evaluation_is_said_beside_the_verdict(run: RunFolder) -> None:
    assert "changed after the evaluation" not in _card(run)
    change_json(run.verdict, rule_changed_after_evaluation=True)
    card = _card(run)
    assert card.index("**The rule was changed after the evaluation.**") < card.index("\n## ")
    assert "Changed since the first held-out row was answered" in card


def test_an_adapter_that_training_never_improved_is_called_untrained(run: RunFolder) -> None:
    change_json(run.training, best_step=0)
    card = _card(run)
    assert card.index("The adapter is the untrained one") < card.index("\n## ")


def test_the_card_shows_every_contender_with_intervals_cut_off_and_unscored(run: RunFolder) -> None:
    rows = {line.split(" | ")[0].strip("| "): line for line in _card(run).splitlines() if line.startswith("| ")}
    assert rows["label_accuracy"].startswith("| label_accuracy | 74.4% [67.1, 80.5] |")
    assert rows["cut off"] == "| cut off | 11 of 160 | 4 of 160 | 33 of 160 |"
    assert rows["likeliest_label_accuracy"].endswith(", 2 unscored |")


def test_sizes_and_hashes_of_the_data_are_those_of_the_run(run: RunFolder) -> None:
    package = write_package(run)
    hashes = json.loads((package / "data_hashes.json").read_text(encoding="utf-8"))
    assert {name: facts["rows"] for name, facts in hashes.items()} == {"train": 432, "validation": 48, "held_out": 160}
    assert hashes["held_out"]["file_sha256"] == sha256_of_file(run.held_out)
    assert hashes["held_out"]["file_sha256"] in (package / "README.md").read_text(encoding="utf-8")


def test_the_rows_themselves_do_not_leave_the_run(run: RunFolder) -> None:
    package = write_package(run)
    assert not [path.name for path in package.iterdir() if b"#1000 " in path.read_bytes()]


def test_the_card_says_the_exact_messages_and_the_contract(run: RunFolder) -> None:
    card = _card(run)
    assert f"```text\n{recipe_values()['task']['instruction']}\n```" in card
    assert "```text\n{ticket}\n```" in card
    assert '"minLength": 1' in card
    namespace: dict[str, Any] = {}
    messages = re.search(r"^messages = \[.*?^\]", _python_blocks(card)[1], flags=re.S | re.M)
    assert messages is not None
    exec(messages.group(), namespace)  # the code of our own card
    assert namespace["messages"] == [
        {"role": "system", "content": recipe_values()["task"]["instruction"]},
        {"role": "user", "content": "{ticket}"},
    ]


def test_an_instruction_cannot_break_out_of_its_block(run: RunFolder) -> None:
    values = recipe_values()
    values["task"]["instruction"] = '```\n# Verdict: keep\n\n\n\n```` """ \\ "quoted" {ticket}'
    write_recipe_values(run, values)
    card = _card(run)
    assert f"`````text\n{values['task']['instruction']}\n`````" in card
    for block in re.findall(r"^(`{3,})python\n(.*?)\n\1$", card, flags=re.S | re.M):
        compile(block[1], "card", "exec")


@pytest.mark.parametrize(
    ("contract", "metric", "shown"),
    [
        ({"labels": ["yes", "no"]}, "label_accuracy", "```text\nyes\nno\n```"),
        ({"regex": "[0-9]+"}, "exact_match", "```text\n[0-9]+\n```"),
        ({"number": {"after": "####"}}, "numeric_match", "The answer gives a number: the one behind `####`."),
        ({"free_text": "Polite."}, "contract_pass", "```text\nPolite.\n```"),
    ],
)
def test_every_kind_of_contract_is_said(run: RunFolder, contract: dict[str, Any], metric: str, shown: str) -> None:
    values = {**recipe_values(), "contract": contract, "decision": {"keep_when": [f"tuned {metric} at least 0.9"]}}
    write_recipe_values(run, values)
    assert shown in _card(run)


@pytest.mark.parametrize(
    ("base_model", "lines"),
    [
        (
            {"name": "owner/model", "revision": "abc123"},
            ['base = AutoModelForCausalLM.from_pretrained("owner/model", revision="abc123", dtype="float32")'],
        ),
        (
            {"name": "./models/base"},
            [
                'folder = Path("./models/base").expanduser()',
                'base = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")',
            ],
        ),
        (
            {"name": "~/models/base.Q8.gguf"},
            [
                'folder = Path("~/models").expanduser()',
                'base = AutoModelForCausalLM.from_pretrained(folder, gguf_file="base.Q8.gguf", dtype="float32")',
            ],
        ),
        (
            {"name": "package:some_model/files/base.gguf"},
            [
                'folder = find_spec("some_model").submodule_search_locations[0] + "/files"',
                'base = AutoModelForCausalLM.from_pretrained(folder, gguf_file="base.gguf", dtype="float32")',
            ],
        ),
    ],
)
def test_the_base_model_is_loaded_the_way_it_is_named(
    run: RunFolder, base_model: dict[str, str], lines: list[str]
) -> None:
    write_recipe_values(run, {**recipe_values(), "base_model": base_model})
    loading, asking = _python_blocks(_card(run))
    assert [line for line in loading.splitlines() if line.startswith(("folder", "base"))] == lines
    assert 'model = PeftModel.from_pretrained(base, ".")' in loading
    compile(f"{loading}\n{asking}", "card", "exec")


def test_only_a_hub_id_is_given_to_hubs_as_base_model(run: RunFolder) -> None:
    front = _front_matter(_card(run))
    assert front["library_name"] == "peft"
    assert "base_model" not in front  # a hub refuses a card whose base_model it does not know
    write_recipe_values(run, {**recipe_values(), "base_model": {"name": "owner/model"}})
    assert _front_matter(_card(run))["base_model"] == "owner/model"


def test_a_card_of_a_judged_adapter_says_who_judged_and_what_was_forgotten(tmp_path: Path) -> None:
    package = write_package(build_judged_run(tmp_path / "shop"))
    assert {path.name for path in package.iterdir()} == FILES | {"judgements.jsonl", "ratings.jsonl"}
    card = (package / "README.md").read_text(encoding="utf-8")
    assert card.index("smollm3-judge is of the family of the base model") < card.index("\n## ")
    assert "- qwen3-32b, tuned against few_shot: 22 won, 19 tied, 28 lost; difference -9 points (-29 to +13)" in card
    assert "- smollm3-judge, tuned against few_shot: no verdict: consistency 0.14 is below 0.6" in card
    assert "rouge_l, sentence_bleu: fidelity to references written by gemini-1.0-pro, not quality." in card
    assert "- general_right: tuned 27/40 (68%, 52-80%) against base 33/40" in card
    assert "- 11 of 72 held-out rows repeat the prompt of another" in card
    assert "| mean length in tokens | 26.3 | 22.6 | 51.1 | not known |" in card


def test_the_card_samples_where_the_evaluation_did(run: RunFolder) -> None:
    assert "max_new_tokens=48, do_sample=False" in _card(run)
    values = recipe_values()
    values["evaluation"] |= {"temperature": 0.7, "top_p": 0.9}
    write_recipe_values(run, values)
    assert "do_sample=True, temperature=0.7, top_p=0.9, top_k=0" in _card(run)


def _without_weights(run: RunFolder) -> None:
    (run.path / HANDOFF / "adapter_model.safetensors").unlink()


def _without_handoff(run: RunFolder) -> None:
    shutil.rmtree(run.adapter)


def _without_session(run: RunFolder) -> None:
    shutil.rmtree(run.sessions)
    run.training.unlink()


def _without_evaluation_and_verdict(run: RunFolder) -> None:
    run.evaluation.unlink()
    run.verdict.unlink()


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_without_weights, ["adapter_model.safetensors", "relaytune train"]),
        (_without_handoff, [HANDOFF, "adapter_config.json", "adapter_model.safetensors"]),
        (_without_session, ["training.json", "environment.json"]),
        (_without_evaluation_and_verdict, ["evaluation.json", "verdict.json", "relaytune decide"]),
    ],
)
def test_what_is_missing_is_named_all_at_once(
    run: RunFolder, damage: Callable[[RunFolder], None], named: list[str]
) -> None:
    damage(run)
    with pytest.raises(RunError) as raised:
        write_package(run)
    assert all(name in str(raised.value) for name in named)
    assert not run.package.exists()


def test_an_adapter_that_was_not_the_one_evaluated_is_refused(run: RunFolder) -> None:
    with (run.path / HANDOFF / "adapter_model.safetensors").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(RunError, match="the evaluation is of"):
        write_package(run)


def test_a_package_that_cannot_be_made_leaves_the_old_one_whole(run: RunFolder) -> None:
    before = {path.name: path.read_bytes() for path in write_package(run).iterdir()}
    # an adapter configuration that is damaged is found only after the first files have been copied
    (run.path / HANDOFF / "adapter_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(Exception, match=r"adapter_config\.json"):
        write_package(run)
    assert {path.name: path.read_bytes() for path in run.package.iterdir()} == before
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def test_a_new_package_takes_the_place_of_the_old_one(run: RunFolder) -> None:
    (write_package(run) / "left_over.txt").write_text("x")
    write_json(run.session(1) / "environment.json", {"libraries": {}})
    package = write_package(run)
    assert {path.name for path in package.iterdir()} == FILES
    assert json.loads((package / "environment.json").read_text(encoding="utf-8")) == {"libraries": {}}
