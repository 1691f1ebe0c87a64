from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from fpdf import FPDF
from rich.console import Console

from relaytune.core.errors import DataError
from relaytune.core.screen import Screen
from relaytune.facts.reading import hash_documents, read_documents


def read(folder: Path) -> tuple[dict[str, list[str]], str]:
    """The texts by document, and what was shown."""
    shown = io.StringIO()
    documents = read_documents(folder, Screen(Console(file=shown, width=200)))
    return {one.name: [block.text for block in one.blocks] for one in documents}, shown.getvalue()


def test_documents_of_all_formats_are_read_from_all_folders_by_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.HTM").write_text("<p>From HTML.")
    (tmp_path / "c.md").write_text("# C\n\nFrom Markdown.\n")
    (tmp_path / "a.txt").write_text("From text.\r\n")
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica")
    pdf.cell(0, 5, "From PDF.")
    pdf.output(str(tmp_path / "d.pdf"))
    texts, _ = read(tmp_path)
    assert list(texts.items()) == [
        ("a.txt", ["From text."]),
        ("b/x.HTM", ["From HTML."]),
        ("c.md", ["From Markdown."]),
        ("d.pdf", ["From PDF."]),
    ]


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("secret")
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "a.txt").write_text("Some words.")
    (folder / "fees.docx").write_text("x")
    (folder / ".hidden.txt").write_text("x")
    (folder / "link.txt").symlink_to(outside)
    (folder / "up").symlink_to(tmp_path, target_is_directory=True)
    texts, shown = read(folder)
    assert list(texts) == ["a.txt"]
    assert "not read, of another format: fees.docx" in shown
    assert "not read, links, which are not followed: link.txt, up" in shown
    assert "not read, hidden (name begins with a dot): 1" in shown


def test_many_other_files_are_counted_and_the_first_ones_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Some words.")
    for number in range(15):
        (tmp_path / f"{number:02}.png").write_bytes(b"x")
    _, shown = read(tmp_path)
    assert "00.png, 01.png" in shown
    assert "09.png and 5 more" in shown


def test_all_documents_that_cannot_be_read_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("Some words.")
    (tmp_path / "empty.md").write_text(" \n")
    (tmp_path / "questions.md").write_text("# Parking\n\n## May I park here?\n")
    (tmp_path / "latin.txt").write_bytes("Gebühr".encode("latin-1"))
    (tmp_path / "marks.txt").write_text("———\n")
    (tmp_path / "named.html").write_bytes('<meta charset="undefined"><p>Gebühr'.encode("latin-1"))
    (tmp_path / "zero.txt").write_bytes(b"a\0b")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7")
    with pytest.raises(DataError) as refused:
        read(tmp_path)
    assert [line.split(";")[0].strip() for line in str(refused.value).splitlines()[1:]] == [
        "- broken.pdf: is damaged, or no PDF (No /Root object! - Is this really a PDF?)",
        "- empty.md: is empty",
        "- latin.txt: is not UTF-8 (byte 3)",
        "- marks.txt: holds no text",
        "- named.html: is not UTF-8 (byte 32)",
        "- questions.md: holds no text",
        "- zero.txt: is not text (it holds zero bytes)",
    ]
    assert "7 documents of 8 cannot be read" in str(refused.value)


def test_a_page_in_the_encoding_that_it_names_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes('<meta charset="iso-8859-1"><p>Gebühr'.encode("latin-1"))
    assert read(tmp_path)[0] == {"a.html": ["Gebühr"]}


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes("\ufeff# Fees\n\n70 EUR\n".encode())
    assert read(tmp_path)[0] == {"a.md": ["70 EUR"]}


@pytest.mark.skipif(os.geteuid() == 0, reason="every folder opens for root")
def test_a_folder_that_cannot_be_opened_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "fees.md").write_text("70 EUR")
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(DataError, match="closed: the folder cannot be opened"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "problem"), [("missing", "does not exist"), ("file", "is a file"), ("none", "no documents")]
)
def test_a_folder_that_is_none_or_without_documents_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=problem):
        read(tmp_path / name)


def test_the_hash_follows_names_and_contents_of_documents_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Some words.")
    first = hash_documents(tmp_path)
    (tmp_path / "b.docx").write_text("x")
    assert hash_documents(tmp_path) == first
    (tmp_path / "a.txt").write_text("Other words.")
    changed = hash_documents(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "c.txt")
    assert len({first, changed, hash_documents(tmp_path)}) == 3
