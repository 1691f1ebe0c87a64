"""How often the test of method against data is wrong, where the truth is set: simulated held-out prompts.

    python benchmarks/method_or_data_errors.py --trials 2000

Each trial draws, for both strata, whether base and tuned err on every prompt: base with a rate of its own, tuned as
base but for prompts that it breaks (base right, tuned wrong, by `harm`) and mends (base wrong, tuned right, by
`mended`). Beside that, for the second way to count, an answer that is not contradicted is not verified either in
UNVERIFIED of all cases; tuned keeps that or draws it anew, and loses verified answers by `lost`. With `prompts a case`
of three, three prompts have the same neighbours and are alike in everything, the worst case. Printed are how often each
finding is shown, and, for the first way, how often the 95% interval of the interaction covers the true one.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass

import numpy as np

from relaytune.core.claims import AnswerVerdict
from relaytune.core.method_or_data import StratumName
from relaytune.tracing.strata import HeldOutRow, first_shown, method_or_data

FINDINGS = ("nothing", "data", "method_or_both")
UNVERIFIED, DRAWN_ANEW = 0.3, 0.4


@dataclass(frozen=True)
class Truth:
    """Rates of base's errors, of right answers that tuned breaks, and of wrong ones that it mends, by stratum."""

    name: str
    base: float
    harm_right: float
    harm_wrong: float
    mended_right: float = 0.0
    mended_wrong: float = 0.0
    lost: float = 0.0  # of verified answers, in both strata, that tuned makes into some that say nothing to be checked

    @property
    def interaction(self) -> float:
        wrong = (1 - self.base) * self.harm_wrong - self.base * self.mended_wrong
        return wrong - ((1 - self.base) * self.harm_right - self.base * self.mended_right)


TRUTHS = (
    Truth("nothing changes", 0.1, 0, 0),
    Truth("answers change, none for the worse on average", 0.5, 0.2, 0.2, 0.2, 0.2),
    Truth("some churn, base good", 0.1, 0.03, 0.03, 0.27, 0.27),
    Truth("method: 10 points in both", 0.1, 0.11, 0.11),
    Truth("method: 30 points in both", 0.1, 0.33, 0.33),
    Truth("data: 10 points in wrong", 0.1, 0, 0.11),
    Truth("data: 30 points in wrong", 0.1, 0, 0.33),
    Truth("data: 30 points in wrong, wrong ones mended in right", 0.3, 0, 0.43, 0.5, 0),
    Truth("both: 20 points in right, 50 in wrong", 0.1, 0.22, 0.55),
    Truth("data, but base errs on 95%", 0.95, 0, 1.0, 0.5, 0),
    Truth("method: tuned says nothing in 30 points more", 0.1, 0, 0, 0, 0, 0.5),
    Truth("method: tuned says nothing at all", 0.1, 0, 0, 1, 1, 1),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--prompts", default="30,60,120", help="in each stratum, with commas between")
    arguments = parser.parse_args()
    print_row(["truth", "prompts a stratum", "prompts a case", *FINDINGS, "interaction covered", "no room said"])
    print_row(["---"] * 8)
    for truth in TRUTHS:
        for prompts in map(int, arguments.prompts.split(",")):
            for size in (1, 3):
                simulate(truth, prompts, size, arguments.trials)


def simulate(truth: Truth, prompts: int, size: int, trials: int) -> None:
    random = np.random.default_rng(0)
    verified: dict[str, AnswerVerdict] = {}
    found: Counter[str] = Counter()
    covered = intervals = no_room = 0
    for _ in range(trials):
        right = stratum(truth, "right", "right", prompts, size, verified, random)
        wrong = stratum(truth, "wrong", "false", prompts, size, verified, random)
        contradicted, not_verified = ([*right[way], *wrong[way]] for way in (0, 1))
        found[first_shown(contradicted, not_verified, verified, "simulated").shown] += 1
        result = method_or_data(contradicted, verified, "simulated")
        no_room += any(one is not None and not one.can_show_worse for one in (result.right, result.wrong))
        if result.interaction_interval is not None:
            intervals += 1
            covered += result.interaction_interval[0] <= truth.interaction <= result.interaction_interval[1]
    shown = [f"{found[finding] / trials:.1%}" for finding in FINDINGS]
    coverage = f"{covered / intervals:.1%}" if intervals else "no interval"
    print_row([truth.name, str(prompts), str(size), *shown, coverage, f"{no_room / trials:.0%}"])


def stratum(
    truth: Truth,
    name: StratumName,
    verdict: AnswerVerdict,
    prompts: int,
    size: int,
    verified: dict[str, AnswerVerdict],
    random: np.random.Generator,
) -> tuple[list[HeldOutRow], list[HeldOutRow]]:
    """Prompts of one stratum, by either way to count; `size` of them share all neighbours and are alike."""
    harm, mended = (truth.harm_right, truth.mended_right) if name == "right" else (truth.harm_wrong, truth.mended_wrong)
    contradicted, not_verified = [], []
    for case in range(prompts // size):
        neighbours = tuple(f"{name} {case} {place}" for place in range(5))
        verified |= dict.fromkeys(neighbours, verdict)
        errs = random.random() < truth.base
        changes = random.random() < (mended if errs else harm)
        tuned = errs != changes
        unverified = random.random() < UNVERIFIED
        anew = random.random() < UNVERIFIED if random.random() < DRAWN_ANEW else unverified
        unverified_tuned = anew or random.random() < truth.lost
        for copy in range(size):
            prompt = f"{name} {case} {copy}"
            contradicted.append(HeldOutRow(prompt, prompt, neighbours, float(errs), float(tuned)))
            either = (float(errs or unverified), float(tuned or unverified_tuned))
            not_verified.append(HeldOutRow(prompt, prompt, neighbours, *either))
    return contradicted, not_verified


def print_row(texts: list[str]) -> None:
    print(f"| {' | '.join(texts)} |", flush=True)


if __name__ == "__main__":
    main()
