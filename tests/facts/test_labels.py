from __future__ import annotations

import csv
from pathlib import Path

import pytest

from audited_rows import audited
from relaytune.core.audit import HumanLabel
from relaytune.core.errors import DataError
from relaytune.facts.labels import read_human_labels, write_labels_to_fill


def _write(folder: Path, content: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(content, encoding="utf-8")
    return path


def test_the_file_to_fill_comes_back_as_labels_once_filled(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    write_labels_to_fill(path, [audited(0, "false"), audited(1, "right", ["doubtful"])])
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-1] == "verifiers_say"
    assert [row["label"] for row in rows] == ["", "doubtful"]
    assert not read_human_labels(path, {"row0", "row1"}).by_id.keys() - {"row1"}
    rows[0] |= {"label": "Right", "labeller": "ann", "note": "it says so"}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    labels = read_human_labels(path, {"row0", "row1"})
    assert labels.by_id["row0"] == (HumanLabel("ann", "right", "it says so"),)
    assert labels.by_id["row1"] == (HumanLabel("person 0", "doubtful"),)


def test_no_cell_of_the_file_is_a_formula(tmp_path: Path) -> None:
    from dataclasses import replace

    answer = audited(0, "false")
    hostile = replace(answer, statement=replace(answer.statement, answer='=HYPERLINK("http://x")'))
    path = tmp_path / "labels.csv"
    write_labels_to_fill(path, [hostile])
    with path.open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["answer"].startswith("'=")


def test_all_faults_are_told_at_once_with_their_lines_and_what_is_allowed(tmp_path: Path) -> None:
    path = _write(tmp_path, "id,label,labeller\nrow0,wrong,ann\nrow1,right,ann\nrow1,false,ann\n,right,bob\n")
    with pytest.raises(DataError) as caught:
        read_human_labels(path, {"row0", "row1"})
    message = str(caught.value)
    assert "3 faults" in message
    assert "labels.csv:2: label 'wrong' is none of right, doubtful, false" in message
    assert "labels.csv:4: labeller 'ann' labelled the row row1 twice" in message
    assert "labels.csv:5: no id" in message


def test_a_row_labelled_twice_without_names_is_told_with_the_column_that_would_tell_two_people_apart(
    tmp_path: Path,
) -> None:
    path = _write(tmp_path, "id,label\nrow0,right\nrow0,false\n")
    with pytest.raises(DataError, match=r"labeller 'a person' labelled the row row0 twice.*in the column labeller"):
        read_human_labels(path, {"row0"})


def test_a_folder_in_place_of_the_file_is_told_with_the_key_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read .* correct data\.facts\.human_labels"):
        read_human_labels(tmp_path, {"row0"})


def test_several_people_may_label_a_row(tmp_path: Path) -> None:
    path = _write(tmp_path, "id,label,labeller\nrow0,right,ann\nrow0,false,bob\n")
    assert [label.labeller for label in read_human_labels(path, {"row0"}).by_id["row0"]] == ["ann", "bob"]


def test_labels_of_rows_that_have_been_corrected_are_counted_and_not_used(tmp_path: Path) -> None:
    labels = read_human_labels(_write(tmp_path, "id,label\nrow0,right\ngone,false\n"), {"row0"})
    assert list(labels.by_id) == ["row0"]
    assert labels.num_unknown == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [("label\nright\n", "no column id"), ("id,label\nother,right\n", "is it the file of other data?")],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(DataError, match=r"labels\.csv:1") as caught:
        read_human_labels(_write(tmp_path, content), {"row0"})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,label,Label\nrow0,right,false\n", r"labels\.csv:1: the title 'label' stands twice"),
        ("id,label,note\nrow0,right,no, it is so\n", r"labels\.csv:2: 4 cells under 3 titles"),
    ],
)
def test_a_cell_that_no_title_or_two_titles_stand_over_is_not_passed_over(
    tmp_path: Path, content: str, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read_human_labels(_write(tmp_path, content), {"row0"})
