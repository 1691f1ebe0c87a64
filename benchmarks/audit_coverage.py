"""How often the audit's 95% intervals hold the truth: over random samples of examples/advisor, and of invented rows.

    python benchmarks/audit_coverage.py [--advisor examples/advisor] [--samples 200] [--only advisor]

advisor: every row is checked once; then samples are drawn as `relaytune audit` draws them, each with a seed of its own.
(a) the rate that the verifiers find in all rows; (b) with k labels, truth.jsonl in the person's place, the true rate.
invented: samples of known rates, simple and in strata; verifiers of known sensitivity and specificity.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from relaytune.core.audit import AuditedAnswer, HumanLabel, RateInterval
from relaytune.core.claims import Statement
from relaytune.core.facts import Facts
from relaytune.core.records import Example
from relaytune.core.screen import Screen
from relaytune.core.statistics import (
    Confusion,
    DoubleSample,
    Stratum,
    draw_faulty_rows,
    middle_and_limits,
    sampled_share,
)
from relaytune.facts.checking import check_answers
from relaytune.facts.rates import MIN_LABELS, AuditedSample, count_rates
from relaytune.facts.sampling import draw_order, plan_sample
from relaytune.facts.sources import read_sources
from relaytune.facts.verifying.exact import ExactVerifier

LABELS = (10, 20, 30, 50, 100)
REPETITIONS = 2000  # of samples; corrections take longer
CORRECTIONS = 400
# rate, sensitivity and specificity of the verifiers
VERIFIERS = (
    (0.02, 0.6, 0.99),
    (0.05, 0.6, 0.99),
    (0.05, 0.9, 0.95),
    (0.15, 0.8, 0.97),
    (0.15, 0.5, 0.95),
    (0.15, 0.97, 0.6),
    (0.3, 0.9, 0.9),
    (0.4, 0.6, 0.8),
)
SIZES = ((700, 247), (5000, 357), (300, 300))  # rows, audited


@dataclass(frozen=True)
class Row:
    """A row of examples/advisor: what the verifiers find, and whether it is wrong in truth."""

    checked: AuditedAnswer
    wrong: bool


@dataclass
class Tally:
    """Intervals that hold the truth."""

    covering: int = 0
    too_high: int = 0
    too_low: int = 0
    width: float = 0.0

    def add(self, found: RateInterval, truth: float) -> None:
        self.too_high += found.low > truth + 1e-9
        self.too_low += found.high < truth - 1e-9
        self.covering += found.low - 1e-9 <= truth <= found.high + 1e-9
        self.width += found.high - found.low

    def line(self) -> str:
        count = self.covering + self.too_high + self.too_low
        return (
            f"{self.covering / count:.1%} | {self.too_high / count:.1%} | {self.too_low / count:.1%} | "
            f"±{50 * self.width / count:.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--advisor", type=Path, default=Path("examples/advisor"))
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--only", choices=("advisor", "invented"))
    arguments = parser.parse_args()
    started = time.process_time()
    if arguments.only != "invented":
        measure_advisor(read_rows(arguments.advisor), arguments.samples)
    if arguments.only != "advisor":
        measure_samples()
        measure_corrections()
    print(f"\n{time.process_time() - started:.0f} s of one core")


def read_rows(folder: Path) -> list[Row]:
    """Every training row, checked by the exact verifier."""
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    truths = [json.loads(line) for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    wrong = {truth["line"]: truth["verdict"] == "wrong" for truth in truths if truth["file"] == "train.jsonl"}
    statements: dict[str, Statement] = {}
    lines: dict[str, int] = {}
    for line, row in enumerate(rows, start=1):
        example = Example.of([{"role": "user", "content": row["question"]}], row["answer"], f"train.jsonl:{line}")
        statements.setdefault(example.id, Statement(example.id, row["question"], row["answer"]))
        lines.setdefault(example.id, line)
    sources = read_sources(folder / "handbook", Screen.silent())
    checked = check_answers(list(statements.values()), sources, [ExactVerifier(sources.passages)])
    return [
        Row(AuditedAnswer(statements[one.id], f"train.jsonl:{lines[one.id]}", "", one), wrong[lines[one.id]])
        for one in checked
    ]


def measure_advisor(rows: Sequence[Row], samples: int) -> None:
    by_id = {row.checked.id: row for row in rows}
    flagged = sum(row.checked.verdict == "false" for row in rows) / len(rows)
    truth = sum(row.wrong for row in rows) / len(rows)
    counts = Counter((row.checked.verdict == "false", row.wrong) for row in rows)
    size = plan_sample(Facts.model_validate({"sources": "handbook"}), len(rows)).size
    print(
        f"advisor: {len(rows)} rows, {truth:.1%} wrong; the exact verifier calls {flagged:.1%} false (sensitivity "
        f"{counts[True, True] / max(counts[True, True] + counts[False, True], 1):.1%}, specificity "
        f"{counts[False, False] / (counts[False, False] + counts[True, False]):.1%}); {samples} samples of {size}\n"
    )
    print("| interval of | covers | too high | too low | points |\n| --- | --- | --- | --- | --- |")
    found, raw, corrected = Tally(), Tally(), {count: Tally() for count in LABELS if count >= MIN_LABELS}
    for seed in range(samples):
        order = draw_order(dict.fromkeys(by_id, ""), seed)[:size]
        rates = count_rates(_sample(by_id, order, 0))
        found.add(rates["clearly_false"].rate, flagged)
        raw.add(rates["clearly_false"].rate, truth)
        for count, tally in corrected.items():
            correction = count_rates(_sample(by_id, order, count))["clearly_false"].corrected
            assert correction is not None
            tally.add(correction.rate, truth)
    print(f"| the verifier's rate in all rows | {found.line()} |")
    print(f"| the true rate, not corrected | {raw.line()} |")
    for count, tally in corrected.items():
        print(f"| the true rate, corrected by {count} labels | {tally.line()} |")


def _sample(by_id: Mapping[str, Row], order: Sequence[str], labels: int) -> AuditedSample:
    answers = [
        replace(row.checked, labels=(HumanLabel("truth", "false" if row.wrong else "right"),))
        if place < labels
        else row.checked
        for place, row in enumerate(by_id[id] for id in order)
    ]
    return AuditedSample(answers, dict.fromkeys(by_id, ""))


def measure_samples() -> None:
    """Wilson's interval with the finite-population correction, simple and stratified."""
    random = np.random.default_rng(1)
    print("\n| rows | audited | strata | mean of rates | lowest | highest |\n| --- | --- | --- | --- | --- | --- |")
    for rows, size in (*SIZES[:2], (200, 50), (100, 60)):
        for strata in (1, 5, 20):
            shares = []
            for rate in (0.02, 0.05, 0.1, 0.3, 0.5):
                tally, names = Tally(), np.sort(random.choice(strata, rows, p=_uneven(strata)))
                # the rate differs between strata, by up to three times
                chances = rate * np.linspace(0.5, 1.5, strata)[names]
                faulty = random.random(rows) < chances
                truth = faulty.mean()
                stratum_of = {str(row): str(name) for row, name in enumerate(names)}
                per_stratum = [np.flatnonzero(names == name) for name in np.unique(names)]
                first = Counter(stratum_of[id] for id in draw_order(stratum_of, 0)[:size])
                for _ in range(REPETITIONS):
                    found = sampled_share(
                        [
                            Stratum(len(own), drawn, int(faulty[random.permutation(own)[:drawn]].sum()))
                            for own in per_stratum
                            if (drawn := first[str(names[own[0]])])
                        ]
                    )
                    tally.add(RateInterval(found.share, found.low, found.high), truth)
                shares.append(tally.covering / REPETITIONS)
            print(f"| {rows} | {size} | {strata} | {np.mean(shares):.1%} | {min(shares):.1%} | {max(shares):.1%} |")


