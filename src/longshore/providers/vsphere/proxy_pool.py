"""The disks that this process has attached to a provider's proxies, shared by all that read them.

All disks of a snapshot are attached at once, when the first of them is opened, to the proxy that suits them best of
those that take them, and detached when nobody reads any more. They are in the ledger before, with all that is needed to
detach them: so is what a dead process leaves, until whoever comes next detaches it. A proxy is changed by one thread at
a time.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pyVmomi import vim

from longshore.blocks.exports import Export
from longshore.blocks.remote import list_exports, reach
from longshore.errors import Conflict, ExportError, LongshoreError, NotFound, Occupied
from longshore.model.machine import Snapshot
from longshore.model.strict_reading import read_json
from longshore.model.target import Owner
from longshore.providers.contract import RelayLedger
from longshore.providers.vsphere import snapshots
from longshore.providers.vsphere.properties import read
from longshore.providers.vsphere.proxy_credentials import Credentials, read_credentials, tls_files
from longshore.providers.vsphere.proxy_machine import HeldDisk, ProxyMachine, Rank, Served, find_proxy, held_disks
from longshore.providers.vsphere.session import Session
from longshore.providers.vsphere.settings import VsphereSettings

SHOWN_WITHIN = 60.0  # seconds until a disk that was attached shows in the proxy, or one that was detached doesn't
_LOOK_EVERY = 0.2  # seconds
_STEP = "proxy-disks-"  # and the snapshot and the proxy: what the ledger calls them

_OFF_HOST = (
    "Disks are on NFS 3 and attached to a proxy on another host: by VMware's KB 2010953 the machine may stand still "
    "for half a minute when its snapshot is removed. A proxy on its own host avoids that."
)
_LAST = Rank(off_vsan=True, off_host=False, taken=0)
_Done = TypeVar("_Done")


@dataclass(frozen=True, slots=True)
class _Attached:
    proxy: ProxyMachine
    owner: Owner
    disks: dict[str, HeldDisk]  # by their keys


@dataclass(slots=True)
class _Moment:
    """A snapshot that somebody reads, or wants to."""

    lock: threading.Lock = field(default_factory=threading.Lock)  # held while its disks are attached or detached
    users: int = 0  # with those that wait for the lock
    attached: _Attached | None = None


class ProxyPool:
    """The attachments of one provider to its proxies, for several threads. Each provider of each installation has
    proxies of its own."""

    def __init__(self, session: Session, credentials: Credentials, ledger: RelayLedger) -> None:
        self._session = session
        self._credentials = credentials
        self._ledger = ledger
        self._lock = threading.Lock()  # of what is known here; nothing is asked while it is held
        self._moments: dict[str, _Moment] = {}  # by the snapshot
        self._changing: dict[str, threading.Lock] = {}  # by the proxy: held while it is changed
        self._ours: set[Owner] = set()  # of what is attached, or about to be, by this process
        self._found: dict[str, ProxyMachine] = {}  # by the settings' word for it
        self._warned: set[str] = set()  # jobs that were told of what may happen to their machine

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
        served = attached.proxy.served()
        with tls_files(self._credentials, served.certificate) as tls:
            uri = served.uri(_wait_until_shown(served, disk, tls), tls)
            with reach(uri, name=what, last_words=lambda: _last_words(attached.proxy)) as remote:
                if remote.size != disk.size:
                    raise ExportError(f"{what} has {remote.size} bytes, but {disk.size} in the snapshot.")
                yield remote
        if disk not in held_disks(self._session, snapshot.machine_ref, snapshot.ref):
            raise NotFound(f"{disk.file} was moved elsewhere while it was read.", advice="Start again.")

    def release(self, machine_ref: str, snapshot_ref: str) -> None:
        """Detach what somebody who died has left of a snapshot that is to be removed: while it is attached, nothing is
        merged. Raises Occupied (code file-locked) while it is read."""
        with self._lock:
            moment = self._moments.get(snapshot_ref)
        if moment is not None:
            with moment.lock:
                if moment.attached is not None:
                    raise Occupied(f"The disks of {machine_ref} are being read through a proxy.", code="file-locked")
        self._end_forgotten()
        with suppress(NotFound):
            files = [disk.file for disk in held_disks(self._session, machine_ref, snapshot_ref)]
            for proxy in self._proxies():
                with self._alone_with(proxy.ref):
                    proxy.detach(files)

    def make_ready(self) -> None:
        """Raise what stands against reading through any of the proxies: LongshoreError."""
        self._with_first(self._proxies(), lambda proxy: set_up(proxy, self._credentials))

    def end_quiet(self) -> None:
        """Do nothing: disks are detached as soon as nobody reads them."""

    def end_all(self) -> None:
        """Detach all that processes that died have left attached, and this one couldn't detach."""
        self._end_forgotten()

    def _proxies(self) -> list[ProxyMachine]:
        """Return the proxies that the settings name and vCenter has. Raises NotFound, Conflict when it has none."""

        def find(word: str) -> ProxyMachine:
            if word not in self._found:
                ref = find_proxy(self._session, word)
                self._found[word] = ProxyMachine(self._session, ref, self._credentials)
            return self._found[word]

        found: list[ProxyMachine] = []
        failed: list[LongshoreError] = []
        for word in self._session.settings.proxies:
            try:
                found.append(find(word))
            except (NotFound, Conflict) as error:
                failed.append(error)
        if not found:
            raise failed[0]
        return found

    def _with_first(self, proxies: Iterable[ProxyMachine], act: Callable[[ProxyMachine], _Done]) -> _Done:
        """Return what comes of the first proxy with which it doesn't fail. Raises LongshoreError when none is left; an
        Occupied before all others, for it passes."""
        failed: list[LongshoreError] = []
        for proxy in proxies:
            try:
                return act(proxy)
            except LongshoreError as error:
                failed.append(error)
        raise next((error for error in failed if isinstance(error, Occupied)), failed[0])

    def _take(self, snapshot: Snapshot) -> _Attached:
        """Return the attached disks of a snapshot, with one user more."""
        with self._lock:
            moment = self._moments.setdefault(snapshot.ref, _Moment())
            moment.users += 1
        with moment.lock:
            if moment.attached is None:
                try:
                    moment.attached = self._attach(snapshot)
                except BaseException:
                    self._leave(moment)
                    self._forget(snapshot.ref, moment)
                    raise
            return moment.attached

    def _give_back(self, snapshot: Snapshot) -> None:
        """Detach the disks of a snapshot when nobody else reads them. Raises LongshoreError."""
        moment = self._moments[snapshot.ref]
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
                self._forget(snapshot.ref, moment)

    def _leave(self, moment: _Moment) -> int:
        """Return how many users are left without this one."""
        with self._lock:
            moment.users -= 1
            return moment.users

    def _forget(self, snapshot_ref: str, moment: _Moment) -> None:
        """Forget a moment that nobody reads or waits for any more."""
        with self._lock:
            if not moment.users:
                del self._moments[snapshot_ref]

    def _alone_with(self, proxy_ref: str) -> threading.Lock:
        """Return the lock that is held while this proxy is changed."""
        with self._lock:
            return self._changing.setdefault(proxy_ref, threading.Lock())

    def _attach(self, snapshot: Snapshot) -> _Attached:
        """Attach the disks of a snapshot to the proxy that suits them best of those that take them."""
        disks = held_disks(self._session, snapshot.machine_ref, snapshot.ref)
        job = snapshots.workflow_of(self._session, snapshot)
        self._end_forgotten()
        ranks = self._ranked(disks, snapshot.machine_ref)

        def attach_to(proxy: ProxyMachine) -> _Attached:
            owner = Owner(job, f"{_STEP}{snapshot.ref}-{proxy.ref}")
            if ranks[proxy].off_host and job not in self._warned:
                self._warned.add(job)
                self._ledger.say(owner, _OFF_HOST, "warning")
            return self._attach_to(proxy, disks, owner)

        return self._with_first(ranks, attach_to)

    def _ranked(self, disks: Sequence[HeldDisk], machine_ref: str) -> dict[ProxyMachine, Rank]:
        """Return the proxies and how well they suit these disks, the best first."""
        with self._session.doing(f"look where {machine_ref} runs"):
            machine = self._session.object(vim.VirtualMachine, machine_ref)
            host = read(self._session, machine, ["runtime.host"])["runtime.host"]
        found: dict[ProxyMachine, Rank] = {}
        for proxy in self._proxies():
            try:
                found[proxy] = proxy.rank(disks, host)
            except LongshoreError:  # which is said by whoever tries to attach something
                found[proxy] = _LAST
                self._found.clear()  # it may have been made anew
        return dict(sorted(found.items(), key=lambda one: one[1]))

    def _attach_to(self, proxy: ProxyMachine, disks: Sequence[HeldDisk], owner: Owner) -> _Attached:
        files = [disk.file for disk in disks]
        note = json.dumps([self._session.content.about.instanceUuid or "", proxy.ref, files])
        self._ours.add(owner)
        try:
            self._ledger.intend(owner, note)
            with self._alone_with(proxy.ref):
                proxy.detach(files)  # whoever attached them has died
                self._wait_until_forgotten(proxy, disks)
                proxy.attach(disks)
            self._ledger.made(owner, note)
        except BaseException:
            self._ours.discard(owner)
            with suppress(LongshoreError):
                self._end(owner)
            raise
        return _Attached(proxy, owner, {disk.key: disk for disk in disks})

    def _wait_until_forgotten(self, proxy: ProxyMachine, disks: Sequence[HeldDisk]) -> None:
        """Wait until the proxy shows none of these disks: what it showed would be of an earlier moment. Raises
        ExportError."""
        names = {name for disk in disks for name in disk.names}
        end = time.monotonic() + SHOWN_WITHIN
        while names.intersection(_wait_until_served(proxy, self._credentials, disks)[1]):
            if time.monotonic() > end:
                raise ExportError(
                    "The proxy still shows a disk that was detached from it.", advice="Power it off and on again."
                )
            time.sleep(_LOOK_EVERY)

    def _end_forgotten(self) -> None:
        """Detach what is in the ledger and nobody's who lives. What can't be is noted."""
        for owner in self._ledger.unsettled():
            if owner not in self._ours:
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


