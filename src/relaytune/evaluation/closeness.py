"""BERTScore of every contender's answers: how close in meaning they come to the references."""

from __future__ import annotations

from dataclasses import replace

from relaytune.core.criteria import Criteria
from relaytune.core.model import named_by, require
from relaytune.core.records import Score
from relaytune.core.screen import Screen
from relaytune.core.sections import Evaluation
from relaytune.evaluation.measuring import CUT_OFF
from relaytune.evaluation.scoring import NO_REFERENCE
from relaytune.evaluation.summary import Evidence


def with_closeness(criteria: Criteria, evidence: Evidence, screen: Screen) -> Evidence:
    """The evidence with BERTScore, where it is asked for, and a note that names the encoder and its layer.

    Raises:
        ModelError: the encoder cannot be had, or its layer is not said.
        MachineError: torch or transformers is not installed.
    """
    if "bertscore" not in criteria.evaluation.scorers_for(criteria.contract):
        return evidence
    require("torch", "transformers", extra="train")
    scores, note = _score(criteria.evaluation, evidence, screen)
    return replace(evidence, scores=[*evidence.scores, *scores], notes={**evidence.notes, "bertscore": note})


def _score(evaluation: Evaluation, evidence: Evidence, screen: Screen) -> tuple[list[Score], str]:
    from relaytune.core.encoder import DEFAULT_ENCODER
    from relaytune.evaluation.bertscore import Encoder, bertscore

    name = evaluation.bertscore_encoder or DEFAULT_ENCODER
    with named_by("evaluation.bertscore_encoder"):
        encoder = Encoder.load(name, evaluation.bertscore_layer, "cpu", screen.say)
    references = {example.id: example.completion for example in evidence.held_out}
    scores: list[Score] = []
    num_cut = 0
    for contender, rows in evidence.generations.items():
        with screen.bar(f"{contender}, bertscore", len(rows)) as bar:
            found = bertscore(
                encoder, [references[row.id] for row in rows], [row.completion for row in rows], bar.update
            )
        for row, score in zip(rows, found, strict=True):
            num_cut += score is not None and score.cut
            value, reason = (None, NO_REFERENCE) if score is None else (score.f1, "")
            if evaluation.exclude_truncated and row.finish_reason == "length":
                value, reason = None, CUT_OFF
            scores.append(Score(row.id, contender, "bertscore", value, reason))
    cut = f"; {num_cut} answers or references were longer than the encoder reads, and cut" if num_cut else ""
    return scores, f"{encoder.score_name()}, not rescaled: not on the scale of published tables{cut}"
