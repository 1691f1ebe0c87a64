from __future__ import annotations

import pytest

from relaytune.core.statistics.clusters import cluster_totals, effective_size


def test_rows_of_a_cluster_are_added_up_in_whatever_order_they_come() -> None:
    values, prompts = [0.1, 1.0, 0.2, 0.3, -1.0], list("abaab")
    assert cluster_totals(values, prompts) == cluster_totals(values[::-1], prompts[::-1])
    assert sorted(cluster_totals(values, prompts)) == [(0.0, 2), (pytest.approx(0.6), 3)]


def test_each_row_alone_is_worth_one() -> None:
    assert effective_size([1, 0, 1, 1], None) == 4
    assert effective_size([1, 0, 1, 1], list("abcd")) == pytest.approx(4)
    assert effective_size([], None) == 0


def test_copies_are_worth_one_and_opposites_no_more_than_themselves() -> None:
    prompts = [row // 2 for row in range(40)]
    assert effective_size([1, 1, 0, 0] * 10, prompts) == pytest.approx(20)
    assert effective_size([1, 0] * 20, prompts) == 40
    between = effective_size([1, 1, 0, 0, 1, 0, 0, 1] * 5, prompts)
    assert 20 < between < 40


def test_of_one_prompt_there_is_one_case() -> None:
    assert effective_size([1, 0, 1], ["a", "a", "a"]) == 1


def test_alike_rows_cannot_show_that_they_are_no_copies() -> None:
    assert effective_size([1] * 40, [row // 2 for row in range(40)]) == pytest.approx(20)
