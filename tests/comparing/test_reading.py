from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command_line import write_rows
from relaytune.comparing.reading import Matched, read_answers, read_for_rows
from relaytune.core.errors import DataError
from relaytune.core.records import Example, Message

ROWS: list[dict[str, Any]] = [{"id": f"r{number}", "answer": "low"} for number in range(4)]


def _read(folder: Path, references: list[Any] | None = None, **files: list[Any]) -> Matched:
    for name, rows in files.items():
        write_rows(folder / f"{name}.jsonl", rows)
    if references is not None:
        write_rows(folder / "references.jsonl", references)
    return read_answers(
        {name: folder / f"{name}.jsonl" for name in files},
        folder / "references.jsonl" if references is not None else None,
    )


def _refusal(folder: Path, references: list[Any] | None = None, **files: list[Any]) -> str:
    with pytest.raises(DataError) as caught:
        _read(folder, references, **files)
    return str(caught.value).replace(f"{folder}/", "")


def _answers(matched: Matched, name: str) -> dict[str, str]:
    return {row.id: row.completion for row in matched.generations[name]}


def test_rows_are_matched_by_id_in_whatever_order_and_number_or_text(tmp_path: Path) -> None:
    matched = _read(
        tmp_path,
        a=[{"id": 1, "answer": "one"}, {"id": 2, "answer": "two"}],
        b=[{"id": "2", "completion": "zwei"}, {"id": "1", "completion": "eins"}],
    )
    assert matched.matched_by == "id"
    assert _answers(matched, "a") == {"1": "one", "2": "two"}
    assert _answers(matched, "b") == {"1": "eins", "2": "zwei"}


def test_rows_without_ids_are_matched_by_prompt_and_a_repeated_prompt_in_turn(tmp_path: Path) -> None:
    matched = _read(
        tmp_path,
        a=[{"prompt": "p", "answer": "1"}, {"prompt": "q", "answer": "2"}, {"prompt": "p", "answer": "3"}],
        b=[{"messages": [{"role": "user", "content": text}], "answer": text} for text in ("q", "p", "p")],
    )
    assert matched.matched_by == "prompt"
    assert list(_answers(matched, "a").values()) == ["1", "2", "3"]
    assert list(_answers(matched, "b").values()) == ["p", "q", "p"]


def test_null_ids_and_ids_that_repeat_do_not_merge_rows_that_are_matched_by_prompt(tmp_path: Path) -> None:
    same_id = [{"id": "x", "prompt": f"p{number}", "answer": str(number)} for number in range(3)]
    no_id = [{"id": None, "prompt": f"p{number}", "answer": str(number)} for number in range(3)]
    matched = _read(tmp_path, a=same_id, b=no_id)
    assert len({row.id for row in matched.rows}) == 3
    assert list(_answers(matched, "a").values()) == ["0", "1", "2"]


def test_rows_that_not_every_file_answers_are_left_out_and_counted(tmp_path: Path) -> None:
    matched = _read(tmp_path, a=ROWS, b=ROWS[1:])
    assert [row.id for row in matched.rows] == ["r1", "r2", "r3"]
    assert matched.left_out == ("1 of 4 rows of a have no counterpart in every file",)


def test_questions_that_differ_under_one_id_are_counted(tmp_path: Path) -> None:
    matched = _read(
        tmp_path,
        a=[{**row, "prompt": "Is it low?"} for row in ROWS],
        b=[{**row, "prompt": "Is it high?"} for row in ROWS[:3]] + [{**ROWS[3], "prompt": "Is it low?"}],
    )
    assert matched.left_out == ("3 of 4 rows have another last message in b than in a",)


def test_files_of_different_lengths_are_not_matched_by_place(tmp_path: Path) -> None:
    message = _refusal(tmp_path, a=[{"answer": "x"}] * 3, b=[{"answer": "x"}] * 2)
    assert "differ in length (rows: a 3, b 2). Give the same `id`" in message
    assert _read(tmp_path, a=[{"answer": "x"}] * 3, b=[{"answer": "y"}] * 3).matched_by == "place"


