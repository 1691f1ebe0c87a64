from __future__ import annotations

import pytest

from relaytune.evaluation.overlap import corpus_bleu, rouge_l, sentence_bleu

REFERENCE = "police killed the gunman"


def test_rouge_l_is_that_of_its_paper() -> None:
    # the two sentences of Lin 2004, 2.1, which share as many words, but not in the same order
    scores = rouge_l([REFERENCE] * 2, ["police kill the gunman", "the gunman kill police"])
    assert scores == pytest.approx([3 / 4, 2 / 4])


def test_rouge_l_weighs_precision_and_recall_alike_and_ignores_case_and_punctuation() -> None:
    # the longest common subsequence has 3 words: precision 3/6, recall 3/3
    (score,) = rouge_l(["The black cat."], ["the fat black dog cat sleeps"])
    assert score == pytest.approx(2 * (3 / 6) * 1 / (3 / 6 + 1))


def test_sentence_bleu_is_the_geometric_mean_of_its_precisions() -> None:
    # precisions 5/6, 4/5, 3/4, 2/3; as long as the reference, so no penalty
    scores, signature = sentence_bleu(["a b c d e f"], ["a b c d e x"])
    assert scores == pytest.approx([100 * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25])
    assert "eff:yes" in signature
    assert "version:" in signature


def test_corpus_bleu_counts_all_items_together_and_punishes_what_is_too_short() -> None:
    references, answers = ["a b c d e f", "g h i j"], ["a b c d e x", "g h i j"]
    score, signature = corpus_bleu(references, answers)
    assert score == pytest.approx(100 * (9 / 10 * 7 / 8 * 5 / 6 * 3 / 4) ** 0.25)
    assert "eff:no" in signature
    short, _ = corpus_bleu(["a b c d e f g h"], ["a b c d"])
    assert short == pytest.approx(100 * 2.718281828 ** (1 - 8 / 4))


def test_an_empty_answer_scores_nothing_and_an_empty_reference_is_unscored() -> None:
    references, answers = ["a b c d", " ", "a b c d"], ["", "a b c d", "a b c d"]
    assert rouge_l(references, answers) == [0, None, 1]
    scores, _ = sentence_bleu(references, answers)
    assert scores[:2] == [0, None]
    assert scores[2] == pytest.approx(100)
    assert corpus_bleu([""], ["a"])[0] is None
    assert corpus_bleu([], [])[0] is None


def test_a_script_that_rouge_l_cannot_read_is_unscored() -> None:
    assert rouge_l(["你好世界"], ["你好世界"]) == [None]


def test_answers_without_references_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        rouge_l(["a"], [])
