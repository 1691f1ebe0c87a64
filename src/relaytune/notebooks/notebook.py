"""Writing a notebook: the cells of session.cells.j2, filled in for one session of one run."""

from __future__ import annotations

import base64
import gzip
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relaytune.core.errors import DataError
from relaytune.core.files import sha256_of_bytes, write_json, write_text
from relaytune.core.model import package_of
from relaytune.core.recipe import Recipe, dump_recipe
from relaytune.core.run_folder import relaytune_version
from relaytune.core.stores import store_kind
from relaytune.notebooks.platforms import DRIVE, FILES, LIMITS, METADATA, Platform, on_drive, survives

EMBEDDED_BYTES = 1_000_000  # compressed rows up to here travel in the notebook itself
USER = "YOUR-KAGGLE-NAME"
KERNEL_METADATA = "kernel-metadata.json"
TITLE_LENGTH = 50  # Kaggle's limit
_CELL = re.compile(r"^# %% (?P<id>[a-z-]+)(?P<markdown> \[markdown\])?\n", re.MULTILINE)


@dataclass(frozen=True)
class NextSession:
    """Where the run stands, and the command that asked for the notebook."""

    number: int
    stands: str  # one or two sentences
    command: str


@dataclass(frozen=True)
class Notebook:
    """The files that were written."""

    session: int
    path: Path
    kernel_metadata: Path | None  # Kaggle only


@dataclass(frozen=True)
class _Rows:
    """One data file: its name in the notebook's working folder, its name here, and its content."""

    name: str
    attached: str
    content: bytes

    @property
    def sha256(self) -> str:
        return sha256_of_bytes(self.content)

    @property
    def compressed(self) -> bytes:
        return gzip.compress(self.content, mtime=0)  # no clock in the notebook's bytes

    @property
    def lines(self) -> str:
        return "\n".join(textwrap.wrap(base64.b64encode(self.compressed).decode("ascii"), 120))


def write_notebook(
    folder: Path,
    recipe: Recipe,
    data: Path,
    session: NextSession,
    platform: Platform,
    carried: Sequence[Path] = (),
) -> Notebook:
    """Write the next session into a folder. The same run gives the same bytes.

    Args:
        folder: gets the notebook, and for Kaggle the metadata that `kaggle kernels push` reads.
        recipe: as resolved; its `session.store` is set.
        data: the folder that the recipe's data files are relative to.
        session: where the run stands.
        platform: where the notebook runs.
        carried: files that go along, relative to the run folder, which is the folder above `folder`.

    Raises:
        DataError: a data file cannot be read.
        MachineError: the folder cannot be written.
    """
    slug = _slug(recipe.name, session.number)
    path = folder / f"{recipe.name}-session-{session.number:02d}.ipynb"
    rows = tuple(_read(data / getattr(recipe.data, split), split) for split in ("train", "held_out"))
    run = f"runs/{recipe.name}"
    along = tuple(_Rows(f"{run}/{file}", file.name, (folder.parent / file).read_bytes()) for file in carried)
    # the text of a notebook is ASCII: Kaggle's client reads it in whatever encoding its machine has
    write_text(path, json.dumps(_notebook(recipe, rows, along, session, platform, slug), indent=1) + "\n")
    metadata = folder / KERNEL_METADATA
    if platform is Platform.KAGGLE:
        write_json(metadata, _kernel_metadata(recipe.name, slug, path.name))
        return Notebook(session.number, path, metadata)
    metadata.unlink(missing_ok=True)  # it would push this notebook, which is not for Kaggle
    return Notebook(session.number, path, None)


