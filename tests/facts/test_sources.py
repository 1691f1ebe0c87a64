from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from relaytune.core.encoder import Encoder
from relaytune.core.screen import Screen
from relaytune.facts.sources import Found, Sources, read_sources

HANDBOOK = {
    "fees.md": """\
# Fees

| Programme | Application fee |
|---|---|
| Marine Law | 70 EUR |
| Data Science | 1,200 EUR |

## Waivers

Refugees are charged nothing at all.
""",
    "library.md": "# Library\n\nThe reading room opens at 8 and closes at 22.\n\n# Parking\n\nBicycles park free.\n",
}


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    for name, text in HANDBOOK.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def read(folder: Path, embeddings: bool = False) -> Sources:
    return read_sources(folder, Screen.silent(), embeddings)


def headings(found: list[Found]) -> list[str]:
    return [one.passage.heading for one in found]


def test_the_passage_that_speaks_of_a_claim_comes_first(handbook: Path) -> None:
    sources = read(handbook)
    assert headings(sources.search("The application fee of Data Science is 1200 EUR."))[0] == "Fees"
    assert headings(sources.search("When does the reading room close?"))[0] == "Library"


def test_words_of_a_heading_find_the_passage_below_it(handbook: Path) -> None:
    assert headings(read(handbook).search("Is there a waiver?")) == ["Fees › Waivers"]


def test_what_shares_no_word_is_not_found(handbook: Path) -> None:
    sources = read(handbook)
    assert sources.search("zebra") == []
    assert sources.search("") == []
    assert len(sources.search("fee", k=50)) <= len(sources.passages)


def test_many_texts_are_searched_as_one_by_one(handbook: Path) -> None:
    sources = read(handbook)
    texts = ["fee of Marine Law", "", "reading room", "fee of Marine Law", "bicycles and fees"]
    assert sources.search_all(texts, 3) == [sources.search(text, 3) for text in texts]
    assert sources.search_all([], 3) == []


def test_of_equal_passages_the_first_counts(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / f"{name}.txt").write_text("The fee is 70 EUR.")
    found = read(tmp_path).search("fee", 3)
    assert [one.passage.document for one in found] == ["a.txt", "b.txt", "c.txt"]


def test_a_changed_document_changes_the_hash(handbook: Path) -> None:
    before = read(handbook).hash
    (handbook / "fees.md").write_text("# Fees\n\nNothing costs anything.\n")
    assert read(handbook).hash != before


def test_what_was_read_and_how_is_searched_is_said(handbook: Path) -> None:
    shown = io.StringIO()
    read_sources(handbook, Screen(Console(file=shown, width=200)), embeddings=False)
    assert "2 documents, 4 passages, searched by words (BM25)\n" in shown.getvalue()


def test_a_single_passage_can_be_searched(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The fee is 70 EUR.")
    assert len(read(tmp_path).search("What is the fee?", 5)) == 1


@pytest.mark.model
def test_with_the_encoder_meaning_finds_what_words_do_not(handbook: Path) -> None:
    question = "Where can I leave my cycle?"
    assert headings(read(handbook).search(question, 1)) != ["Parking"]
    shown = io.StringIO()
    sources = read_sources(handbook, Screen(Console(file=shown, width=200)))
    assert headings(sources.search(question, 1)) == ["Parking"]
    assert sources.retrieval == "bm25+all-MiniLM-L6-v2 (981a20cf60fb)"  # the beginning of the weights' fingerprint
    assert "searched by words (BM25) and meaning (all-MiniLM-L6-v2)" in shown.getvalue()


@pytest.mark.model
def test_passages_that_were_embedded_before_are_not_embedded_again(
    handbook: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAYTUNE_CACHE", str(tmp_path_factory.mktemp("cache")))
    embedded: list[str] = []
    embed = Encoder.embed

    def watched(self: Encoder, texts: Sequence[str], *rest: Any) -> Any:
        embedded.extend(texts)
        return embed(self, texts, *rest)

    monkeypatch.setattr(Encoder, "embed", watched)
    found = read(handbook, embeddings=True).search("Where can I leave my cycle?")
    assert len(embedded) == 5  # four passages and the question
    assert read(handbook, embeddings=True).search("Where can I leave my cycle?") == found
    assert len(embedded) == 6
    (handbook / "fees.md").write_text("# Fees\n\nNothing costs anything.\n")
    read(handbook, embeddings=True)
    assert len(embedded) == 9


@pytest.mark.model
def test_with_the_encoder_a_search_does_not_hang_on_what_else_is_searched(handbook: Path) -> None:
    sources = read(handbook, embeddings=True)
    texts = ["fee of Marine Law", "a much longer text about the hours of the reading room in the library", "zebra", ""]
    together = sources.search_all(texts, 3)
    assert [[one.passage.id for one in found] for found in together] == [
        [one.passage.id for one in sources.search(text, 3)] for text in texts
    ]
