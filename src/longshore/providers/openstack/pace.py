"""The pace of requests to a cloud that asks its callers to wait (429, or 503 and 413 with Retry-After).

All threads that share a connection share its pace: after such an answer none asks before the moment that the cloud
named, and then they take turns, further apart each time that the cloud asks again, and closer again as it doesn't.
"""

import threading
import time

import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

ASKED_WITHIN = 60.0  # seconds that one request may wait; after that its caller is told, who may wait longer
_FIRST_GAP, _LONGEST_GAP = 0.1, 5.0  # seconds between two requests
_CLOSER = 0.8  # what is left of the gap after an answer


class RequestPace:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0  # when the next request may begin
        self._gap = 0.0  # seconds
        self._slowed = 0.0

    def wait(self, until: float) -> float:
        """Wait for a turn, and answer 0; where it comes later than `until`, answer at once the seconds until then."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            if turn > until:
                return turn - now
            if self._gap:
                self._next = turn + self._gap
        time.sleep(turn - now)
        return 0.0

    def slow_down(self, began: float, seconds: float) -> None:
        """Heed what the cloud has answered to a request that began at that moment."""
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now + seconds)
            if began >= self._slowed:  # others, asked at the same time, are no further sign
                self._gap = min(max(self._gap * 2, _FIRST_GAP), _LONGEST_GAP)
                self._slowed = now

    def speed_up(self) -> None:
        with self._lock:
            self._gap = self._gap * _CLOSER if self._gap > _FIRST_GAP / 10 else 0.0


def asked_to_wait(answer: requests.Response) -> float | None:
    """Answer for how many seconds the cloud asks to wait; None: it doesn't.

    Cinder adds "Retry-After: 0" to a quota that has no room (413).
    """
    try:
        seconds = Retry().parse_retry_after(answer.headers.get("Retry-After", ""))
    except (InvalidHeader, ValueError, OverflowError):  # a date of the year 99999, a number of 5,000 digits
        seconds = 0.0
    if answer.status_code == requests.codes.too_many_requests:
        return float(seconds) or 1.0
    asked = answer.status_code in (requests.codes.request_entity_too_large, requests.codes.service_unavailable)
    return float(seconds) if asked and seconds else None
