"""Disks of snapshots that vSphere itself sends over HTTPS while a lease is held (ExportSnapshot): without VMware's
library, and without a machine of ours beside them.

A lease sends each disk once, compressed, from its beginning to its end; no part of it can be asked for. While it is
held, vSphere lets the machine neither be powered on, nor moved or deleted. So it is in the ledger before it exists,
with what is needed to end it, and whoever comes next ends what a dead process has left. One of which nobody has
learned the reference ends when nobody renews it: until then its snapshot is Occupied, which is said and waited for.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyVmomi import vim, vmodl

from longshore.blocks.endpoints import connect
from longshore.blocks.exports import LocalExport, serve_own
from longshore.errors import (
    CheckpointMisfit,
    Conflict,
    CopyError,
    ExportError,
    LongshoreError,
    NotFound,
    Occupied,
    Unreachable,
)
from longshore.model.machine import Snapshot
from longshore.model.strict_reading import read_json
from longshore.model.target import Owner
from longshore.processes.private import private_directory
from longshore.providers.contract import RelayLedger
from longshore.providers.vsphere import leases, snapshots
from longshore.providers.vsphere.grains import SECTOR
from longshore.providers.vsphere.properties import read
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.settings import VsphereSettings

TOLD_WITHIN = 30.0  # seconds until vSphere has told what it has sent, once all of it is here
_LOOK_EVERY = 0.5  # seconds
_STEP = "export-lease-"  # what the ledger calls them, followed by the snapshot and the disk
_OPEN = (vim.HttpNfcLease.State.initializing, vim.HttpNfcLease.State.ready)
_STREAM_SERVER = "longshore.providers.vsphere.stream_server"


class ExportLeases:
    """The leases by which this process reads a provider's disks, for several threads."""

    def __init__(self, session: VsphereSession, ledger: RelayLedger) -> None:
        self._session = session
        self._ledger = ledger
        self._lock = threading.Lock()
        self._ours: dict[Owner, str] = {}  # the snapshots of those that are held, or about to be, by this process

    @contextmanager
    def open(self, snapshot: Snapshot, disk_key: str) -> Iterator[LocalExport]:
        """Serve a disk as the snapshot holds it, to be read from its beginning to its end. Raises as the contract's
        `open_disk`, and Occupied while the snapshot may still be exported for somebody who died; when it is left,
        ExportError (or CheckpointMisfit, for what was copied is worth nothing) where what has come isn't what vSphere
        says it has sent."""
        disk = snapshot.disk(disk_key)
        what = f"the disk {disk.location} of {snapshot.machine_ref}"
        self.end_all(needed=snapshot.ref)
        owner = Owner(snapshots.workflow_of(self._session, snapshot), f"{_STEP}{snapshot.ref}-{disk_key}")
        with private_directory() as directory:
            outcome = directory / "outcome"
            with self._held(owner, snapshot, what, lambda: _percent(outcome)) as (lease, info):
                place = _place(self._session, info, snapshot, disk_key, what)
                with _served(self._session, place, disk.size, what, outcome) as export:
                    yield export
                    _read_to_the_end(export, disk.size)
                    self._compare(lease, place.key, read_json(outcome.read_text()), disk.size, what)

    @contextmanager
    def _held(self, owner: Owner, snapshot: Snapshot, what: str, done: Callable[[], int]) -> Iterator[tuple[Any, Any]]:
        """Hold a lease of a snapshot, and complete it, or give it up where something fails. Yield it and its info."""
        with self._lock:
            self._ours[owner] = snapshot.ref
        try:
            lease = self._begin(owner, snapshot, what)
            try:
                with ExitStack() as stack:
                    with self._session.doing(f"export {what}"):
                        info = stack.enter_context(leases.held(self._session, lease, done))
                    yield lease, info
                    with self._session.doing(f"end the export of {what}"):
                        stack.close()
            except BaseException:
                with suppress(LongshoreError):
                    self._end(owner)
                raise
            self._ledger.gone(owner)
        finally:
            with self._lock:
                del self._ours[owner]

    def _begin(self, owner: Owner, snapshot: Snapshot, what: str) -> Any:
        """Ask for a lease, which is in the ledger before. Raises LongshoreError."""
        said = {"vcenter": self._session.content.about.instanceUuid or "", "lease": "", "since": time.time()}
        self._ledger.intend(owner, json.dumps(said))
        try:
            with self._session.doing(f"export {what}"):
                lease = self._session.object(vim.vm.Snapshot, snapshot.ref).ExportSnapshot()
        except Unreachable as error:  # its answer may be lost: whoever comes next waits until that lease has ended
            self._ledger.left(owner, str(error))
            raise
        except LongshoreError:
            self._ledger.gone(owner)
            raise
        self._ledger.made(owner, json.dumps(said | {"lease": lease._moId}))
        return lease

    def _compare(self, lease: Any, key: str, came: dict[str, Any], size: int, what: str) -> None:
        """Compare what has come with what vSphere says it has sent: it says so when all is sent."""
        end = time.monotonic() + TOLD_WITHIN
        while True:
            with self._session.doing(f"tell what it has sent of {what}"):
                sent = next((one for one in lease.HttpNfcLeaseGetManifest() or [] if one.key == key), None)
            if sent is not None and (sent.sha1 or sent.checksum):
                break
            if time.monotonic() > end:
                raise ExportError(
                    f"{self._session.label} doesn't say what it has sent of {what}: whether it is right isn't known.",
                    advice="Read this machine's disks through a proxy, or by VMware's disk library.",
                )
            time.sleep(_LOOK_EVERY)
        kind = (sent.checksumType or "").upper().replace("SHA256", "SHA-256").replace("SHA1", "SHA-1")
        told = {"SHA-1": sent.sha1, kind: sent.checksum}
        pairs = [(came[name], digest.lower()) for name, digest in told.items() if digest and name in came]
        if not pairs or any(one != other for one, other in pairs) or (sent.size and sent.size != came["size"]):
            raise CheckpointMisfit(
                f"{self._session.label} says that it has sent something else of {what} than what has come."
            )
        if sent.capacity and sent.capacity != size:
            raise CheckpointMisfit(f"{self._session.label} says that {what} has {sent.capacity} bytes, and not {size}.")

    def release(self, machine_ref: str, snapshot_ref: str) -> None:
        """End what somebody who died has left of a snapshot that is to be removed. Raises Occupied (code file-locked)
        while this process reads it, Occupied while it may still be exported for somebody who died."""
        with self._lock:
            if snapshot_ref in self._ours.values():
                raise Occupied(f"The disks of {machine_ref} are being exported.", code="file-locked")
        self.end_all(needed=snapshot_ref)

    def end_quiet(self) -> None:
        """Do nothing: leases end as soon as nobody uses them."""

    def end_all(self, needed: str = "") -> None:
        """End all leases that processes which died have left, and this one couldn't end, if that can be done now; raise
        Occupied where one of the snapshot of this reference can't be ended yet."""
        for owner in self._ledger.unsettled():
            with self._lock:
                ours = owner in self._ours
            if not ours and is_lease(self._ledger.note_of(owner)):
                try:
                    self._end(owner)
                except LongshoreError as error:
                    if isinstance(error, Occupied) and needed and owner.step.startswith(f"{_STEP}{needed}-"):
                        raise

    def _end(self, owner: Owner) -> None:
        try:
            end_lease(self._session, self._ledger.note_of(owner))
        except LongshoreError as error:
            self._ledger.left(owner, str(error))
            raise
        self._ledger.gone(owner)


