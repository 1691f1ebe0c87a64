"""Markdown (CommonMark with tables), read through markdown-it-py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from relaytune.facts.formats.blocks import Block, clean, introduction, table_rows, with_lone_headings, with_nested

if TYPE_CHECKING:
    from markdown_it.tree import SyntaxTreeNode

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def read_markdown(text: str) -> list[Block]:
    """The blocks of a document; `first` and `last` are its lines. Text that is struck out is left out."""
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

    blocks: list[Block] = []
    if front := _FRONT_MATTER.match(text):
        fields = [line for line in front[1].split("\n") if line.strip()]
        blocks.append(Block(clean("; ".join(fields)), 2, 1 + len(fields), ()))
        text = "\n" * front[0].count("\n") + text[front.end() :]
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    reader = _Reader(text.split("\n"))
    reader.read(SyntaxTreeNode(parser.parse(text)).children)
    return blocks + with_lone_headings(reader.blocks)


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self.blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = []  # level and text
        self._lead = ""

    def read(self, nodes: list[SyntaxTreeNode]) -> None:
        for node in nodes:
            if node.type == "heading":
                level = int(node.tag[1:])
                self._headings = [one for one in self._headings if one[0] < level]
                self._add(node, _text(node), is_heading=True)
                self._headings.append((level, _text(node)))
                self._lead = ""
            elif node.type in ("bullet_list", "ordered_list"):
                for item in node.children:
                    self._add(item, _item_text(item), self._lead)
            elif node.type == "table":
                self._table(node)
            elif node.type == "html_block":
                self._html(node)
            elif node.type in ("fence", "code_block"):
                self._add(node, clean(node.content.replace("\n", "; ").strip("; ")))
            elif node.children and node.type != "paragraph":
                self.read(node.children)  # a quotation
            else:
                text = _text(node)
                self._add(node, text)
                self._lead = introduction(text)

    def _add(self, node: SyntaxTreeNode, text: str, lead: str = "", is_heading: bool = False) -> None:
        if text and node.map:
            first, last = node.map[0] + 1, node.map[1]
            while last > first and not self._lines[last - 1].strip():  # an item's place goes on to the next item
                last -= 1
            headings = tuple(title for _, title in self._headings)
            self.blocks.append(Block(text, first, last, headings, lead, is_heading))

    def _table(self, table: SyntaxTreeNode) -> None:
        rows = [row for part in table.children for row in part.children]
        cells = [[_text(cell) for cell in row.children] for row in rows]
        for row, text in zip(rows[1:], table_rows(cells[0], cells[1:]), strict=True):
            self._add(row, text, self._lead)

    def _html(self, node: SyntaxTreeNode) -> None:
        from relaytune.facts.formats.html import read_html

        if node.map and _COMMENT.sub("", node.content).strip():
            headings = tuple(title for _, title in self._headings)
            for block in read_html(node.content, headings):
                first, last = block.first + node.map[0], block.last + node.map[0]
                self.blocks.append(replace(block, first=first, last=last))


def _item_text(item: SyntaxTreeNode) -> str:
    """An item and those nested in it, in one line."""
    text = ""
    for child in item.children:
        if child.type in ("bullet_list", "ordered_list"):
            text = with_nested(text, [_item_text(nested) for nested in child.children])
        else:
            text = f"{text} {_text(child)}"
    return clean(text)


def _text(node: SyntaxTreeNode) -> str:
    return clean("".join(_inline(node)))


def _inline(node: SyntaxTreeNode) -> Iterator[str]:
    if node.type in ("text", "code_inline", "fence", "code_block"):
        yield node.content
    elif node.type in ("softbreak", "hardbreak"):
        yield " "
    elif node.type == "html_inline":
        yield " " if node.content.lower().startswith("<br") else ""
    elif node.type != "s":
        for child in node.children:
            yield from _inline(child)
