"""Small inline SVG charts.

No viewBox around text: horizontal places are percentages, so a chart fills any width and its letters keep their
size. Colours come from CSS classes, so that a chart follows light and dark. ElementTree escapes all text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from relaytune.core.results import TrainingStep

LEFT, WIDTH = 1.5, 97.0  # the plot's place, in percent, so that a dot at either end is whole
MAX_POINTS = 240  # drawn of one curve


@dataclass(frozen=True)
class Interval:
    """One row of an interval chart; `value` None is drawn as text only, no interval as a hollow dot.

    `series` is a CSS class, `aside` stands small behind the label.
    """

    label: str
    series: str
    value: float | None
    low: float | None
    high: float | None
    text: str
    aside: str = ""


@dataclass(frozen=True)
class Outcomes:
    """One row of an outcome chart: how often the one was preferred, neither, and the other.

    `winner` and `loser` are the CSS classes with the colours of the two.
    """

    label: str
    winner: str
    loser: str
    wins: int
    ties: int
    losses: int
    text: str
    refused: bool  # drawn faint: no verdict rests on it


def rate_chart(rows: Sequence[Interval], description: str, reference: float | None = None) -> str:
    """A dot and its interval per row, on an axis from 0% to 100%; a dashed line at `reference`."""
    ticks = [(tick / 100, f"{tick}%") for tick in (0, 25, 50, 75, 100)]
    return _interval_chart(rows, (0.0, 1.0), ticks, description, reference)


def mean_chart(rows: Sequence[Interval], description: str) -> str:
    """A dot and its interval per row, on an axis of its own that spans all intervals; it need not begin at zero."""
    ends = _ends(rows)
    if not ends:
        return _interval_chart(rows, (0.0, 1.0), [], description)
    ticks = _ticks_between(min(ends), max(ends))
    return _interval_chart(rows, (ticks[0], ticks[-1]), [(tick, f"{tick:g}") for tick in ticks], description)


def difference_chart(rows: Sequence[Interval], description: str) -> str:
    """A dot and its interval per row, on an axis in percentage points with zero in the middle."""
    limit = max(0.1, math.ceil(10 * max(map(abs, _ends(rows)), default=0.1)) / 10)
    return _centred_chart(rows, limit, 100, ".0f", description)


def mean_difference_chart(rows: Sequence[Interval], description: str) -> str:
    """The same on an axis in the metric's own unit."""
    limit = _ticks(max(map(abs, _ends(rows)), default=1.0), 3)[-1]
    return _centred_chart(rows, limit, 1, ".3g", description)


def _centred_chart(rows: Sequence[Interval], limit: float, factor: float, digits: str, description: str) -> str:
    ticks = [
        (share * limit, f"{factor * share * limit:+{digits}}".replace("-", "−") if share else "0")
        for share in (-1, -0.5, 0, 0.5, 1)
    ]
    return _interval_chart(rows, (-limit, limit), ticks, description)


def _ends(rows: Sequence[Interval]) -> list[float]:
    return [value for row in rows for value in (row.low, row.high, row.value) if value is not None]


def outcome_chart(rows: Sequence[Outcomes], description: str) -> str:
    """A bar per row, in three parts: won, tied, lost."""
    row_height = 48
    svg = _svg(row_height * len(rows), description)
    for index, row in enumerate(rows):
        top = index * row_height
        _text(svg, "0", top + 18, row.label, "label halo")
        _text(svg, "100%", top + 18, row.text, "value halo", "end")
        total = row.wins + row.ties + row.losses
        before = 0
        for name, count in ((row.winner, row.wins), ("tied", row.ties), (row.loser, row.losses)):
            if count:
                style = f"outcome {name}" + (" refused" if row.refused else "")
                x, width = f"{100 * before / total:.2f}%", f"{100 * count / total:.2f}%"
                SubElement(svg, "rect", {"class": style, "x": x, "y": str(top + 25), "width": width, "height": "11"})
            before += count
    return _written(svg)


