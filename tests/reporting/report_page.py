"""A written report as a reader sees it."""

from __future__ import annotations

from html.parser import HTMLParser

from relaytune.core.run_folder import RunFolder
from relaytune.reporting import write_report


class Page(HTMLParser):
    """Tags with their attributes, and the text that a reader sees, one space between words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._in_style = False
        self.feed(html)
        self.text = " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self._texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def written(run: RunFolder) -> Page:
    path = write_report(run)
    assert path == run.report
    return Page(path.read_text(encoding="utf-8"))


def section(run: RunFolder, name: str) -> str:
    html = write_report(run).read_text(encoding="utf-8")
    return Page(html.split(f'<section id="{name}"')[1].split("</section>")[0]).text
