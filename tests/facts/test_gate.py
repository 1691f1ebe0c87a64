from __future__ import annotations

from audited_rows import sample
from relaytune.core.facts import Facts
from relaytune.facts.gate import judge_gate


def _facts(**settings: object) -> Facts:
    return Facts.model_validate({"sources": "handbook", **settings})


def test_without_a_limit_the_gate_passes_and_drops_nothing() -> None:
    gate = judge_gate(_facts(), sample("fffr", 4), ())
    assert gate.passed
    assert gate.dropped == ()
    assert gate.before == gate.after


def test_the_whole_rate_is_held_against_the_limit_where_nothing_is_dropped() -> None:
    assert not judge_gate(_facts(max_error_rate=0.05), sample("f" * 10 + "r" * 290, 1000), ()).passed
    assert judge_gate(_facts(max_error_rate=0.05), sample("f" * 4 + "r" * 296, 1000), ()).passed


def test_dropping_all_that_is_false_of_rows_that_were_all_audited_leaves_no_error_and_no_interval() -> None:
    gate = judge_gate(_facts(max_error_rate=0.01, on_contradiction="drop"), sample("ffrr", 4), ())
    assert gate.passed
    assert gate.dropped == ("row0", "row1")
    assert (gate.before.share, gate.after.share, gate.after.high, gate.num_remaining) == (0.5, 0.0, 0.0, 2)


def test_a_refusal_says_how_many_more_rows_to_audit_and_that_many_do() -> None:
    facts = _facts(max_error_rate=0.05, on_contradiction="drop")
    refused = judge_gate(facts, sample("f" * 10 + "r" * 90, 1000), ())
    assert not refused.passed
    total = int(refused.refusals[0].partition("sample: ")[2].partition(")")[0])
    false = total // 10
    assert judge_gate(facts, sample("f" * false + "r" * (total - false), 1000), ()).passed
    fewer = total - 20
    assert not judge_gate(facts, sample("f" * (fewer // 10) + "r" * (fewer - fewer // 10), 1000), ()).passed


def test_where_no_audit_would_do_the_refusal_says_so() -> None:
    gate = judge_gate(_facts(max_error_rate=0.05), sample("f" * 10 + "r" * 90, 1000), ())
    assert "no number of audited rows will do" in gate.refusals[0]


def test_a_limit_of_none_at_all_is_met_by_auditing_every_row_and_dropping_what_is_false() -> None:
    gate = judge_gate(_facts(max_error_rate=0, on_contradiction="drop"), sample("frr", 10), ())
    assert "7 more rows are to be audited (sample: 10)" in gate.refusals[0]


def test_refuse_stops_on_a_single_contradicted_row_and_names_it() -> None:
    gate = judge_gate(_facts(on_contradiction="refuse"), sample("rrrf", 100), ())
    assert not gate.passed
    assert "1 audited row is contradicted" in gate.refusals[0]
    assert "train.jsonl:4" in gate.refusals[0]


def test_a_row_that_a_person_calls_right_is_neither_dropped_nor_refused() -> None:
    people = sample("ffrr", 4, "r")
    assert judge_gate(_facts(on_contradiction="drop"), people, ()).dropped == ("row1",)
    assert judge_gate(_facts(on_contradiction="refuse"), sample("frrr", 4, "r"), ()).passed


def test_rows_taken_out_by_a_trace_are_gone_from_rate_and_drops() -> None:
    gate = judge_gate(_facts(on_contradiction="drop"), sample("ffrr", 4), {"row0"})
    assert gate.dropped == ("row1",)
    assert (gate.num_out_otherwise, gate.num_remaining) == (1, 2)


def test_a_gate_may_count_what_no_source_says() -> None:
    seen = sample("d" * 20 + "r" * 80, 100)
    assert judge_gate(_facts(max_error_rate=0.05), seen, ()).passed
    gate = judge_gate(_facts(max_error_rate=0.05, count="inclusive", on_contradiction="drop"), seen, ())
    assert not gate.passed
    assert "false or doubtful" in gate.refusals[0]
