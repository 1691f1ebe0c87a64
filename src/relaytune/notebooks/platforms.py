"""What differs between the platforms that run notebooks."""

from __future__ import annotations

from collections.abc import Mapping
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


def on_drive(url: str, platform: Platform) -> bool:
    """Whether the store is a folder of a Drive that Colab mounts."""
    return platform is Platform.COLAB and f"{url}/".startswith(f"{DRIVE}/")


def survives(url: str, platform: Platform) -> bool:
    """Whether what lies in the store is still there when the notebook's machine is gone."""
    return bool(urlsplit(url).scheme) or on_drive(url, platform)
