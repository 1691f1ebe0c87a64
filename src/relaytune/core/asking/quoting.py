"""Quoting text for a judge so that it stays text: nothing in it is unseen, a control token, or outside its quotation.

Nothing is judged or deleted here. What is changed is shown in another form and counted, the same way for every answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from relaytune.core.files import canonical_json

NAMES = (
    "acacia", "alder", "aspen", "banyan", "baobab", "birch", "cedar", "cypress", "hawthorn", "hazel", "hemlock",
    "hickory", "hornbeam", "jacaranda", "juniper", "larch", "laurel", "linden", "magnolia", "maple", "mulberry",
    "myrtle", "poplar", "rowan", "sequoia", "spruce", "sycamore", "tamarind", "teak", "walnut", "willow", "yew",
)  # fmt: skip
# drawn as nothing though Unicode does not count them among its format characters
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_LINE_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_MOST_SHOWN = 4  # characters of a run that are shown as escapes; longer runs are counted

# "<" and "[" where a chat template, a tool call, a thought or a hidden comment could begin
_TAG = re.compile(r"[<＜](?=[<＜|｜/!?A-Za-z])|(?<=[|｜])[>＞]")
_BRACKET_TOKEN = re.compile(r"\[(?=/?(?:g?[A-Z][A-Z_]{2,}|control_\d+)\])")


@dataclass(frozen=True)
class Quoted:
    """Text whose every line begins with a mark, and how often something in it was changed, by kind."""

    text: str
    changes: Counter[str]


def quote(text: str, mark: str, max_characters: int) -> Quoted:
    """Text to be put into a prompt: inert, cut to a limit, `mark> ` before each line.

    No line of it can pass for a line of the prompt or of another quotation, since those begin otherwise. Characters
    that are not seen are written out, and what a model's template could take for a control token is written with
    other brackets: `‹|im_end|›`, `［INST]`.
    """
    changes: Counter[str] = Counter()
    text = _shown(_LINE_BREAKS.sub("\n", text), changes)
    text, count = _TAG.subn(lambda found: "‹" if found[0] in "<＜" else "›", text)
    changes["control tokens and tags"] += count
    text, count = _BRACKET_TOKEN.subn("［", text)
    changes["control tokens and tags"] += count
    cut = len(text) - max_characters
    if cut > 0:
        text = text[:max_characters]
        changes["cut at the limit"] += 1
    lines = [f"{mark}> {line}" for line in text.split("\n")]
    if cut > 0:
        lines.append(f"({mark} goes on for {cut} more characters, which are not shown.)")
    return Quoted("\n".join(lines), +changes)


def draw_names(shown: Sequence[object], count: int) -> tuple[str, ...]:
    """Names that occur nowhere in what is shown; words, or where a text lists them all, syllables.

    They follow from all that is shown, so who wrote a part of it cannot know them.
    """
    text = canonical_json(shown)
    random = Random(text)
    # without what could stand between or instead of the letters of a name
    letters = re.sub("[^a-z]", "", unicodedata.normalize("NFKC", text).lower())
    free = [name for name in NAMES if name not in letters]
    while len(free) < count:
        name = "".join(random.choice("bdfgklmnprstvz") + random.choice("aeiou") for _ in range(4))
        if name not in letters:
            free.append(name)
    return tuple(random.sample(free, count))


def _shown(text: str, changes: Counter[str]) -> str:
    """Characters that cannot be seen are written as escapes, long runs of them as their number."""
    parts: list[str] = []
    run: list[str] = []

    def end_run() -> None:
        if run:
            changes["invisible characters"] += len(run)
            several = f"[{len(run)} invisible characters]"
            parts.append(several if len(run) > _MOST_SHOWN else "".join(f"\\u{{{ord(one):x}}}" for one in run))
            run.clear()

    for place, character in enumerate(text):
        if _is_invisible(character) and not _joins(text, place):
            run.append(character)
        else:
            end_run()
            parts.append(character)
    end_run()
    return "".join(parts)


def _is_invisible(character: str) -> bool:
    if character in "\n\t":
        return False
    return (
        character in _BLANK
        or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Cn")
        or "\ufe00" <= character <= "\ufe0f"
        or "\u180b" <= character <= "\u180f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def _joins(text: str, place: int) -> bool:
    """One joiner or emoji selector where writing needs it: in emoji, and between letters of Arabic or Indic scripts."""
    before = text[place - 1] if place else ""
    after = text[place + 1] if place + 1 < len(text) else ""
    if text[place] == "\ufe0f":
        return bool(before) and unicodedata.category(before) in ("So", "Sm", "Po")
    if text[place] in "\u200c\u200d" and before and after:
        kinds = {unicodedata.category(before), unicodedata.category(after)}
        return kinds <= {"Lo", "Mn", "Mc"} or (text[place] == "\u200d" and kinds <= {"So", "Sk", "Mn"})
    return False