def test_references_come_from_a_file_of_their_own_or_from_any_file_of_answers(tmp_path: Path) -> None:
    own = _read(tmp_path, [{"id": "r1", "target": "low"}], a=ROWS, b=ROWS)
    assert [row.completion for row in own.rows] == ["", "low", "", ""]
    assert own.left_out == ("3 of 4 rows have no reference",)
    theirs = _read(tmp_path, a=ROWS, b=[{**row, "gold": "high"} for row in ROWS])
    assert [row.completion for row in theirs.rows] == ["high"] * 4


def test_references_to_other_rows_are_refused(tmp_path: Path) -> None:
    message = _refusal(tmp_path, [{"id": "z", "reference": "low"}], a=ROWS, b=ROWS)
    assert message.startswith("references.jsonl: none of its 1 rows is one of the 4 rows of the answers, matched by id")


def test_two_references_for_one_row_are_refused_with_both_places(tmp_path: Path) -> None:
    message = _refusal(
        tmp_path,
        [{"id": "r0", "reference": "low"}, {"id": "r0", "reference": "high"}],
        a=[{**ROWS[0], "reference": "middling"}],
        b=ROWS,
    )
    assert "references.jsonl:2: the same row has another reference at references.jsonl:1" in message
    assert "a.jsonl:1: its reference differs from that at" in message


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"id": "x", "text": "low"}, "no answer; it has 'id', 'text', one of completion, answer, response,"),
        ({"id": "x", "answer": None}, 'no answer: answer is null; write "" where it is empty'),
        ({"id": 1.5, "answer": "low"}, "the id is 1.5; a text or a whole number is needed"),
        ({"id": True, "answer": "low"}, "the id is True; a text or a whole number is needed"),
        ({"answer": "low"}, "no id, and other rows of the file have one"),
        ({"id": "r0", "answer": "low"}, "the id 'r0' stands twice, first at b.jsonl:1"),
        ({"id": "x", "answer": "a", "finish_reason": "eos"}, "finish_reason is 'eos'; allowed: stop, length, unknown"),
        ({"id": "x", "answer": "a", "finish_reason": ["stop"]}, "finish_reason is ['stop']; allowed: stop"),
        ({"id": "x", "answer": "a", "num_tokens": 2.5}, "num_tokens is 2.5; a whole number is needed"),
        ({"id": "x", "answer": "a", "messages": "hello"}, "messages is 'hello'; needed: [{\"role\""),
        ({"id": "x", "answer": "a", "messages": [{"role": "user"}]}, "messages is [{'role': 'user'}]; needed"),
        ("low", "not an object but a text: 'low'"),
    ],
)
def test_a_faulty_row_is_refused_with_its_line_and_what_is_needed(tmp_path: Path, row: Any, fault: str) -> None:
    message = _refusal(tmp_path, a=ROWS, b=[*ROWS, row])
    assert f"b.jsonl:5: {fault}" in message
    assert message.count("\n") == 1


def test_one_fault_in_every_row_of_a_file_is_one_line_and_hides_no_other_file(tmp_path: Path) -> None:
    message = _refusal(
        tmp_path,
        a=[{"id": number, "text": "low"} for number in range(100)],
        b=[{**ROWS[0], "finish_reason": "eos"}],
    )
    assert "a.jsonl:1, a.jsonl:2, a.jsonl:3 and 97 more rows: no answer" in message
    assert "b.jsonl:1: finish_reason is 'eos'" in message
    assert message.count("\n") == 2


