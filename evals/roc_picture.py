"""Curves between shares as an SVG file, which every browser shows and no package is needed for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Final

SIDE: Final = 360  # of the square, in pixels
LEFT: Final = 56
TOP: Final = 24
COLOURS: Final = ("#1f5c5a", "#b0561a", "#26407a", "#7a3b2e", "#5b5b5b")  # told apart by lightness too
MOST_POINTS: Final = 200  # of a curve

Curve = Sequence[tuple[float, float]]


def roc_svg(curves: Mapping[str, Curve]) -> str:
    """Curves by name, each from (0, 0) to (1, 1), with the area under it in the legend."""
    return curves_svg(
        {f"{name}, area {area(curve):.3f}": curve for name, curve in curves.items()},
        title="ROC of the support checker",
        x="share of unsupported pairs that score as high",
        y="share of supported pairs",
        diagonal=True,
    )


def curves_svg(curves: Mapping[str, Curve], *, title: str, x: str, y: str, diagonal: bool = False) -> str:
    """Curves within the unit square, by what the legend says of them.

    Args:
        x, y: what the axes say.
        diagonal: draw where both shares are the same.
    """
    width, height = LEFT + SIDE + 24, TOP + SIDE + 56 + 18 * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<rect x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888888"/>',
    ]
    if diagonal:
        parts.append(f'<path d="M{LEFT} {TOP + SIDE}L{LEFT + SIDE} {TOP}" stroke="#cccccc" stroke-dasharray="4 4"/>')
    for step in range(0, 11, 2):
        share = step / 10
        right, up = _at(share, share)
        parts.append(f'<text x="{right}" y="{TOP + SIDE + 16}" text-anchor="middle" fill="#333333">{share:.1f}</text>')
        parts.append(f'<text x="{LEFT - 8}" y="{up + 4}" text-anchor="end" fill="#333333">{share:.1f}</text>')
    middle = TOP + SIDE / 2
    parts.append(
        f'<text x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 34}" text-anchor="middle" fill="#333333">{escape(x)}</text>'
    )
    parts.append(
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})" fill="#333333">'
        f"{escape(y)}</text>"
    )
    for number, (words, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join("{:.1f} {:.1f}".format(*_at(*point)) for point in thinned(curve))
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        line = TOP + SIDE + 54 + 18 * number
        parts.append(f'<path d="M{LEFT} {line - 4}h24" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{LEFT + 32}" y="{line}" fill="#222222">{escape(words)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def area(curve: Curve) -> float:
    """Under a curve of straight pieces."""
    return sum((x - a) * (y + b) / 2 for (a, b), (x, y) in pairwise(curve))


def thinned(curve: Curve) -> Curve:
    """At most so many points, the first and the last among them."""
    if len(curve) <= MOST_POINTS:
        return curve
    return [curve[round(i * (len(curve) - 1) / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]


def _at(x: float, y: float) -> tuple[float, float]:
    return LEFT + SIDE * x, TOP + SIDE * (1 - y)