def end_lease(session: VsphereSession, note: str) -> None:
    """End the lease that the ledger has a note of; one that has ended is left alone.

    Raises Occupied as long as there may be one that nobody knows, Conflict for a note of another vCenter, where the
    same references are of other things.
    """
    if not note:
        return  # whoever died hadn't asked for one yet
    said = read_json(note)
    if said["vcenter"] != (session.content.about.instanceUuid or ""):
        raise Conflict(f"{session.label} isn't the vCenter where the disks were exported.")
    if not said["lease"]:
        left = said["since"] + leases.ENDS_WITHIN - time.time()
        if 0 < left <= leases.ENDS_WITHIN:  # else somebody has set the clock
            raise Occupied(
                f"{session.label} may still be exporting a disk for a process that died, or lost touch with it, before "
                f"it was told of that: this ends by itself in {left:.0f} s at the latest.",
                advice="Wait until then.",
            )
        return
    with session.doing("give up the export of disks"):
        lease = session.object(vim.HttpNfcLease, said["lease"])
        with suppress(vmodl.fault.ManagedObjectNotFound, vim.fault.Timedout, vim.fault.InvalidState):
            if read(session, lease, ["state"])["state"] in _OPEN:
                lease.HttpNfcLeaseAbort()


def is_lease(note: str) -> bool:
    """Tell whether the ledger's note is of a lease: of a provider that had a proxy before, or has one since, others are
    of what is attached to that."""
    return bool(note) and isinstance(read_json(note), dict)