def test_faults_of_files_are_said_together(tmp_path: Path) -> None:
    write_rows(tmp_path / "good.jsonl", ROWS)
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "headless.csv").write_text("r1,low\nr2,low\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    names = ["good.jsonl", "empty.jsonl", "headless.csv", "folder", "goood.jsonl", "answers.txt"]
    with pytest.raises(DataError) as caught:
        read_answers({name: tmp_path / name for name in names})
    message = str(caught.value).replace(f"{tmp_path}/", "")
    assert "empty.jsonl: the file is empty" in message
    assert "headless.csv:2: no answer; it has 'r1', 'low'" in message
    assert "a CSV file's first line names its columns" in message
    assert "folder: is a folder; name a file in it" in message
    assert "did you mean good.jsonl?" in message
    assert "'.txt' is not a known kind of data file" in message


def test_no_row_in_common_is_refused(tmp_path: Path) -> None:
    message = _refusal(tmp_path, a=ROWS, b=[{"id": "z", "answer": "low"}])
    assert message.startswith("no row is in all of a, b, matched by id: 4 of 4 rows of a")


def test_an_answer_that_is_an_object_is_read_as_json_and_an_empty_one_stays_an_answer(tmp_path: Path) -> None:
    matched = _read(tmp_path, a=[{"id": "x", "answer": {"label": "é"}}], b=[{"id": "x", "answer": ""}])
    assert _answers(matched, "a") == {"x": '{"label": "é"}'}
    assert _answers(matched, "b") == {"x": ""}


def test_a_csv_file_with_windows_line_ends_reads_like_json_lines(tmp_path: Path) -> None:
    messages = json.dumps([{"role": "user", "content": "Wie dringend?"}]).replace('"', '""')
    (tmp_path / "a.csv").write_bytes(
        f'id,messages,answer,finish_reason\r\nr0,"{messages}",low,length\r\n'.encode("utf-8-sig")
    )
    write_rows(tmp_path / "b.jsonl", ROWS)
    matched = read_answers({"a": tmp_path / "a.csv", "b": tmp_path / "b.jsonl"})
    (generation,) = matched.generations["a"]
    assert (generation.id, generation.completion, generation.finish_reason) == ("r0", "low", "length")
    assert matched.rows[0].messages == (Message(role="user", content="Wie dringend?"),)


# answers to rows of a run


def _held_out() -> list[Example]:
    system = Message(role="system", content="Say how urgent.")
    return [
        Example(f"h{n}", (system, Message(role="user", content=f"ticket {n}")), "low", f"held_out.jsonl:{n}")
        for n in range(3)
    ]


def _import(folder: Path, rows: list[Any]) -> dict[str, str]:
    write_rows(folder / "theirs.jsonl", rows)
    return {row.id: row.completion for row in read_for_rows(folder / "theirs.jsonl", _held_out())}


def test_imported_answers_find_their_rows_by_id_last_message_or_conversation(tmp_path: Path) -> None:
    assert _import(tmp_path, [{"id": "h2", "answer": "x"}]) == {"h2": "x"}
    assert _import(tmp_path, [{"prompt": "ticket 1", "answer": "y"}]) == {"h1": "y"}
    whole = [{"role": "system", "content": "Say how urgent."}, {"role": "user", "content": "ticket 0"}]
    assert _import(tmp_path, [{"messages": whole, "answer": "z"}]) == {"h0": "z"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": "h0", "answer": "x"}, {"id": "h9", "answer": "x"}], "theirs.jsonl:2: answers no held-out row"),
        ([{"answer": "x"}] * 3, "its rows have neither an id nor a prompt"),
        (
            [{"prompt": "ticket 0", "answer": "x"}, {"prompt": "ticket 0", "answer": "y"}],
            "theirs.jsonl:2: answers no held-out row",
        ),
    ],
)
def test_imported_answers_to_no_row_are_refused(tmp_path: Path, rows: list[Any], words: str) -> None:
    with pytest.raises(DataError, match=r"theirs\.jsonl") as caught:
        _import(tmp_path, rows)
    assert words in str(caught.value)


def test_two_imported_answers_to_one_row_are_refused(tmp_path: Path) -> None:
    whole = [{"role": "system", "content": "Say how urgent."}, {"role": "user", "content": "ticket 0"}]
    with pytest.raises(DataError, match=r"theirs.jsonl:2: answers the same row as .*theirs.jsonl:1"):
        _import(tmp_path, [{"prompt": "ticket 0", "answer": "x"}, {"messages": whole, "answer": "y"}])
