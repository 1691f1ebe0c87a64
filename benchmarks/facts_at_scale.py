"""Time and memory to hold training rows against sources, and how both grow with the number of rows.

    python benchmarks/facts_at_scale.py [examples/advisor] [--rows 1000 10000 100000] [--embeddings]

The rows are those of the advisor example, again and again, each round with other digits, so that nearly all claims
differ (the same claim is searched and verified once). The vectors of the passages are made anew for each size, in a
cache folder of its own. Each size runs in a process of its own, whose peak memory is
that of all it did. Growth is the slope of log seconds over log rows (least squares); 1 is proportional.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from relaytune.core.claims import Statement
from relaytune.core.screen import Screen
from relaytune.facts.checking import check_answers
from relaytune.facts.claims import split_claims
from relaytune.facts.sources import Sources, read_sources
from relaytune.facts.verifying.exact import ExactVerifier

Measured = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("example", type=Path, nargs="?", default=Path("examples/advisor"))
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--embeddings", action="store_true", help="search by meaning too")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(measure(arguments.example, arguments.rows[0], arguments.embeddings)))
        return
    found: dict[int, Measured] = {}
    for num_rows in arguments.rows:
        command = [sys.executable, __file__, str(arguments.example), "--rows", str(num_rows), "--alone"]
        command += ["--embeddings"] if arguments.embeddings else []
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "RELAYTUNE_CACHE": cache}
            result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        found[num_rows] = json.loads(result.stdout.splitlines()[-1])
        show(num_rows, found[num_rows])
    if len(found) > 1:
        print("growth: " + ", ".join(f"{name} {slope(found, name):.2f}" for name in next(iter(found.values()))))


def measure(example: Path, num_rows: int, embeddings: bool) -> Measured:
    seconds: Measured = {}

    def timed(name: str, work: Callable[..., Any], *arguments: Any) -> Any:
        begin = time.perf_counter()
        result = work(*arguments)
        seconds[name] = time.perf_counter() - begin
        return result

    statements = make_statements(example, num_rows)
    sources: Sources = timed("read_s", read_sources, example / "handbook", Screen.silent(), embeddings)
    claims = timed("split_s", lambda: [claim for one in statements for claim in split_claims(one)])
    verifier = timed("prepare_verifier_s", ExactVerifier, sources.passages)
    search = partial(timed, "of_which_search_s", sources.search_all)
    with patch.object(sources, "search_all", search):
        checked = timed("check_s", check_answers, statements, sources, [verifier])
    seconds["claims"] = sum(len(answer.claims) for answer in checked)
    seconds["distinct_claims"] = len({(claim.part, claim.text, claim.context) for claim in claims if claim.kinds})
    seconds["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seconds


def make_statements(example: Path, num_rows: int) -> list[Statement]:
    lines = [line for name in ("train", "held_out") for line in (example / f"{name}.jsonl").open(encoding="utf-8")]
    rows = [json.loads(line) for line in lines]
    rng = random.Random(0)
    statements = []
    for number in range(num_rows):
        row = rows[number % len(rows)]
        other = (lambda text: text) if number < len(rows) else lambda text: with_other_digits(text, rng)
        statements.append(Statement(str(number), other(row["question"]), other(row["answer"])))
    return statements


def with_other_digits(text: str, rng: random.Random) -> str:
    return "".join(str(rng.randrange(1, 10)) if letter.isdecimal() else letter for letter in text)


def show(num_rows: int, measured: Measured) -> None:
    print(f"{num_rows:,} rows: " + ", ".join(f"{name} {value:,.1f}" for name, value in measured.items()), flush=True)


def slope(found: dict[int, Measured], name: str) -> float:
    """Of log value over log rows, by least squares."""
    points = [(math.log(rows), math.log(max(measured[name], 1e-9))) for rows, measured in found.items()]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    rise = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return float(rise / sum((x - mean_x) ** 2 for x, _ in points))


if __name__ == "__main__":
    main()
