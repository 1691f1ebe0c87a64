"""Turn restaurant8k's span labels into rows of a text, what was asked before it, and the slots as JSON.

python prepare.py --source FOLDER --output FOLDER

FOLDER of the source holds restaurant8k's own train_3.json and test.json (arXiv 2005.08866, CC BY 4.0). Written are
train.jsonl and held_out.jsonl: {"text", "asked", "slots"}. The same seed gives the same rows.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

from relaytune.core.files import write_jsonl

SLOTS = ("people", "date", "time", "first_name", "last_name")
TRAIN_ROWS = 600
HELD_OUT_ROWS = 200
SEED = 0

Row = dict[str, Any]


def main() -> None:
    """Read, drop, draw, write; every drop is counted and printed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with train_3.json and test.json")
    parser.add_argument("--output", type=Path, required=True, help="folder for train.jsonl and held_out.jsonl")
    arguments = parser.parse_args()

    train = without_repeats(read_rows(arguments.source / "train_3.json"), "train_3.json")
    test = without_repeats(read_rows(arguments.source / "test.json"), "test.json")
    test_texts = {normal(row["text"]) for row in test}
    new = [row for row in train if normal(row["text"]) not in test_texts]
    print(f"train_3.json: dropped {len(train) - len(new)} rows whose text also stands in test.json")

    write_rows(arguments.output / "train.jsonl", draw(new, TRAIN_ROWS))
    write_rows(arguments.output / "held_out.jsonl", draw(test, HELD_OUT_ROWS))


def read_rows(path: Path) -> list[Row]:
    """All utterances of a file, in its order."""
    raw_rows = json.loads(path.read_text(encoding="utf-8"))
    spans = [span for raw in raw_rows for span in spans_of(raw).values()]
    spaced = sum(span != span.strip() for span in spans)
    print(f"{path.name}: {len(raw_rows)} rows, {len(spans)} slots; white space cut from the ends of {spaced} slots")
    return [as_row(raw) for raw in raw_rows]


def spans_of(raw: dict[str, Any]) -> dict[str, str]:
    """The labelled words by slot; an absent startIndex is 0."""
    text = raw["userInput"]["text"]
    spans: dict[str, str] = {}
    for label in raw.get("labels", []):
        if label["slot"] in spans:
            raise SystemExit(f"slot {label['slot']} stands twice in {text!r}; one value a slot is expected")
        span = label["valueSpan"]
        spans[label["slot"]] = text[span.get("startIndex", 0) : span["endIndex"]]
    return spans


def as_row(raw: dict[str, Any]) -> Row:
    """One utterance; where the context is absent, nothing was asked."""
    text = raw["userInput"]["text"]
    requested = raw.get("context", {}).get("requestedSlots", [])
    spans = spans_of(raw)
    if unknown := {*spans, *requested}.difference(SLOTS):
        raise SystemExit(f"unknown slots {', '.join(sorted(unknown))} in {text!r}; known: {', '.join(SLOTS)}")
    return {
        "text": text,
        "asked": ", ".join(slot for slot in SLOTS if slot in requested) or "nothing",
        "slots": {slot: spans[slot].strip() for slot in SLOTS if slot in spans},
    }


def normal(text: str) -> str:
    """What makes two texts the same: their words; case, white space and punctuation aside."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def without_repeats(rows: list[Row], name: str) -> list[Row]:
    """Each text once: "13" after two different questions would count as two rows that share their words."""
    once = list({normal(row["text"]): row for row in reversed(rows)}.values())[::-1]
    print(f"{name}: dropped {len(rows) - len(once)} rows whose text stood in it before")
    return once


def draw(rows: list[Row], count: int) -> list[Row]:
    """`count` rows in random order."""
    if len(rows) < count:
        raise SystemExit(f"{count} rows are needed and only {len(rows)} are left")
    return random.Random(SEED).sample(rows, count)


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write the file and say what it holds."""
    write_jsonl(path, rows)
    slots = Counter(slot for row in rows for slot in row["slots"])
    empty = sum(not row["slots"] for row in rows)
    print(f"{path}: {len(rows)} rows, {empty} without a slot; " + ", ".join(f"{slots[slot]} {slot}" for slot in SLOTS))


if __name__ == "__main__":
    main()
