"""The disks that this process has attached to a provider's proxy, shared by all that read them.

All disks of a snapshot are attached at once, when the first of them is opened, and detached when nobody reads any more.
They are in the ledger before, with all that is needed to detach them: so is what a dead process leaves, until whoever
comes next detaches it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from longshore.blocks.exports import Export
from longshore.blocks.remote import list_exports, reach
from longshore.errors import Conflict, ExportError, LongshoreError, NotFound, Occupied
from longshore.model.machine import Snapshot
from longshore.model.strict_reading import read_json
from longshore.model.target import Owner
from longshore.providers.contract import RelayLedger
from longshore.providers.vsphere import snapshots
from longshore.providers.vsphere.proxy_credentials import Credentials, read_credentials, tls_files
from longshore.providers.vsphere.proxy_machine import HeldDisk, ProxyMachine, Served, find_proxy, held_disks
from longshore.providers.vsphere.session import Session
from longshore.providers.vsphere.settings import VsphereSettings

SHOWN_WITHIN = 60.0  # seconds until a disk that was attached shows in the proxy, or one that was detached doesn't
_LOOK_EVERY = 0.2  # seconds
_STEP = "proxy-disks-"  # and the snapshot: what the ledger calls them


@dataclass(slots=True)
class _Attached:
    owner: Owner
    disks: dict[str, HeldDisk]  # by their keys
    users: int = 0


class ProxyPool:
    """The attachments of one provider, for several threads. Each provider of each installation has a proxy of its
    own."""

    def __init__(self, session: Session, credentials: Credentials, ledger: RelayLedger) -> None:
        self._session = session
        self._credentials = credentials
        self._ledger = ledger
        self._lock = threading.Lock()  # held while the proxy is changed
        self._attached: dict[str, _Attached] = {}  # by the snapshot
        self._proxy: ProxyMachine | None = None

    @contextmanager
    def open(self, snapshot: Snapshot, disk_key: str) -> Iterator[Export]:
        """Serve a disk as the snapshot holds it, read-only. Raises as the contract's `open_disk`."""
        attached = self._take(snapshot)
        try:
            with self._served(attached, snapshot, disk_key) as export:
                yield export
        except BaseException:
            # What went wrong first is what has to be told; what stays attached is in the ledger
            with suppress(LongshoreError):
                self._give_back(snapshot)
            raise
        self._give_back(snapshot)

    @contextmanager
    def _served(self, attached: _Attached, snapshot: Snapshot, disk_key: str) -> Iterator[Export]:
        disk = attached.disks.get(disk_key)
        if disk is None:
            raise NotFound(f"The snapshot {snapshot.name} doesn't hold the disk {disk_key} any more.")
        what = f"The disk {disk.file} in the proxy"
        served = self._machine().served()
        with tls_files(self._credentials, served.certificate) as tls:
            uri = served.uri(_wait_until_shown(served, disk, tls), tls)
            with reach(uri, name=what, last_words=self._last_words) as remote:
                if remote.size != disk.size:
                    raise ExportError(f"{what} has {remote.size} bytes, but {disk.size} in the snapshot.")
                yield remote
        if disk not in held_disks(self._session, snapshot.machine_ref, snapshot.ref):
            raise NotFound(f"{disk.file} was moved elsewhere while it was read.", advice="Start again.")

    def release(self, machine_ref: str, snapshot_ref: str) -> None:
        """Detach what somebody who died has left of a snapshot that is to be removed: while it is attached, nothing is
        merged. Raises Occupied (code file-locked) while it is read."""
        with self._lock:
            if snapshot_ref in self._attached:
                raise Occupied(f"The disks of {machine_ref} are being read through the proxy.", code="file-locked")
            self._end_forgotten()
            with suppress(NotFound):
                left = held_disks(self._session, machine_ref, snapshot_ref)
                self._machine().detach([disk.file for disk in left])

    def make_ready(self) -> None:
        """Raise what stands against reading through the proxy: LongshoreError."""
        set_up(self._machine(), self._credentials)

    def end_quiet(self) -> None:
        """Do nothing: disks are detached as soon as nobody reads them."""

    def end_all(self) -> None:
        """Detach all that this process, or one that died, has left attached."""
        with self._lock:
            self._end_forgotten()

    def _machine(self) -> ProxyMachine:
        if self._proxy is None:
            found = find_proxy(self._session, self._session.settings.proxy)
            self._proxy = ProxyMachine(self._session, found, self._credentials)
        return self._proxy

    def _take(self, snapshot: Snapshot) -> _Attached:
        """Return the attached disks of a snapshot, with one user more."""
        with self._lock:
            if snapshot.ref not in self._attached:
                self._attached[snapshot.ref] = self._attach(snapshot)
            found = self._attached[snapshot.ref]
            found.users += 1
            return found

    def _attach(self, snapshot: Snapshot) -> _Attached:
        disks = held_disks(self._session, snapshot.machine_ref, snapshot.ref)
        proxy, files = self._machine(), [disk.file for disk in disks]
        owner = Owner(snapshots.workflow_of(self._session, snapshot), f"{_STEP}{snapshot.ref}")
        self._end_forgotten(owner)
        note = json.dumps([self._session.content.about.instanceUuid or "", proxy.ref, files])
        self._ledger.intend(owner, note)
        try:
            proxy.detach(files)  # whoever attached them has died
            self._wait_until_forgotten(disks)
            proxy.attach(disks)
        except BaseException:
            with suppress(LongshoreError):
                self._end(owner)
            raise
        self._ledger.made(owner, note)
        return _Attached(owner, {disk.key: disk for disk in disks})

    def _wait_until_forgotten(self, disks: Sequence[HeldDisk]) -> None:
        """Wait until the proxy shows none of these disks: what it showed would be of an earlier moment. Raises
        ExportError."""
        names = {name for disk in disks for name in disk.names}
        end = time.monotonic() + SHOWN_WITHIN
        served = self._machine().prepare(disks)
        with tls_files(self._credentials, served.certificate) as tls:
            while names.intersection(_wait_until_served(served, tls)):
                if time.monotonic() > end:
                    raise ExportError(
                        "The proxy still shows a disk that was detached from it.", advice="Power it off and on again."
                    )
                time.sleep(_LOOK_EVERY)

    def _give_back(self, snapshot: Snapshot) -> None:
        """Detach the disks of a snapshot when nobody else reads them. Raises LongshoreError."""
        with self._lock:
            attached = self._attached[snapshot.ref]
            attached.users -= 1
            if attached.users:
                return
            del self._attached[snapshot.ref]
            try:
                self._machine().detach([disk.file for disk in attached.disks.values()])
            except LongshoreError as error:
                self._ledger.left(attached.owner, str(error))
                raise
            self._ledger.gone(attached.owner)

    def _end_forgotten(self, wanted: Owner | None = None) -> None:
        """Detach what is in the ledger and nobody's who lives. What can't be is noted; raised if it is what is
        wanted."""
        known = {attached.owner for attached in self._attached.values()}
        for owner in self._ledger.unsettled():
            if owner not in known:
                try:
                    self._end(owner)
                except LongshoreError:
                    if owner == wanted:
                        raise

    def _end(self, owner: Owner) -> None:
        try:
            let_go(self._session, self._ledger.note_of(owner))
        except LongshoreError as error:
            self._ledger.left(owner, str(error))
            raise
        self._ledger.gone(owner)

    def _last_words(self) -> str:
        try:
            return f"the proxy is {self._machine().power()}"
        except LongshoreError as error:
            return f"nor can the proxy be asked for: {error}"


