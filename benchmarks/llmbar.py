"""LLMBar's recorded verdicts of ChatGPT, in both orders: its own statistics again, and what our rule makes of them.

    python benchmarks/llmbar.py --source FOLDER

FOLDER holds ChatGPT/{Vanilla,Swap}/Natural.json and Natural.stats.json of LLMBar (arXiv 2310.07641, MIT): 100 pairs
with a gold preference. Its judge had to choose and could not call a tie. `better` is a contender that gives every
answer that people prefer, so its wins are right verdicts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Literal

from relaytune.core.preferences import pair_verdicts
from relaytune.core.records import Judgement
from relaytune.core.results import PreferenceSummary, Share
from relaytune.core.statistics import measure_agreement, wilson_interval
from relaytune.evaluation.judging.preferences import summarize_preferences

PROMPTS = {"Vanilla": "asked for the verdict alone", "Swap": "asked to explain, and to reconcile its two orders"}
STATED_CONSISTENCY = 0.6  # the recipe's default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    source = parser.parse_args().source
    print("LLMBar's own statistics, recomputed from its verdicts (theirs in brackets)\n")
    print("| prompt | right, first order | right, swapped | right in both | same in both | kappa of the two orders |")
    print("| --- | --- | --- | --- | --- | --- |")
    summaries = {}
    for name in PROMPTS:
        rows = json.loads((source / "ChatGPT" / name / "Natural.json").read_text())
        stats = json.loads((source / "ChatGPT" / name / "Natural.stats.json").read_text())
        print(own_statistics(name, rows, stats))
        summaries[name] = summarize(name, rows)
    print("\nBoth orders, a disagreement being a tie\n")
    print("| prompt | decided | right of the decided | right of all, one order at random | consistency | first slot |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, summary in summaries.items():
        print(both_orders(name, summary))
    for name, summary in summaries.items():
        matched = summary.length_matched
        print(
            f"\n{name} ({PROMPTS[name]}): the longer answer wins {shown(summary.longer_wins)}; of pairs of about one "
            f"length {matched.wins} right, {matched.losses} wrong, {matched.ties} tied; "
            f"at a stated consistency of {STATED_CONSISTENCY} {summary.refused or 'not refused'}."
        )


def own_statistics(name: str, rows: list[dict[str, Any]], stats: dict[str, Any]) -> str:
    winners = [(winner(row, swapped=False), winner(row, swapped=True)) for row in rows]
    gold = [str(row["label"]) for row in rows]
    right = [(one == label, other == label) for (one, other), label in zip(winners, gold, strict=True)]
    kappa = measure_agreement([one for one, _ in winners], [other for _, other in winners]).kappa
    assert kappa is not None
    counts = {
        "correct_False": sum(one for one, _ in right),
        "correct_True": sum(other for _, other in right),
        "correct_both": sum(one and other for one, other in right),
        "equal": sum(one == other for one, other in winners),
    }
    cells = [f"{count} ({stats[key].split()[0]})" for key, count in counts.items()]
    return f"| {name} | {' | '.join(cells)} | {kappa:.3f} ({stats['kappa_agreement']:.3f}) |"


def winner(row: dict[str, Any], *, swapped: bool) -> str:
    """The output, "1" or "2", that the last call in this order preferred."""
    return str(row["results"][-1][f"swap = {swapped}"]["winner"])


def summarize(judge: str, rows: list[dict[str, Any]]) -> PreferenceSummary:
    judgements, lengths = [], {}
    for number, row in enumerate(rows):
        id, gold = str(number), str(row["label"])
        names = {"1": "better" if gold == "1" else "worse", "2": "better" if gold == "2" else "worse"}
        for swapped, shown_first, shown_second in ((False, "1", "2"), (True, "2", "1")):
            slot: Literal["first", "second"] = "first" if winner(row, swapped=swapped) == shown_first else "second"
            judgements.append(Judgement(id, judge, names[shown_first], names[shown_second], slot, ""))
        by_output = len(row["output_1"]), len(row["output_2"])
        lengths[id] = by_output if gold == "1" else by_output[::-1]
    verdicts = pair_verdicts(judgements, judge, "better", "worse")
    clusters = {str(number): row["input"] for number, row in enumerate(rows)}
    return summarize_preferences(judge, "better", "worse", verdicts, lengths, clusters, STATED_CONSISTENCY)


def both_orders(name: str, summary: PreferenceSummary) -> str:
    result = summary.result
    decided = result.wins + result.losses
    right = wilson_interval(result.wins, decided)
    # of a tie that is a disagreement one order was right: a single order drawn at random is right in half of them
    single = (result.wins + result.ties / 2) / summary.num_scored
    return (
        f"| {name} | {decided} of {summary.num_scored} | {result.wins / decided:.1%} [{right[0]:.1%}, {right[1]:.1%}] "
        f"| {single:.1%} | {shown(summary.consistency)} | {shown(summary.first_slot)} |"
    )


def shown(share: Share) -> str:
    if share.share is None:
        return "–"
    low, high = share.interval or (0.0, 1.0)
    return f"{share.share:.1%} of {share.total} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
