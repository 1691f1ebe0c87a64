"""How numbers are written for a reader."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from relaytune.core.metrics import Metric
from relaytune.core.results import Comparison, Estimate
from relaytune.evidence import say_no_mean_interval

NOT_SCORED = "not scored"
NO_INTERVAL = "too few for an interval"


def percent(share: float | None) -> str:
    """0.5 → 50.0%."""
    return NOT_SCORED if share is None else f"{100 * share:.1f}%"


def interval(low: float | None, high: float | None) -> str:
    """0.4, 0.6 → [40.0, 60.0]; empty where there is none."""
    return "" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"


def points(difference: float) -> str:
    """0.125 → +12.5 points."""
    return f"{signed(100 * difference)} points"


def points_interval(low: float | None, high: float | None) -> str:
    """-0.01, 0.2 → [−1.0, +20.0]."""
    return NO_INTERVAL if low is None or high is None else f"[{signed(100 * low)}, {signed(100 * high)}]"


def estimate(value: float | None, metric: Metric) -> str:
    """A share in percent, a mean as it is."""
    if value is None or metric.kind != "mean":
        return percent(value)
    return f"{value:.3g}"


def estimate_interval(found: Estimate, metric: Metric) -> str:
    """The interval of an estimate, in its unit."""
    if found.low is None or found.high is None:
        return say_no_mean_interval(found.scored) if metric.kind == "mean" else NO_INTERVAL
    return f"[{found.low:.3g}, {found.high:.3g}]" if metric.kind == "mean" else interval(found.low, found.high)


def difference(value: float, metric: Metric) -> str:
    """A difference with its sign: points of shares, the unit of means."""
    if metric.kind != "mean":
        return signed(100 * value)
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def difference_interval(compared: Comparison, metric: Metric) -> str:
    """The interval of a difference, in its unit."""
    if compared.low is None or compared.high is None:
        return say_no_mean_interval(compared.num_clusters) if metric.kind == "mean" else NO_INTERVAL
    if metric.kind != "mean":
        return points_interval(compared.low, compared.high)
    return f"[{difference(compared.low, metric)}, {difference(compared.high, metric)}]"


def signed(value: float) -> str:
    """One decimal, with its sign; a true minus sign, none for zero."""
    return f"{value:+.1f}".replace("-", "−") if round(value, 1) else "0.0"


def two_decimals(value: float) -> str:
    """Two decimals; a true minus sign."""
    return f"{value:.2f}".replace("-", "−")


def p_value(p: float) -> str:
    """p to three decimals, or a bound."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def duration(seconds: float) -> str:
    """421 → 7 min 1 s."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def gib(amount: float) -> str:
    """2.31 → 2.31 GiB."""
    return f"{amount:.2f} GiB"


def number(value: float) -> str:
    """21804 → 21,804; other numbers with four significant digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def ratio(actual: float, predicted: float) -> str:
    """How the actual value stands to the predicted one."""
    return f"{actual / predicted:.2f} ×" if predicted > 0 else "–"


def sentence(text: str) -> str:
    """A phrase as a sentence: a capital first (names such as few_shot keep theirs), a full stop last."""
    text = text.strip()
    if text.partition(" ")[0].isalpha():
        text = text[0].upper() + text[1:]
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def when(moment: str) -> str:
    """2026-11-21T09:40:31+00:00 → 2026-11-21 09:40 UTC."""
    date, t, time = moment.partition("T")
    return f"{date} {time[:5]} UTC" if t and moment.endswith(("+00:00", "Z")) else moment


def flattened(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """A nested JSON value as (dotted name, text) pairs."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flattened(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for index, inner in enumerate(value):
            yield from flattened(inner, f"{name}.{index}")
    elif isinstance(value, list):
        yield name, ", ".join(str(inner) for inner in value) or "none"
    elif isinstance(value, float):
        yield name, number(value)
    else:
        yield name, "none" if value in (None, "", {}) else str(value)