def _uneven(strata: int) -> list[float]:
    sizes = 1 / np.arange(1, strata + 1) ** 0.5
    return (sizes / sizes.sum()).tolist()  # type: ignore[no-any-return]


def measure_corrections() -> None:
    """Rates corrected by labels of the first rows drawn."""
    random = np.random.default_rng(2)
    print(
        "\n| labels | mean of shapes | lowest | highest | too high | too low |\n| --- | --- | --- | --- | --- | --- |"
    )
    for labels in LABELS:
        tallies = {(*shape, *size): _corrections(random, shape, size, labels) for shape in VERIFIERS for size in SIZES}
        shares = {name: tally.covering / CORRECTIONS for name, tally in tallies.items()}
        worst = min(shares, key=lambda name: shares[name])
        high, low = (np.mean([getattr(tally, side) for tally in tallies.values()]) / CORRECTIONS for side in _SIDES)
        print(
            f"| {labels} | {np.mean(list(shares.values())):.1%} | {shares[worst]:.1%} {worst} | "
            f"{max(shares.values()):.1%} | {high:.1%} | {low:.1%} |",
            flush=True,
        )


_SIDES = ("too_high", "too_low")


def _corrections(
    random: np.random.Generator, shape: tuple[float, float, float], size: tuple[int, int], labels: int
) -> Tally:
    (rate, sensitivity, specificity), (rows, audited), tally = shape, size, Tally()
    faulty = np.arange(rows) < round(rate * rows)
    for seed in range(CORRECTIONS):
        flagged = np.where(faulty, random.random(rows) < sensitivity, random.random(rows) >= specificity)
        drawn = random.permutation(rows)[:audited]
        known = drawn[:labels]
        table = Counter(zip(flagged[known].tolist(), faulty[known].tolist(), strict=True))
        people = Confusion(table[True, True], table[True, False], table[False, True], table[False, False])
        count = int(flagged[drawn].sum())
        sample = DoubleSample(rows, audited, count, count / audited, audited, people)
        found = draw_faulty_rows(sample, seed)
        total = found.unsampled + found.flagged + found.unflagged + people.flagged_faulty + people.unflagged_faulty
        tally.add(RateInterval(*middle_and_limits(total / rows)), faulty.mean())
    return tally


if __name__ == "__main__":
    main()
