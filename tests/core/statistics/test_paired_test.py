from __future__ import annotations

import random
from itertools import product

import pytest
from scipy.stats import binomtest

from relaytune.core.statistics import holm, mcnemar_exact, paired_test


def test_mcnemar_is_the_two_sided_coin_toss() -> None:
    assert mcnemar_exact(8, 1) == pytest.approx(2 * (1 + 9) / 2**9)
    assert mcnemar_exact(1, 8) == mcnemar_exact(8, 1)
    assert mcnemar_exact(5, 0) > 0.05 > mcnemar_exact(6, 0)


def test_without_discordant_pairs_p_is_1() -> None:
    assert mcnemar_exact(0, 0) == 1
    assert mcnemar_exact(7, 7) == 1


@pytest.mark.parametrize(("only_first", "only_second"), [(6, 16), (16, 6), (1, 0), (6, 0), (40, 40), (90, 61)])
def test_the_paired_test_of_right_and_wrong_is_exact_mcnemar(only_first: int, only_second: int) -> None:
    differences = [1.0] * only_first + [-1.0] * only_second + [0.0] * 139
    assert paired_test(differences) == pytest.approx(mcnemar_exact(only_first, only_second))


def test_the_paired_test_of_preferences_is_the_sign_test_without_the_ties() -> None:
    # the study: 23 for the one, 9 for the other, 18 ties
    p = paired_test([1] * 23 + [-1] * 9 + [0] * 18)
    assert p == pytest.approx(binomtest(23, 32).pvalue)
    assert p == paired_test([1] * 23 + [-1] * 9)


def test_it_is_fishers_own_test_of_darwins_plants() -> None:
    # Fisher 1935, The Design of Experiments, section 21: 1,726 of the 2^15 arrangements
    darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert paired_test(darwin) == pytest.approx(1726 / 2**15)
    assert paired_test([difference / 8 for difference in darwin]) == pytest.approx(1726 / 2**15)


def test_steps_of_a_tenth_are_exact_in_spite_of_rounding() -> None:
    assert paired_test([0.1] * 6) == pytest.approx(2 / 2**6)
    # 0.1 + 0.2 - 0.3 is not 0 as floats add, but a tie
    assert paired_test([0.1, 0.2, -0.3, 0.1, 0.1], ["a", "a", "a", "b", "c"]) == pytest.approx(0.5)


def _enumerated(sums: list[float]) -> float:
    observed = abs(sum(sums))
    reached = [
        abs(sum(sign * size for sign, size in zip(signs, sums, strict=True))) >= observed - 1e-9
        for signs in product((-1, 1), repeat=len(sums))
    ]
    return sum(reached) / len(reached)


def test_rows_of_one_prompt_change_sign_together() -> None:
    differences, prompts = [1, 1, 1, -1, 2, 0, 1, 1, -2, 3, 1], list("aabbccddeef")
    assert paired_test(differences, prompts) == pytest.approx(_enumerated([2, 2, 2, 1, 1]))


def test_flips_come_close_to_all_arrangements() -> None:
    random_numbers = random.Random(7)
    differences = [random_numbers.gauss(0.4, 1) for _ in range(12)]
    assert paired_test(differences) == pytest.approx(_enumerated(differences), abs=0.015)


def test_p_is_never_0_and_the_same_each_time() -> None:
    differences = [1 + index**0.5 for index in range(60)]
    assert paired_test(differences) == 1 / 10_001
    mixed = [(-1) ** index * index**0.5 for index in range(60)]
    assert paired_test(mixed) == paired_test(mixed) != paired_test(mixed, seed=1)


@pytest.mark.parametrize("scale", [1, 2**0.5])
def test_neither_the_order_of_rows_nor_of_contenders_matters(scale: float) -> None:
    differences = [scale**index % 3 - 1.2 for index in range(1, 40)]
    prompts = [index // 2 for index in range(39)]
    p = paired_test(differences, prompts)
    assert paired_test(differences[::-1], prompts[::-1]) == pytest.approx(p)
    assert paired_test([-difference for difference in differences], prompts) == pytest.approx(p)


def test_copies_of_a_prompt_prove_nothing() -> None:
    differences = [1] * 9 + [-1] * 3
    prompts = list(range(12))
    assert paired_test(differences * 4, prompts * 4) == pytest.approx(paired_test(differences))
    assert paired_test(differences * 4) < paired_test(differences)


def test_where_there_is_nothing_to_test_p_is_1() -> None:
    assert paired_test([]) == 1
    assert paired_test([0.0] * 30) == 1
    assert paired_test([1, -1, 1, -1], ["a", "a", "b", "b"]) == 1


def test_rows_without_their_prompt_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_test([1, 0, 1], ["a", "b"])


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []
