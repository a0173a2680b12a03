"""Charts as SVG, to stand in a page: no script, no style sheet but the page's own, all texts escaped."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from longshore.border.texts import html as escape
from longshore.wording.texts import _

Write = Callable[[float], str]  # how a value is called
WIDTH, HEIGHT = 860, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 92, 10, 10, 24
_DOWN = HEIGHT - _TOP - _BOTTOM
_TICKS = 4  # spans that time is divided into
_TOLD = 200  # points that have a mark with their value: of more there is no room for a pointer between two
COLORS = ("#2b6cb0", "#38a169", "#d69e2e", "#805ad5", "#c53030")


class Mark(NamedTuple):
    """Something that happened at a moment, such as a test."""

    at: datetime
    said: str
    good: bool


def ages(  # noqa: PLR0917
    arrivals: Sequence[tuple[datetime, datetime]],
    since: datetime,
    until: datetime,
    objective: float | None,
    write: Write,
    marks: Sequence[Mark] = (),
    *,
    width: int = WIDTH,
) -> str:
    """Draw how old the newest point was at each moment: the line grows until the next point comes. `arrivals`: moments,
    and when each was usable. `objective`: seconds. `marks` stand where they happened. A pointer at any of them, or at
    the end of an age, shows what it is. `width`: in the chart's own units, of which texts have the same share however
    wide it is shown."""
    edges = _edges(arrivals, since, until)
    if not edges:
        return f"<p>{escape(_('There was no point.'))}</p>"
    top = 1.1 * max(*(age for _, age in edges), objective or 1.0)
    length, right = (until - since).total_seconds(), width - _RIGHT

    def place(at: datetime, age: float) -> str:
        return f"{_LEFT + (at - since).total_seconds() / length * (right - _LEFT):.1f},{_y(age, top):.1f}"

    line = " ".join(place(at, age) for at, age in _thinned(edges, since, until))
    drawn = []
    if objective is not None:
        y, said = _y(objective, top), _("%(age)s asked for") % {"age": write(objective)}
        drawn.append(
            f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{COLORS[4]}" stroke-dasharray="6 4"/>'
        )
        # Below time: wherever it stood along its line, that of the ages could run through it
        drawn.append(
            f'<text x="{(_LEFT + right) / 2:.1f}" y="{HEIGHT + 12}" text-anchor="middle">– – {escape(said)}</text>'
        )
    drawn.append(f'<polyline points="{line}" fill="none" stroke="{COLORS[0]}" stroke-width="1.5"/>')
    peaks = [(at, age) for (at, age), (next_at, _age) in pairwise(edges) if at == next_at]  # as each point came
    if len(peaks) <= _TOLD:
        drawn += [_dot(place(at, age), f"{write(age)}, {_in_utc(at)}", COLORS[0]) for at, age in peaks]
    drawn += [
        _dot(place(one.at, 0.0), f"{one.said}, {_in_utc(one.at)}", COLORS[1 if one.good else 4])
        for one in marks
        if since <= one.at <= until
    ]
    scales = [*_scale(top, write, right), *_times(since, until, right)]
    return _svg(_("Age of the newest point"), [*scales, *drawn], HEIGHT + 18, width)


def _times(since: datetime, until: datetime, right: int) -> list[str]:
    """Draw when it was: at both ends, and between them where there is room for that."""
    drawn = []
    for number in range(_TICKS + 1):
        at, x = since + (until - since) * (number / _TICKS), _LEFT + (right - _LEFT) * number / _TICKS
        anchor = {0: "start", _TICKS: "end"}.get(number, "middle")
        between = ' class="ls-between"' if anchor == "middle" else ""
        drawn.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" stroke="#ddd"/>'
            f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}"{between} '
            f'data-moment="{at:%Y-%m-%dT%H:%M:%SZ}">{_in_utc(at)}</text>'
        )
    return drawn


def _in_utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _dot(place: str, said: str, color: str) -> str:
    x, y = place.split(",")
    return f'<circle cx="{x}" cy="{y}" r="3.5" fill="{color}"><title>{escape(said)}</title></circle>'


def bars(title: str, values: Sequence[tuple[str, float]], write: Write) -> str:
    """Draw a bar for each value, with its name as a tooltip."""
    if not values:
        return f"<p>{escape(_('Nothing yet.'))}</p>"
    top = 1.1 * max(*(value for _, value in values), 1.0)
    wide = (WIDTH - _LEFT - _RIGHT) / len(values)
    drawn = [
        f'<rect x="{_LEFT + number * wide:.1f}" y="{_y(value, top):.1f}" width="{max(wide - 2, 1):.1f}" '
        f'height="{HEIGHT - _BOTTOM - _y(value, top):.1f}" fill="{COLORS[0]}">'
        f"<title>{escape(name)}: {escape(write(value))}</title></rect>"
        for number, (name, value) in enumerate(values)
    ]
    return _svg(title, [*_scale(top, write, WIDTH - _RIGHT), *drawn])


def stacks(title: str, parts: Sequence[str], rows: Sequence[tuple[str, dict[str, float]]], write: Write) -> str:
    """Draw a bar for each row, made of its parts one after the other."""
    if not rows:
        return f"<p>{escape(_('Nothing yet.'))}</p>"
    high, left = 22, 190
    most = max(sum(row.get(part, 0.0) for part in parts) for _, row in rows) or 1.0
    drawn = []
    for number, (name, row) in enumerate(rows):
        x, y = float(left), number * high + 4
        drawn.append(f'<text x="{left - 6}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        for part, color in zip(parts, COLORS, strict=False):
            wide = row.get(part, 0.0) / most * (WIDTH - left - 90)
            said = f"{escape(part)}: {escape(write(row.get(part, 0.0)))}"
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{high - 6}" fill="{color}"><title>{said}</title>'
                "</rect>"
            )
            x += wide
        whole = sum(row.get(part, 0.0) for part in parts)
        drawn.append(f'<text x="{x + 6:.1f}" y="{y + 13}">{escape(write(whole))}</text>')
    named = "".join(
        f'<tspan fill="{color}">■ </tspan><tspan>{escape(part)}  </tspan>'
        for part, color in zip(parts, COLORS, strict=False)
    )
    drawn.append(f'<text x="{left}" y="{len(rows) * high + 16}">{named}</text>')
    return _svg(title, drawn, len(rows) * high + 24)


def _edges(
    arrivals: Sequence[tuple[datetime, datetime]], since: datetime, until: datetime
) -> list[tuple[datetime, float]]:
    """Return the corners of the line: right before and right after each point came."""
    newest: datetime | None = None
    corners: list[tuple[datetime, float]] = []
    for moment, usable_at in sorted(arrivals, key=lambda one: one[1]):
        if usable_at >= until:
            break
        if newest is not None and usable_at > since:
            if not corners:
                corners.append((since, max((since - newest).total_seconds(), 0.0)))
            corners.append((usable_at, (usable_at - newest).total_seconds()))
        newest = moment if newest is None else max(newest, moment)
        if usable_at > since:
            corners.append((usable_at, (usable_at - newest).total_seconds()))
    if newest is None:
        return []
    if not corners:
        corners.append((since, max((since - newest).total_seconds(), 0.0)))
    return [*corners, (until, (until - newest).total_seconds())]


def _thinned(edges: Sequence[tuple[datetime, float]], since: datetime, until: datetime) -> list[tuple[datetime, float]]:
    """Thin out the corners to the highest of each screen column, where there are more than columns."""
    if len(edges) <= 2 * WIDTH:
        return list(edges)
    column = (until - since) / WIDTH or timedelta(seconds=1)
    highest: dict[int, tuple[datetime, float]] = {}
    for at, age in edges:
        number = (at - since) // column
        if number not in highest or age > highest[number][1]:
            highest[number] = at, age
    return [highest[number] for number in sorted(highest)]


def _scale(top: float, write: Write, right: int) -> list[str]:
    drawn = []
    for share in (0.0, 0.5, 1.0):
        y = _y(top / 1.1 * share, top)
        drawn.append(
            f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(write(top / 1.1 * share))}</text>'
        )
    return drawn


def _y(value: float, top: float) -> float:
    return _TOP + (1 - value / top) * _DOWN


def _svg(title: str, drawn: Sequence[str], height: int = HEIGHT, width: int = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(title)}">'
        f"{''.join(drawn)}</svg>"
    )
