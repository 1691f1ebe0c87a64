from __future__ import annotations

from relaytune.core.claims import Passage
from relaytune.facts.formats.blocks import Block
from relaytune.facts.passages import MOST_CHARACTERS, MOST_WORDS, Document, make_passages


def sentence(number: int, num_words: int = 10) -> str:
    return f"Rule {number} " + "says " * (num_words - 3) + "so."


def passages(*blocks: Block, unit: str = "line") -> list[Passage]:
    return list(make_passages(Document("rules.md", unit, blocks)))


def test_a_passage_never_crosses_a_heading() -> None:
    made = passages(Block("a", 2, 2, ("A",)), Block("b", 4, 4, ("A", "B")), Block("c", 6, 7, ("A", "B")))
    assert [(one.heading, one.text, one.place) for one in made] == [
        ("A", "a", "line 2"),
        ("A › B", "b\nc", "lines 4-7"),
    ]


def test_a_long_section_is_cut_into_portions_of_about_equal_length_and_nothing_is_lost() -> None:
    blocks = [Block(sentence(at), at, at, ("A",)) for at in range(1, 32)]
    made = passages(*blocks)
    sizes = [len(one.text.split()) for one in made]
    assert sum(sizes) == 310
    assert max(sizes) - min(sizes) <= 20
    assert [one.place for one in made] == ["lines 1-10", "lines 11-21", "lines 22-31"]
    assert "\n".join(one.text for one in made) == "\n".join(block.text for block in blocks)


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text = " ".join(sentence(at) for at in range(40))
    made = passages(Block(text, 3, 9, ()))
    assert all(len(one.text.split()) <= MOST_WORDS and one.text.endswith("so.") for one in made)
    assert {one.place for one in made} == {"lines 3-9"}
    assert " ".join(one.text.replace("\n", " ") for one in made) == text


def test_what_goes_on_without_an_end_is_cut_between_words_and_nothing_is_lost() -> None:
    text = "item 7 for 70 EUR, " * 3000 + "a" * 9000
    made = passages(Block(text, 1, 1, ()))
    assert max(len(one.text) for one in made) <= MOST_CHARACTERS
    assert "".join("".join(one.text.split()) for one in made) == "".join(text.split())
    assert {one.place for one in made} == {"line 1"}


def test_a_passage_that_begins_within_a_list_repeats_what_introduces_it() -> None:
    rows = [Block(sentence(at), at, at, (), "The rules are:") for at in range(2, 32)]
    made = passages(Block("The rules are:", 1, 1, ()), *rows)
    assert len(made) > 1
    assert all(one.text.startswith("The rules are:\n") and one.text.count("The rules") == 1 for one in made)


def test_an_introduction_is_not_left_behind_by_its_list() -> None:
    before = [Block(sentence(at), at, at, ()) for at in range(1, 10)]
    rows = [Block(sentence(at), at, at, (), "The rules are:") for at in range(11, 21)]
    made = passages(*before, Block("The rules are:", 10, 10, ()), *rows)
    assert [one.text.count("The rules are:") for one in made] == [0, 1]


def test_pages_are_places_too() -> None:
    (made,) = passages(Block("a", 3, 4, ()), unit="page")
    assert made.place == "pages 3-4"
    assert made.citation == "rules.md, pages 3-4"


def test_the_id_follows_from_what_is_said_and_where() -> None:
    one, same, moved, other = (
        passages(Block(text, line, line, ()))[0].id for text, line in (("a", 1), ("a", 1), ("a", 2), ("b", 1))
    )
    assert one == same
    assert len({one, moved, other}) == 3
