from __future__ import annotations

import pytest

from audited_rows import audited, sample
from relaytune.facts.rates import MIN_LABELS, AuditedSample, correct, count_rates, peoples_part, remaining


def test_clearly_false_inclusive_and_unchecked_are_counted_apart() -> None:
    rates = count_rates(sample("ffddduurrr" * 4, 400))
    assert [rates[name].count for name in ("clearly_false", "inclusive", "unchecked")] == [8, 20, 8]
    assert rates["clearly_false"].rate.share == pytest.approx(0.2)
    assert rates["clearly_false"].rate.low < 0.2 < rates["clearly_false"].rate.high


def test_where_every_row_is_audited_the_interval_is_a_point() -> None:
    rate = count_rates(sample("ffrrrrrrrr", 10))["clearly_false"].rate
    assert rate.low == rate.share == rate.high == pytest.approx(0.2)


def test_a_stratum_of_which_fewer_rows_were_audited_counts_by_its_rows() -> None:
    answers = [audited(number, "false", stratum="large") for number in range(5)]
    answers += [audited(number, "right", stratum="small") for number in range(5, 10)]
    strata = {f"row{number}": "large" if number < 5 or number >= 10 else "small" for number in range(100)}
    rate = count_rates(AuditedSample(answers, strata))["clearly_false"].rate
    assert rate.share == pytest.approx(0.95)


def test_a_persons_word_counts_and_most_people_decide_the_more_severe_where_they_are_even() -> None:
    assert audited(0, "false", ["right"]).verdict == "right"
    assert audited(0, "right", ["right", "false", "right"]).verdict == "right"
    assert audited(0, "right", ["right", "false"]).verdict == "false"


def test_a_verifier_that_misses_half_of_the_false_rows_is_corrected_upwards() -> None:
    verdicts, people = "frrr" * 50, "fffr" * 12
    corrected = correct(sample(verdicts, 2000, people), "clearly_false")
    assert corrected is not None
    assert corrected.rate.low < 0.75 < corrected.rate.high
    assert (corrected.sensitivity.count, corrected.sensitivity.total) == (12, 36)
    assert corrected.specificity.share == 1


def test_with_fewer_labels_than_were_measured_no_rate_is_corrected_and_the_reason_is_said() -> None:
    few = sample("frrr" * 50, 2000, "f" * (MIN_LABELS - 1))
    assert correct(few, "clearly_false") is None
    part = peoples_part(few, 0)
    assert part is not None
    assert f"at least {MIN_LABELS}" in part.no_correction
    assert correct(sample("frrr" * 50, 2000, "f" * MIN_LABELS), "clearly_false") is not None


def test_labels_that_were_picked_out_are_not_taken_for_a_random_choice() -> None:
    picked = [audited(number, "right", ["false"] if number >= 50 else []) for number in range(100)]
    part = peoples_part(AuditedSample(picked, {f"row{number}": "" for number in range(500)}), 0)
    assert part is not None
    assert (part.num_labelled, part.num_in_order, part.first_gap) == (50, 0, "train.jsonl:1")


def test_where_people_labelled_every_row_nothing_is_left_uncertain() -> None:
    corrected = correct(sample("frrr" * 10, 40, "ffrr" * 10), "clearly_false")
    assert corrected is not None
    assert corrected.rate.low == corrected.rate.share == corrected.rate.high == 0.5


def test_rows_left_out_take_their_errors_with_them_and_those_not_audited_carry_the_rate() -> None:
    audited_rows = sample("f" * 10 + "r" * 90, 1000)
    out = frozenset(f"row{number}" for number in range(10))
    after = remaining(audited_rows, "clearly_false", out)
    assert after.share == pytest.approx(0.1 * 900 / 990)
    assert remaining(audited_rows, "clearly_false", frozenset()).share == pytest.approx(0.1)


def test_the_corrected_rate_of_what_remains_keeps_the_errors_that_the_verifiers_missed() -> None:
    # of ten rows three are wrong, and the verifiers find two of them
    truth, verdicts = "fffrrrrrrr" * 40, "ffrrrrrrrr" * 40
    seen = sample(verdicts, 400, truth[:100])
    out = frozenset(answer.id for answer in seen.answers if answer.verdict == "false")
    left = [said for number, said in enumerate(truth) if f"row{number}" not in out]
    corrected = correct(seen, "clearly_false", out)
    assert corrected is not None
    assert corrected.rate.low < left.count("f") / len(left) < corrected.rate.high
