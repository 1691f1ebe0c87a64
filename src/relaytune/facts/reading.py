"""A folder of documents → text with places. Nothing is executed or fetched, and nothing is left out without a word."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from relaytune.core.counts import counted
from relaytune.core.errors import DataError
from relaytune.core.files import nearest_names, sha256_of_file, sha256_of_value
from relaytune.core.model import require
from relaytune.core.screen import Screen
from relaytune.facts.formats.blocks import Block
from relaytune.facts.formats.html import read_html
from relaytune.facts.formats.markdown import read_markdown
from relaytune.facts.formats.plain import read_plain
from relaytune.facts.passages import Document

FORMATS = (".txt", ".md", ".html", ".htm", ".pdf")
_MOST_NAMED = 10
_CHARSET = re.compile(rb"""charset=["']?([\w.:-]+)""", re.IGNORECASE)


@dataclass(frozen=True)
class _Listing:
    documents: tuple[Path, ...]
    links: tuple[Path, ...]
    others: tuple[Path, ...]
    num_hidden: int


def read_documents(folder: Path, screen: Screen) -> list[Document]:
    """All documents of a folder and its folders, by name. Shows what was read, and names what was not.

    Links are not followed; hidden files and files of other formats are not read.

    Raises:
        DataError: there is no such folder or no document in it, or documents cannot be read (all of them at once):
            empty, damaged, encrypted, without text, not UTF-8.
        MachineError: a package that reads them is not installed.
    """
    listing = _list(folder)
    _say_what_is_not_read(listing, folder, screen)
    if not listing.documents:
        raise DataError(f"{folder}: no documents. Sources are files that end with {', '.join(FORMATS)}.")
    documents, problems = [], []
    with screen.bar("Read sources", len(listing.documents)) as bar:
        for done, path in enumerate(listing.documents, start=1):
            name = path.relative_to(folder).as_posix()
            try:
                documents.append(_read(path, name, screen))
            except DataError as error:
                problems.append(f"{name}: {error}")
            bar.update(done)
    if problems:
        count = counted(len(problems), "document")
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise DataError(f"{folder}: {count} of {len(listing.documents)} cannot be read\n{lines}")
    return documents


def hash_documents(folder: Path) -> str:
    """sha256 of the names and contents of the documents that `read_documents` would read.

    Raises:
        DataError: there is no such folder, or a document cannot be opened.
    """
    try:
        hashes = [[path.relative_to(folder).as_posix(), sha256_of_file(path)] for path in _list(folder).documents]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be opened ({error.strerror}).") from error
    return sha256_of_value(hashes)


def refuse_no_folder(folder: Path) -> None:
    """Refuse sources that are no folder.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        what, nearest = ("is a file", "") if folder.exists() else ("does not exist", nearest_names(folder, folder=True))
        needed = f"sources are a folder of documents ({', '.join(FORMATS)})"
        raise DataError("; ".join(filter(None, (f"{folder}: {what}", needed, nearest))))


def _list(folder: Path) -> _Listing:
    refuse_no_folder(folder)
    documents: list[Path] = []
    links: list[Path] = []
    others: list[Path] = []
    num_hidden = 0
    for root, folders, files in os.walk(folder, onerror=_refuse_closed):
        here = Path(root)
        for name in sorted([*folders, *files]):
            path = here / name
            if name.startswith("."):
                num_hidden += 1
            elif path.is_symlink():
                links.append(path)
            elif name in folders:
                continue
            elif path.suffix.lower() in FORMATS:
                documents.append(path)
            else:
                others.append(path)
        folders[:] = [name for name in folders if not name.startswith(".")]
    documents, links, others = (sorted(paths, key=Path.as_posix) for paths in (documents, links, others))
    return _Listing(tuple(documents), tuple(links), tuple(others), num_hidden)


def _refuse_closed(error: OSError) -> None:
    raise DataError(f"{error.filename}: the folder cannot be opened ({error.strerror})") from error


def _say_what_is_not_read(listing: _Listing, folder: Path, screen: Screen) -> None:
    for paths, why in ((listing.others, "of another format"), (listing.links, "links, which are not followed")):
        if paths:
            names = ", ".join(path.relative_to(folder).as_posix() for path in paths[:_MOST_NAMED])
            more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
            screen.say(f"{folder}: not read, {why}: {names}{more}")
    if listing.num_hidden:
        screen.say(f"{folder}: not read, hidden (name begins with a dot): {listing.num_hidden}")


def _read(path: Path, name: str, screen: Screen) -> Document:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be opened ({error.strerror})") from error
    if not content.strip():
        raise DataError("is empty; fill it or take it out")
    suffix = path.suffix.lower()
    if suffix == ".pdf":
        require("pdfplumber", extra="facts")
        from relaytune.facts.formats.pdf import read_pdf

        pdf = read_pdf(content)
        for note in pdf.notes:
            screen.say(f"{name}: {note}")
        return Document(name, "page", _with_text(pdf.blocks))
    if suffix in (".html", ".htm"):
        return Document(name, "line", _with_text(read_html(_decoded(content, _declared_charset(content)))))
    read = read_markdown if suffix == ".md" else read_plain
    return Document(name, "line", _with_text(read(_decoded(content))))


def _with_text(blocks: list[Block]) -> tuple[Block, ...]:
    if not any(re.search(r"\w", block.text) for block in blocks):
        raise DataError("holds no text; fill it or take it out")
    return tuple(blocks)


def _declared_charset(content: bytes) -> str:
    found = _CHARSET.search(content[:2048])
    return found[1].decode("ascii") if found else "utf-8"


def _decoded(content: bytes, charset: str = "utf-8") -> str:
    for name in dict.fromkeys(("utf-8-sig", charset)):
        try:
            text = content.decode(name)
            break
        except UnicodeDecodeError as error:
            place = error.start
        except (LookupError, UnicodeError):
            pass  # no encoding of text has the name that the page gives
    else:
        raise DataError(f"is not UTF-8 (byte {place}); save it as UTF-8")
    if "\0" in text:
        raise DataError("is not text (it holds zero bytes)")
    return text.replace("\r\n", "\n").replace("\r", "\n")