def open_leases(settings: VsphereSettings, secrets: Mapping[str, str], ledger: RelayLedger) -> ExportLeases:
    """Open leases with a session of its own, that outlives those of the transfers. Nothing is asked of the vCenter
    yet."""
    password = secrets["password"]
    return ExportLeases(VsphereSession(settings, lambda: password), ledger)


def _place(session: VsphereSession, info: Any, snapshot: Snapshot, disk_key: str, what: str) -> Any:
    """Return the place where a lease sends a disk: vSphere calls it by its controller and number there, and promises no
    order."""
    with session.doing(f"tell where {what} is"):
        held = snapshots.held_devices(session, snapshot.machine_ref, snapshot.ref)
    devices = {str(device.key): device for device in held}
    if disk_key not in devices:
        raise NotFound(f"The snapshot {snapshot.name} doesn't hold {what} any more.")
    disk = devices[disk_key]
    controller = devices[str(disk.controllerKey)]
    wanted = f"{controller._wsdlName}{controller.busNumber}:{disk.unitNumber}"
    disks = [one for one in info.deviceUrl or [] if one.disk]
    found = [one for one in disks if one.key.rpartition("/")[2] == wanted]
    if len(found) != 1:
        there = ", ".join(one.key for one in disks) or "none"
        raise ExportError(
            f"{session.label} doesn't say which of what it sends is {what} ({wanted}; there are {there}).",
            advice="Read this machine's disks through a proxy, or by VMware's disk library.",
        )
    return found[0]


@contextmanager
def _served(session: VsphereSession, place: Any, size: int, what: str, outcome: Path) -> Iterator[LocalExport]:
    """Serve what is sent at a place. `outcome`: the file into which goes how much has come, and what is known of it
    once that is all."""
    where = leases.find(session, place)
    reach = session.settings.reach
    told = {
        **{"host": where.host, "port": where.port, "target": where.target, "fingerprint": where.fingerprint},
        **{"reach": None if reach is None else asdict(reach), "size": size, "outcome": str(outcome)},
    }
    try:
        command = [sys.executable, "-m", _STREAM_SERVER]
        with serve_own(f"the export of {what}", command, json.dumps(told)) as export:
            yield export
    except (CopyError, ExportError) as error:
        said = read_json(outcome.read_text()) if outcome.exists() else {}
        if "error" not in said:
            raise
        message = f"{what[0].upper()}{what[1:]} can't be read on: {said['error']}"
        raise ExportError(message, advice=said["advice"], code=said["code"]) from error


def _percent(outcome: Path) -> int:
    """Return how much of a hundred has come."""
    return int(read_json(outcome.read_text()).get("percent", 0)) if outcome.exists() else 0


def _read_to_the_end(export: LocalExport, size: int) -> None:
    """Have all of the stream come in, also what nobody has asked for."""
    import nbd

    export.check()
    handle = connect(export.uri)
    try:
        handle.pread(SECTOR, size - SECTOR)
        handle.shutdown()
    except nbd.Error as error:
        export.check()
        raise ExportError(f"{export.name} didn't come to its end: {error.string}.") from None
