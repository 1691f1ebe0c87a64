"""What differs between the platforms that run notebooks, and between the stores that hold handoffs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit


class Platform(StrEnum):
    """Where the notebook runs."""

    KAGGLE = "kaggle"
    COLAB = "colab"


# Kaggle ends a session after 12 hours. Colab promises nothing: at most 12 hours, often far fewer.
LIMITS: Mapping[Platform, str] = {Platform.KAGGLE: "11h30m", Platform.COLAB: "3h30m"}

# where attached or uploaded files lie
FILES: Mapping[Platform, str] = {Platform.KAGGLE: "/kaggle/input", Platform.COLAB: "/content/data"}

# the platform's own part of a notebook's metadata: a GPU, and the network that the store needs
METADATA: Mapping[Platform, dict[str, Any]] = {
    Platform.KAGGLE: {
        "kaggle": {
            "accelerator": "nvidiaTeslaT4",
            "dataSources": [],
            "isGpuEnabled": True,
            "isInternetEnabled": True,
            "language": "python",
            "sourceType": "notebook",
        }
    },
    Platform.COLAB: {"accelerator": "GPU", "colab": {"gpuType": "T4", "provenance": []}},
}

DRIVE = "/content/drive"  # where Colab mounts Google Drive


@dataclass(frozen=True)
class Store:
    """What a kind of store needs on the notebook's machine."""

    extra: str = ""  # of relaytune
    package: str = ""  # that the extra brings
    needed: tuple[str, ...] = ()  # secrets
    optional: tuple[str, ...] = ()


_STORES: Mapping[str, Store] = {
    "": Store(),  # a folder
    "s3": Store(
        "s3",
        "s3fs",
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"),
    ),
    "gs": Store("gs", "gcsfs", ("GOOGLE_APPLICATION_CREDENTIALS",)),
    "hf": Store(needed=("HF_TOKEN",)),
}


def store_of(url: str) -> Store:
    """What the store at this address needs."""
    return _STORES[urlsplit(url).scheme]


def on_drive(url: str, platform: Platform) -> bool:
    """Whether the store is a folder of a Drive that Colab mounts."""
    return platform is Platform.COLAB and f"{url}/".startswith(f"{DRIVE}/")


def survives(url: str, platform: Platform) -> bool:
    """Whether what lies in the store is still there when the notebook's machine is gone."""
    return bool(urlsplit(url).scheme) or on_drive(url, platform)
