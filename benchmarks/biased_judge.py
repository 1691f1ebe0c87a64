"""A judge with planted biases: how far its final win rate is from the truth, ours and a plain single-order judge's.

    python benchmarks/biased_judge.py

The judge is played: it knows which answer is truly better and says so, except as its bias makes it. What it writes goes
through the real prompts, the real reading and the real both-orders rule. The plain judge is asked once, the contender
always first, and the first name in its reply counts; none is a tie. Figures are means over RUNS evaluations of NUM_ROWS
rows each, in points of the win rate (a tie counts half; "decided" leaves ties out). In a quarter of the rows both
answers are about equally long; in the others the contender's is longer in four of five.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from relaytune.core.preferences import PairVerdict, pair_verdicts
from relaytune.core.records import Judgement, Message
from relaytune.core.results import PreferenceSummary, WinLoss
from relaytune.core.statistics import correct_by_human_labels
from relaytune.evaluation.judging.preferences import summarize_preferences
from relaytune.evaluation.judging.prompting import PairPrompt, pair_prompt
from relaytune.evaluation.judging.verdicts import read_verdict

RUNS = 300
NUM_ROWS = 200
NUM_HUMAN = 60  # rows that people labelled too, drawn at random
MIN_CONSISTENCY = 0.6
TRUTHS = {"no difference": (0.45, 0.10, 0.45), "60 : 30": (0.60, 0.10, 0.30), "30 : 60": (0.30, 0.10, 0.60)}
GARBAGE = (
    "", "Both answers are good.", "Verdict: A", "I think {second} is better.", '{{"verdict": "{second}"}}',
    "Verdict: {first}\nVerdict: {second}", "Verdict: {first} or {second}", "Sorry, I cannot help with that.",
)  # fmt: skip


@dataclass(frozen=True)
class Bias:
    """How often the judge says something else than the truth, and what."""

    first_slot: float = 0.0  # takes the answer shown first
    longer: float = 0.0  # takes the longer answer
    own_family: float = 0.0  # takes the contender, a relative
    noise: float = 0.0  # says the opposite
    garbage: float = 0.0  # says nothing that can be read


BIASES = {
    "none": Bias(),
    "first slot, 30%": Bias(first_slot=0.3),
    "first slot, 60%": Bias(first_slot=0.6),
    "longer answer, 30%": Bias(longer=0.3),
    "own family, 30%": Bias(own_family=0.3),
    "20% noise": Bias(noise=0.2),
    "10% garbage": Bias(garbage=0.1),
    "all but family": Bias(first_slot=0.3, longer=0.3, noise=0.2, garbage=0.1),
    "all": Bias(first_slot=0.3, longer=0.3, own_family=0.3, noise=0.2, garbage=0.1),
}


@dataclass(frozen=True)
class Row:
    """One example: its prompts with the contender first and second, and the two answers' lengths."""

    id: str
    contender_first: PairPrompt
    other_first: PairPrompt
    lengths: tuple[int, int]


@dataclass(frozen=True)
class Outcome:
    """One evaluation: the truth and what was made of it."""

    truth: WinLoss
    plain_win_rate: float
    ours: PreferenceSummary
    human_corrected: float  # win rate


