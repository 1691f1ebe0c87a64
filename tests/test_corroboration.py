from __future__ import annotations

from relaytune.core.method_or_data import MethodOrData
from relaytune.corroboration import method_or_data_lines


def test_one_prompt_or_row_is_not_said_in_the_plural() -> None:
    tested = MethodOrData(
        "nothing",
        "exploratory",
        "nothing is shown",
        right=None,
        wrong=None,
        interaction=None,
        interaction_interval=None,
        tuned_contrast=None,
        tuned_contrast_interval=None,
        num_mixed=1,
        num_too_few_verified=0,
        num_unscored=1,
        encoder="all-MiniLM-L6-v2",
    )
    assert list(method_or_data_lines(tested))[1:] == [
        "left out: 1 prompt, 1 between rows that are verified right and rows that are verified wrong",
        "1 held-out row without a verdict on base's or on tuned's answer",
    ]
