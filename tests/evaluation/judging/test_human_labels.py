from __future__ import annotations

from pathlib import Path

import pytest

from relaytune.core.errors import DataError
from relaytune.core.records import Judgement, Rating
from relaytune.evaluation.judging.human_labels import HumanLabels, read_human_labels

IDS = ("r1", "r2", "r3", "r4")
ANSWERED = {"tuned": IDS[:3], "base": IDS}


def _read(folder: Path, content: str | bytes) -> HumanLabels:
    path = folder / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_human_labels(path, IDS, ANSWERED, ("tone",), 3)


def _refusal(folder: Path, content: str | bytes) -> str:
    with pytest.raises(DataError) as caught:
        _read(folder, content)
    return str(caught.value)


def test_pairs_become_judgements_of_a_person(tmp_path: Path) -> None:
    labels = _read(tmp_path, "id,first,second,better\nr1,tuned,base,first\nr2,base,tuned,tie\nr3,base,tuned,\n")
    assert labels.judgements == (
        Judgement("r1", "human:1", "tuned", "base", "first", ""),
        Judgement("r2", "human:1", "base", "tuned", "tie", ""),
        Judgement("r3", "human:1", "base", "tuned", None, "left empty"),
    )
    assert labels.ratings == ()


def test_points_become_ratings_of_a_person(tmp_path: Path) -> None:
    labels = _read(tmp_path, "annotator,id,contender,criterion,value\nann,r1,tuned,tone,2\nbob,r1,tuned,tone,\n")
    assert labels.ratings == (
        Rating("r1", "human:ann", "tuned", "tone", 2.0, ""),
        Rating("r1", "human:bob", "tuned", "tone", None, "left empty"),
    )
    assert labels.annotators == ("human:ann", "human:bob")


def test_a_file_as_spreadsheets_write_it_is_read(tmp_path: Path) -> None:
    content = (
        '\ufeffID, First ,second,better,note\r\n r1 ,tuned,base,second,"two\r\nlines"\r\n,,,,\r\nr2,tuned,base,tie\r\n'
    )
    labels = _read(tmp_path, content)
    assert [(row.id, row.better) for row in labels.judgements] == [("r1", "second"), ("r2", "tie")]


def test_all_faults_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    refusal = _refusal(
        tmp_path,
        "id,first,second,better\n"
        "r1,tuned,base,first\n"
        "r9,tuned,base,first\n"
        "r2,tuned,tuned,A\n"
        "r3,mine,base,tie\n"
        "r1,tuned,base,second\n",
    )
    assert "5 faults in the human labels" in refusal
    assert "labels.csv:3: id 'r9' is of no held-out row" in refusal
    assert "labels.csv:4: first and second are both 'tuned'" in refusal
    assert "labels.csv:4: better 'A' is not first, second or tie" in refusal
    assert "labels.csv:5: first 'mine' is no contender; there are tuned, base" in refusal
    assert "labels.csv:6: the same person labelled this twice" in refusal


def test_a_label_of_an_answer_that_was_never_given_is_a_fault(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, "id,first,second,better\nr4,tuned,base,first\n")
    assert "labels.csv:2: tuned has not answered the row 'r4'" in refusal


@pytest.mark.parametrize("value", ["4", "-1", "nan", "inf", "two", "1,5"])
def test_points_outside_the_scale_are_told(tmp_path: Path, value: str) -> None:
    content = f'id,contender,criterion,value\nr1,tuned,tone,"{value}"\nr1,tuned,style,1\n'
    refusal = _refusal(tmp_path, content)
    assert f"labels.csv:2: value {value!r} is no number from 0 to 3" in refusal
    assert "labels.csv:3: criterion 'style' is not in judging.criteria: tone" in refusal


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", r"labels\.csv:1: columns \(none\)"),
        ("id,winner\n1,2\n", "columns id, winner. Human labels have the columns id, first, second, better"),
        ('id,first,second,better\nr1,"tuned,base\n', "not CSV"),
        (b"id,first\xff\n", "not UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str | bytes, problem: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=problem):
        read_human_labels(path, IDS, ANSWERED, (), 3)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_human_labels(tmp_path / "labels.csv", IDS, ANSWERED, (), 3)
