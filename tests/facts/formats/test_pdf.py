from __future__ import annotations

from typing import Any

import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission, EncryptionMethod

from relaytune.core.errors import DataError
from relaytune.facts.formats.pdf import read_pdf


class Handbook(FPDF):
    def header(self) -> None:
        self.set_font("Helvetica", "I", 8)
        self.cell(0, 8, "University handbook", new_x="LMARGIN", new_y="NEXT")

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Helvetica", "I", 8)
        self.cell(0, 8, f"Page {self.page_no()}")

    def title_line(self, text: str, size: int) -> None:
        self.set_font("Helvetica", "B", size)
        self.cell(0, 10, text, new_x="LMARGIN", new_y="NEXT")

    def paragraph(self, text: str) -> None:
        self.set_font("Helvetica", "", 11)
        self.multi_cell(0, 6, text, new_x="LMARGIN", new_y="NEXT")
        self.ln(4)


def content(document: FPDF) -> bytes:
    return bytes(document.output())


@pytest.fixture(scope="module")
def handbook() -> bytes:
    pdf = Handbook()
    pdf.add_page()
    pdf.title_line("Housing", 18)
    pdf.paragraph("The university has four residences. " * 6)
    pdf.title_line("Rents", 14)
    pdf.paragraph("Rents are due on the third.")
    pdf.paragraph("They are as follows:")
    with pdf.table() as table:
        for row in [("Residence", "Rent", "Deposit"), *((f"House {at}", f"{300 + at} EUR", "") for at in range(40))]:
            table.row(row)
    pdf.title_line("Noise", 14)
    pdf.paragraph("Quiet hours begin at 22:00. " * 4)
    pdf.add_page()
    pdf.paragraph("- no parties\n- no pets")
    return content(pdf)


def test_every_cell_carries_its_header_also_on_the_next_page(handbook: bytes) -> None:
    rows = {block.text: block.first for block in read_pdf(handbook).blocks if block.text.startswith("Residence")}
    assert rows["Residence: House 0; Rent: 300 EUR"] == 1
    assert rows["Residence: House 39; Rent: 339 EUR"] == 2
    assert len(rows) == 40


def test_headings_are_known_by_their_letters(handbook: bytes) -> None:
    headings = {block.text: block.headings for block in read_pdf(handbook).blocks}
    assert headings["Rents are due on the third."] == ("Housing", "Rents")
    assert headings["Residence: House 39; Rent: 339 EUR"] == ("Housing", "Rents")
    assert headings["- no pets"] == ("Housing", "Noise")


def test_paragraphs_are_kept_apart_and_their_lines_together(handbook: bytes) -> None:
    texts = [block.text for block in read_pdf(handbook).blocks]
    assert " ".join(["The university has four residences."] * 6) in texts
    assert {"Rents are due on the third.", "They are as follows:", "- no parties"} <= set(texts)


def test_rows_know_what_introduces_the_table(handbook: bytes) -> None:
    leads = {block.text: block.lead for block in read_pdf(handbook).blocks}
    assert leads["Residence: House 0; Rent: 300 EUR"] == "They are as follows:"


def test_running_headers_and_page_numbers_are_left_out_and_named(handbook: bytes) -> None:
    pdf = read_pdf(handbook)
    assert not any("handbook" in block.text or "Page" in block.text for block in pdf.blocks)
    assert any("“Page #”" in note and "“University handbook”" in note for note in pdf.notes)


def test_a_word_cut_at_the_end_of_a_line_is_joined_and_a_compound_is_not() -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", "", 11)
    lines = "The full-time fee is due when the appli-\ncation is sent; the full-\ntime students pay once."
    for line in lines.split("\n"):
        pdf.cell(0, 5, line, new_x="LMARGIN", new_y="NEXT")
    (block,) = read_pdf(content(pdf)).blocks
    assert block.text == "The full-time fee is due when the application is sent; the full-time students pay once."


def test_a_heading_with_nothing_below_it_is_text_of_its_own_under_those_above_it() -> None:
    pdf = Handbook()
    pdf.add_page()
    pdf.title_line("Housing", 18)
    pdf.title_line("No pets in any residence", 14)
    pdf.ln(8)
    pdf.title_line("Rents", 14)
    pdf.paragraph("They are due on the third. " * 10)
    pdf.add_page()
    pdf.set_font("Helvetica", "B", 14)
    pdf.multi_cell(0, 6, "The gate is closed at night,\nand the yard on Sundays", new_x="LMARGIN", new_y="NEXT")
    pdf.add_page()
    pdf.title_line("May I smoke?", 14)
    pdf.title_line("No dogs", 14)
    assert [(block.text, block.first, block.headings) for block in read_pdf(content(pdf)).blocks] == [
        ("No pets in any residence", 1, ("Housing",)),
        (" ".join(["They are due on the third."] * 10), 1, ("Housing", "Rents")),
        ("The gate is closed at night, and the yard on Sundays", 2, ("Housing",)),
        ("No dogs", 3, ("Housing",)),
    ]


def blank(num_pages: int, texts: dict[int, str] | None = None) -> FPDF:
    pdf = FPDF()
    for page in range(1, num_pages + 1):
        pdf.add_page()
        pdf.rect(20, 20, 50, 50)
        if texts and page in texts:
            pdf.set_font("Helvetica", "", 11)
            pdf.cell(0, 5, texts[page])
    return pdf


def test_a_scan_without_text_is_refused_and_a_page_without_text_is_named() -> None:
    with pytest.raises(DataError, match=r"no text on any of its 3 pages: a scan\?"):
        read_pdf(content(blank(3)))
    assert read_pdf(content(blank(3, {2: "Some words."}))).notes == ["no text on page 1, 3 (pictures?)"]


def encrypted(**password: Any) -> bytes:
    pdf = blank(1, {1: "Some words."})
    pdf.set_encryption(
        owner_password="owner",
        encryption_method=EncryptionMethod.AES_256,
        permissions=AccessPermission.none(),
        **password,
    )
    return content(pdf)


def test_a_document_that_needs_a_password_is_refused_and_one_that_opens_without_is_read() -> None:
    with pytest.raises(DataError, match="needs a password"):
        read_pdf(encrypted(user_password="secret"))
    assert [block.text for block in read_pdf(encrypted()).blocks] == ["Some words."]


def test_a_damaged_file_is_refused_in_one_sentence(handbook: bytes) -> None:
    for damaged in (b"%PDF-1.4 nothing", handbook[:400], b"hello"):
        with pytest.raises(DataError, match=r"is damaged, or no PDF|has no text"):
            read_pdf(damaged)
