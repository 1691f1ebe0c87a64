"""Those who say whether passages support a claim, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from relaytune.core.claims import Claim, ClaimVerdict, Passage


class Verifier(Protocol):
    """Holds claims against passages."""

    @property
    def name(self) -> str:
        """As it stands in verdicts."""
        ...

    def verify(self, claims: Sequence[Claim], passages: Sequence[Sequence[Passage]]) -> list[ClaimVerdict | None]:
        """One verdict per claim from its own passages, best first; None where this verifier cannot tell."""
        ...
