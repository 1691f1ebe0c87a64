from __future__ import annotations

import pytest

from relaytune.core.statistics import Stratum, half_width, rows_needed, sampled_share, wilson_interval


def test_of_a_population_without_end_it_is_wilsons_interval() -> None:
    found = sampled_share([Stratum(10**9, 100, 20)])
    assert (found.low, found.high) == pytest.approx(wilson_interval(20, 100), abs=1e-6)


def test_what_was_seen_is_certain() -> None:
    found = sampled_share([Stratum(10, 9, 9)])
    assert (found.low, found.high) == (0.9, 1.0)
    assert sampled_share([Stratum(10, 10, 3)]).high == 0.3


def test_strata_that_differ_narrow_the_interval_and_one_is_a_simple_sample() -> None:
    whole = sampled_share([Stratum(1000, 200, 100)])
    apart = sampled_share([Stratum(500, 100, 98), Stratum(500, 100, 2)])
    assert apart.share == whole.share == 0.5
    assert apart.high - apart.low < 0.6 * (whole.high - whole.low)
    alike = sampled_share([Stratum(500, 100, 50), Stratum(500, 100, 50)])
    assert alike.high - alike.low == pytest.approx(whole.high - whole.low, rel=0.02)


def test_a_stratum_that_was_not_looked_at_is_refused() -> None:
    with pytest.raises(ValueError, match="every stratum"):
        sampled_share([Stratum(10, 5, 1), Stratum(10, 0, 0)])


@pytest.mark.parametrize("rows", [10, 100, 700, 10_000])
@pytest.mark.parametrize("precision", [0.02, 0.05, 0.2])
def test_the_rows_needed_reach_the_precision_and_one_row_less_does_not(rows: int, precision: float) -> None:
    needed = rows_needed(rows, precision)
    assert half_width(rows, needed) <= precision
    assert needed == 1 or half_width(rows, needed - 1) > precision
