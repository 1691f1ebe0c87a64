"""Names in a claim: unknown to the sources, said by them not to exist, or standing where they name another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from relaytune.core.claims import Claim, ClaimVerdict
from relaytune.facts.language.names import DEGREE_STEMS, Name, is_person, names
from relaytune.facts.language.polarity import Denied, clauses, denied_things, denies, says_yes
from relaytune.facts.language.sentences import asks_whether
from relaytune.facts.language.words import content_stems
from relaytune.facts.verifying.exact_lines import Line, told_stems
from relaytune.facts.verifying.exact_subjects import (
    SAME_ATTRIBUTE,
    SAME_WORDS,
    all_told,
    not_found,
    stems_of,
    subjects,
    verdict,
)
from relaytune.facts.verifying.exact_vocabulary import Vocabulary

_TITLE = re.compile(r"(?:^|[;.]\s)\s*([^:;.]{1,40}):\s*$")
_STUDYING = DEGREE_STEMS | content_stems("study studies")


def verdicts_of_names(claim: Claim, lines: Sequence[Line], vocabulary: Vocabulary) -> list[ClaimVerdict]:
    """What is wrong with the names of a claim, and which are rightly said not to exist.

    Of a question an unknown name counts only if the sources know several things of its sort: scholarships, offices.
    What people say of where they come from is nothing that sources could know.
    """
    found = []
    for name in names(claim.text):
        asked = name.stems <= content_stems(claim.context)
        another = _naming_another(claim, name, lines, vocabulary) if claim.part == "answer" and not asked else None
        if another:
            line, other = another
            reason = f"the source names {other.text}, the answer {name.text}"
            found.append(verdict("contradicted", reason, line, "name"))
        elif vocabulary.names(name):
            continue
        elif denial := vocabulary.denial_of(name):
            agreed = claim.part == "answer" and any(denies(clause) for clause in clauses(claim.text))
            reason = f"the source says that there is no {name.text}"
            found.append(verdict("supported" if agreed else "contradicted", reason, denial, "name"))
        elif not vocabulary.knows(name) and (claim.part == "answer" or vocabulary.knows_sort_of(name, claim.text)):
            found.append(not_found(f"no source knows {name.text!r}", "name"))
    return found


def _naming_another(
    claim: Claim, name: Name, lines: Sequence[Line], vocabulary: Vocabulary
) -> tuple[Line, Name] | None:
    """The line that says of another of the same sort what the claim says of this name."""
    of_subjects = stems_of([one for one in subjects(claim, vocabulary) if not one.stems & name.stems])
    told = all_told(claim)
    said = told_stems(claim.text) - name.stems - of_subjects
    asked = told_stems(claim.context) - of_subjects
    found = None
    for line in lines:
        if name.stems <= line.stems and of_subjects <= line.all_stems:
            return None  # whatever the source says of it there
        others = [other for other in line.names if _same_sort(name, other)]
        if found or not others or any(other.stems <= told for other in others):
            continue
        here = line.stems | line.above
        share = vocabulary.share
        same_role = said & line.stems and max(share(said, here), share(asked, here)) >= SAME_ATTRIBUTE
        same_role = same_role or any(_is_titled(line, other, said) for other in others)
        of_subject = of_subjects <= line.all_stems if of_subjects else share(said, line.all_stems) >= SAME_WORDS
        if same_role and of_subject:
            found = line, others[0]
    return found


def _is_titled(line: Line, name: Name, said: frozenset[str]) -> bool:
    """Whether a name stands behind a title of the words said: "Coordinator: Dr Berg"."""
    title = _TITLE.search(line.text[: name.start])
    return title is not None and bool(content_stems(title[1])) and content_stems(title[1]) <= said


def _same_sort(name: Name, other: Name) -> bool:
    """Whether two names are of different persons, or of different things of one sort."""
    if name.stems <= other.stems or other.stems <= name.stems:
        return False
    if is_person(name) or is_person(other):
        return is_person(name) and is_person(other)
    return name.head == other.head and len(name.stems) > 1 and len(other.stems) > 1


def verdicts_of_things(claim: Claim, lines: Sequence[Line]) -> list[ClaimVerdict]:
    """What a question takes to exist, or a "yes" says to, and a line says not to: "the law faculty"."""
    if claim.part == "question" and asks_whether(claim.text):
        return []
    if claim.part == "answer" and not (says_yes(claim.text) and asks_whether(claim.context)):
        return []
    told = content_stems(claim.text if claim.part == "question" else claim.context)
    for line in lines:
        if any(_speaks_of(told, denied) for denied in denied_things(line.text)):
            return [verdict("contradicted", "the source says that there is none", line, "negation")]
    return []


def _speaks_of(told: frozenset[str], denied: Denied) -> bool:
    """Whether words have all of a thing's, and of those that it is denied; to study it is to take its programme."""
    thing = denied.thing
    same = thing <= told or bool(thing & DEGREE_STEMS and told & _STUDYING and thing - DEGREE_STEMS <= told)
    return same and denied.whom <= told
