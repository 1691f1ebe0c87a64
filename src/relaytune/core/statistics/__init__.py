"""Tests and 95% intervals, paired by row and clustered by prompt. Where too little is known they say None."""

from relaytune.core.statistics.agreement import Agreement, measure_agreement
from relaytune.core.statistics.correction import CorrectedMean, correct_by_human_labels
from relaytune.core.statistics.detectable import (
    pairs_needed,
    sign_test_power,
    smallest_detectable_difference,
    smallest_detectable_mean_difference,
    smallest_detectable_win_share,
)
from relaytune.core.statistics.double_sampling import (
    Confusion,
    DoubleSample,
    FaultyRows,
    draw_faulty_rows,
    middle_and_limits,
)
from relaytune.core.statistics.finite import SampledShare, Stratum, half_width, rows_needed, sampled_share
from relaytune.core.statistics.means import mean_interval
from relaytune.core.statistics.paired_test import holm, mcnemar_exact, paired_test
from relaytune.core.statistics.shares import (
    independent_difference_interval,
    paired_difference_interval,
    paired_share_interval,
    preference_interval,
    share_interval,
    tango_interval,
    wilson_interval,
)

__all__ = [
    "Agreement",
    "Confusion",
    "CorrectedMean",
    "DoubleSample",
    "FaultyRows",
    "SampledShare",
    "Stratum",
    "correct_by_human_labels",
    "draw_faulty_rows",
    "half_width",
    "holm",
    "independent_difference_interval",
    "mcnemar_exact",
    "mean_interval",
    "measure_agreement",
    "middle_and_limits",
    "paired_difference_interval",
    "paired_share_interval",
    "paired_test",
    "pairs_needed",
    "preference_interval",
    "rows_needed",
    "sampled_share",
    "share_interval",
    "sign_test_power",
    "smallest_detectable_difference",
    "smallest_detectable_mean_difference",
    "smallest_detectable_win_share",
    "tango_interval",
    "wilson_interval",
]
