"""Lines at the end of a terminal that are kept up to date: once a second at most, and only what has changed.

Whoever records a terminal (script, a CI's log, a slow line) gets some bytes for a changed figure, not all lines again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Self

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment, Segments
from rich.style import Style

from longshore.border.texts import printable
from longshore.cli.terminal import raw

_EVERY = 1.0  # seconds between two drawings
_GAP = 6  # unchanged cells between two changed ones that are rather written again than skipped
_HIDE, _SHOW, _CLEAR_BELOW, _CLEAR_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[J", "\x1b[K"

_Cell = tuple[str, Style | None]


class _Console(Console):
    """A console of which all texts are printable; nothing in them is rich's own markup."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable(text), style)


def console() -> Console:
    """Return a console on standard error, for what is drawn there."""
    return _Console(file=raw(sys.stderr), highlight=False, markup=False, emoji=False)


class Screen:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._frame: RenderableType | None = None
        self._drawn: list[list[_Cell]] = []  # what the terminal shows; the cursor is on the line after it
        self._width = console.width
        self._last: float | None = None
        self._stale = False

    def __enter__(self) -> Self:
        self._write(_HIDE)
        return self

    def __exit__(self, *_: object) -> None:
        if self._stale:
            self._draw()
        self._write(_SHOW)

    def show(self, frame: RenderableType) -> None:
        """Show a frame from now on; when the last drawing is too fresh, it is done with the next one or at the end."""
        self._frame = frame
        self._stale = True
        now = time.monotonic()
        if self._last is None or now - self._last >= _EVERY:
            self._last = now
            self._draw()

    def print(self, text: RenderableType) -> None:
        """Print a line that stays, above those that change."""
        self._write(self._back_to_top() + _CLEAR_BELOW)
        self._drawn = []
        self._console.print(text)
        self._draw()

    def _draw(self) -> None:
        self._stale = False
        written = []
        if self._console.width != self._width:  # what is there was broken into other lines
            written.append(self._back_to_top() + _CLEAR_BELOW)
            self._drawn = []
            self._width = self._console.width
        new = self._rendered()
        row = len(self._drawn)  # where the cursor is
        for number, (before, after) in enumerate(zip_longest(self._drawn, new)):
            if before == after:
                continue
            if after is None:  # fewer lines than before
                written.append(_vertically(row, number) + _CLEAR_BELOW)
                row = number
                break
            written.append(_vertically(row, number))
            row = number
            if before is None:
                written.append(self._styled(after) + "\n")
                row = number + 1
            else:
                written.extend(self._changes(before, after))
        written.append(_vertically(row, len(new)))
        self._drawn = new
        self._write("".join(written))

    def _changes(self, before: list[_Cell], after: list[_Cell]) -> Iterator[str]:
        """Yield the changes of one line, with the cursor at its beginning."""
        at = 0
        for start, end in _runs(before, after):
            skipped = _cells(after[at:start])
            yield (f"\x1b[{skipped}C" if skipped else "") + self._styled(after[start:end])
            at = end
        if _cells(after) < _cells(before):
            yield _CLEAR_LINE
        yield "\r"

    def _rendered(self) -> list[list[_Cell]]:
        """Render as many lines as there is room for, each short of the last column: no terminal breaks it."""
        if self._frame is None:
            return []
        options = self._console.options.update(width=max(self._console.width - 1, 1))
        lines = self._console.render_lines(self._frame, options, pad=False)
        cells = [[(c, part.style) for part in line if not part.control for c in part.text] for line in lines]
        return [_without_end(line) for line in cells[: max(self._console.height - 1, 1)]]

    def _styled(self, cells: Sequence[_Cell]) -> str:
        with self._console.capture() as capture:
            self._console.print(
                Segments(Segment.simplify(Segment(c, style) for c, style in cells)), end="", soft_wrap=True
            )
        return capture.get()

    def _back_to_top(self) -> str:
        return _vertically(len(self._drawn), 0)

    def _write(self, text: str) -> None:
        if text:
            self._console.file.write(text)
            self._console.file.flush()


def _runs(before: list[_Cell], after: list[_Cell]) -> Iterator[tuple[int, int]]:
    """Yield from where to where the line is to be written again."""
    if _cells(before) != len(before) or _cells(after) != len(after):  # with wide characters places aren't columns
        yield 0, len(after)
        return
    start = end = None
    for place, cell in enumerate(after):
        if place < len(before) and before[place] == cell:
            continue
        if start is not None and end is not None and place - end > _GAP:
            yield start, end
            start = None
        start = place if start is None else start
        end = place + 1
    if start is not None and end is not None:
        yield start, end
    if len(after) < len(before):  # the rest is cleared from there
        yield len(after), len(after)


def _vertically(row: int, to: int) -> str:
    """Moves the cursor, which is at the beginning of a line."""
    return f"\x1b[{row - to}A" if row > to else f"\x1b[{to - row}B" if to > row else ""


def _cells(line: Sequence[_Cell]) -> int:
    return cell_len("".join(text for text, _ in line))


def _without_end(line: list[_Cell]) -> list[_Cell]:
    """Return the line without the blanks that tables end with."""
    end = len(line)
    while end and line[end - 1][0] == " ":
        end -= 1
    return line[:end]
