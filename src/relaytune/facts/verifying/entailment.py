"""A model of natural language inference: does a passage entail a claim, contradict it, or neither?

Any sequence classifier with the three labels of MNLI (Williams et al. 2018, arXiv 1704.05426) serves. Each passage is a
premise by itself, and the most certain one counts, as in SummaC's zero-shot form (Laban et al. 2022, arXiv 2111.09525).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from relaytune.core.claims import Claim, ClaimVerdict, Evidence, Passage
from relaytune.core.encoder import longest_input, short_name, token_batches
from relaytune.core.errors import ModelError
from relaytune.core.model import find_model, quiet_transformers
from relaytune.core.sections import BaseModelChoice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEY = "data.facts.entailment"  # the recipe's key that names the model
# the usual line for "entailed" (Honovich et al. 2022, arXiv 2204.04991): likelier than not
SUPPORTED_ABOVE = 0.5
# far stricter: each claim has several passages, one of which is about something else, and such models call that a
# contradiction too; and a contradiction can take a row out of training
CONTRADICTED_ABOVE = 0.9
TOKENS_AT_ONCE = 4096  # padding included
LEAST_PREMISE_TOKENS = 64  # room for a passage that a claim must leave

_LABELS = ("entailment", "contradiction", "neutral")


@dataclass(frozen=True)
class EntailmentVerifier:
    """A loaded model; `columns` are the places of _LABELS in its output. `untold` counts why claims got no verdict."""

    title: str
    model: Any
    tokenizer: Any
    max_tokens: int
    columns: tuple[int, ...]
    untold: Counter[str] = field(default_factory=Counter)

    @staticmethod
    def load(name: str, device: str = "cpu", tell: Callable[[str], None] = lambda _: None) -> EntailmentVerifier:
        """A model named as base models are: hub id, folder, or `package:module/path`; safetensors only.

        Raises:
            ModelError: it cannot be found or loaded, is no classifier, or its labels are not entailment, contradiction
                and neutral.
            MachineError: torch or transformers is not installed.
        """
        choice = BaseModelChoice(name=name, sha256=None)
        folder = find_model(choice, tell)
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        quiet_transformers()
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder.path)
            model, report = AutoModelForSequenceClassification.from_pretrained(
                folder.path, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"{name!r} cannot be loaded: {str(error).splitlines()[0]}", KEY) from error
        columns = _columns(name, model.config.id2label)
        if report["missing_keys"]:
            missing = ", ".join(sorted(report["missing_keys"])[:3])
            raise ModelError(
                f"{name!r} lacks weights of a classifier ({missing} …); they would be random. Name a model that was "
                "trained for natural language inference.",
                KEY,
            )
        max_tokens = min(tokenizer.model_max_length, longest_input(model.config))
        return EntailmentVerifier(short_name(choice), model.eval().to(device), tokenizer, max_tokens, columns)

    @property
    def name(self) -> str:
        """As it stands in verdicts."""
        return f"entailment:{self.title}"

    def verify(self, claims: Sequence[Claim], passages: Sequence[Sequence[Passage]]) -> list[ClaimVerdict | None]:
        """One verdict per claim from its passages; None for a claim that is too long for the model."""
        pairs = [(passage, claim) for claim, own in zip(claims, passages, strict=True) for passage in own]
        probabilities_N3, read = self._classify([(_premise(passage), _hypothesis(claim)) for passage, claim in pairs])
        verdicts: list[ClaimVerdict | None] = []
        begin = 0
        for own in passages:
            end = begin + len(own)
            if all(read[begin:end]):
                verdicts.append(self._verdict(probabilities_N3[begin:end], own))
            else:
                self.untold["the claim is too long for the model"] += 1
                verdicts.append(None)
            begin = end
        return verdicts

    def _classify(self, pairs: Sequence[tuple[str, str]]) -> tuple[NDArray[np.float32], list[bool]]:
        """Probabilities of _LABELS for (premise, hypothesis), and whether the model could read the hypothesis.

        A premise that is too long is cut at its end.
        """
        import numpy as np
        import torch

        lengths = [len(ids) for ids in self.tokenizer([claim for _, claim in pairs])["input_ids"]] if pairs else []
        read = [length + LEAST_PREMISE_TOKENS <= self.max_tokens for length in lengths]
        rows = [at for at, is_read in enumerate(read) if is_read]
        probabilities_N3 = np.zeros((len(pairs), len(_LABELS)), dtype=np.float32)
        if not rows:
            return probabilities_N3, read
        encoded = self.tokenizer(
            [pairs[at][0] for at in rows],
            [pairs[at][1] for at in rows],
            truncation="only_first",
            max_length=self.max_tokens,
        )
        keys = list(encoded)
        for batch in token_batches([len(ids) for ids in encoded["input_ids"]], TOKENS_AT_ONCE):
            padded = self.tokenizer.pad({key: [encoded[key][at] for at in batch] for key in keys}, return_tensors="pt")
            with torch.inference_mode():
                logits_NL = self.model(**padded.to(self.model.device)).logits.float()
                chosen_N3 = logits_NL.softmax(-1)[:, list(self.columns)]
                probabilities_N3[[rows[at] for at in batch]] = chosen_N3.cpu().numpy()
        return probabilities_N3, read

    def _verdict(self, probabilities_P3: NDArray[np.float32], passages: Sequence[Passage]) -> ClaimVerdict:
        if not passages:
            return ClaimVerdict("not_found", self.name, "no passage of the sources speaks of it")
        entailing, contradicting = (int(probabilities_P3[:, column].argmax()) for column in (0, 1))
        entailed = float(probabilities_P3[entailing, 0])
        contradicted = float(probabilities_P3[contradicting, 1])
        if entailed > SUPPORTED_ABOVE and entailed >= contradicted:
            best, reason = passages[entailing], f"a passage entails it (probability {entailed:.2f})"
            return ClaimVerdict("supported", self.name, reason, (_evidence(best),))
        if contradicted > CONTRADICTED_ABOVE:
            best, reason = passages[contradicting], f"a passage contradicts it (probability {contradicted:.2f})"
            return ClaimVerdict("contradicted", self.name, reason, (_evidence(best),))
        reason = f"no passage entails it ({entailed:.2f} at most) or surely contradicts it ({contradicted:.2f} at most)"
        return ClaimVerdict("not_found", self.name, reason)


def _columns(name: str, id2label: dict[int, str]) -> tuple[int, ...]:
    labels = {str(label).strip().lower(): int(at) for at, label in id2label.items()}
    if set(labels) != set(_LABELS):
        raise ModelError(
            f"the labels of {name!r} are {', '.join(map(str, id2label.values()))}, not "
            f"{', '.join(_LABELS)}. Name a model for natural language inference; its config.json says them (id2label).",
            KEY,
        )
    return tuple(labels[label] for label in _LABELS)


def _premise(passage: Passage) -> str:
    return f"{passage.heading}. {passage.text}" if passage.heading else passage.text


def _hypothesis(claim: Claim) -> str:
    return f"{claim.context} {claim.text}".strip()


def _evidence(passage: Passage) -> Evidence:
    return Evidence(passage.id, passage.document, passage.place, passage.text)
