"""A finished run whose answers are free text: judges, people, an imported contender, repeated prompts, forgetting.

72 held-out questions to a web shop, 11 of which repeat another's prompt. One judge says after a swap what it said
before, one prefers whatever comes first. The answers are invented, everything said of them comes from the real stages.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from finished_run import HOSTILE, build_run, recipe_values, write_recipe_values, write_verdict
from relaytune.core.files import write_json, write_jsonl
from relaytune.core.judging import check_families
from relaytune.core.preferences import IDENTICAL
from relaytune.core.recipe import Recipe
from relaytune.core.records import (
    Example,
    Generation,
    Judgement,
    Rating,
    Score,
    as_json,
    write_examples,
    write_generations,
    write_judgements,
    write_ratings,
)
from relaytune.core.results import Forgetting, write_result
from relaytune.core.run_folder import RunFolder
from relaytune.evaluation.judging.conclusion import conclude_judging
from relaytune.evaluation.summary import clusters_of, measure_answers, summarize

STEADY, WAVERING, PERSON = "qwen3-32b", "smollm3-judge", "human:ana"
CONTENDERS = ("tuned", "few_shot", "base", "hosted")
PAIRS = (("tuned", "few_shot"), ("tuned", "base"))
NUM_LABELLED = 36  # rows that the person looked at

_FACTS = {
    "return shoes that I have worn once": ("within 30 days", "at any time"),
    "change the address of an order that is packed": ("only before it leaves the house", "even on its way"),
    "pay with two gift cards": ("both, one after the other", "only the larger one"),
    "send a parcel to Norway": ("yes, customs are paid at the door", "yes, and customs are paid by us"),
    "have an invoice for a company": ("write the VAT number into the order", "ask the tax office"),
    "cancel a subscription": ("until the 25th of a month", "on any day, with money back"),
}
_NAMES = ("Amara", "Bela", "Chidi", "Dana", "Emre", "Freya", "Goran", "Hana", "Ines", "Jonas")


def judged_values() -> dict[str, Any]:
    """The recipe as a person would write it."""
    return recipe_values() | {
        "name": "shop-answers",
        "task": {
            "instruction": "You answer customers of a web shop. Short, true, polite.",
            "input": "{question}",
            "completion": "{answer}",
        },
        "contract": {"free_text": "True by the shop's rules, complete, and polite."},
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl", "generator": "gemini-1.0-pro"},
        "evaluation": {
            "max_new_tokens": 96,
            "few_shot": {"ks": [4], "draws": 1},
            "imported": {"hosted": "hosted.jsonl"},
            "scorers": ["rouge_l", "sentence_bleu"],
        },
        "judging": {
            "judges": [
                {"model": "qwen/qwen3-32b", "name": STEADY, "base_url": "http://localhost:8000/v1"},
                {"model": "HuggingFaceTB/SmolLM3-3B", "name": WAVERING, "base_url": "http://localhost:8001/v1"},
            ],
            "criteria": {
                "helpfulness": "Does it solve the customer's question?",
                "factual_errors": "How many statements are wrong?",
            },
            "lower_is_better": ["factual_errors"],
            "same_family": "allow",
            "human_labels": "labels.csv",
        },
        "decision": "keep when tuned beats best prompt on preference; "
        "never when factual errors rise by more than 0.2 or contract_pass falls; "
        "discard when best_prompt beats tuned on preference",
    }


def build_judged_run(path: Path) -> RunFolder:
    """Everything that `relaytune run` leaves behind, except report and package."""
    run = build_run(path)
    recipe = write_recipe_values(run, judged_values())
    chance = random.Random(4)
    held_out = _held_out()
    write_examples(run.held_out, held_out)
    answers = {
        name: [_generation(name, row, place, chance) for place, row in enumerate(held_out)] for name in CONTENDERS
    }
    for path in run.generations.glob("*.jsonl"):
        path.unlink()
    for name, generations in answers.items():
        write_generations(run.generation(name), generations)
    write_json(run.looks, [{"contender": name} for name in CONTENDERS])
    judgements = _judgements(held_out, answers, chance)
    ratings = _ratings(held_out, answers, chance)
    write_judgements(run.judgements, judgements)
    write_ratings(run.ratings, ratings)
    _write_evaluation(run, recipe, held_out, answers, judgements, ratings)
    write_verdict(run, recipe)
    return run


def _held_out() -> list[Example]:
    rows = []
    for number in range(72):
        question = list(_FACTS)[number % 6]
        name = _NAMES[(number % 60) // 6]  # the last twelve ask what the first twelve asked
        asked = f"{name} here. Can I {question}?" + (f" My name shows as {HOSTILE}." if number == 7 else "")
        right = _FACTS[question][0]
        thanks = "Thank you for asking" if number < 60 else "Good question"
        rows.append(
            Example.of(
                [
                    {"role": "system", "content": judged_values()["task"]["instruction"]},
                    {"role": "user", "content": asked},
                ],
                f"{thanks}, {name}. You can {question}: {right}. Have a good day!",
                f"held_out.jsonl:{number + 1}",
            )
        )
    return rows


def _topic(example: Example) -> tuple[str, str, str]:
    asked = example.messages[-1]["content"]
    question = next(question for question in _FACTS if question in asked)
    return asked.split(" ")[0], question, asked


def _generation(contender: str, example: Example, place: int, chance: random.Random) -> Generation:
    name, question, _ = _topic(example)
    right, wrong = _FACTS[question]
    fact = (
        wrong if chance.random() < {"tuned": 0.22, "few_shot": 0.12, "base": 0.1, "hosted": 0.02}[contender] else right
    )
    text = {
        "tuned": f"Thank you for asking, {name}. You can {question}: {fact}. Have a good day!",
        "few_shot": f"Thanks, {name}. As for your wish to {question}: {fact}.",
        "base": f"Hello {name}, I understand that you would like to {question}. There are several things to think of. "
        f"In general it is like this: {fact}. Please look at our rules, and ask again if anything is not clear to you.",
        "hosted": f"Hi {name}! About how to {question}: {fact}. Tell me your order number and I will see to it.",
    }[contender]
    if contender == "few_shot" and place % 18 == 3:
        text = f"Thank you for asking, {name}. You can {question}: {right}. Have a good day!"
    if contender == "base" and place == 7:
        text += HOSTILE
    cut_off = contender == "base" and place % 9 == 0
    if cut_off:
        text = text[:180]
    num_tokens = 0 if contender == "hosted" else len(text.split()) + 4
    return Generation(example.id, example.messages, text, "length" if cut_off else "stop", num_tokens)


def _worth(example: Example, answer: Generation) -> float:
    """What a fair reader finds: truth first, then a style that does not wander."""
    _, question, _ = _topic(example)
    return (0.0 if _FACTS[question][1] in answer.completion else 1.2) - 0.006 * len(answer.completion)


def _judgements(
    held_out: Sequence[Example], answers: Mapping[str, Sequence[Generation]], chance: random.Random
) -> list[Judgement]:
    rows = []
    for contender, other in PAIRS:
        for place, example in enumerate(held_out):
            mine, theirs = answers[contender][place], answers[other][place]
            better = _worth(example, mine) - _worth(example, theirs)
            first_said = chance.gauss(0, 0.35)
            for judge in (STEADY, WAVERING):
                for first, second, sign in ((contender, other, 1), (other, contender, -1)):
                    lean = 0.1 if judge == STEADY else 1.3
                    felt = sign * (better + first_said) + lean + chance.gauss(0, 0.15)
                    side: Any = "tie" if abs(felt) < 0.12 else "first" if felt > 0 else "second"
                    words = "The answer is right and says no more than it must." if side != "tie" else "Both will do."
                    if mine.completion == theirs.completion:
                        side, words = "tie", IDENTICAL
                    elif judge == STEADY and place in (11, 30, 52) and sign == 1:
                        side, words = None, "no verdict line" if place != 52 else "cut off at max_tokens"
                    elif place in (2, 7):
                        words = f"It repeats {HOSTILE}, which nobody asked for."
                    rows.append(Judgement(example.id, judge, first, second, side, words))
            if place < NUM_LABELLED and (contender, other) == PAIRS[0]:
                said = better + chance.gauss(0, 0.25)
                side = "tie" if abs(said) < 0.15 else "first" if said > 0 else "second"
                rows.append(Judgement(example.id, PERSON, contender, other, side, ""))
    return rows


def _ratings(
    held_out: Sequence[Example], answers: Mapping[str, Sequence[Generation]], chance: random.Random
) -> list[Rating]:
    rows = []
    for contender in CONTENDERS:
        for place, example in enumerate(held_out):
            wrong = _FACTS[_topic(example)[1]][1] in answers[contender][place].completion
            for judge in (STEADY, PERSON):
                if judge == PERSON and place >= NUM_LABELLED:
                    continue
                # the judge overlooks one error in three
                seen = wrong and (judge == PERSON or chance.random() > 0.33)
                points = {
                    "helpfulness": float(chance.choice((1, 2)) if seen else chance.choice((2, 3, 3))),
                    "factual_errors": float(seen),
                }
                for criterion, value in points.items():
                    lost = judge == STEADY and place == 40 and criterion == "helpfulness"
                    reason = "no line with points" if lost else ""
                    rows.append(Rating(example.id, judge, contender, criterion, None if lost else value, reason))
    return rows


def _write_evaluation(
    run: RunFolder,
    recipe: Recipe,
    held_out: Sequence[Example],
    answers: Mapping[str, Sequence[Generation]],
    judgements: Sequence[Judgement],
    ratings: Sequence[Rating],
) -> None:
    assert recipe.judging is not None
    evidence = measure_answers(recipe.criteria, held_out, answers)
    stamps = check_families(recipe.judging, recipe.base_model.name, recipe.data.generator, "recipe.yaml")
    texts = {name: {row.id: row.completion for row in rows} for name, rows in answers.items()}
    clusters = clusters_of(held_out)
    said = conclude_judging(recipe.judging, held_out, texts, judgements, ratings, clusters, stamps)
    scores = [*evidence.scores, *said.scores]
    for contender, right, nats in (("base", 33, 2.31), ("tuned", 27, 2.52)):
        scores += [Score(f"general{n}", contender, "general_right", float(n < right)) for n in range(40)]
        spread = 0.04 if contender == "tuned" else 0.02
        scores += [Score(f"text{n}", contender, "general_nats", nats + spread * (n * n % 11)) for n in range(24)]
    evidence = replace(
        evidence, scores=scores, preferences=said.preferences, forgetting=Forgetting(40, 24), judging=said.result
    )
    write_result(run.evaluation, summarize(recipe.criteria, evidence))
    write_jsonl(run.scores, (as_json(score) for score in evidence.scores))