def let_go(session: Session, note: str) -> None:
    """Detach what the ledger has a note of. Nothing to do for what isn't attached. Raises Conflict for a note of
    another vCenter, where the same references are of other machines."""
    if not note:
        return  # whoever died had attached nothing yet
    vcenter, proxy, files = read_json(note)
    if vcenter != (session.content.about.instanceUuid or ""):
        raise Conflict(f"{session.label} isn't the vCenter where {', '.join(files)} were attached to the proxy.")
    ProxyMachine(session, proxy).detach(files)


def open_pool(settings: VsphereSettings, secrets: Mapping[str, str], ledger: RelayLedger) -> ProxyPool:
    """Open a pool with a session of its own, that outlives those of the transfers. Nothing is asked of the vCenter
    yet."""
    password = secrets["password"]
    return ProxyPool(Session(settings, lambda: password), read_credentials(secrets["proxy_key"]), ledger)


def set_up(proxy: ProxyMachine, credentials: Credentials) -> Served:
    """Set a proxy up, and return where it serves its disks once it lets us in. Raises LongshoreError."""
    served = proxy.prepare()
    with tls_files(credentials, served.certificate) as tls:
        _wait_until_served(served, tls)
    return served


def _wait_until_served(served: Served, tls: Path) -> list[str]:
    """Return what a proxy serves, once it lets us in: it takes up a new certificate within seconds. Raises
    ExportError."""
    end = time.monotonic() + SHOWN_WITHIN
    while True:
        try:
            return list_exports(served.uri("", tls), name=f"The proxy at {served.address}")
        except ExportError:
            if time.monotonic() > end:
                raise
        time.sleep(_LOOK_EVERY)


def _wait_until_shown(served: Served, disk: HeldDisk, tls: Path) -> str:
    """Return the name that a disk is served under, once it is. Raises ExportError."""
    end = time.monotonic() + SHOWN_WITHIN
    while True:
        names = _wait_until_served(served, tls)
        if (found := next((name for name in disk.names if name in names), None)) is not None:
            return found
        if time.monotonic() > end:
            raise ExportError(
                f"{disk.file} was attached to the proxy, but didn't show there within {SHOWN_WITHIN:.0f} s.",
                advice="Look at the proxy's console: its kernel tells of each disk.",
            )
        time.sleep(_LOOK_EVERY)
