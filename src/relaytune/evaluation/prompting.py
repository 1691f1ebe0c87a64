"""The better prompt: which examples to show the base model, chosen on validation rows only."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence

from relaytune.core.contract import read_answer
from relaytune.core.recipe import Recipe
from relaytune.core.records import Example, Generation, Message
from relaytune.core.results import FewShotChoice, FewShotTrial
from relaytune.evaluation.measuring import measure


def with_shots(example: Example, shots: Sequence[Example]) -> tuple[Message, ...]:
    """The example's messages with answered examples between its system message and its question."""
    system = tuple(message for message in example.messages[:1] if message["role"] == "system")
    turns: list[Message] = []
    for shot in shots:
        turns += [message for message in shot.messages if message["role"] != "system"]
        turns.append({"role": "assistant", "content": shot.completion})
    return (*system, *turns, *example.messages[len(system) :])


def draw_shots(recipe: Recipe, train: Sequence[Example], k: int, draw: int) -> list[Example]:
    """k training examples, the labels taken in turn, made of seed, k and draw."""
    rng = random.Random(f"few-shot {recipe.training.seed} {k} {draw}")
    by_label: dict[str, list[Example]] = defaultdict(list)
    for example in train:
        by_label[read_answer(recipe.contract, example.completion).label or ""].append(example)
    piles = [rng.sample(by_label[label], len(by_label[label])) for label in sorted(by_label)]
    rng.shuffle(piles)
    shots: list[Example] = []
    while len(shots) < k and any(piles):
        shots += [pile.pop() for pile in piles if pile][: k - len(shots)]
    rng.shuffle(shots)
    return shots


def choice_metric(recipe: Recipe) -> str:
    """What a prompt is chosen by: the judgement if the contract has one, else the strictest metric there is."""
    metrics = recipe.criteria.metrics
    wanted = ("label_accuracy", "exact_match", "numeric_match", "rouge_l", "sentence_bleu", "contract_pass")
    return next(name for name in wanted if name in metrics)


def _said(metric: str, recipe: Recipe, values: Sequence[float], num_rows: int) -> str:
    if recipe.criteria.metrics[metric].kind == "share":
        return f"{sum(values):.0f}/{num_rows}"
    return f"{sum(values) / num_rows:.3f}"


def choose_shots(
    recipe: Recipe,
    train: Sequence[Example],
    validation: Sequence[Example],
    answer: Callable[[Sequence[Example]], list[Generation] | None],
    tell: Callable[[str], None],
) -> FewShotChoice | None:
    """Try every k and draw on the validation rows; the best wins, on a tie the shorter prompt.

    `answer` answers the validation rows after the given shots, or returns None where the prompt is too long for the
    model. Returns None when no prompt fits.
    """
    metric = choice_metric(recipe)
    trials = []
    for k in sorted(set(recipe.evaluation.few_shot.ks)):
        if k > len(train):
            tell(f"  k={k}: not tried, there are only {len(train)} training rows")
            continue
        for draw in range(recipe.evaluation.few_shot.draws):
            shots = draw_shots(recipe, train, k, draw)
            generations = answer(shots)
            if generations is None:
                tell(f"  k={k}, draw {draw + 1}: not tried, the prompt does not fit the model's context")
                continue
            scores, _ = measure(recipe.criteria, validation, generations, "few_shot")
            values = [row.value for row in scores if row.scorer == metric and row.value is not None]
            # over all rows: a prompt whose answers cannot be scored must not win by those few that can
            rate = sum(values) / len(validation)
            trials.append(FewShotTrial(k, draw, tuple(shot.id for shot in shots), rate, len(validation)))
            unscored = len(validation) - len(values)
            left_out = f" ({unscored} unscored, which count as nothing gained)" if unscored else ""
            said = _said(metric, recipe, values, len(validation))
            tell(f"  k={k}, draw {draw + 1}: {metric} {said} on validation rows{left_out}")
    if not trials:
        return None
    chosen = max(trials, key=lambda trial: (trial.rate, -trial.k, -trial.draw))
    return FewShotChoice(metric, tuple(trials), chosen)
