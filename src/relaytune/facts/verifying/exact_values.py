"""Values of a claim against those that the sources state of the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from relaytune.core.claims import Claim, ClaimVerdict
from relaytune.facts.language.polarity import clauses, denies, denies_existence
from relaytune.facts.language.sentences import asks_whether
from relaytune.facts.language.values import Value, agree, comparable, values
from relaytune.facts.language.words import content_stems, stem
from relaytune.facts.verifying.exact_lines import Fact, Line, same_turn, told_stems
from relaytune.facts.verifying.exact_subjects import (
    SAME_ATTRIBUTE,
    all_told,
    may_speak_of,
    names_unknown,
    not_found,
    stems_of,
    subjects,
    verdict,
)
from relaytune.facts.verifying.exact_vocabulary import Vocabulary

# how much a claim's word counts where it stands
BESIDE, IN_LINE, ABOVE, IN_PASSAGE = 1.0, 0.9, 0.85, 0.3
APART = 0.4  # a word of the claim that stands in another segment than the value
OF_CONTEXT = 0.5  # a word of the question
BEYOND = 0.15  # taken off for what a line says beside its value and the claim does not
# shares of a claim's words that a line must cover; set on half of the topics of examples/advisor
SUPPORTS = 0.4
SUPPORTS_AS_BEST = 0.25  # where no other value fits better
CONTRADICTS = 0.4  # where the subject is not named in so many words
RIVALS = 0.03  # another line's value so little worse may be the one that is meant
SURELY = 0.6  # stands in for words beside the value
DENIES = 0.7
NEAR_BEST = 0.15  # lines so little worse than the best one are as good
SPEAKS_OF_IT = 0.25  # a line so much worse that has the claim's value keeps another from contradicting
SCORE_STEMS = content_stems("score point mark grade band result")
TURNING_POINTS = frozenset({"=begin", "=end", "=deadline"})  # what a date is of


@dataclass(frozen=True)
class _Candidate:
    """A value of the sources that a claim's value may be held against."""

    line: Line
    fact: Fact
    score: float
    agrees: bool | None
    same_subject: bool  # the line, with what stands above it, has every name of the claim
    same_attribute: bool  # it has enough of the other words beside the claim's value


def verdict_of_value(claim: Claim, fact: Fact, lines: Sequence[Line], vocabulary: Vocabulary) -> ClaimVerdict | None:
    """What the lines say of one value of a claim; None where it claims nothing."""
    if _repeats_question(claim, fact):
        return None
    weights = word_weights(claim, vocabulary, fact)
    candidates = _candidates(claim, fact, weights, lines, vocabulary)
    kind, value = fact.value.kind, fact.value.text
    if not candidates and fact.value.measure == "count" and not value[0].isdigit():
        return None  # "both", "in two ways": hardly ever what a claim is about
    best = candidates[0].score if candidates else 0.0
    for one in candidates:
        enough = SUPPORTS if one.score < best else SUPPORTS_AS_BEST
        if one.agrees and one.score >= max(enough, best - NEAR_BEST):
            return verdict("supported", f"the source says {one.fact.value.text} too", one.line, kind)
    if any(_may_agree(one) and one.score >= best - SPEAKS_OF_IT for one in candidates):
        return not_found(f"the sources say {value!r}, but not clearly of this", kind)
    if candidates and not names_unknown(claim, vocabulary) and _surely_of_it(claim, fact, candidates, vocabulary):
        reason = f"the source says {candidates[0].fact.value.text}, the {claim.part} {value}"
        return verdict("contradicted", reason, candidates[0].line, kind)
    if denial := _denial(claim, fact, weights, lines, vocabulary):
        return verdict("contradicted", f"the source says that there is none, the {claim.part} {value}", denial, kind)
    return not_found(f"no source found says {value!r} of this", kind)


def word_weights(claim: Claim, vocabulary: Vocabulary, fact: Fact | None = None) -> dict[str, float]:
    """What each of a claim's words tells; those apart from the value less, those of its context less."""
    own = told_stems(claim.text) | (fact.close if fact else frozenset())
    weights = {word: vocabulary.rarity(word) * (1.0 if not fact or word in fact.close else APART) for word in own}
    for word in told_stems(claim.context) - own:
        if word in vocabulary:
            weights[word] = OF_CONTEXT * vocabulary.rarity(word)
    return weights