def _interval_chart(
    rows: Sequence[Interval],
    bounds: tuple[float, float],
    ticks: Sequence[tuple[float, str]],
    description: str,
    reference: float | None = None,
) -> str:
    row_height, axis_height = 48, 24
    bottom = row_height * len(rows)
    svg = _svg(bottom + axis_height, description)
    for index, (place, text) in enumerate(ticks):
        x = _percent(place, *bounds)
        strong = "zero" if place == 0 and bounds[0] < 0 else "grid"
        SubElement(svg, "line", {"class": strong, "x1": x, "x2": x, "y1": "2", "y2": str(bottom + 4)})
        _text(svg, x, bottom + 19, text, "tick", _anchor(index, len(ticks)))
    if reference is not None:
        x = _percent(reference, *bounds)
        SubElement(svg, "line", {"class": "reference", "x1": x, "x2": x, "y1": "2", "y2": str(bottom + 4)})
    for index, row in enumerate(rows):
        top = index * row_height
        label = _text(svg, "0", top + 18, row.label, "label halo")
        if row.aside:
            SubElement(label, "tspan", {"class": "aside", "dx": "8"}).text = row.aside
        _text(svg, "100%", top + 18, row.text, "value halo", "end")
        middle = str(top + 30)
        SubElement(
            svg,
            "line",
            {"class": "track", "x1": f"{LEFT}%", "x2": f"{LEFT + WIDTH}%", "y1": middle, "y2": middle},
        )
        if row.value is None:
            continue
        series, dot = f"series {row.series}", "dot hollow"
        if row.low is not None and row.high is not None:
            low, high = (_percent(max(bounds[0], min(bounds[1], end)), *bounds) for end in (row.low, row.high))
            SubElement(svg, "line", {"class": f"{series} range", "x1": low, "x2": high, "y1": middle, "y2": middle})
            dot = "dot"
        centre = _percent(row.value, *bounds)
        SubElement(svg, "circle", {"class": f"{series} {dot}", "cx": centre, "cy": middle, "r": "6"})
    return _written(svg)


def rate_of_steps_chart(steps: Sequence[TrainingStep], seams: Sequence[int] = ()) -> str:
    """The learning rate against steps, with a dotted line at each seam; empty without steps."""
    if not steps:
        return ""
    top, height, last = 18, 90, steps[-1].step
    highest = max(step.learning_rate for step in steps) or 1.0
    svg = _svg(top + height + 24, f"Line chart of the learning rate over {last:,} steps, at most {highest:.2g}.")
    _text(svg, "0", top - 7, f"{highest:.2g}", "tick halo")
    for step, anchor in ((0, "start"), (last, "end")):
        _text(svg, _percent(step, 0, last), top + height + 18, f"step {step:,}", "tick", anchor)
    _draw_seams(svg, [seam / last for seam in seams], top, height)
    # every step: a mean over steps would hide a re-warming
    places = [(step.step / last, height * (1 - step.learning_rate / highest)) for step in steps]
    _curve(svg, places, "train", top, height)
    return _written(svg)


def _draw_seams(svg: Element, shares: Sequence[float], top: int, height: int) -> None:
    for share in shares:
        x = _percent(share, 0, 1)
        SubElement(svg, "line", {"class": "seam", "x1": x, "x2": x, "y1": str(top), "y2": str(top + height)})


def loss_chart(
    steps: Sequence[TrainingStep],
    first_validation_loss: float | None,
    best_step: int | None,
    seams: Sequence[int] = (),
) -> str:
    """Train and validation loss (nats per supervised token) against examples seen; the best step is marked, and the
    seams between sessions (steps after which one began).

    Losses that are no numbers are left out; the caller counts them. Empty where nothing is left to draw.
    """
    train = _thinned([(s.num_examples, s.train_loss) for s in steps if s.train_loss is not None])
    validation = [(s.num_examples, s.validation_loss) for s in steps if s.validation_loss is not None]
    no_start = not validation or validation[0][0] > 0
    if no_start and first_validation_loss is not None:
        validation.insert(0, (0, first_validation_loss))
    if not train and not validation:
        return ""
    right = max(x for x, _ in [*train, *validation]) or 1
    y_ticks = _ticks(max(y for _, y in [*train, *validation]))
    top, height = 18, 220
    svg = _svg(top + height + 44, f"Line chart of losses over {right:,} examples. The table below has the numbers.")

    def y(loss: float) -> float:
        return top + height * (1 - loss / y_ticks[-1])

    for tick in y_ticks:
        level = f"{y(tick):.1f}"
        SubElement(
            svg,
            "line",
            {"class": "grid", "x1": f"{LEFT}%", "x2": f"{LEFT + WIDTH}%", "y1": level, "y2": level},
        )
        _text(svg, "0", y(tick) - 4, f"{tick:g}", "tick halo")
    # ticks stop before the end, where their numbers would collide with the edge
    for tick in (tick for tick in _ticks(right) if tick <= right):
        anchor = "start" if tick == 0 else "end" if tick > 0.95 * right else "middle"
        _text(svg, _percent(tick, 0, right), top + height + 18, f"{tick:,.0f}", "tick", anchor)
    _text(svg, f"{LEFT + WIDTH / 2}%", top + height + 38, "examples seen", "tick", "middle")
    _draw_seams(svg, [s.num_examples / right for s in steps if s.step in seams], top, height)
    best_at = 0 if best_step == 0 else next((s.num_examples for s in steps if s.step == best_step), None)
    if best_at is not None:
        label = f"kept, step {best_step}" + "".join(f": {loss:.3f}" for x, loss in validation if x == best_at)
        _mark_best(svg, best_at / right, label, top, height)
    _curve(svg, [(x / right, y(loss) - top) for x, loss in train], "train", top, height)
    _curve(svg, [(x / right, y(loss) - top) for x, loss in validation], "validation", top, height)
    for x, loss in validation:
        is_best = x == best_at
        SubElement(
            svg,
            "circle",
            {
                "class": "curve validation dot" + (" best" if is_best else ""),
                "cx": _percent(x, 0, right),
                "cy": f"{y(loss):.1f}",
                "r": "6" if is_best else "3.5",
            },
        )
    return _written(svg)


