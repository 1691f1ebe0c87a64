from __future__ import annotations

from collections import Counter

import pytest

from relaytune.core.errors import DataError
from relaytune.core.facts import Facts
from relaytune.core.statistics import half_width
from relaytune.facts.sampling import draw_order, plan_sample, refuse_thin_strata


def _facts(**settings: object) -> Facts:
    return Facts.model_validate({"sources": "handbook", **settings})


def test_the_sample_is_as_large_as_the_precision_needs_and_no_larger() -> None:
    plan = plan_sample(_facts(precision=0.05), 100_000)
    assert half_width(100_000, plan.size) <= 0.05 < half_width(100_000, plan.size - 1)
    assert plan.sentence == f"{plan.size} of 100000 rows for ±5 points, whatever the rate."


def test_few_rows_need_fewer_audited_since_the_population_ends() -> None:
    assert plan_sample(_facts(), 700).size < plan_sample(_facts(), 7000).size < 385


def test_a_number_of_rows_says_the_precision_that_it_reaches() -> None:
    plan = plan_sample(_facts(sample=100), 700)
    assert plan.size == 100
    assert "100 of 700 rows for ±9 points" in plan.sentence


@pytest.mark.parametrize("sample", ["all", 30, 31])
def test_where_all_rows_are_audited_it_is_said_that_no_sampling_error_remains(sample: object) -> None:
    plan = plan_sample(_facts(sample=sample), 30)
    assert plan.size == 30
    assert "no sampling error remains" in plan.sentence


def test_a_larger_sample_contains_the_smaller_and_the_order_of_rows_does_not_matter() -> None:
    rows = {f"r{number}": "" for number in range(200)}
    order = draw_order(rows, seed=3)
    assert draw_order(dict(reversed(rows.items())), seed=3) == order
    assert draw_order(rows, seed=4) != order
    assert sorted(order) == sorted(rows)
    # a row that goes leaves the others in their order
    del rows[order[5]]
    assert draw_order(rows, seed=3) == [id for id in order if id in rows]


def test_every_first_part_of_the_order_holds_the_strata_in_proportion() -> None:
    strata = {f"r{number}": "fees" if number < 60 else "dates" if number < 90 else "rare" for number in range(100)}
    order = draw_order(strata, seed=0)
    for size in (10, 25, 50):
        counts = Counter(strata[id] for id in order[:size])
        assert abs(counts["fees"] - 0.6 * size) <= 2
        assert counts["rare"] >= 1


def test_more_strata_than_audited_rows_are_refused() -> None:
    strata = {f"r{number}": str(number) for number in range(50)}
    with pytest.raises(DataError, match="'topic' has 50 values among 50 rows, and only 10"):
        refuse_thin_strata(strata, plan_sample(_facts(sample=10), 50), "topic")
