"""Machines that are taken in with their disks (ImportVApp), which are uploaded while a lease lasts.

As VMware documents it: the machine is there from the beginning, and nothing else may be done to it until the lease is
completed. One that is given up, or that nobody renews in time, takes all of it back.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from .managed import ApiFault, Call, ManagedObject, fill, soap_method

if TYPE_CHECKING:
    from .virtual_machine import VirtualMachine

STREAM = "application/x-vnd.vmware-streamVmdk"


class ImportLease(ManagedObject):
    vim_type = vim.HttpNfcLease
    prefix = "session-lease"

    def __init__(self, machine: VirtualMachine) -> None:
        super().__init__(machine.context, state="initializing", initializeProgress=0, transferProgress=0)
        self.machine = machine
        self._renewed = time.monotonic()
        machine.importing = self
        threading.Thread(target=self._live, name=self.moid, daemon=True).start()

    @property
    def is_open(self) -> bool:
        return self.get("state") in ("initializing", "ready")

    def _live(self) -> None:
        settings = self.context.settings
        urls = [
            fill(
                vim.HttpNfcLease.DeviceUrl(
                    key=f"/{self.machine.moid}/{disk.key}", importKey=f"/{self.machine.spec.name}/{disk.key}",
                    disk=True, targetId=f"disk-{number}.vmdk", sslThumbprint=settings.thumbprint,
                    url=f"https://*:{settings.port}/nfc/{self.moid}/{disk.key}",
                )
            )
            for number, disk in enumerate(self.machine.disks)
        ]  # fmt: skip
        info = vim.HttpNfcLease.Info(
            lease=self.ref, entity=self.machine.ref, deviceUrl=urls, leaseTimeout=int(self.context.lease_seconds),
            totalDiskCapacityInKB=sum(disk.capacity for disk in self.machine.disks) >> 10,
        )  # fmt: skip
        self.set(info=fill(info), state="ready")
        while self.is_open:
            time.sleep(0.05)
            if time.monotonic() - self._renewed > self.context.lease_seconds:
                self._give_up(vim.fault.Timedout(msg="Nobody has renewed the lease."))

    def take(self, key: str, kind: str, content: bytes) -> int:
        """Take a disk that is uploaded, and return the status of HTTP."""
        disk = next((one for one in self.machine.disks if str(one.key) == key), None)
        if disk is None or not self.is_open:
            return 404
        place = self.uploaded(disk.key)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        told = subprocess.run(
            ["qemu-img", "info", "--output=json", "-f", "vmdk", str(place)], capture_output=True, check=False
        )
        said = json.loads(told.stdout or "{}")
        form = said.get("format-specific", {}).get("data", {}).get("create-type")
        if kind != STREAM or said.get("virtual-size") != disk.capacity or form != "streamOptimized":
            place.unlink()
            self._give_up(vim.fault.InvalidState(msg="The disk is not what was announced."))
            return 500
        return 201

    def uploaded(self, key: int) -> Path:
        return self.context.settings.lab / "run" / "imported" / f"{self.machine.spec.name}-{key}.vmdk"

    @soap_method("HttpNfcLeaseProgress")
    def progress(self, call: Call) -> None:
        self._refuse_ended()
        self._renewed = time.monotonic()
        self.set(transferProgress=call["percent"])

    @soap_method("HttpNfcLeaseComplete")
    def complete(self, call: Call) -> None:
        self._refuse_ended()
        if not all(self.uploaded(disk.key).exists() for disk in self.machine.disks):
            raise ApiFault(vim.fault.InvalidState(), "Not all disks were uploaded.")
        self.machine.importing = None
        self.set(state="done")

    @soap_method("HttpNfcLeaseAbort")
    def abort(self, call: Call) -> None:
        self._refuse_ended()
        self._give_up(None)

    def _refuse_ended(self) -> None:
        if not self.is_open:
            raise ApiFault(vim.fault.Timedout(), "The lease has ended.")

    def _give_up(self, fault: Any) -> None:
        with self.context.changed:
            if not self.is_open:
                return
            self.set(state="error", error=fill(fault) if fault is not None else None)
        for disk in self.machine.disks:
            self.uploaded(disk.key).unlink(missing_ok=True)
        self.context.inventory.remove(self.machine)
