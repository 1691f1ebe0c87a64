"""How often is a model kept that is no better? Simulated evaluations with no true difference, decided by the product.

Each row has a difficulty of its own; all contenders answer it with the same chances, independently. Repeated prompts:
rows come in groups of one to four that share a prompt and, with probability 0.8 each, the answers. Every evaluation
goes through the product's `summarize` and `decide_answers`; only answers, scores and preferences are made up.

    python benchmarks/false_keeps.py [--evaluations 2000] [--sizes 20 50 100 300 1000] [--processes 2]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from relaytune.comparing.criteria import CriteriaFile
from relaytune.core.criteria import Criteria
from relaytune.core.records import Example, Generation, Score
from relaytune.decision import decide_answers
from relaytune.evaluation.summary import Evidence, summarize

SIZES = (20, 50, 100, 300, 1000)
TIES = 0.36  # of preferences, as in the study that relaytune grew from
SKEW = 0.6  # sigma of the log-normal overlap scores
COPIED = 0.8  # how often a row with a repeated prompt has the answers of the first
CRITERIA = ("accuracy", "helpfulness", "clarity")

Values = NDArray[np.float64]
# rows → contender → metric → values
Draw = Callable[[np.random.Generator, int, str], dict[str, Values]]


def right_or_wrong(rng: np.random.Generator, difficulty: Values) -> dict[str, Values]:
    return {"label_accuracy": (rng.random(len(difficulty)) < difficulty).astype(float)}


def three_criteria(rng: np.random.Generator, difficulty: Values) -> dict[str, Values]:
    shared = rng.normal(size=len(difficulty))
    return {
        name: np.clip(np.round(3 * difficulty + 0.5 * shared + 0.5 * rng.normal(size=len(difficulty))), 0, 3)
        for name in CRITERIA
    }


def skewed(rng: np.random.Generator, difficulty: Values) -> dict[str, Values]:
    return {"rouge_l": np.minimum(0.15 * np.exp(SKEW * rng.normal(size=len(difficulty)) + difficulty), 1)}


JUDGING = {"human_labels": "none.csv", "criteria": dict.fromkeys(CRITERIA, "made up")}
BEATS = "keep when tuned beats best_prompt on label_accuracy"
# name → rule, judging, what is drawn, contenders, whether preferences are drawn
SETTINGS: Mapping[str, tuple[str, Sequence[str], Callable[[np.random.Generator, Values], dict[str, Values]]]] = {
    "right or wrong": (BEATS, ("base",), right_or_wrong),
    "right or wrong, best of two prompts": (BEATS, ("base", "few_shot"), right_or_wrong),
    "preference, 36% ties": ("keep when tuned beats base on preference", ("base",), three_criteria),
    "points from 0 to 3": ("keep when tuned beats base on accuracy", ("base",), three_criteria),
    "skewed overlap": ("keep when tuned beats base on rouge_l", ("base",), skewed),
    "any of four criteria": (
        "keep when tuned beats base on accuracy or helpfulness or clarity or preference",
        ("base",),
        three_criteria,
    ),
    "one beats, one must not fall": (
        "keep when tuned beats base on accuracy and tuned no worse than base on helpfulness within 0.2",
        ("base",),
        three_criteria,
    ),
}


def criteria_of(rule: str) -> Criteria:
    values = {
        "contract": {"labels": ["right", "wrong"]},
        "evaluation": {"scorers": ["rouge_l"], "forgetting": False},
        "judging": JUDGING,
        "decision": rule,
    }
    found = CriteriaFile.model_validate(values)
    return Criteria(found.contract, found.evaluation, found.judging, found.decision, None)


def prompts_of(rng: np.random.Generator, size: int, repeated: bool) -> NDArray[np.int64]:
    """The prompt of each row, and with `repeated` groups of one to four rows with one prompt."""
    if not repeated:
        return np.arange(size)
    groups = np.repeat(np.arange(size), rng.integers(1, 5, size))
    return groups[:size]


def copied(rng: np.random.Generator, prompts: NDArray[np.int64], values: dict[str, Values]) -> dict[str, Values]:
    """Rows with a repeated prompt mostly have what its first row has."""
    first = np.searchsorted(prompts, prompts)
    copies = rng.random(len(prompts)) < COPIED
    return {name: np.where(copies, column[first], column) for name, column in values.items()}


def kept(setting: str, size: int, repeated: bool, seed: int) -> bool:
    """One evaluation without a true difference, decided."""
    rule, prompts_only, draw = SETTINGS[setting]
    rng = np.random.default_rng([seed, size, repeated, sorted(SETTINGS).index(setting)])
    criteria = criteria_of(rule)
    prompts = prompts_of(rng, size, repeated)
    difficulty = rng.beta(2, 2, size)[np.searchsorted(prompts, prompts)]
    rows = [
        Example(str(place), ({"role": "user", "content": str(prompt)},), "right", "simulated")
        for place, prompt in enumerate(prompts)
    ]
    scores, generations = [], {}
    for contender in ("tuned", *prompts_only):
        generations[contender] = [Generation(row.id, row.messages, "right", "stop", 1) for row in rows]
        for name, values in copied(rng, prompts, draw(rng, difficulty)).items():
            scores += [Score(row.id, contender, name, float(v)) for row, v in zip(rows, values, strict=True)]
    outcomes = rng.choice([1.0, 0.0, -1.0], size, p=[(1 - TIES) / 2, TIES, (1 - TIES) / 2])
    outcomes = copied(rng, prompts, {"preference": outcomes})["preference"]
    preferences = {("tuned", "base"): {row.id: float(v) for row, v in zip(rows, outcomes, strict=True)}}
    evaluation = summarize(criteria, Evidence(rows, generations, scores, preferences=preferences))
    assert criteria.rule is not None
    return decide_answers(criteria.rule, evaluation).outcome == "keep"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    sizes: Sequence[int] = arguments.sizes
    print(f"Share kept of {arguments.evaluations} simulated evaluations without a true difference:\n")
    print(f"| rule | prompts | {' | '.join(f'n = {size}' for size in sizes)} |")
    print(f"| --- | --- | {' | '.join('---' for _ in sizes)} |")
    with ProcessPoolExecutor(arguments.processes) as pool:
        for setting in SETTINGS:
            for repeated in (False, True):
                began = time.monotonic()
                shares = []
                for size in sizes:
                    once = partial(kept, setting, size, repeated)
                    shares.append(sum(pool.map(once, range(arguments.evaluations), chunksize=20)))
                cells = " | ".join(f"{share / arguments.evaluations:.1%}" for share in shares)
                seconds = f"{time.monotonic() - began:.0f} s"
                print(f"| {setting} | {'repeated' if repeated else 'all different'} | {cells} | {seconds}", flush=True)


if __name__ == "__main__":
    main()
