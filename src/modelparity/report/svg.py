"""Charts as SVG, drawn by hand: curves over a count, linear or logarithmic. No script, no fonts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from modelparity.report.text import clean

WIDTH, HEIGHT = 760, 270
LEFT, RIGHT, TOP, BOTTOM = 66, 16, 32, 44
POINTS = 600  # a curve with more is thinned to the extremes of as many stretches
_ROUND = [f * 10**e for e in range(18) for f in (1, 2, 5)]  # distances of labels on an axis
DOTS = 130  # curves with more points than this are drawn without dots
HUGE = 1e300  # what is larger does not stretch a scale, and cannot overflow it
MARGIN = 1.25  # decades a logarithmic scale spans at least


@dataclass(frozen=True)
class Curve:
    """One curve; `style` is its class in the page's style sheet."""

    label: str
    style: str
    values: Sequence[float]


@dataclass(frozen=True)
class Line:
    """A straight line across the chart with its label: at a value, or at an index.

    `shaded` marks what lies after an index, where a curve shows nothing.
    """

    label: str
    at: float
    shaded: bool = False


@dataclass(frozen=True)
class Chart:
    """What to draw. `names` label the points; indices start at 0; levels are values."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log: bool = False
    levels: tuple[Line, ...] = ()
    indices: tuple[Line, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Scale:
    """Values to heights. On a logarithmic scale `zero` is the height at which zeros lie."""

    low: float
    high: float
    log: bool
    zero: bool

    @property
    def bottom(self) -> float:
        """The height of the lowest positive value; zeros have a lane of their own below it."""
        return HEIGHT - BOTTOM - (20 if self.zero else 0)

    def y(self, value: float) -> float:
        if self.log and value <= 0.0:
            return HEIGHT - BOTTOM - 5
        position = math.log10(value) if self.log else value
        share = (position - self.low) / (self.high - self.low)
        return self.bottom - min(max(share, 0.0), 1.0) * (self.bottom - TOP)


def draw(chart: Chart) -> str:
    """The chart as an SVG element; empty where no curve has a finite value."""
    length = max((len(curve.values) for curve in chart.curves), default=0)
    scale = _scale(chart)
    if scale is None:
        return ""
    parts = [*_shades(chart, length), *_grid(chart, scale), *_x_axis(chart, length)]
    for curve in chart.curves:
        parts += _curve(curve, scale, length, chart.names)
    parts += _marks(chart, scale, length)
    label = escape(clean(f"{chart.title}: {chart.y_label} over {chart.x_label}"))
    body = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" class="chart">\n'
        f"{body}\n</svg>"
    )


def _scale(chart: Chart) -> _Scale | None:
    values = [v for curve in chart.curves for v in curve.values if abs(v) < HUGE]
    if not values:
        return None
    levels = [line.at for line in chart.levels]
    if not chart.log:
        low, high = min([*values, *levels]), max([*values, *levels])
        margin = 0.05 * (high - low) or abs(high) * 0.1 or 1.0
        return _Scale(low - (0.0 if low == 0.0 else margin), high + margin, False, False)
    positive = [math.log10(v) for v in [*values, *levels] if v > 0.0] or [-16.0]
    low, high = math.floor(min(positive)), math.ceil(max(positive))
    high = max(high, math.ceil(low + MARGIN))
    return _Scale(low, high, True, any(v <= 0.0 for v in values))


def _ticks(scale: _Scale) -> Iterator[tuple[float, str]]:
    if scale.log:
        step = max(1, math.ceil((scale.high - scale.low) / 7))
        for exponent in range(int(scale.low), int(scale.high) + 1, step):
            yield 10.0**exponent, f"1e{exponent}" if exponent else "1"
        if scale.zero:
            yield 0.0, "0"
        return
    rough = (scale.high - scale.low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step_size = next(size * f for f in (1, 2, 5, 10) if size * f >= rough)
    for number in range(math.ceil(scale.low / step_size), math.floor(scale.high / step_size) + 1):
        yield number * step_size, f"{number * step_size:.6g}"


def _grid(chart: Chart, scale: _Scale) -> Iterator[str]:
    for value, label in _ticks(scale):
        y = scale.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    middle = (TOP + HEIGHT - BOTTOM) / 2
    name = escape(clean(chart.y_label))
    yield (
        f'<text class="axis" transform="translate(14 {middle}) rotate(-90)" '
        f'text-anchor="middle">{name}</text>'
    )


def _x(index: float, length: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (index / (length - 1) if length > 1 else 0.5)


def _x_axis(chart: Chart, length: int) -> Iterator[str]:
    y = HEIGHT - BOTTOM
    yield f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
    step = next(s for s in _ROUND if s * 8 >= length)
    for index in range(0, length, step):
        x = _x(index, length)
        anchor = "end" if length > 1 and index == length - 1 else "middle"
        yield f'<text class="tick" x="{x:.1f}" y="{y + 17}" text-anchor="{anchor}">{index:,}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    name = escape(clean(chart.x_label))
    yield f'<text class="axis" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{name}</text>'


def _shades(chart: Chart, length: int) -> Iterator[str]:
    for line in chart.indices:
        if line.shaded:
            x = _x(min(line.at, max(length - 1, 0)), length)
            size = f'width="{WIDTH - RIGHT - x:.1f}" height="{HEIGHT - BOTTOM - TOP}"'
            yield f'<rect class="beyond" x="{x:.1f}" y="{TOP}" {size}/>'


def _marks(chart: Chart, scale: _Scale, length: int) -> Iterator[str]:
    for line in chart.levels:
        y = scale.y(line.at)
        yield f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        label = escape(clean(line.label))
        place = f'x="{WIDTH - RIGHT}" y="{y - 5:.1f}"'
        yield f'<text class="note" {place} text-anchor="end">{label}</text>'
    bottom = HEIGHT - BOTTOM
    for line in chart.indices:
        x = _x(min(line.at, max(length - 1, 0)), length)
        left = x > (LEFT + WIDTH) / 2
        label = escape(clean(line.label))
        yield f'<line class="index" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        yield (
            f'<text class="note" x="{x + (4 if left else -4):.1f}" y="{TOP - 19}" '
            f'text-anchor="{"end" if left else "start"}">{label}</text>'
        )


def _curve(curve: Curve, scale: _Scale, length: int, names: Sequence[str]) -> Iterator[str]:
    path, pen, dots, lost = [], "M", [], False
    for index, value in thinned(curve.values):
        x = _x(index, length)
        place = clean(names[index]) if index < len(names) else f"{index:,}"
        title = f"<title>{escape(f'{place}: {value:.3g} ({clean(curve.label)})')}</title>"
        if not math.isfinite(value):
            pen = "M"
            anchor = "middle" if lost else "end"
            cross = f'<text class="lost" x="{x + 4:.1f}" y="{TOP - 5}" text-anchor="{anchor}">'
            dots.append(f"{cross}{'×' if lost else f'{value} ×'}{title}</text>")
            lost = True
            continue
        y = scale.y(value)
        path.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
        if len(curve.values) <= DOTS:
            dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4">{title}</circle>')
    yield f'<g class="curve {escape(curve.style)}"><path d="{" ".join(path)}"/>{"".join(dots)}</g>'


def thinned(values: Sequence[float], limit: int = POINTS) -> list[tuple[int, float]]:
    """(index, value) of every point, or of the extremes of `limit` equal stretches.

    Points that are not finite are always kept, the first of each stretch of them.
    """
    points = list(enumerate(values))
    if len(points) <= 2 * limit:
        return points
    kept = {0, len(points) - 1}
    for number in range(limit):
        start, end = (len(points) * n // limit for n in (number, number + 1))
        finite = [p for p in points[start:end] if math.isfinite(p[1])]
        lost = next((p for p in points[start:end] if not math.isfinite(p[1])), None)
        kept |= {p[0] for p in finite and [min(finite, key=_value), max(finite, key=_value)]}
        kept |= {lost[0]} if lost else set()
    return [points[index] for index in sorted(kept)]


def _value(point: tuple[int, float]) -> float:
    return point[1]


GAUGE_DECADES = 6  # to either side of the limit
GAUGE_WIDTH, GAUGE_HEIGHT = 108, 16


def gauge(ratio: float | None) -> str:
    """Where a distance lies relative to its limit, the tick in the middle; logarithmic."""
    if ratio is None:
        return ""
    middle, reach = GAUGE_WIDTH / 2, GAUGE_WIDTH / 2 - 7
    if not math.isfinite(ratio):
        share = 1.0
    elif ratio <= 0.0:
        share = -1.0
    else:
        share = min(max(math.log10(ratio) / GAUGE_DECADES, -1.0), 1.0)
    x, y = middle + share * reach, GAUGE_HEIGHT / 2
    style = "within" if ratio <= 1.0 else "beyond"
    return (
        f'<svg class="gauge" viewBox="0 0 {GAUGE_WIDTH} {GAUGE_HEIGHT}" aria-hidden="true">'
        f'<line class="track" x1="3" x2="{middle}" y1="{y}" y2="{y}"/>'
        f'<line class="track out" x1="{middle}" x2="{GAUGE_WIDTH - 3}" y1="{y}" y2="{y}"/>'
        f'<line class="limit" x1="{middle}" x2="{middle}" y1="2" y2="{GAUGE_HEIGHT - 2}"/>'
        f'<circle class="{style}" cx="{x:.1f}" cy="{y}" r="4.5"/></svg>'
    )
