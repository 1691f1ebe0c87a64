from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from relaytune.core.claims import AnswerVerdict
from relaytune.core.method_or_data import MethodOrData
from relaytune.tracing.strata import HeldOutRow, cases_of, first_shown, method_or_data, stratum_of

VERIFIED: dict[str, AnswerVerdict] = {
    **{f"r{n}": "right" for n in range(2000)},
    **{f"w{n}": "false" for n in range(2000)},
    **{f"d{n}": "doubtful" for n in range(2000)},
}


@pytest.mark.parametrize(
    ("neighbours", "stratum"),
    [
        (["r0", "r1", "r2", "r3", "r4"], "right"),
        (["r0", "r1", "r2", "d0", "d1"], "right"),
        (["r0", "r1", "r2", "not audited", "d1"], "right"),
        (["r0", "r1", "r2", "r3", "w0"], "mixed"),
        (["w0", "w1", "w2", "d0", "not audited"], "wrong"),
        (["w0", "w1", "w2", "w3", "r0"], "mixed"),
        (["w0", "w1", "d0", "d1", "d2"], "mixed"),
    ],
)
def test_a_prompt_belongs_where_three_neighbours_are_verified_alike_and_none_otherwise(
    neighbours: Sequence[str], stratum: str
) -> None:
    assert stratum_of(neighbours, VERIFIED) == stratum


def _rows(kind: str, pairs: Sequence[tuple[int, int, int]], alike: int = 1) -> list[HeldOutRow]:
    """(how many, base errs, tuned errs); each prompt has five neighbours of its kind, `alike` prompts share them."""
    rows: list[HeldOutRow] = []
    for many, base, tuned in pairs:
        for _ in range(many):
            case = len(rows) // alike
            neighbours = tuple(f"{kind}{5 * case + place}" for place in range(5))
            name = f"{kind} prompt {len(rows)}"
            rows.append(HeldOutRow(name, name, neighbours, float(base), float(tuned)))
    return rows


def _tested(right: Any, wrong: Any, alike: int = 1) -> MethodOrData:
    return method_or_data([*_rows("r", right, alike), *_rows("w", wrong, alike)], VERIFIED, "an encoder")


QUIET = [(60, 0, 0)]
HARMED = [(40, 0, 0), (20, 0, 1)]


def test_harm_where_the_rows_are_wrong_and_none_where_they_are_right_is_the_datas() -> None:
    found = _tested(QUIET, HARMED)
    assert (found.finding, found.level, found.shown) == ("data", "established", "data")
    assert found.interaction == pytest.approx(1 / 3)
    assert found.conclusion.startswith("established: the data are to blame")
    assert "besides is excluded" in found.conclusion


def test_harm_where_the_rows_are_right_is_the_methods_whatever_the_others_are() -> None:
    assert _tested(HARMED, HARMED).shown == "method_or_both"
    found = _tested(HARMED, [(60, 0, 1)])
    assert found.shown == "method_or_both"
    assert found.conclusion.endswith("it errs more still, by +67 points (+51 to +79): both")
    assert "no question whose rows are verified wrong" in _tested(HARMED, []).conclusion


def test_no_harm_shows_nothing() -> None:
    found = _tested(QUIET, QUIET)
    assert found.shown == "nothing"
    assert "in no stratum is tuned shown to err more than base" in found.conclusion


def test_harm_significant_in_one_stratum_and_not_in_the_other_is_no_difference_between_them() -> None:
    right, wrong = [(55, 0, 0), (5, 0, 1)], [(54, 0, 0), (6, 0, 1)]
    found = _tested(right, wrong)
    assert found.wrong is not None
    assert found.wrong.p_value < 0.05
    assert found.right is not None
    assert found.right.p_value > 0.05
    assert found.shown == "nothing"
    assert "the difference to where they are right is +2 points" in found.conclusion


def test_harm_of_the_method_that_is_not_excluded_is_said_beside_the_datas() -> None:
    found = _tested([(30, 0, 0), (1, 0, 1)], [(10, 0, 0), (21, 0, 1)])
    assert (found.finding, found.level) == ("data", "indicative")
    assert "that the method does harm besides, of up to +16 points, is not excluded" in found.conclusion


@pytest.mark.parametrize(("prompts", "level"), [(60, "established"), (59, "indicative"), (30, "indicative")])
def test_the_smaller_stratum_says_how_much_is_established(prompts: int, level: str) -> None:
    harmed = [(prompts - 12, 0, 0), (12, 0, 1)]
    assert _tested([(100, 0, 0)], harmed).level == level
    assert _tested([(prompts, 0, 0)], [(60, 0, 0), (40, 0, 1)]).level == level


