"""The verifier that needs no model: values, names and denials, held against what the sources say of the same thing.

For each value of a claim the passages' values of the same kind and unit are ranked by how well their words (of the
line, its headings, its row and column) cover the claim's words, each weighing what it tells (inverse document
frequency). The claim's value among the best is support; another value there, and the claim's nowhere near, is
contradiction; the rest is not found. Where the subject is in doubt nothing is called a contradiction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relaytune.core.claims import Claim, ClaimKind, ClaimVerdict, Evidence, Passage, Support
from relaytune.facts.language.names import Name, is_person, is_test, names
from relaytune.facts.language.polarity import (
    EXCEPTION,
    affirmed_stems,
    begins_with_pronoun,
    clauses,
    denied_things,
    denies,
    denies_existence,
    is_fragment,
    says_yes,
)
from relaytune.facts.language.sentences import asks_whether
from relaytune.facts.language.values import Value, agree, comparable, values
from relaytune.facts.language.words import content_stems
from relaytune.facts.language.words import stem as stem_of
from relaytune.facts.verifying.exact_lines import Fact, Line, claim_facts, lines_of, told_stems
from relaytune.facts.verifying.exact_vocabulary import Vocabulary

NAME = "exact"

# how much a claim's word counts where it stands
BESIDE, IN_LINE, ABOVE, IN_PASSAGE = 1.0, 0.9, 0.85, 0.3
APART = 0.4  # a word of the claim that stands in another segment than the value
OF_CONTEXT = 0.5  # a word of the question
BEYOND = 0.15  # taken off for what a line says beside its value and the claim does not
# shares of a claim's words that a line must cover; set on half of the topics of examples/advisor
SUPPORTS = 0.4
SUPPORTS_AS_BEST = 0.25  # where no other value fits better
CONTRADICTS = 0.5
DENIES = 0.7
SAME_ATTRIBUTE = 0.3
SURELY = 0.6
TURNING_POINTS = frozenset({"=begin", "=end", "=deadline"})  # what a date is of
NEAR_BEST = 0.15  # lines so little worse than the best one are as good
SPEAKS_OF_IT = 0.25  # a line so much worse that has the claim's value keeps another from contradicting
HALF_THE_WORDS = 0.5  # of a clause that is denied, which its denial repeats itself
SAME_WORDS = 0.8  # of a clause's words, for its denial or its repetition to be seen


@dataclass(frozen=True)
class _Candidate:
    """A value of the sources that a claim's value may be held against."""

    line: Line
    fact: Fact
    score: float
    agrees: bool | None
    same_subject: bool  # the line, with what stands above it, has every name of the claim and its question
    same_attribute: bool  # it has enough of the other words beside the claim's value


