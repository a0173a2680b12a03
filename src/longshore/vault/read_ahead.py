"""Parts of packs in a store that answers late: who reads them in order gets many with one request.

Whoever reads back what it has written, or walks through a disk, asks for blocks that were stored one after the other,
each when it has the one before. A part that follows the last one of its pack is asked for with what comes after it.
"""

import threading
from collections import deque
from concurrent.futures import Future
from typing import NamedTuple

from longshore.vault.store import Store

STRETCH = 1 << 20  # bytes asked for at once
_MOST = STRETCH // 4  # of a part; who asks for more has few requests as it is
_KEPT = 8  # stretches, the last that were asked for
_ENDS = 16  # of parts, the last that were asked for: who reads blocks asks for nodes in between


class _Stretch(NamedTuple):
    pack: str
    start: int
    end: int  # the pack may end before
    data: "Future[bytes]"


class ReadAhead:
    """May be used from several threads: who asks for a part that is on its way waits for it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ends: deque[tuple[str, int]] = deque(maxlen=_ENDS)
        self._stretches: list[_Stretch] = []
        self._lock = threading.Lock()

    def read(self, pack: str, offset: int, length: int) -> bytes:
        """Read a part of an object as `Store.read_part` does, whose errors it raises; `pack`: its object's name."""
        end = offset + length
        with self._lock:
            gap = self._store.passed_over
            follows = any(pack == other and 0 <= offset - before <= gap for other, before in self._ends)
            self._ends.append((pack, end))
            there = [one for one in self._stretches if one.pack == pack and one.start <= offset and end <= one.end]
            begins = not there and follows and length <= _MOST
            if begins:
                there = [_Stretch(pack, offset, offset + STRETCH, Future())]
                self._stretches = [*self._stretches[1 - _KEPT :], *there]
        if not there:
            return self._store.read_part(pack, offset, length)
        stretch = there[0]
        if begins:
            self._fetch(stretch)
        return stretch.data.result()[offset - stretch.start : end - stretch.start]

    def _fetch(self, begun: _Stretch) -> None:
        """Fetch a stretch into its future. A stretch that failed is asked for anew by who comes next."""
        try:
            begun.data.set_result(self._store.read_part(begun.pack, begun.start, begun.end - begun.start))
        except BaseException as error:  # noqa: BLE001 - others wait for it
            with self._lock:
                self._stretches = [one for one in self._stretches if one is not begun]
            begun.data.set_exception(error)
