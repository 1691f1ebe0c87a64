from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_search_by_words_does_not_begin_jax_which_would_take_the_gpus_memory(tmp_path: Path) -> None:
    (tmp_path / "jax").mkdir()
    for name in ("__init__.py", "lax.py"):
        (tmp_path / "jax" / name).write_text("raise SystemExit('jax was begun')", encoding="utf-8")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from relaytune.core.bm25 import import_bm25s\n"
        "index = import_bm25s().BM25()\n"
        "index.index([['fee'], ['date']], show_progress=False)\n"
        "print(index.retrieve([['date']], k=1, show_progress=False).documents[0][0])\n"
        "import jax\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "1", done.stderr
    assert "jax was begun" in done.stderr  # for others it is there as before


def test_the_search_by_words_says_nothing_where_another_package_has_set_logging_up() -> None:
    program = (
        "import logging; logging.basicConfig()\n"
        "from relaytune.core.bm25 import import_bm25s\n"
        "import_bm25s().BM25().index([['fee'], ['date']], show_progress=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
