"""Relays shared by all transfers of a project: booted when first needed, removed when nobody needs them any more."""

import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from longshore.errors import LongshoreError
from longshore.model.target import Owner
from longshore.providers.contract import RelayLedger
from longshore.providers.openstack.connection import OpenstackSettings, connect
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.relay import Relay
from longshore.providers.openstack.relay_servers import RelayServers

VOLUMES = 16  # that one relay serves at a time: some hypervisors have room for little more


class RelayPool:
    """The relays of one provider, for several threads."""

    def __init__(self, servers: RelayServers, ledger: RelayLedger, quiet: float) -> None:
        self._servers = servers
        self._ledger = ledger
        self._quiet = quiet
        self._lock = threading.Lock()  # held while a relay is booted: whoever comes meanwhile shares that one
        self._relays: list[Relay] = []

    def make_ready(self, owner: Owner) -> None:
        """See that there is a relay, so that it needn't be waited for later. Raises LongshoreError."""
        with self.relay(owner):
            pass

    @contextmanager
    def relay(self, owner: Owner) -> Iterator[Relay]:
        """Return a relay that answers, with room for one volume more. Raises LongshoreError."""
        found = self._take(owner)
        try:
            yield found
        finally:
            with self._lock:
                found.users -= 1
                found.free_since = time.monotonic()

    def end_quiet(self) -> None:
        """Remove those that nobody has used for the quiet time."""
        with self._lock:
            for relay in list(self._relays):
                if not relay.users and time.monotonic() - relay.free_since >= self._quiet:
                    self._end(relay)

    def end_all(self) -> None:
        """Remove all that may exist, those that an earlier process left behind too."""
        with self._lock:
            for relay in list(self._relays):
                self._end(relay)
            self._end_forgotten()

    def give_up(self, relay: Relay) -> None:
        """Remove one that doesn't answer, whoever else used it: only so are its volumes free soon."""
        with self._lock:
            if relay in self._relays:
                self._end(relay)

    def last_words(self, relay: Relay) -> str:
        return self._servers.last_words(relay.server_id)

    def _take(self, owner: Owner) -> Relay:
        """Take a relay that answers, with one user more."""
        while True:
            with self._lock:
                found = next((relay for relay in self._relays if relay.users < VOLUMES), None)
                if found is None:
                    found = self._boot(owner)
                    found.users += 1
                    return found
                found.users += 1  # from here on nobody takes it for a quiet one
            # Without the lock: one that hangs is waited for, and who uses another needn't wait for it, too
            if found.answers():
                return found
            self._lose(found)

    def _lose(self, relay: Relay) -> None:
        """Remove one that doesn't answer, of which we are a user."""
        words = self.last_words(relay)
        with self._lock:
            relay.users -= 1
            if relay in self._relays:  # else somebody has found that out before us
                self._ledger.say(relay.owner, f"The relay doesn't answer any more ({words}).", "warning")
                self._end(relay)

    def _boot(self, owner: Owner) -> Relay:
        # One of an earlier process has a key that died with it
        self._end_forgotten()
        own = Owner(owner.workflow, f"relay-{uuid.uuid4().hex[:8]}")
        self._ledger.intend(own)
        began = time.monotonic()
        self._ledger.say(own, "Booting a relay in the project, through which the volumes are reached.", "information")
        try:
            relay = self._servers.boot(own)
        except BaseException:
            self._remove(own)
            raise
        self._ledger.made(own, relay.server_id)
        took = time.monotonic() - began
        self._ledger.say(own, f"The relay answers at {relay.address}, after {took:.0f} s.", "information")
        self._relays.append(relay)
        return relay

    def _end_forgotten(self) -> None:
        known = {relay.owner for relay in self._relays}
        for owner in self._ledger.unsettled():
            if owner not in known:
                self._remove(owner)

    def _end(self, relay: Relay) -> None:
        self._relays.remove(relay)
        os.close(relay.key)
        self._remove(relay.owner)

    def _remove(self, owner: Owner) -> None:
        try:
            self._servers.remove(owner)
        except LongshoreError as error:
            self._ledger.left(owner, str(error))
            self._ledger.say(owner, f"The relay {owner.step} could not be removed: {error}", "warning")
        else:
            self._ledger.gone(owner)


def open_pool(settings: OpenstackSettings, secrets: Mapping[str, str], ledger: RelayLedger) -> RelayPool:
    """Open a pool with a session of its own, that outlives those of the transfers. Nothing is asked of the cloud
    yet."""
    with explained("read the cloud's settings"):
        return RelayPool(RelayServers(connect(settings, secrets), settings), ledger, settings.relay_quiet)
