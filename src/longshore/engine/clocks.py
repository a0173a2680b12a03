"""The check of this machine's clock against the database's, by which all other clocks are judged."""

import logging
import time

from longshore.store import Store
from longshore.store.jobs import CLOCKS_DIFFER

_log = logging.getLogger("longshore.engine")


class Clocks:
    """Says once that they differ, and once that they don't any more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._differ = False

    def compare(self) -> None:
        ahead = time.time() - self._store.outlines.now()
        differ = abs(ahead) > CLOCKS_DIFFER
        if differ and not self._differ:
            which = "ahead of" if ahead > 0 else "behind"
            _log.warning(
                "this machine's clock is %.0f s %s the database's: what it says of moments is wrong. Set it right "
                "(see: timedatectl).",
                abs(ahead),
                which,
            )
        elif self._differ and not differ:
            _log.warning("this machine's clock goes as the database's again")
        self._differ = differ
