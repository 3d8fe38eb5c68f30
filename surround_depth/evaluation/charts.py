"""Two kinds of chart as inline SVG: lines and bars. Text, axes and colours follow the page's own style sheet.

The page they stand in defines the CSS variables --ink, --soft, --line and --series-1 to --series-4.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

WIDTH_PX, HEIGHT_PX = 520, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 16, 30, 46
_ROW_PX, _NAME_PX, _VALUE_PX = 22, 150, 54
_SERIES = 4

Points = Sequence[tuple[float, float]]
Scale = Callable[[float], float]
"""Value -> pixels."""


def line_chart(series: Mapping[str, Points], x_label: str, y_label: str, *, diagonal: bool = False) -> str:
    """Return lines through (x, y) points as an SVG element; points that are not finite are left out.

    Both axes start at the smaller of 0 and the least value.

    Args:
        series: legend -> points, at most four of them.
        diagonal: also draw y = x, for values that should equal each other.
    """
    kept = {name: [(x, y) for x, y in points if math.isfinite(x + y)] for name, points in series.items()}
    every = [point for points in kept.values() for point in points] or [(0.0, 0.0)]
    x_ticks, y_ticks = ticks([x for x, _ in every]), ticks([y for _, y in every])
    to_x = _scale(x_ticks[0], x_ticks[-1], _LEFT, WIDTH_PX - _RIGHT)
    to_y = _scale(y_ticks[0], y_ticks[-1], HEIGHT_PX - _BOTTOM, _TOP)
    parts = [*_axes(x_ticks, y_ticks, to_x, to_y, x_label, y_label)]
    if diagonal:
        end = min(x_ticks[-1], y_ticks[-1])
        parts.append(_line(to_x(0), to_y(0), to_x(end), to_y(end), "diagonal"))
    for i, (name, points) in enumerate(kept.items()):
        path = " ".join(f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in points)
        parts.append(f'<polyline class="series s{i % _SERIES + 1}" points="{path}"/>')
        if len(kept) > 1:
            place = _LEFT + 8 + (WIDTH_PX - _LEFT) / len(kept) * i
            parts.append(_line(place, 14, place + 18, 14, f"series s{i % _SERIES + 1}"))
            parts.append(_text(name, place + 24, 18, "start"))
    return _svg(WIDTH_PX, HEIGHT_PX, f"{y_label} over {x_label}", parts)


def bar_chart(values: Mapping[str, float], unit: str, *, digits: int = 3) -> str:
    """Return one horizontal bar per name with its number, in the order given; a value that is not finite has no bar."""
    finite = [value for value in values.values() if math.isfinite(value)]
    to_width = _scale(0.0, max(finite, default=0.0) or 1.0, 0.0, WIDTH_PX - _NAME_PX - _VALUE_PX)
    height_px = len(values) * _ROW_PX + 24
    parts = [_text(unit, _NAME_PX, 12, "start")]
    for i, (name, value) in enumerate(values.items()):
        top = 20 + i * _ROW_PX
        known = math.isfinite(value)
        length = max(0.0, to_width(value)) if known else 0.0
        parts.append(_text(_shortened(name), _NAME_PX - 8, top + 14, "end"))
        parts.append(
            f'<rect class="bar" x="{_NAME_PX}" y="{top + 2}" width="{length:.1f}" height="{_ROW_PX - 6}" rx="2"/>'
        )
        parts.append(
            _text(f"{value:.{digits}f}" if known else "none", _NAME_PX + length + 6, top + 14, "start", "value")
        )
    return _svg(WIDTH_PX, height_px, unit, parts)


def ticks(values: Sequence[float], wanted: int = 5) -> list[float]:
    """Return round numbers from 0 (or below the least value) to at least the largest, about `wanted` of them."""
    low, high = min([0.0, *values]), max([0.0, *values])
    if high - low <= 0.0:
        return [low, low + 1.0]
    raw = (high - low) / wanted
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(step * magnitude for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * magnitude >= raw * 0.999)
    first, last = math.floor(low / step), math.ceil(round(high / step, 9))
    return [i * step for i in range(first, last + 1)]


def _scale(low: float, high: float, start_px: float, end_px: float) -> Scale:
    """Return the linear map of [low, high] onto [start_px, end_px]."""
    return lambda value: start_px + (value - low) / (high - low) * (end_px - start_px)


def _axes(
    x_ticks: Sequence[float], y_ticks: Sequence[float], to_x: Scale, to_y: Scale, x_label: str, y_label: str
) -> Iterator[str]:
    for x in x_ticks:
        yield _text(f"{x:g}", to_x(x), HEIGHT_PX - _BOTTOM + 18, "middle")
    for y in y_ticks:
        yield _line(_LEFT, to_y(y), WIDTH_PX - _RIGHT, to_y(y), "grid")
        yield _text(f"{y:g}", _LEFT - 8, to_y(y) + 4, "end")
    yield _text(x_label, (WIDTH_PX + _LEFT) / 2, HEIGHT_PX - 8, "middle")
    middle = (HEIGHT_PX - _BOTTOM + _TOP) / 2
    yield f'<g transform="rotate(-90 14 {middle})">{_text(y_label, 14, middle, "middle")}</g>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(text: str, x: float, y: float, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _shortened(name: str, most: int = 20) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _svg(width_px: int, height_px: int, title: str, parts: Sequence[str]) -> str:
    label = html.escape(title, quote=True)
    return f'<svg viewBox="0 0 {width_px} {height_px}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
