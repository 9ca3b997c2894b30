"""Charts as SVG, drawn on the server: bars with direct labels, in widths of percent, so that letters keep their size.

Colours and letters come from `static/figures/figures.css`, so that they follow light and dark, and no style stands in
the page. Series differ by pattern as well as by colour, and every number stands beside its bar or in the table below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

# Heights and distances in CSS pixels, widths in percent.
_ROW: Final = 52
_BAR_TOP: Final = 24
_BAR: Final = 18
_PLOT: Final = 200
_PLOT_TOP: Final = 24
_AXIS: Final = 28
# How much of its column a bar fills.
_FILL: Final = 0.72
# At a phone's width there is room for a label under every seventh column.
_NARROW_STEP: Final = 7
# Tops of the scale whose half is whole as well.
_STEPS: Final = (2, 4, 6, 8, 10)
_SCALE_WIDTH: Final = 48


@dataclass(frozen=True, slots=True)
class Row:
    """A bar that lies: its label, what stands at its end, and the parts it has, one number for each series."""

    label: str
    value: str
    parts: Sequence[int]


@dataclass(frozen=True, slots=True)
class Column:
    """A bar that stands: the label below, the number, and that number as it is written."""

    label: str
    number: int
    value: str


def rows_chart(name: str, title: str, text: str, rows: Sequence[Row], whole: int = 0) -> Markup:
    """Lying bars, one below the other, each with label and value above it, the parts side by side in their patterns.

    ``name`` is unique on the page; ``title`` and ``text`` say the same in words. The width stands for ``whole``, or
    for the longest bar where that is more.
    """
    longest = max(whole, *(sum(row.parts) for row in rows)) if rows else 0
    drawn = [_patterns(name)]
    for place, row in enumerate(rows):
        top = place * _ROW
        drawn.append(
            Markup('<text class="chart__label" x="0" y="{}">{}</text>').format(top + 17, row.label)
            + Markup('<text class="chart__value" x="100%" y="{}" text-anchor="end">{}</text>').format(
                top + 17, row.value
            )
            + Markup('<rect class="chart__track" x="0" y="{}" width="100%" height="{}"/>').format(
                top + _BAR_TOP, _BAR
            )
        )
        start = 0.0
        for series, count in enumerate(row.parts):
            width = 100 * count / longest if longest else 0.0
            if count:
                drawn.append(_bar(name, series, start, top + _BAR_TOP, width, _BAR))
            start += width
    return _svg(name, title, text, max(1, len(rows)) * _ROW, Markup("").join(drawn))


def columns_chart(
    name: str, title: str, text: str, columns: Sequence[Column], written: Callable[[int], str]
) -> Markup:
    """Standing bars in the order of time, beside a scale whose numbers ``written`` writes; the peak has its number.

    Wide screens have a number on every bar and a label below every second one, narrow ones below every seventh.
    """
    highest = max((one.number for one in columns), default=0)
    top = _nice(highest)
    scale, lines = [], []
    for number in (0, top // 2, top):
        y = _number(_PLOT_TOP + _PLOT * (1 - number / top))
        lines.append(Markup('<line class="chart__line" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(y))
        scale.append(
            Markup('<text class="chart__label" x="{}" y="{}" text-anchor="end" dy="5">{}</text>').format(
                _SCALE_WIDTH - 6, y, written(number)
            )
        )
    height = _PLOT_TOP + _PLOT + _AXIS
    axis = Markup(
        '<svg class="chart chart--scale" width="{}" height="{}" aria-hidden="true" focusable="false">{}</svg>'
    ).format(_SCALE_WIDTH, height, Markup("").join(scale))
    peak = next((place for place, one in enumerate(columns) if one.number == highest), 0)
    bars = [
        _column(place, one, len(columns), top, is_peak=place == peak) for place, one in enumerate(columns)
    ]
    plot = _svg(name, title, text, height, Markup("").join((*lines, *bars)))
    return Markup('<div class="chart__frame">{}{}</div>').format(axis, plot)


def _column(place: int, one: Column, of: int, top: int, *, is_peak: bool) -> Markup:
    step = 100 / of
    middle, height = step * (place + 0.5), _PLOT * one.number / top
    drawn = Markup("")
    if one.number:
        left, above = middle - step * _FILL / 2, _PLOT_TOP + _PLOT - height
        kind = "chart__value" if is_peak else "chart__value chart__value--wide"
        drawn += _bar("", 0, left, above, step * _FILL, height)
        drawn += Markup('<text class="{}" x="{}%" y="{}" text-anchor="{}">{}</text>').format(
            kind, _number(middle), _number(above - 6), _anchor(middle), one.value
        )
    on_narrow, on_wide = place % _NARROW_STEP == 0, place % 2 == 0
    if on_narrow or on_wide:
        only = (
            "" if on_narrow and on_wide else " chart__label--narrow" if on_narrow else " chart__label--wide"
        )
        drawn += Markup('<text class="chart__label{}" x="{}%" y="{}" text-anchor="middle">{}</text>').format(
            only, _number(middle), _PLOT_TOP + _PLOT + 20, one.label
        )
    return drawn


def swatch(name: str, series: int) -> Markup:
    """The pattern of a series for a legend; what it means stands beside it."""
    return Markup(
        '<svg class="chart__swatch" width="28" height="18" aria-hidden="true" focusable="false">'
    ) + (_patterns(name) + _bar(name, series, 0, 0, 100, 18) + Markup("</svg>"))


def _svg(name: str, title: str, text: str, height: int, drawn: Markup) -> Markup:
    return Markup(
        '<svg class="chart" width="100%" height="{height}" role="img" aria-labelledby="{name}-title {name}-desc"'
        ' focusable="false"><title id="{name}-title">{title}</title><desc id="{name}-desc">{text}</desc>{drawn}</svg>'
    ).format(height=height, name=name, title=title, text=text, drawn=drawn)


def _patterns(name: str) -> Markup:
    """Series 1 to 3 as stripes, dots and a grid; series 0 is plain."""
    shapes = (
        '<path d="M0 8 L8 0"/>',
        '<circle cx="4" cy="4" r="1.6"/>',
        '<path d="M0 0 L8 8 M0 8 L8 0"/>',
    )
    return Markup("<defs>{}</defs>").format(
        Markup("").join(
            Markup(
                '<pattern id="{name}-p{n}" class="chart__pattern" width="8" height="8" patternUnits="userSpaceOnUse">'
                '<rect class="chart__fill chart__fill--{n}" width="8" height="8"/>{shape}</pattern>'
            ).format(name=name, n=n, shape=Markup(shape))  # noqa: S704 - our own shapes
            for n, shape in enumerate(shapes, start=1)
        )
    )


def _bar(name: str, series: int, x: float, y: float, width: float, height: float) -> Markup:
    fill = Markup(' fill="url(#{}-p{})"').format(name, series) if series else Markup("")
    return Markup('<rect class="chart__bar{}" x="{}%" y="{}" width="{}%" height="{}"{}/>').format(
        "" if series else " chart__fill--0", _number(x), _number(y), _number(width), _number(height), fill
    )


def _anchor(middle: float) -> str:
    """Numbers at the edges must neither be cut off nor lie on the scale."""
    return "start" if middle < 4 else "end" if middle > 96 else "middle"


def _nice(highest: int) -> int:
    """The least top of a scale that is not below ``highest``: round, with a whole half."""
    size = 1
    while highest > size * _STEPS[-1]:
        size *= 10
    return next(step * size for step in _STEPS if step * size >= highest)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