def _candidates(
    claim: Claim, fact: Fact, weights: dict[str, float], lines: Sequence[Line], vocabulary: Vocabulary
) -> list[_Candidate]:
    """The values that a claim's value can be held against, best first; only of its very subject if there are."""
    of_subjects = stems_of(subjects(claim, vocabulary))
    told, asked = all_told(claim), told_stems(claim.context)
    attribute = (fact.close or asked) - of_subjects
    is_count = fact.value.measure == "count"
    candidates = []
    for line in lines:
        for other in line.facts:
            beside = other.close | line.stems | line.above
            if not comparable(fact.value, other.value) or (is_count and not _count_alike(fact.value, other, told)):
                continue
            if fact.value.measure != other.value.measure and not _tests(fact.value) <= beside:
                continue
            if fact.value.kind == "date" and not (same_turn(fact, other) and attribute & TURNING_POINTS <= beside):
                continue
            telling = attribute
            if is_count:  # that both count people says little, unless it was asked how many people do what
                telling = (
                    attribute | (asked - of_subjects) if other.value.nouns & asked else attribute - fact.value.nouns
                )
            candidates.append(
                _Candidate(
                    line,
                    other,
                    _score(weights, line, other, vocabulary),
                    agree(fact.value, other.value),
                    same_subject=bool(of_subjects) and of_subjects <= line.all_stems,
                    same_attribute=fact.value.measure.startswith("score of ")
                    or vocabulary.share(telling, beside) >= SAME_ATTRIBUTE,
                )
            )
    if any(_of_one_test(one, fact) for one in candidates):  # then bare numbers say nothing
        candidates = [one for one in candidates if _of_one_test(one, fact)]
    if any(one.fact.value.nouns & fact.value.nouns for one in candidates):
        candidates = [one for one in candidates if one.fact.value.nouns & fact.value.nouns]
    if any(one.same_subject and one.same_attribute for one in candidates):
        candidates = [one for one in candidates if one.same_subject]
    return sorted(candidates, key=lambda one: -one.score)


def _score(weights: dict[str, float], line: Line, fact: Fact, vocabulary: Vocabulary) -> float:
    """Share of a claim's words that a value's line covers, less for what the line says beyond them."""
    total = fsum(weights.values())
    if not total:
        return 0.0
    covered = []
    for word, weight in weights.items():
        if word in fact.close:
            covered.append(BESIDE * weight)
        elif word in line.stems:
            covered.append(IN_LINE * weight)
        elif word in line.around:
            covered.append(ABOVE * weight)
        elif word in line.elsewhere:
            covered.append(IN_PASSAGE * weight)
    return fsum(covered) / total - BEYOND * (1 - vocabulary.share(fact.close, frozenset(weights)))


def _count_alike(claimed: Value, other: Fact, told: frozenset[str]) -> bool:
    """Whether a number of the sources counts what the claim's number does, or what its question asks for."""
    if other.value.kind == "score":
        return not told.isdisjoint(content_stems(other.value.measure) | SCORE_STEMS)
    if other.value.nouns:
        return bool(other.value.nouns & (claimed.nouns | told))
    return bool(claimed.nouns & other.close)


def _surely_of_it(claim: Claim, fact: Fact, candidates: Sequence[_Candidate], vocabulary: Vocabulary) -> bool:
    """Whether the best value of the sources is so surely of the claim's subject that another value contradicts it."""
    best = candidates[0]
    if not best.same_attribute and (best.score < SURELY or best.fact.value.measure == "count"):
        return False
    if best.same_subject:
        return True
    enough = CONTRADICTS if fact.close and not _has_rival(candidates) else SURELY
    return best.score >= enough and may_speak_of(best.line, claim, vocabulary)


def _has_rival(candidates: Sequence[_Candidate]) -> bool:
    """Whether another line with another value fits nearly as well as the best."""
    best, *others = candidates
    return any(
        one.score > best.score - RIVALS and one.line is not best.line and not agree(one.fact.value, best.fact.value)
        for one in others
    )


def _denial(
    claim: Claim, fact: Fact, weights: dict[str, float], lines: Sequence[Line], vocabulary: Vocabulary
) -> Line | None:
    """The line that says that there is no such thing as the claim gives a value of ("no minimum is set")."""
    for test in sorted(_tests(fact.value)):
        if (speaking := vocabulary.lines_with(test)) and all(_denies_of(line, test) for line in speaking):
            return speaking[0]  # "no such test is asked for"
    for line in lines:
        if line.facts or not denies_existence(line.text):
            continue
        covered = fsum(weight for word, weight in weights.items() if word in line.stems)
        if covered >= DENIES * fsum(weights.values()) and may_speak_of(line, claim, vocabulary):
            return line
    return None


def _may_agree(one: _Candidate) -> bool:
    return bool(one.agrees) or (one.agrees is None and one.same_attribute)


def _of_one_test(one: _Candidate, fact: Fact) -> bool:
    return one.fact.value.measure == fact.value.measure and fact.value.measure.startswith("score of ")


def _tests(value: Value) -> frozenset[str]:
    """Stems of the test that a value may be a score in: "540 in the GMAT", "540 GMAT points"."""
    if value.measure.startswith("score of "):
        return frozenset({stem(value.measure.removeprefix("score of "))})
    return value.nouns - SCORE_STEMS if value.nouns & SCORE_STEMS else frozenset()


def _denies_of(line: Line, word: str) -> bool:
    """Whether what a line says of a word is a denial, and no value."""
    speaking = [clause for clause in clauses(line.text) if word in content_stems(clause)]
    return bool(speaking) and all(denies(clause) and not values(clause) for clause in speaking)


def _repeats_question(claim: Claim, fact: Fact) -> bool:
    """Whether an answer only takes up a value ("with your 6.0") that its question did not ask about ("is it 6.0")."""
    if claim.part == "question" or asks_whether(claim.context):
        return False
    return any(agree(fact.value, value) for value in values(claim.context) if comparable(fact.value, value))