class ExactVerifier:
    """Compares values, names and denials. Deterministic; the same passages give the same verdicts."""

    name = NAME

    def __init__(self, passages: Iterable[Passage]) -> None:
        """Read all passages of the sources: how rare words are, and what has a name, is a matter of all of them."""
        self._lines: dict[str, tuple[Line, ...]] = {}
        self._vocabulary = Vocabulary([line for passage in passages for line in self._lines_of(passage)])

    def verify(self, claims: Sequence[Claim], passages: Sequence[Sequence[Passage]]) -> list[ClaimVerdict | None]:
        """One verdict per claim from its own passages; None where there is nothing to compare."""
        return [self._verify(claim, near) for claim, near in zip(claims, passages, strict=True)]

    def _verify(self, claim: Claim, passages: Sequence[Passage]) -> ClaimVerdict | None:
        lines = [line for passage in passages for line in self._lines_of(passage)]
        found: list[ClaimVerdict] = []
        if claim.part == "answer" or set(claim.kinds) != {"name"}:
            found += [verdict for fact in claim_facts(claim.text) if (verdict := self._of_value(claim, fact, lines))]
            spoken = self._of_words(claim, lines)
            if spoken and spoken.support == "supported" and _has_values(spoken, claim):
                found = [spoken]  # word by word, so its values need no further search
            elif spoken and (spoken.support == "contradicted" or not found):
                found.append(spoken)
        found += self._of_names(claim, lines)
        found += self._of_things(claim, lines)
        return _joined(found)

    def _lines_of(self, passage: Passage) -> tuple[Line, ...]:
        if passage.id not in self._lines:
            self._lines[passage.id] = tuple(lines_of(passage))
        return self._lines[passage.id]

    # --- values

    def _of_value(self, claim: Claim, fact: Fact, lines: Sequence[Line]) -> ClaimVerdict | None:
        if _repeats_question(claim, fact):
            return None
        weights = self._weights(claim, fact)
        candidates = self._candidates(claim, fact, weights, lines)
        kind, value = fact.value.kind, fact.value.text
        if not candidates and fact.value.measure == "count" and not value[0].isdigit():
            return None  # "both", "in two ways": hardly ever what a claim is about
        best = candidates[0].score if candidates else 0.0
        for one in candidates:
            enough = SUPPORTS if one.score < best else SUPPORTS_AS_BEST
            if one.agrees and one.score >= max(enough, best - NEAR_BEST):
                return _verdict("supported", f"the source says {one.fact.value.text} too", one.line, kind)
        if any(one.agrees is not False and one.score >= best - SPEAKS_OF_IT for one in candidates):
            return ClaimVerdict("not_found", NAME, f"the sources say {value!r}, but not clearly of this", kind=kind)
        if candidates and self._speaks_of(claim, candidates[0]):
            reason = f"the source says {candidates[0].fact.value.text}, the {claim.part} {value}"
            return _verdict("contradicted", reason, candidates[0].line, kind)
        if denial := self._denial_of_value(claim, fact, weights, lines):
            return _verdict(
                "contradicted", f"the source says that there is none, the {claim.part} {value}", denial, kind
            )
        return ClaimVerdict("not_found", NAME, f"no source found says {value!r} of this", kind=kind)

    def _candidates(
        self, claim: Claim, fact: Fact, weights: dict[str, float], lines: Sequence[Line]
    ) -> list[_Candidate]:
        """The values that a claim's value can be held against, best first; only of its very subject if there are."""
        subjects = self._subjects(claim)
        of_subjects = frozenset[str]().union(*(name.stems for name in subjects))
        told = told_stems(claim.text) | told_stems(claim.context)
        attribute = (fact.close or told_stems(claim.context)) - of_subjects
        candidates = []
        for line in lines:
            for other in line.facts:
                if not comparable(fact.value, other.value) or {fact.role, other.role} == {"from", "until"}:
                    continue
                beside = other.close | line.stems | line.above
                if fact.value.measure == "count" and not _count_alike(fact.value, other, told):
                    continue
                if fact.value.kind == "date" and not attribute & TURNING_POINTS <= beside:
                    continue
                if fact.value.measure == "count" and not other.value.nouns & told_stems(claim.context):
                    attribute = fact.close - of_subjects - fact.value.nouns  # that both count people says little
                same_attribute = (
                    fact.value.measure.startswith("score of")
                    or self._vocabulary.share(attribute, beside) >= SAME_ATTRIBUTE
                )
                score = self._score(weights, line, other)
                same_subject = bool(of_subjects) and of_subjects <= line.all_stems
                agrees = agree(fact.value, other.value)
                candidates.append(_Candidate(line, other, score, agrees, same_subject, same_attribute))
        if any(one.fact.value.nouns & fact.value.nouns for one in candidates):
            candidates = [one for one in candidates if one.fact.value.nouns & fact.value.nouns]
        if any(one.same_subject and one.same_attribute for one in candidates):
            candidates = [one for one in candidates if one.same_subject]
        return sorted(candidates, key=lambda one: -one.score)

    def _subjects(self, claim: Claim) -> list[Name]:
        """What a claim names, else what its question does, as far as the sources know it."""
        for text in (claim.text, claim.context):
            if known := [name for name in names(text) if not is_test(name) and self._vocabulary.knows(name)]:
                return known
        return []

    def _speaks_of(self, claim: Claim, one: _Candidate) -> bool:
        """Whether a value of the sources is so surely of the claim's subject that another value contradicts it."""
        if not one.same_attribute and (one.score < SURELY or one.fact.value.measure == "count"):
            return False
        return one.same_subject or (one.score >= CONTRADICTS and self._same_subject(claim, one.line))

    def _weights(self, claim: Claim, fact: Fact | None = None) -> dict[str, float]:
        """What each of a claim's words tells; those beside the value more, those of its context less."""
        own = told_stems(claim.text) | (fact.close if fact else frozenset())
        weights = {}
        for stem in own:
            near = fact is None or stem in fact.close
            weights[stem] = self._vocabulary.rarity(stem) * (1.0 if near else APART)
        for stem in told_stems(claim.context) - own:
            if stem in self._vocabulary:
                weights[stem] = OF_CONTEXT * self._vocabulary.rarity(stem)
        return weights

    def _score(self, weights: dict[str, float], line: Line, fact: Fact) -> float:
        """Share of a claim's words that a value's line covers, less for what the line says beyond them."""
        total = sum(weights.values())
        if not total:
            return 0.0
        covered = 0.0
        for stem, weight in weights.items():
            if stem in fact.close:
                covered += BESIDE * weight
            elif stem in line.stems:
                covered += IN_LINE * weight
            elif stem in line.around:
                covered += ABOVE * weight
            elif stem in line.elsewhere:
                covered += IN_PASSAGE * weight
        return covered / total - BEYOND * (1 - self._vocabulary.share(fact.close, frozenset(weights)))

    def _same_subject(self, claim: Claim, line: Line) -> bool:
        """Whether a line speaks of what the claim names; one that names nothing else is taken to be a rule for all."""
        subjects = [name for name in (names(claim.text) or names(claim.context)) if self._vocabulary.knows(name)]
        if all(name.stems <= line.all_stems for name in subjects):
            return True
        told = content_stems(claim.text) | content_stems(claim.context)
        return all(name.stems <= told for name in line.names) and any(name.stems <= line.all_stems for name in subjects)

    def _denial_of_value(
        self, claim: Claim, fact: Fact, weights: dict[str, float], lines: Sequence[Line]
    ) -> Line | None:
        """The line that says that there is no such thing as the claim gives a value of ("no minimum is set")."""
        if fact.value.measure.startswith("score of "):
            speaking = self._vocabulary.lines_with(stem_of(fact.value.measure.removeprefix("score of ")))
            if speaking and all(denies(line.text) and not line.facts for line in speaking):
                return speaking[0]  # "no such test is asked for"
        for line in lines:
            if line.facts or not denies_existence(line.text):
                continue
            covered = sum(weight for word, weight in weights.items() if word in line.stems)
            if covered >= DENIES * sum(weights.values()) and self._same_subject(claim, line):
                return line
        return None

    # --- names

    def _of_names(self, claim: Claim, lines: Sequence[Line]) -> list[ClaimVerdict]:
        found = []
        for name in names(claim.text):
            asked = name.stems <= content_stems(claim.context)
            if claim.part == "answer" and not asked and (line := self._line_naming_another(claim, name, lines)):
                other = next(other for other in line.names if _same_sort(name, other))
                reason = f"the source names {other.text}, the answer {name.text}"
                found.append(_verdict("contradicted", reason, line, "name"))
            elif self._vocabulary.names(name):
                continue
            elif denial := self._vocabulary.denial_of(name):
                agreed = claim.part == "answer" and any(denies(clause) for clause in clauses(claim.text))
                support: Support = "supported" if agreed else "contradicted"
                found.append(_verdict(support, f"the source says that there is no {name.text}", denial, "name"))
            elif not self._vocabulary.knows(name) and (
                claim.part == "answer" or self._vocabulary.knows_sort_of(name, claim.text)
            ):
                found.append(ClaimVerdict("not_found", NAME, f"no source knows {name.text!r}", kind="name"))
        return found

    def _line_naming_another(self, claim: Claim, name: Name, lines: Sequence[Line]) -> Line | None:
        """The line that says of another of the same sort what the claim says of this name."""
        subjects = [one for one in self._subjects(claim) if not one.stems & name.stems]
        of_subjects = frozenset[str]().union(*(one.stems for one in subjects))
        told = told_stems(claim.text) | told_stems(claim.context)
        said = told_stems(claim.text) - name.stems - of_subjects
        asked = told_stems(claim.context) - of_subjects
        share = self._vocabulary.share
        found = None
        for line in lines:
            if name.stems <= line.stems and of_subjects <= line.all_stems:
                return None  # whatever the source says of it there
            others = [other for other in line.names if _same_sort(name, other)]
            if found is not None or not others or any(other.stems <= told for other in others):
                continue
            here = line.stems | line.above
            same_role = said & line.stems and max(share(said, here), share(asked, here)) >= SAME_ATTRIBUTE
            of_subject = bool(of_subjects) and of_subjects <= line.all_stems
            if same_role and (of_subject or share(said, line.all_stems) >= SAME_WORDS):
                found = line
        return found

    def _of_things(self, claim: Claim, lines: Sequence[Line]) -> list[ClaimVerdict]:
        """What a question takes to exist, or a "yes" says to, and a line says not to."""
        if claim.part == "question" and asks_whether(claim.text):
            return []
        if claim.part == "answer" and not (says_yes(claim.text) and asks_whether(claim.context)):
            return []
        told = content_stems(claim.text if claim.part == "question" else claim.context)
        for line in lines:
            if any(thing <= told for thing in denied_things(line.text)):
                return [_verdict("contradicted", "the source says that there is none", line, "negation")]
        return []

    # --- words: the same clause, affirmed or denied

    def _of_words(self, claim: Claim, lines: Sequence[Line]) -> ClaimVerdict | None:
        """What a line says in the claim's own words, or with a denial more or less."""
        if fragment := self._of_fragment(claim, lines):
            return fragment
        supported: list[ClaimVerdict | None] = []
        for clause in clauses(claim.text):
            if len(affirmed_stems(clause)) < 2:
                continue
            said = [self._of_clauses(claim, clause, line, other) for line in lines for other in clauses(line.text)]
            for verdict in said:
                if verdict and verdict.support == "contradicted":
                    return verdict
            supported.append(next((verdict for verdict in said if verdict), None))
        return supported[0] if supported and all(supported) else None

    def _of_fragment(self, claim: Claim, lines: Sequence[Line]) -> ClaimVerdict | None:
        """Whether a line that speaks of the question holds an answer of a few words."""
        stems = content_stems(claim.text)
        if not stems or values(claim.text) or claim.part == "question" or not is_fragment(claim.text):
            return None
        about = frozenset(self._weights(claim)) - stems
        for line in lines:
            if stems <= line.stems and self._vocabulary.share(about, line.all_stems | line.elsewhere) >= HALF_THE_WORDS:
                return _verdict("supported", "the source has these words where it speaks of the question", line, "name")
        return None

    def _of_clauses(self, claim: Claim, clause: str, line: Line, other: str) -> ClaimVerdict | None:
        stems, said = affirmed_stems(clause), affirmed_stems(other)
        spoken = said | line.around if begins_with_pronoun(other) else said
        if not stems & said or len(stems & spoken) < 2:
            return None
        share = self._vocabulary.share
        if denies(clause) == denies(other):
            if not stems <= said | line.around:
                return None
            return _verdict("supported", "the source says so in the same words", line, "statement")
        if share(stems, spoken) < HALF_THE_WORDS or share(stems, spoken | line.above) < SAME_WORDS:
            return None
        if share(said, stems | content_stems(claim.context)) < SAME_WORDS or share(said, stems) < HALF_THE_WORDS:
            return None
        if EXCEPTION.search(line.text) or EXCEPTION.search(clause) or not self._same_subject(claim, line):
            return None
        if denies(other):
            return _verdict("contradicted", f"the source denies what the {claim.part} says", line, "negation")
        return _verdict("contradicted", f"the {claim.part} denies what the source says", line, "negation")


