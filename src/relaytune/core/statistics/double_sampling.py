"""A verifier judged a sample and people a random part of it: how many rows are truly faulty?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NUM_DRAWS = 10_000
JEFFREYS = (
    0.5  # the prior Beta(½, ½), of which binomial intervals hold their coverage best (Brown, Cai & DasGupta 2001)
)


@dataclass(frozen=True)
class Confusion:
    """Rows that a person labelled, by what the verifier said: flagged or not, faulty or not."""

    flagged_faulty: int
    flagged_sound: int
    unflagged_faulty: int
    unflagged_sound: int

    @property
    def labelled(self) -> int:
        """Rows with a person's label."""
        return self.flagged_faulty + self.flagged_sound + self.unflagged_faulty + self.unflagged_sound


@dataclass(frozen=True)
class DoubleSample:
    """A population, a sample of it that the verifier judged, and a random part of that which people labelled."""

    rows: int
    sampled: int
    flagged: int  # of the sampled, by the verifier
    unsampled_share: float  # flagged among rows that were not sampled, as estimated
    effective: float  # rows of a simple sample that tell as much about the unsampled
    people: Confusion


@dataclass(frozen=True)
class FaultyRows:
    """Draws of how many rows without a label are faulty: not sampled, sampled and flagged, sampled and not flagged."""

    unsampled: NDArray[np.int64]
    flagged: NDArray[np.int64]
    unflagged: NDArray[np.int64]


def draw_faulty_rows(sample: DoubleSample, seed: int = 0) -> FaultyRows:
    """What the labels leave possible for all other rows, in NUM_DRAWS draws.

    The model is Tenenbein's double sampling (1970, JASA 65:1350-1361): the share flagged is learned from the sample,
    the shares faulty among flagged and among unflagged rows from the labels. It is the Rogan-Gladen correction turned
    round, with predictive values in place of sensitivity and specificity; so it needs no division by their sum less
    one, and is, for a yes or no, the power-tuned prediction-powered estimate. Each share has Jeffreys' prior; the
    number of faulty rows among those not seen is then predicted (Beta-binomial), so that nothing is left uncertain
    where all rows are labelled.
    """
    import numpy as np

    random, people = np.random.default_rng(seed), sample.people
    among_flagged = random.beta(people.flagged_faulty + JEFFREYS, people.flagged_sound + JEFFREYS, NUM_DRAWS)
    among_unflagged = random.beta(people.unflagged_faulty + JEFFREYS, people.unflagged_sound + JEFFREYS, NUM_DRAWS)
    share = random.beta(
        sample.unsampled_share * sample.effective + JEFFREYS,
        (1 - sample.unsampled_share) * sample.effective + JEFFREYS,
        NUM_DRAWS,
    )
    left = sample.rows - sample.sampled
    flagged_left = random.binomial(left, share)
    unsampled = random.binomial(flagged_left, among_flagged) + random.binomial(left - flagged_left, among_unflagged)
    flagged = sample.flagged - people.flagged_faulty - people.flagged_sound
    unflagged = sample.sampled - sample.flagged - people.unflagged_faulty - people.unflagged_sound
    return FaultyRows(unsampled, random.binomial(flagged, among_flagged), random.binomial(unflagged, among_unflagged))


def middle_and_limits(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The median of draws, and the limits that hold 95% of them."""
    import numpy as np

    low, middle, high = np.quantile(values, (0.025, 0.5, 0.975))
    return float(middle), float(low), float(high)