def test_a_finding_on_fewer_than_thirty_prompts_is_not_shown() -> None:
    found = _tested(QUIET, [(9, 0, 0), (20, 0, 1)])
    assert (found.finding, found.level, found.shown) == ("data", "exploratory", "nothing")
    assert found.conclusion.startswith("not shown (fewer than 30 prompts in a stratum that this rests on)")


def test_harm_among_right_rows_needs_no_wrong_ones_to_be_established() -> None:
    assert _tested(HARMED, []).level == "established"
    assert _tested(HARMED, [(5, 0, 0)]).level == "established"


def test_a_base_that_errs_nearly_always_leaves_no_room_and_the_conclusion_says_so() -> None:
    found = _tested([(20, 1, 0), (40, 1, 1)], [(57, 1, 1), (3, 0, 1)])
    assert found.shown == "nothing"
    assert found.wrong is not None
    assert not found.wrong.can_show_worse
    assert "where the rows are wrong base errs in 57 of 60" in found.conclusion
    assert "that it is not seen proves nothing" in found.conclusion
    assert "as an indication only, since the questions differ: tuned errs +33 points" in found.conclusion


def test_prompts_whose_place_rests_on_the_same_rows_are_one_case() -> None:
    alone, together = _tested(QUIET, [(54, 0, 0), (6, 0, 1)]), _tested(QUIET, [(54, 0, 0), (6, 0, 1)], alike=6)
    assert alone.wrong is not None
    assert together.wrong is not None
    assert (alone.wrong.num_cases, together.wrong.num_cases) == (60, 10)
    assert alone.wrong.p_value < 0.05
    assert together.wrong.p_value == 1.0
    assert together.wrong.num_prompts == 60
    assert together.wrong.num_training_rows == 50


def test_cases_are_joined_by_way_of_a_third_prompt() -> None:
    neighbours = [("a", "b", "c", "d", "e"), ("c", "d", "e", "f", "g"), ("e", "f", "g", "h", "i"), ("a", "b", "x")]
    rows = [HeldOutRow(str(n), str(n), given, 0.0, 0.0) for n, given in enumerate(neighbours)]
    cases = cases_of(rows)
    assert cases[0] == cases[1] == cases[2] != cases[3]


def test_prompts_left_out_and_rows_without_a_verdict_are_counted() -> None:
    rows = [
        *_rows("r", QUIET),
        HeldOutRow("mixed", "mixed", ("r0", "r1", "r2", "w0", "w1"), 0.0, 1.0),
        HeldOutRow("hardly audited", "hardly audited", ("r0", "u1", "u2", "u3", "u4"), 0.0, 1.0),
        HeldOutRow("cut off", "cut off", ("r0", "r1", "r2", "r3", "r4"), 0.0, None),
    ]
    found = method_or_data(rows, VERIFIED, "an encoder")
    assert (found.num_mixed, found.num_too_few_verified, found.num_unscored) == (2, 1, 1)
    assert found.right is not None
    assert found.right.num_prompts == 60


def test_without_audited_rows_the_conclusion_asks_for_them() -> None:
    found = method_or_data(_rows("r", QUIET), {}, "an encoder")
    assert (found.right, found.wrong, found.shown) == (None, None, "nothing")
    assert "audit more of them" in found.conclusion


SILENT = [(40, 0, 1), (20, 1, 1)]  # base was verified in 40, tuned in none


def test_a_model_that_says_nothing_that_can_be_checked_is_found_by_what_it_no_longer_gets_right() -> None:
    found = first_shown(_rows("r", QUIET), _rows("r", SILENT), VERIFIED, "an encoder")
    assert (found.shown, found.level, found.counted) == ("method_or_both", "established", "not_verified")
    assert found.conclusion.startswith("that tuned is contradicted more often is not shown; but")


def test_what_is_contradicted_goes_before_what_is_only_not_verified() -> None:
    contradicted = [*_rows("r", QUIET), *_rows("w", HARMED)]
    not_verified = [*_rows("r", SILENT), *_rows("w", SILENT)]
    found = first_shown(contradicted, not_verified, VERIFIED, "an encoder")
    assert (found.shown, found.counted) == ("data", "contradicted")


def test_where_neither_way_to_count_shows_anything_the_first_is_told() -> None:
    found = first_shown(_rows("r", QUIET), _rows("r", [(60, 1, 1)]), VERIFIED, "an encoder")
    assert (found.shown, found.counted) == ("nothing", "contradicted")


def test_where_no_finding_could_be_shown_the_first_thing_said_is_that_the_prompts_are_too_few() -> None:
    found = _tested([(3, 0, 0)], [(1, 0, 1)])
    assert found.conclusion == (
        "too few prompts to tell: 3 where the training rows around the question are verified right and 1 where they "
        "are verified wrong; each finding takes 30 of the first"
    )
