"""Python and the libraries: there, new enough, importable, and in agreement with each other."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from relaytune.doctor.check import Check, attempt

# as in pyproject.toml; repeated, since a relaytune that runs from a checkout has no metadata
PYTHONS = ">=3.11,<3.14"
NEEDED = {"torch": ">=2.9", "transformers": ">=5.23", "peft": ">=0.21", "safetensors": ">=0.6"}
# what loads a library's own code: transformers and peft import most of theirs only when asked
MODULES = {
    "transformers": "transformers.models.llama.modeling_llama",
    "peft": "peft.tuners.lora",
    "safetensors": "safetensors.torch",
    "bitsandbytes": "bitsandbytes.nn",
}
# transformers imports torchvision and torchaudio where they lie, and fails where they are of another torch
TOGETHER = ("torch", *MODULES, "torchvision", "torchaudio")


def check_python() -> Check:
    """Whether relaytune is made for this Python."""
    version = platform.python_version()
    if SpecifierSet(PYTHONS).contains(version, prereleases=True):
        return Check("python", "ok", version)
    return Check("python", "failed", f"{version}; relaytune needs {PYTHONS}", "Make an environment with Python 3.12.")


def check_library(name: str, with_torch: bool) -> Check:
    """Whether a library is there, new enough, and, where there is a torch to import it with, can be imported."""
    version = installed_version(name)
    if not version:
        return Check(name, "failed", "not installed", "`pip install 'relaytune[train]'`")
    needed = name + NEEDED.get(name, "")
    if not Requirement(needed).specifier.contains(version, prereleases=True):
        return Check(name, "failed", f"{version}; relaytune needs {needed}", f"`pip install --upgrade '{needed}'`")

    def trial() -> Check:
        if with_torch:
            importlib.import_module(MODULES[name])
        return Check(name, "ok", version)

    return attempt(name, trial, f"{version} is installed and cannot be imported: `pip install --upgrade '{needed}'`")


def check_agreement() -> Check:
    """Hold what the installed libraries say they need against what is installed."""
    conflicts = list(_conflicts())
    if not conflicts:
        return Check("agreement", "ok", "the libraries have the versions of each other that they need")
    names = sorted({conflict.split()[0] for conflict in conflicts})
    return Check(
        "agreement",
        "warning",
        "; ".join(conflicts),
        f"`pip install --upgrade {' '.join(names)}`; torchvision and torchaudio may be uninstalled instead",
    )


def _conflicts() -> Iterator[str]:
    for name in TOGETHER:
        version = installed_version(name)
        for text in (metadata.requires(name) or ()) if version else ():
            need = Requirement(text)
            if need.marker and not need.marker.evaluate({"extra": ""}):
                continue
            found = installed_version(need.name)
            if not found or not need.specifier.contains(found, prereleases=True):
                wanted = f"{need.name}{need.specifier}"
                yield f"{name} {version} needs {wanted}, and {found or 'none'} is installed"


def installed_version(name: str) -> str:
    """Of a distribution; empty where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