def main() -> None:
    rows = make_rows()
    for name, chances in TRUTHS.items():
        print(f"\nTruth: {name}\n")
        print(
            "| bias | plain | ours | ours, decided | ours, lengths matched, decided | ours and 60 human labels "
            "| consistency | unscored | refused | ours states a false difference, of these with a caution |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for label, bias in BIASES.items():
            rng = random.Random(f"{name} {label}")
            outcomes = [evaluate(rows, chances, bias, rng) for _ in range(RUNS)]
            print(line(label, outcomes, chances[0] - chances[2]), flush=True)
    print(
        "\nEach figure is the mean error, and in brackets the mean size of the error, in points. A judge of the "
        "contestant's family is refused before it is asked (core/judging.py); the rows show what happens where the "
        "recipe allows it."
    )


def make_rows() -> list[Row]:
    rng = random.Random(0)
    rows = []
    for number in range(NUM_ROWS):
        short, long = 10, 10 if number % 4 == 0 else 20
        contender_longer = rng.random() < 0.8
        words = (long, short) if contender_longer else (short, long)
        texts = [f"{who} {number} " + "word " * count for who, count in zip(("one", "two"), words, strict=True)]
        request: list[Message] = [{"role": "user", "content": f"request {number}"}]
        rows.append(
            Row(
                str(number),
                pair_prompt("It is right.", request, texts[0], texts[1], 1000),
                pair_prompt("It is right.", request, texts[1], texts[0], 1000),
                (len(texts[0]), len(texts[1])),
            )
        )
    return rows


def evaluate(rows: Sequence[Row], chances: tuple[float, float, float], bias: Bias, rng: random.Random) -> Outcome:
    truth = {row.id: rng.choices((1, 0, -1), chances)[0] for row in rows}
    judgements: list[Judgement] = []
    plain = []
    for row in rows:
        for prompt, first, second in (
            (row.contender_first, "contender", "other"),
            (row.other_first, "other", "contender"),
        ):
            completion = reply(prompt, first == "contender", truth[row.id], row.lengths, bias, rng)
            better, reason = read_verdict(completion, "stop", prompt.sides)
            judgements.append(Judgement(row.id, "played", first, second, better, reason))
            if first == "contender":
                plain.append(loosely_read(completion, prompt.sides))
    verdicts = pair_verdicts(judgements, "played", "contender", "other")
    ids = {row.id: row.id for row in rows}
    lengths = {row.id: row.lengths for row in rows}
    ours = summarize_preferences("played", "contender", "other", verdicts, lengths, ids, MIN_CONSISTENCY)
    return Outcome(true_result(truth), (1 + fmean(plain)) / 2, ours, human_corrected(verdicts, truth, rng))


def reply(
    prompt: PairPrompt, contender_first: bool, truth: int, lengths: tuple[int, int], bias: Bias, rng: random.Random
) -> str:
    """What the played judge writes."""
    first, second, tie = prompt.sides
    if rng.random() < bias.garbage:
        return rng.choice(GARBAGE).format(first=first, second=second)
    preference = truth
    if rng.random() < bias.noise:
        preference = rng.choice([value for value in (1, 0, -1) if value != truth])
    if rng.random() < bias.longer and lengths[0] != lengths[1]:
        preference = 1 if lengths[0] > lengths[1] else -1
    if rng.random() < bias.own_family:
        preference = 1
    if rng.random() < bias.first_slot:
        preference = 1 if contender_first else -1
    if preference == 0:
        return f"Verdict: {tie}\nBoth are alike."
    return f"Verdict: {first if (preference == 1) == contender_first else second}\nIt is better."


def loosely_read(completion: str, sides: Mapping[str, str]) -> int:
    """As a plain script reads a reply to a question that showed the contender first."""
    found = [(completion.find(name), side) for name, side in sides.items() if name in completion]
    return {"first": 1, "second": -1, "tie": 0}[min(found)[1]] if found else 0


def true_result(truth: Mapping[str, int]) -> WinLoss:
    values = list(truth.values())
    return WinLoss(values.count(1), values.count(-1), values.count(0), fmean(values), None, 1.0)


def human_corrected(verdicts: Mapping[str, PairVerdict], truth: Mapping[str, int], rng: random.Random) -> float:
    human = {id: truth[id] for id in rng.sample(list(truth), NUM_HUMAN)}
    judge = [verdicts[id].preference or 0 for id in truth]
    corrected = correct_by_human_labels(judge, [human.get(id) for id in truth])
    assert corrected is not None
    return (1 + corrected.estimate) / 2


def line(label: str, outcomes: Sequence[Outcome], true_difference: float) -> str:
    def error(pairs: Sequence[tuple[float | None, float | None]]) -> str:
        errors = [100 * (one - true) for one, true in pairs if one is not None and true is not None]
        return f"{fmean(errors):+.1f} ({fmean(map(abs, errors)):.1f})"

    false = [
        one.ours.result.p_value <= 0.05
        and not one.ours.refused
        and (one.ours.result.difference or 0) * true_difference <= 0
        for one in outcomes
    ]
    cautioned = sum(bool(one.ours.caution) for one, is_false in zip(outcomes, false, strict=True) if is_false)
    cells = (
        error([(one.plain_win_rate, one.truth.win_rate) for one in outcomes]),
        error([(one.ours.result.win_rate, one.truth.win_rate) for one in outcomes]),
        error([(one.ours.result.decided_win_rate, one.truth.decided_win_rate) for one in outcomes]),
        error([(one.ours.length_matched.decided_win_rate, one.truth.decided_win_rate) for one in outcomes]),
        error([(one.human_corrected, one.truth.win_rate) for one in outcomes]),
        f"{fmean(one.ours.consistency.share or 0 for one in outcomes):.2f}",
        f"{fmean(one.ours.num_unscored / NUM_ROWS for one in outcomes):.0%}",
        f"{fmean(bool(one.ours.refused) for one in outcomes):.0%}",
        f"{fmean(false):.1%}, {cautioned} of {sum(false)}",
    )
    return f"| {label} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
