"""Leases for downloading disks over HTTPS (ExportVm, ExportSnapshot).

As VMware documents it: while one is held, its machine is neither powered on, nor moved or deleted; one that nobody
renews ends by itself. Each disk is sent as a whole, ranges aren't heeded, and only what was sent whole is in the
manifest. As others report it of vSAN: of a second disk of one lease nothing is sent.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from .managed import ApiFault, Call, ManagedObject, fill, soap_method
from .stream_vmdk import stream

if TYPE_CHECKING:
    from .hardware import DiskView
    from .machine_view import MachineView


class Lease(ManagedObject):
    vim_type = vim.HttpNfcLease
    prefix = "session-lease"

    def __init__(self, machine: MachineView, disks: dict[int, list[str]]) -> None:
        """Begin a lease of these disks: by device key their layers, oldest first."""
        super().__init__(machine.context, state="initializing", initializeProgress=0, transferProgress=0)
        self.machine = machine
        self._layers = disks
        self._asked: list[str] = []  # keys of disks that somebody has fetched, whole or not
        self._sent: dict[str, Any] = {}  # entries of the manifest
        self._renewed = time.monotonic()
        threading.Thread(target=self._live, name=self.moid, daemon=True).start()

    @property
    def is_open(self) -> bool:
        return self.get("state") in ("initializing", "ready")

    def _live(self) -> None:
        trouble, settings = self.context.exports, self.context.settings
        where = trouble.host or f"*:{settings.port}"
        urls = [
            fill(
                vim.HttpNfcLease.DeviceUrl(
                    key=self._key(disk), importKey="", disk=True, targetId=f"disk-{number}.vmdk",
                    url=f"https://{where}/nfc/{self.moid}/disk-{number}.vmdk",
                    sslThumbprint=trouble.thumbprint or settings.thumbprint,
                )
            )
            for number, disk in enumerate(self.machine.disks)
        ]  # fmt: skip
        info = vim.HttpNfcLease.Info(
            lease=self.ref, entity=self.machine.ref, deviceUrl=urls[::-1], leaseTimeout=int(self.context.lease_seconds),
            totalDiskCapacityInKB=sum(disk.capacity for disk in self.machine.disks) >> 10,
        )  # fmt: skip
        self.set(info=fill(info), state="ready", initializeProgress=100)
        while self.is_open:
            time.sleep(0.05)
            if time.monotonic() - self._renewed > self.context.lease_seconds:
                self._end("error", vim.fault.Timedout(msg="Nobody has renewed the lease."))

    def _key(self, disk: DiskView) -> str:
        devices = {device.key: device for device in self.machine.properties["config"].hardware.device}
        found = devices[disk.key]
        controller = devices[found.controllerKey]
        return f"/{self.machine.moid}/{controller._wsdlName}{controller.busNumber}:{found.unitNumber}"

    def send(self, name: str) -> Iterator[bytes]:
        """Yield what is sent of a disk. KeyError: there is none of this name."""
        names = {f"disk-{number}.vmdk": disk for number, disk in enumerate(self.machine.disks)}
        disk = names[name]
        return self._send(disk, self._key(disk))

    def _send(self, disk: DiskView, key: str) -> Iterator[bytes]:
        trouble = self.context.exports
        with self.context.changed:
            nothing = trouble.empty > 0 or any(asked != key for asked in self._asked)
            cut = trouble.cut_after if trouble.cuts > 0 else 0
            wrong = trouble.damaged > 0
            trouble.empty, trouble.cuts = max(trouble.empty - 1, 0), max(trouble.cuts - 1, 0)
            trouble.damaged = max(trouble.damaged - 1, 0)
            self._asked.append(key)
        if nothing:
            return
        layers = self._layers[disk.key]
        form = "qcow2" if layers[-1].endswith(".qcow2") else "raw"
        sent, old, new = 0, hashlib.sha1(), hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=self.context.settings.datastores) as raw:
            subprocess.run(
                ["qemu-img", "convert", "-U", "-f", form, "-O", "raw", layers[-1], raw.name],
                check=True, capture_output=True,
            )  # fmt: skip
            for piece in stream(Path(raw.name), disk.capacity):
                if not self.is_open:
                    raise ConnectionAbortedError("the lease has ended")
                if cut and sent + len(piece) > cut:
                    yield piece[: cut - sent]
                    return
                time.sleep(trouble.slow)
                old.update(piece)
                new.update(piece)
                sent += len(piece)
                yield piece
        entry = vim.HttpNfcLease.ManifestEntry(key=key, sha1="", size=sent, disk=True, capacity=disk.capacity)
        if trouble.sha256:
            entry.checksum, entry.checksumType = new.hexdigest(), "sha256"
        else:
            entry.sha1 = hashlib.sha1().hexdigest() if wrong else old.hexdigest()
        self._sent[key] = fill(entry)

    @soap_method("HttpNfcLeaseGetManifest")
    def manifest(self, call: Call) -> Any:
        self._refuse_ended()
        return [] if self.context.exports.silent else list(self._sent.values())

    @soap_method("HttpNfcLeaseProgress")
    def progress(self, call: Call) -> None:
        self._refuse_ended()
        self._renewed = time.monotonic()
        self.set(transferProgress=call["percent"])

    @soap_method("HttpNfcLeaseComplete")
    def complete(self, call: Call) -> None:
        self._refuse_ended()
        self._end("done", None)

    @soap_method("HttpNfcLeaseAbort")
    def abort(self, call: Call) -> None:
        self._refuse_ended()
        self._end("error", None)

    def _refuse_ended(self) -> None:
        if not self.is_open:
            raise ApiFault(vim.fault.Timedout(), "The lease has ended.")

    def _end(self, state: str, fault: Any) -> None:
        with self.context.changed:
            if self.is_open:
                self.set(state=state, error=fill(fault) if fault is not None else None)
