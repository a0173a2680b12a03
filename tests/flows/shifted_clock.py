"""A clock of this process' flows and store that a test sets wrong, and right again."""

import sys
from datetime import datetime, timedelta

from pydantic_core import core_schema

from longshore.store import tables


class ShiftedClock:
    def __init__(self, monkeypatch):
        self.ahead = timedelta()
        clock, utc_now = self, tables.utc_now

        class Shifted(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) + clock.ahead

            @classmethod
            def __get_pydantic_core_schema__(cls, *_):
                return core_schema.datetime_schema()

        for name, module in list(sys.modules.items()):
            if not name.startswith("longshore."):
                continue
            if getattr(module, "utc_now", None) is utc_now:
                monkeypatch.setattr(module, "utc_now", lambda: utc_now() + clock.ahead)
            if name.startswith(("longshore.flows", "longshore.store.p")) and vars(module).get("datetime") is datetime:
                monkeypatch.setattr(module, "datetime", Shifted)

    def __call__(self, **ahead):
        """The clock is ahead by this from now on; called without anything, it is right again."""
        self.ahead = timedelta(**ahead)
