"""How much of a reference's wording an answer shares: ROUGE-L and SacreBLEU, each by its reference implementation.

Both compare words, not meaning. Against references that a model wrote they measure fidelity to that model's wording,
not quality. An answer without words scores 0; a reference without words leaves its item unscored (None).
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def rouge_l(references: Sequence[str], answers: Sequence[str]) -> list[float | None]:
    """ROUGE-L F1 of each answer, 0 to 1 (Lin 2004, 2.1: longest common subsequence of words, beta 1).

    By Google's rouge-score, as most papers print it: lower case, no stemming, the answer as one sequence. Its words are
    runs of a-z and 0-9, so a reference in another script has none and is unscored.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    return [
        float(scorer.score(reference, answer)["rougeL"].fmeasure) if re.search("[a-z0-9]", reference.lower()) else None
        for reference, answer in zip(references, answers, strict=True)
    ]


def sentence_bleu(references: Sequence[str], answers: Sequence[str]) -> tuple[list[float | None], str]:
    """BLEU of each answer, 0 to 100, and sacrebleu's signature, which says how it was computed (Post 2018).

    With effective order: of an answer shorter than four words only the n-grams that it has count. The mean of these is
    not the corpus's BLEU.
    """
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(effective_order=True)
    scores = [
        bleu.sentence_score(answer, [reference]).score if reference.strip() else None
        for reference, answer in zip(references, answers, strict=True)
    ]
    # sacrebleu knows the number of references only once it has scored
    bleu.sentence_score("", [""])
    return scores, str(bleu.get_signature())


def corpus_bleu(references: Sequence[str], answers: Sequence[str]) -> tuple[float | None, str]:
    """BLEU of all answers together, 0 to 100 (Papineni et al. 2002), and sacrebleu's signature.

    Items whose reference is blank are left out (`sentence_bleu` gives them as None); None where nothing is left.
    """
    from sacrebleu.metrics.bleu import BLEU

    pairs = [pair for pair in zip(references, answers, strict=True) if pair[0].strip()]
    bleu = BLEU()
    total = bleu.corpus_score([answer for _, answer in pairs] or [""], [[reference for reference, _ in pairs] or [""]])
    return (total.score if pairs else None), str(bleu.get_signature())
