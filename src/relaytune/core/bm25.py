"""The library of BM25, bm25s, without what it would begin beside."""

from __future__ import annotations

import logging
import sys
from typing import Any


def import_bm25s() -> Any:
    """The module bm25s, which finds no jax.

    With jax it takes the best k a little faster, and for that begins jax on any GPU that is there, which by default
    takes three quarters of the GPU's memory from the training. Kaggle and Colab come with jax.
    """
    kept = sys.modules.get("jax")
    sys.modules["jax"] = None  # type: ignore[assignment]  # an import of it fails as if it were not installed
    try:
        import bm25s
    finally:
        del sys.modules["jax"]
        if kept is not None:
            sys.modules["jax"] = kept
    # it asks for debug messages, which any package that sets logging up would then show
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    return bm25s
