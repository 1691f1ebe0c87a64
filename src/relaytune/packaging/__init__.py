"""The adapter as a folder that can be handed on: card, evaluation, checksums."""

from __future__ import annotations

from relaytune.packaging.package import write_package

__all__ = ["write_package"]
