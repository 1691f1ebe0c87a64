"""Cut banking77 down to twelve intents about cards that are easily taken for one another.

python prepare.py --source FOLDER --output FOLDER

FOLDER of the source holds banking77's own train.csv and test.csv (columns text, category; arXiv 2003.04807,
CC BY 4.0). Written are train.csv and held_out.csv with the same columns. The same seed gives the same rows.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from relaytune.core.files import write_text

INTENTS = (
    "activate_my_card",
    "card_about_to_expire",
    "card_arrival",
    "card_delivery_estimate",
    "card_linking",
    "card_not_working",
    "card_swallowed",
    "compromised_card",
    "declined_card_payment",
    "getting_spare_card",
    "lost_or_stolen_card",
    "order_physical_card",
)
TRAIN_ROWS_PER_INTENT = 50
HELD_OUT_ROWS_PER_INTENT = 20
SEED = 0

Row = dict[str, str]


def main() -> None:
    """Read, drop, draw, write; every drop is counted and printed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--output", type=Path, required=True, help="folder for train.csv and held_out.csv")
    arguments = parser.parse_args()

    train, held_out, _, _ = splits(arguments.source)
    write_rows(arguments.output / "train.csv", train)
    write_rows(arguments.output / "held_out.csv", held_out)


def splits(source: Path) -> tuple[list[Row], list[Row], list[Row], list[Row]]:
    """Training and held-out rows, and what is left over of train.csv and of test.csv."""
    train = without_repeats(read_rows(source / "train.csv"), "train.csv")
    test = without_repeats(read_rows(source / "test.csv"), "test.csv")
    test_texts = {normal(row["text"]) for row in test}
    new = [row for row in train if normal(row["text"]) not in test_texts]
    print(f"train.csv: dropped {len(train) - len(new)} rows whose text also stands in test.csv")

    chosen, held_out = draw(new, TRAIN_ROWS_PER_INTENT), draw(test, HELD_OUT_ROWS_PER_INTENT)
    return chosen, held_out, without(new, chosen), without(test, held_out)


def without(rows: Iterable[Row], drawn: Iterable[Row]) -> list[Row]:
    """The rows that were not drawn, in their order."""
    texts = {row["text"] for row in drawn}
    return [row for row in rows if row["text"] not in texts]


def read_rows(path: Path) -> list[Row]:
    """The rows of the chosen intents, in the file's order."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = [row for row in rows if row["category"] in INTENTS]
    print(f"{path.name}: {len(rows)} rows, {len(chosen)} of them in the {len(INTENTS)} chosen intents")
    return chosen


def normal(text: str) -> str:
    """What makes two texts the same: their words; case, white space and punctuation aside."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def without_repeats(rows: list[Row], name: str) -> list[Row]:
    """Each text once; a text that stands under two intents not at all, for nobody knows which is meant."""
    intents: dict[str, set[str]] = {}
    for row in rows:
        intents.setdefault(normal(row["text"]), set()).add(row["category"])
    clear = [row for row in rows if len(intents[normal(row["text"])]) == 1]
    once = list({normal(row["text"]): row for row in reversed(clear)}.values())[::-1]
    print(f"{name}: dropped {len(rows) - len(clear)} rows whose text stands under two intents")
    print(f"{name}: dropped {len(clear) - len(once)} rows whose text stood in it before")
    return once


def draw(rows: Iterable[Row], limit: int) -> list[Row]:
    """At most `limit` rows of each intent, then all of them shuffled."""
    generator = random.Random(SEED)
    drawn: list[Row] = []
    by_intent: dict[str, list[Row]] = {intent: [] for intent in INTENTS}
    for row in rows:
        by_intent[row["category"]].append(row)
    for candidates in by_intent.values():
        drawn += generator.sample(candidates, min(limit, len(candidates)))
    generator.shuffle(drawn)
    return drawn


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write the CSV file and say what it holds."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ("text", "category"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
    counts = Counter(row["category"] for row in rows)
    print(f"{path}: {len(rows)} rows, {min(counts.values())} to {max(counts.values())} an intent")


if __name__ == "__main__":
    main()