def _notebook(
    recipe: Recipe,
    rows: tuple[_Rows, ...],
    along: tuple[_Rows, ...],
    session: NextSession,
    platform: Platform,
    slug: str,
) -> dict[str, Any]:
    assert recipe.session.store is not None
    store = store_kind(recipe.session.store)
    train, held_out = rows
    files = recipe.data.model_copy(update={"train": train.name, "held_out": held_out.name})
    filled = _filled(
        {
            "name": recipe.name,
            "session": session,
            "platform": platform.value,
            "version": relaytune_version(),
            "requirement": f"relaytune[{','.join(dict.fromkeys(('train', store.extra)))}]",
            "packages": [store.package],
            "model_packages": _model_packages(recipe),
            "store_url": recipe.session.store,
            "needed": store.secrets,
            "optional": [*store.optional_secrets, *_hub_token(recipe, store.secrets)],
            "drive": DRIVE if on_drive(recipe.session.store, platform) else "",
            "survives": survives(recipe.session.store, platform),
            "limit": recipe.session.limit or LIMITS[platform],
            "save_every": recipe.session.save_every,
            "data": FILES[platform],
            "rows": (*rows, *along),
            "embedded": sum(len(file.compressed) for file in (*rows, *along)) <= EMBEDDED_BYTES,
            "recipe": dump_recipe(recipe.model_copy(update={"data": files})),
            "slug": slug,
            "user": USER,
            "dataset": _dataset(recipe.name),
        }
    )
    return {
        "cells": filled,
        "metadata": {
            **METADATA[platform],
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _filled(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The template's cells. It is cut before it is filled in, so that no value can begin a cell."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("relaytune.notebooks", "."),
        autoescape=False,  # Python and Markdown, not HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({"literal": _literal, "flat": _flat})
    assert environment.loader is not None
    text, _, _ = environment.loader.get_source(environment, "session.cells.j2")
    marks = list(_CELL.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    cells = []
    for mark, end in zip(marks, ends, strict=True):
        source = environment.from_string(text[mark.end() : end]).render(values).strip()
        if not source:
            continue  # a cell that this session has no need of
        cell: dict[str, Any] = {
            "cell_type": "markdown",
            "id": mark["id"],
            "metadata": {},
            "source": source.splitlines(keepends=True),
        }
        if not mark["markdown"]:
            cell |= {"cell_type": "code", "execution_count": None, "outputs": []}
        cells.append(cell)
    return cells


def _kernel_metadata(name: str, slug: str, file: str) -> dict[str, Any]:
    return {
        "id": f"{USER}/{slug}",
        "title": slug.replace("-", " "),  # Kaggle makes the slug from it
        "code_file": file,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": True,
        "enable_tpu": False,
        "enable_internet": True,
        "machine_shape": "NvidiaTeslaT4",  # two of them; the image's torch has no kernels for a P100
        "dataset_sources": [f"{USER}/{_dataset(name)}"],
        "competition_sources": [],
        "kernel_sources": [],
        "model_sources": [],
    }


def _read(path: Path, split: str) -> _Rows:
    try:
        return _Rows(f"{split}{path.suffix}", path.name, path.read_bytes())
    except OSError as error:
        raise DataError(
            f"data.{split}: {path} cannot be read ({error.strerror}), and the session needs it. Paths are relative to "
            "the recipe."
        ) from error


def _model_packages(recipe: Recipe) -> list[str]:
    if not recipe.base_model.in_package:
        return []
    module, _ = recipe.base_model.in_package
    return package_of(recipe.base_model).split() or [module.replace("_", "-")]


def _hub_token(recipe: Recipe, needed: tuple[str, ...]) -> list[str]:
    """A base model from a hub may be gated."""
    return ["HF_TOKEN"] if recipe.base_model.is_hub_id and "HF_TOKEN" not in needed else []


def _words(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _slug(name: str, number: int) -> str:
    session = f"-session-{number:02d}"
    return _words(name)[: TITLE_LENGTH - len(session)].strip("-") + session


def _dataset(name: str) -> str:
    files = "-session-files"
    return _words(name)[: TITLE_LENGTH - len(files)].strip("-") + files


def _literal(value: Any) -> str:
    """A text or several, as Python writes them (and JSON too)."""
    return json.dumps(value, ensure_ascii=False)


def _flat(text: str) -> str:
    """A text on one line, for Markdown."""
    return " ".join(text.split())
