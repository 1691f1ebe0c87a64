"""Every metric of every answer of one contender; a pure function of saved answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from relaytune.core import declining
from relaytune.core.criteria import Criteria
from relaytune.core.errors import MachineError
from relaytune.core.records import Example, Generation, Score
from relaytune.evaluation import traits
from relaytune.evaluation.overlap import rouge_l, sentence_bleu
from relaytune.evaluation.perplexity import reference_nats_per_token, reference_perplexity
from relaytune.evaluation.scoring import NO_ANSWER, NO_REFERENCE, Value, by_id, score

CUT_OFF = "cut off, and evaluation.exclude_truncated leaves such answers out"

_OF_TEXT: Mapping[str, Callable[[str], Value]] = {
    "loops": traits.loops,
    "repetition": traits.repetition,
    "refused": declining.refused,
    "abstained": declining.abstained,
}


def measure(
    criteria: Criteria, examples: Sequence[Example], generations: Sequence[Generation], contender: str
) -> tuple[list[Score], dict[str, str]]:
    """The scores of all answers, and notes on how metrics were computed (metric → note).

    BERTScore is not among them: it needs an encoder (`evaluation.bertscore`).

    Raises:
        RunError: an answer belongs to no row, or two answers to the same one.
        MachineError: a package that a scorer needs is missing.
    """
    answers = by_id(examples, generations, contender)
    scores = score(criteria.contract, examples, generations, contender) if criteria.contract else []
    scores += [
        Score(example.id, contender, metric, *value)
        for example in examples
        for metric, value in _style(answers.get(example.id)).items()
    ]
    overlaps, notes = _overlaps(criteria, examples, answers, contender)
    scores += overlaps
    if criteria.evaluation.exclude_truncated:
        cut_off = {generation.id for generation in generations if generation.finish_reason == "length"}
        scores = [
            Score(row.id, contender, row.scorer, None, CUT_OFF)
            if row.id in cut_off and row.scorer != "stopped"
            else row
            for row in scores
        ]
    return scores, notes


def _style(generation: Generation | None) -> dict[str, Value]:
    if generation is None:
        return dict.fromkeys(("stopped", *_OF_TEXT), (None, NO_ANSWER))
    ended: Value = (None, "not recorded") if generation.finish_reason == "unknown" else traits.stopped(generation)
    return {"stopped": ended} | {name: trait(generation.completion) for name, trait in _OF_TEXT.items()}


def _why_unscored(example: Example) -> str:
    return "the reference has no word that this scorer counts" if example.completion.strip() else NO_REFERENCE


def _overlaps(
    criteria: Criteria, examples: Sequence[Example], answers: Mapping[str, Generation], contender: str
) -> tuple[list[Score], dict[str, str]]:
    wanted = criteria.evaluation.scorers_for(criteria.contract)
    pairs = [(example, answers[example.id]) for example in examples if example.id in answers]
    references = [example.completion for example, _ in pairs]
    completions = [generation.completion for _, generation in pairs]
    found: dict[str, list[float | None]] = {}
    notes: dict[str, str] = {}
    try:
        if "rouge_l" in wanted:
            found["rouge_l"] = rouge_l(references, completions)
        if "sentence_bleu" in wanted:
            found["sentence_bleu"], notes["sentence_bleu"] = sentence_bleu(references, completions)
    except ModuleNotFoundError as error:
        raise MachineError(
            f"evaluation.scorers: {', '.join(wanted)} need the package {error.name}; install it with "
            "`pip install 'relaytune[eval]'`"
        ) from error
    scores = [
        Score(example.id, contender, name, value, "" if value is not None else _why_unscored(example))
        for name, values in found.items()
        for (example, _), value in zip(pairs, values, strict=True)
    ]
    if "reference_nats" in wanted:
        scores += [
            Score(example.id, contender, "reference_nats", *reference_nats_per_token(generation))
            for example, generation in pairs
        ]
        perplexity = reference_perplexity([generation for _, generation in pairs])
        if perplexity is not None:
            notes["reference_nats"] = f"perplexity of all references: {contender} {perplexity:.2f}"
    unanswered = [example for example in examples if example.id not in answers]
    names = dict.fromkeys(row.scorer for row in scores)
    scores += [Score(example.id, contender, name, None, NO_ANSWER) for name in names for example in unanswered]
    return scores, notes