def _has_values(verdict: ClaimVerdict, claim: Claim) -> bool:
    """Whether the line that a verdict quotes has every value of the claim."""
    there = [value for evidence in verdict.evidence for value in values(evidence.quotation)]
    return all(any(comparable(one, other) and agree(one, other) for other in there) for one in values(claim.text))


def _repeats_question(claim: Claim, fact: Fact) -> bool:
    """Whether an answer only takes up a value ("with your 6.0") that its question did not ask about ("is it 6.0")."""
    if claim.part == "question" or asks_whether(claim.context):
        return False
    return any(agree(fact.value, value) for value in values(claim.context) if comparable(fact.value, value))


def _count_alike(claimed: Value, other: Fact, told: frozenset[str]) -> bool:
    """Whether a number of the sources counts what the claim's number does, or what its question asks for."""
    if other.value.nouns:
        return bool(other.value.nouns & (claimed.nouns | told))
    return bool(claimed.nouns & other.close)


def _same_sort(name: Name, other: Name) -> bool:
    """Whether two names are of different persons, or of different things of one sort."""
    if name.stems <= other.stems or other.stems <= name.stems:
        return False
    if is_person(name) or is_person(other):
        return is_person(name) and is_person(other)
    return name.head == other.head and len(name.stems) > 1 and len(other.stems) > 1


def _verdict(support: Support, reason: str, line: Line, kind: ClaimKind) -> ClaimVerdict:
    passage = line.passage
    return ClaimVerdict(
        support, NAME, reason, (Evidence(passage.id, passage.document, passage.place, line.text),), kind
    )


def _joined(found: Sequence[ClaimVerdict]) -> ClaimVerdict | None:
    """The worst of what was found of a claim's parts: a contradiction, else what is not found, else support."""
    for support in ("contradicted", "not_found", "supported"):
        for verdict in found:
            if verdict.support == support:
                return verdict
    return None
