"""Small plots as inline SVG: no script, no fonts, nothing from outside.

Texts are escaped. Knows numbers and labels only.
"""

from collections.abc import Sequence
from html import escape

import numpy as np

from trainer.evaluation.bootstrap import Floats

WIDTH = 720
_LEFT, _RIGHT, _ROW, _AXIS = 220, 70, 22, 24

# label, mean, low, high
Interval = tuple[str, float, float, float]


def intervals(rows: Sequence[Interval], *, zero: bool, title: str) -> str:
    """Return one line per row: a point with its interval.

    ``zero`` draws the line of no difference. No rows give no picture.
    """
    if not rows:
        return ""
    low, high = min(r[2] for r in rows), max(r[3] for r in rows)
    low, high = (min(low, 0.0), max(high, 0.0)) if zero else (low, high)
    margin = 0.05 * (high - low) or 0.01
    low, high = low - margin, high + margin
    height = _AXIS + _ROW * len(rows)
    shapes = [_line(_x(v, low, high), 0, height - _AXIS, "grid") for v in _ticks(low, high)]
    if zero:
        shapes.append(_line(_x(0.0, low, high), 0, height - _AXIS, "zero"))
    for number, (label, mean, least, most) in enumerate(rows):
        y = _ROW * number + _ROW / 2
        clear = zero and (least > 0 or most < 0)
        kind = "gain" if clear and mean > 0 else "loss" if clear else "point"
        shapes += [
            _text(_LEFT - 8, y + 4, label, "end"),
            (
                f'<line class="{kind}" x1="{_x(least, low, high):.1f}" x2="{_x(most, low, high):.1f}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/>'
            ),
            f'<circle class="{kind}" cx="{_x(mean, low, high):.1f}" cy="{y:.1f}" r="4"/>',
            _text(WIDTH - 4, y + 4, f"{mean:+.3f}" if zero else f"{mean:.3f}", "end"),
        ]
    shapes += [
        _text(_x(v, low, high), height - 8, f"{v:+.3g}" if zero else f"{v:.3g}", "middle")
        for v in _ticks(low, high)
    ]
    return _picture(height, shapes, title)


def histogram(values: Floats, *, title: str, bins: int = 21) -> str:
    """Return how often values between -1 and 1 occur, zeros apart, which are only counted.

    No values give no picture.
    """
    if not len(values):
        return ""
    moved = values[np.abs(values) > 1e-9]
    counts, edges = np.histogram(moved, bins=bins, range=(-1, 1))
    height, most = 140, max(1, int(counts.max()))
    shapes = [_text(_LEFT - 8, 14, f"unchanged: {len(values) - len(moved)} of {len(values)}", "end")]
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        x, tall = _x(left, -1, 1), (height - _AXIS - 16) * count / most
        kind = "gain" if left + right > 0 else "loss"
        wide = _x(right, -1, 1) - x - 1
        shapes.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{height - _AXIS - tall:.1f}" width="{wide:.1f}" '
            f'height="{tall:.1f}"/>'
        )
    shapes += [_text(_x(v, -1, 1), height - 8, f"{v:+g}", "middle") for v in (-1, -0.5, 0, 0.5, 1)]
    return _picture(height, shapes, title)


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - low) / (high - low)


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    size = 10 ** np.floor(np.log10(rough))
    step = float(size * next(m for m in (1, 2, 5, 10) if m * size >= rough))
    # + 0.0: no -0
    return [float(v) + 0.0 for v in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step]


def _line(x: float, top: float, bottom: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(height: int, shapes: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" '
        f'role="img"><title>{escape(title)}</title>{"".join(shapes)}</svg>'
    )