def _mark_best(svg: Element, share: float, label: str, top: int, height: int) -> None:
    x = _percent(share, 0, 1)
    SubElement(svg, "line", {"class": "best-line", "x1": x, "x2": x, "y1": str(top), "y2": str(top + height)})
    anchor, shift = ("end", -8) if share > 0.5 else ("start", 8)
    _text(svg, x, top + 12, label, "label halo", anchor, shift)


def _curve(svg: Element, places: Sequence[tuple[float, float]], name: str, top: int, height: int) -> None:
    """A polyline in a box of its own that is stretched to the plot's width; its stroke is not."""
    box = SubElement(
        svg,
        "svg",
        {
            "x": f"{LEFT}%",
            "y": str(top),
            "width": f"{WIDTH}%",
            "height": str(height),
            "viewBox": f"0 0 1000 {height}",
            "preserveAspectRatio": "none",
            "overflow": "visible",
        },
    )
    points = " ".join(f"{1000 * x:.1f},{y:.1f}" for x, y in places)
    SubElement(box, "polyline", {"class": f"curve {name}", "points": points, "vector-effect": "non-scaling-stroke"})


def _thinned(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most `MAX_POINTS` points, each the mean of the points that it stands for."""
    size = points_per_mark(len(points))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]


def points_per_mark(num_points: int) -> int:
    """How many steps one point of a curve stands for."""
    return max(1, math.ceil(num_points / MAX_POINTS))


def _ticks(largest: float, count: int = 5) -> list[float]:
    """Round numbers from 0 to at least `largest`."""
    if largest <= 0:
        return [0.0, 1.0]
    step = _round_step(largest / (count - 1))
    return [step * index for index in range(math.ceil(largest / step * 0.999) + 1)]


def _ticks_between(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`; of one value alone, around it."""
    spread = high - low or abs(high) or 1.0
    step = _round_step(spread / (count - 1))
    first, last = math.floor(low / step + 0.001), math.ceil(high / step - 0.001)
    return [step * index for index in range(first, max(last, first + 1) + 1)]


def _round_step(rough: float) -> float:
    """The next of 1, 2, 2.5 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)


def _svg(height: float, description: str) -> Element:
    return Element("svg", {"class": "chart", "role": "img", "aria-label": description, "height": str(height)})


def _text(parent: Element, x: str, y: float, text: str, style: str, anchor: str = "start", shift: int = 0) -> Element:
    attributes = {"class": style, "x": x, "y": f"{y:.1f}", "text-anchor": anchor}
    if shift:
        attributes["dx"] = str(shift)
    element = SubElement(parent, "text", attributes)
    element.text = text
    return element


def _percent(value: float, low: float, high: float) -> str:
    return f"{LEFT + WIDTH * (value - low) / (high - low):.2f}%"


def _anchor(index: int, count: int) -> str:
    return "start" if index == 0 else "end" if index == count - 1 else "middle"


def _written(svg: Element) -> str:
    return ElementTree.tostring(svg, encoding="unicode", short_empty_elements=False)
