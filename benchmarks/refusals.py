"""What the patterns for refusals and abstentions find in real answers, to be judged by reading.

    python benchmarks/refusals.py --data FOLDER

FOLDER holds folders of published data: gpteacher-toolformer, llmbar, halueval, gsm8k. Nearly all of them do answer,
so this shows false alarms; how many refusals the patterns miss it cannot show.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from relaytune.core.declining import abstained, refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    texts = list(answers(parser.parse_args().data))
    print(f"{len(texts)} answers")
    for name, speaks in (("refused", refused), ("abstained", abstained)):
        found = [(text, reason) for text in texts for value, reason in [speaks(text)] if value]
        print(f"{name}: {len(found)}")
        for text, reason in found:
            print(f"  {reason}: {' '.join(text.split())[:200]}")


def answers(data: Path) -> Iterator[str]:
    for row in json.loads((data / "gpteacher-toolformer" / "toolformer-dedupe-only.json").read_text(encoding="utf-8")):
        yield row["output"]
    for row in json.loads((data / "llmbar" / "Natural.json").read_text(encoding="utf-8")):
        yield from (row["output_1"], row["output_2"])
    for line in (data / "halueval" / "qa_one-turn_data.json").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield from (row["right_answer"], row["hallucinated_answer"])
    for line in (data / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)["answer"]


if __name__ == "__main__":
    main()
