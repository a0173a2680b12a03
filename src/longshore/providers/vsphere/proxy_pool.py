"""The disks that this process has attached to a provider's proxies, shared by all that read or write them.

All disks of a snapshot, or all that are written above it, are attached at once, when the first of them is opened, to
the proxy that suits them best of those that take them, and detached when nobody uses any more. They are in the ledger
before, with all that is needed to detach them: so is what a dead process leaves, until whoever comes next detaches it.
A proxy is changed by one thread at a time.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from longshore.blocks.exports import Export
from longshore.blocks.remote import flush, list_exports, reach
from longshore.errors import Conflict, ExportError, InvalidInput, LongshoreError, NotFound, Occupied
from longshore.model.machine import Snapshot
from longshore.model.strict_reading import read_json
from longshore.model.target import Owner
from longshore.providers.contract import RelayLedger
from longshore.providers.vsphere import snapshots, writing
from longshore.providers.vsphere.export_disks import is_lease
from longshore.providers.vsphere.proxy_choice import Proxies, with_first
from longshore.providers.vsphere.proxy_credentials import Credentials, read_credentials, tls_files
from longshore.providers.vsphere.proxy_disks import HeldDisk, Mode, disks_of, held_disks, newest_files
from longshore.providers.vsphere.proxy_machine import ProxyMachine, ServedDisks
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.settings import VsphereSettings

SHOWN_WITHIN = 60.0  # seconds until a disk that was attached shows in the proxy, or one that was detached doesn't
_LOOK_EVERY = 0.2  # seconds
# What the ledger calls them, followed by the snapshot and the proxy
_STEPS = {Mode.READING: "proxy-disks-", Mode.WRITING: "proxy-writing-"}
_ANEW = "Begin anew: their files were moved, or somebody has taken another snapshot."

_OFF_HOST = (
    "Disks are on NFS 3 and attached to a proxy on another host: by VMware's KB 2010953 the machine may stand still "
    "for half a minute when its snapshot is removed. A proxy on its own host avoids that."
)


@dataclass(frozen=True, slots=True)
class _Attached:
    proxy: ProxyMachine
    owner: Owner
    disks: dict[str, HeldDisk]  # by their keys

    def disk(self, key: str, snapshot: Snapshot) -> HeldDisk:
        if key not in self.disks:
            raise NotFound(f"The snapshot {snapshot.name} doesn't hold the disk {key} any more.")
        return self.disks[key]


@dataclass(slots=True)
class _Moment:
    """A snapshot that somebody reads or writes above, or wants to."""

    machine_ref: str
    lock: threading.Lock = field(default_factory=threading.Lock)  # held while its disks are attached or detached
    users: int = 0  # with those that wait for the lock
    attached: _Attached | None = None


class ProxyPool:
    """The attachments of one provider to its proxies, for several threads. Each provider of each installation has
    proxies of its own."""

    def __init__(self, session: VsphereSession, credentials: Credentials, ledger: RelayLedger) -> None:
        self._session = session
        self._credentials = credentials
        self._ledger = ledger
        self._proxies = Proxies(session, credentials)
        self._lock = threading.Lock()  # of what is known here; nothing is asked while it is held
        self._moments: dict[tuple[str, Mode], _Moment] = {}  # by the snapshot, and what is done
        self._changing: dict[str, threading.Lock] = {}  # by the proxy: held while it is changed
        self._ours: set[Owner] = set()  # of what is attached, or about to be, by this process
        self._warned: set[str] = set()  # jobs that were told of what may happen to their machine

    @contextmanager
    def open(self, snapshot: Snapshot, disk_key: str) -> Iterator[Export]:
        """Serve a disk as the snapshot holds it, read-only. Raises as the contract's `open_disk`."""
        with self._attached(snapshot, disk_key, Mode.READING) as (proxy, disk):
            with self._served(proxy, disk, Mode.READING) as export:
                yield export
            if disk not in self._disks(snapshot, Mode.READING):
                raise NotFound(f"{disk.file} was moved elsewhere while it was read.", advice="Start again.")

    @contextmanager
    def open_to_write(self, snapshot: Snapshot, disk_key: str, size: int) -> Iterator[Export]:
        """Serve a disk of a machine that is off for writing, as one of `size` bytes or its own: the snapshot keeps what
        it held. Raises as the contract's `open_disk_to_write`."""
        with self._attached(snapshot, disk_key, Mode.WRITING) as (proxy, disk):
            with self._served(proxy, disk, Mode.WRITING) as export:
                with writing.as_large_as(export, disk.size, size) as shown:
                    yield shown
                flush(export.uri, name=export.name)  # whatever was written on other connections, too
            self._require_same(snapshot, [disk])

    @contextmanager
    def _attached(self, snapshot: Snapshot, disk_key: str, mode: Mode) -> Iterator[tuple[ProxyMachine, HeldDisk]]:
        attached = self._take(snapshot, mode)
        try:
            yield attached.proxy, attached.disk(disk_key, snapshot)
        except BaseException:
            # What went wrong first is what has to be told; what stays attached is in the ledger
            with suppress(LongshoreError):
                self._give_back(snapshot, mode)
            raise
        self._give_back(snapshot, mode)

    @contextmanager
    def _served(self, proxy: ProxyMachine, disk: HeldDisk, mode: Mode) -> Iterator[Export]:
        what = f"The disk {disk.file} in the proxy"
        served = proxy.served()
        with tls_files(self._credentials, served.certificate) as tls:
            uri = served.uri(_wait_until_shown(served, disk, tls, mode), tls, mode)
            with reach(uri, name=what, last_words=lambda: _last_words(proxy)) as remote:
                if remote.size != disk.size:
                    raise ExportError(f"{what} has {remote.size} bytes, but {disk.size} in vCenter.")
                yield remote

    def _disks(self, snapshot: Snapshot, mode: Mode) -> list[HeldDisk]:
        """Return the disks to be attached, as vCenter tells them now. Raises NotFound, Conflict."""
        if mode is Mode.WRITING:
            return disks_of(writing.newest(self._session, snapshot))
        return held_disks(self._session, snapshot.machine_ref, snapshot.ref)

    def _require_same(self, snapshot: Snapshot, disks: Sequence[HeldDisk]) -> None:
        """Raise Conflict unless these are still the newest layers above the snapshot of a machine that is off."""
        if not set(disks) <= set(self._disks(snapshot, Mode.WRITING)):
            raise Conflict(f"The disks of {snapshot.machine_ref} aren't those that were to be written.", advice=_ANEW)

    def release(self, machine_ref: str, snapshot_ref: str) -> None:
        """Detach what somebody who died has left of a snapshot that is to be removed: while it is attached, nothing is
        merged. Raises Occupied (code file-locked) while it is used."""
        for mode, used in (Mode.READING, "read"), (Mode.WRITING, "written"):
            with self._lock:
                moment = self._moments.get((snapshot_ref, mode))
            if moment is not None:
                with moment.lock:
                    if moment.attached is not None:
                        raise _in_use(machine_ref, used)
        self.end_all()
        with suppress(NotFound):
            files = [disk.file for disk in held_disks(self._session, machine_ref, snapshot_ref)]
            files += newest_files(self._session, machine_ref)
            for proxy in self._proxies.all():
                with self._alone_with(proxy.ref):
                    proxy.detach(files)

    def free(self, machine_ref: str) -> None:
        """Detach what processes that died have left: nothing else is done with a machine whose disks could still be
        written. Raises Occupied (code file-locked) while this process writes them."""
        with self._lock:
            written = [one.machine_ref for (_, mode), one in self._moments.items() if mode is Mode.WRITING]
        if machine_ref in written:
            raise _in_use(machine_ref, "written")
        self.end_all()

    def make_ready_to_write(self) -> None:
        """Raise what stands against writing through any of the proxies: LongshoreError."""
        with_first(self._proxies.answering_first(), lambda proxy: _require_writing(self._set_up(proxy)))

    def make_ready(self) -> None:
        """Raise what stands against reading through any of the proxies: LongshoreError."""
        with_first(self._proxies.answering_first(), self._set_up)

    def _set_up(self, proxy: ProxyMachine) -> ServedDisks:
        with self._proxies.asking(proxy):
            return set_up(proxy, self._credentials)

    def end_quiet(self) -> None:
        """Do nothing: disks are detached as soon as nobody uses them."""

    def _take(self, snapshot: Snapshot, mode: Mode = Mode.READING) -> _Attached:
        """Return the attached disks of a snapshot, with one user more."""
        key = snapshot.ref, mode
        with self._lock:
            moment = self._moments.setdefault(key, _Moment(snapshot.machine_ref))
            moment.users += 1
        with moment.lock:
            if moment.attached is None:
                try:
                    moment.attached = self._attach(snapshot, mode)
                except BaseException:
                    self._leave(moment)
                    self._forget(key, moment)
                    raise
            return moment.attached

    def _give_back(self, snapshot: Snapshot, mode: Mode) -> None:
        """Detach the disks of a snapshot when nobody else uses them. Raises LongshoreError."""
        key = snapshot.ref, mode
        moment = self._moments[key]
        with moment.lock:
            attached = moment.attached
            if self._leave(moment) or attached is None:
                return
            moment.attached = None
            try:
                with self._alone_with(attached.proxy.ref):
                    attached.proxy.detach([disk.file for disk in attached.disks.values()])
            except LongshoreError as error:
                self._ledger.left(attached.owner, str(error))
                raise
            else:
                self._ledger.gone(attached.owner)
            finally:
                self._ours.discard(attached.owner)
                self._forget(key, moment)

    def _leave(self, moment: _Moment) -> int:
        """Return how many users are left without this one."""
        with self._lock:
            moment.users -= 1
            return moment.users

    def _forget(self, key: tuple[str, Mode], moment: _Moment) -> None:
        """Forget a moment that nobody uses or waits for any more."""
        with self._lock:
            if not moment.users:
                del self._moments[key]

    def _alone_with(self, proxy_ref: str) -> threading.Lock:
        """Return the lock that is held while this proxy is changed."""
        with self._lock:
            return self._changing.setdefault(proxy_ref, threading.Lock())

    def _attach(self, snapshot: Snapshot, mode: Mode) -> _Attached:
        """Attach the disks of a snapshot to the proxy that suits them best of those that take them."""
        disks = self._disks(snapshot, mode)
        job = snapshots.workflow_of(self._session, snapshot)
        self.end_all()
        ranks = self._proxies.ranked(disks, snapshot.machine_ref)

        def attach_to(proxy: ProxyMachine) -> _Attached:
            owner = Owner(job, f"{_STEPS[mode]}{snapshot.ref}-{proxy.ref}")
            if mode is Mode.READING and ranks[proxy].off_host and job not in self._warned:
                self._warned.add(job)
                self._ledger.say(owner, _OFF_HOST, "warning")
            return self._attach_to(proxy, snapshot, disks, mode, owner)

        return with_first(ranks, attach_to)

    def _attach_to(
        self, proxy: ProxyMachine, snapshot: Snapshot, disks: Sequence[HeldDisk], mode: Mode, owner: Owner
    ) -> _Attached:
        files = [disk.file for disk in disks]
        note = json.dumps([self._session.content.about.instanceUuid or "", proxy.ref, files])
        self._ours.add(owner)
        try:
            self._ledger.intend(owner, note)
            with self._alone_with(proxy.ref):
                proxy.detach(files)  # whoever attached them has died
                served = self._wait_until_forgotten(proxy, disks)
                if mode is Mode.WRITING:
                    _require_writing(served)
                proxy.attach(disks, mode)
            if mode is Mode.WRITING:
                # From now on nobody can power it on, or take a snapshot of it: that may have come before
                self._require_same(snapshot, disks)
            self._ledger.made(owner, note)
        except BaseException:
            self._ours.discard(owner)
            with suppress(LongshoreError):
                self._end(owner)
            raise
        return _Attached(proxy, owner, {disk.key: disk for disk in disks})

    def _wait_until_forgotten(self, proxy: ProxyMachine, disks: Sequence[HeldDisk]) -> ServedDisks:
        """Return where the proxy serves once it shows none of these disks: what it showed would be of an earlier
        moment. Raises ExportError."""
        names = {name for disk in disks for name in disk.names}
        end = time.monotonic() + SHOWN_WITHIN
        while True:
            with self._proxies.asking(proxy):
                served, shown = _wait_until_served(proxy, self._credentials, disks)
            if names.isdisjoint(shown):
                return served
            if time.monotonic() > end:
                raise ExportError(
                    "The proxy still shows a disk that was detached from it.", advice="Power it off and on again."
                )
            time.sleep(_LOOK_EVERY)

    def end_all(self) -> None:
        """Detach what is in the ledger and nobody's who lives: processes that died have left it attached, or this one
        couldn't detach it. What can't be is noted."""
        for owner in self._ledger.unsettled():
            if owner not in self._ours and not is_lease(self._ledger.note_of(owner)):
                with suppress(LongshoreError):
                    self._end(owner)

    def _end(self, owner: Owner) -> None:
        note = self._ledger.note_of(owner)
        try:
            with self._alone_with(_proxy_in(note)):
                let_go(self._session, note)
        except LongshoreError as error:
            self._ledger.left(owner, str(error))
            raise
        self._ledger.gone(owner)