def _last_words(proxy: ProxyMachine) -> str:
    try:
        return f"the proxy is {proxy.power()}"
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


def _proxy_in(note: str) -> str:
    return str(read_json(note)[1]) if note else ""


def open_pool(settings: VsphereSettings, secrets: Mapping[str, str], ledger: RelayLedger) -> ProxyPool:
    """Open a pool with a session of its own, that outlives those of the transfers. Nothing is asked of the vCenter
    yet."""
    password = secrets["password"]
    return ProxyPool(Session(settings, lambda: password), read_credentials(secrets["proxy_key"]), ledger)


def set_up(proxy: ProxyMachine, credentials: Credentials) -> Served:
    """Set a proxy up, and return where it serves its disks once it lets us in. Raises LongshoreError."""
    return _wait_until_served(proxy, credentials)[0]


def _wait_until_served(
    proxy: ProxyMachine, credentials: Credentials, disks: Sequence[HeldDisk] = ()
) -> tuple[Served, list[str]]:
    """Return where a proxy serves, and what, once it lets us in: it takes up a new certificate within seconds, and one
    that was restarted says for a while where it has served before. `disks`: as for `prepare`. Raises LongshoreError."""
    end = time.monotonic() + SHOWN_WITHIN
    while True:
        served = proxy.prepare(disks)
        try:
            with tls_files(credentials, served.certificate) as tls:
                return served, _served_at(served, tls)
        except ExportError:
            if time.monotonic() > end:
                raise
        time.sleep(_LOOK_EVERY)


def _served_at(served: Served, tls: Path) -> list[str]:
    return list_exports(served.uri("", tls), name=f"The proxy at {served.address}")


def _wait_until_shown(served: Served, disk: HeldDisk, tls: Path) -> str:
    """Return the name that a disk is served under, once it is. Raises ExportError."""
    end = time.monotonic() + SHOWN_WITHIN
    while True:
        try:
            names = _served_at(served, tls)
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