def _in_use(machine_ref: str, used: str) -> Occupied:
    return Occupied(f"The disks of {machine_ref} are being {used} through a proxy.", code="file-locked")


def _require_writing(served: ServedDisks) -> None:
    if served.writes is None:
        raise InvalidInput(
            f"The proxy at {served.address} only lets disks be read: its image is of an earlier Longshore.",
            advice="Make one of this version's image (docs/howto/vsphere-proxy.md), and name it: --proxy MACHINE.",
        )


def _last_words(proxy: ProxyMachine) -> str:
    try:
        return f"the proxy is {proxy.power()}"
    except LongshoreError as error:
        return f"nor can the proxy be asked for: {error}"


def let_go(session: VsphereSession, note: str) -> None:
    """Detach what the ledger has a note of. Nothing to do for what isn't attached. Raises Conflict for a note of
    another vCenter, where the same references are of other machines."""
    if not note:
        return  # whoever died had attached nothing yet
    vcenter, proxy, files = read_json(note)
    if vcenter != (session.content.about.instanceUuid or ""):
        raise Conflict(f"{session.label} isn't the vCenter where {', '.join(files)} were attached to the proxy.")
    ProxyMachine(session, proxy).detach(files)


def _proxy_in(note: str) -> str:
    return str(read_json(note)[1]) if note else ""


def open_pool(settings: VsphereSettings, secrets: Mapping[str, str], ledger: RelayLedger) -> ProxyPool:
    """Open a pool with a session of its own, that outlives those of the transfers. Nothing is asked of the vCenter
    yet."""
    password = secrets["password"]
    return ProxyPool(VsphereSession(settings, lambda: password), read_credentials(secrets["proxy_key"]), ledger)


def set_up(proxy: ProxyMachine, credentials: Credentials) -> ServedDisks:
    """Set a proxy up, and return where it serves its disks once it lets us in. Raises LongshoreError."""
    return _wait_until_served(proxy, credentials)[0]


def _wait_until_served(
    proxy: ProxyMachine, credentials: Credentials, disks: Sequence[HeldDisk] = ()
) -> tuple[ServedDisks, list[str]]:
    """Return where a proxy serves, and what, for reading and for writing, once it lets us in: it takes up a new
    certificate within seconds, and one that was restarted says for a while where it has served before. `disks`: as for
    `prepare`. Raises LongshoreError."""
    end = time.monotonic() + SHOWN_WITHIN
    while True:
        served = proxy.prepare(disks)
        try:
            with tls_files(credentials, served.certificate) as tls:
                modes = Mode if served.writes is not None else (Mode.READING,)
                return served, [name for mode in modes for name in _served_at(served, tls, mode)]
        except ExportError:
            if time.monotonic() > end:
                raise
        time.sleep(_LOOK_EVERY)


def _served_at(served: ServedDisks, tls: Path, mode: Mode) -> list[str]:
    return list_exports(served.uri("", tls, mode), name=f"The proxy at {served.address}")


def _wait_until_shown(served: ServedDisks, disk: HeldDisk, tls: Path, mode: Mode) -> str:
    """Return the name that a disk is served under, once it is. Raises ExportError."""
    end = time.monotonic() + SHOWN_WITHIN
    while True:
        try:
            names = _served_at(served, tls, mode)
        except ExportError:
            if time.monotonic() > end:
                raise
            names = []
        if (found := next((name for name in disk.names if name in names), None)) is not None:
            return found
        if time.monotonic() > end:
            raise ExportError(
                f"{disk.file} was attached to the proxy, but didn't show there within {SHOWN_WITHIN:.0f} s.",
                advice="Look at the proxy's console: its kernel tells of each disk.",
            )
        time.sleep(_LOOK_EVERY)
