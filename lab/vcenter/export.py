"""Leases for downloading disks over HTTPS (ExportVm, ExportSnapshot)."""

from __future__ import annotations

import logging
import subprocess
import threading
from pathlib import Path

from pyVmomi import vim, vmodl

from .managed import Call, ManagedObject, fill, soap_method

log = logging.getLogger(__name__)
LEASE_SECONDS = 300


class Lease(ManagedObject):
    """A lease: initializing until the stream-optimized images are made, then ready, as the real one."""

    vim_type = vim.HttpNfcLease
    prefix = "session-lease"

    def __init__(self, entity: ManagedObject, disks: dict[int, list[str]], capacity: int) -> None:
        """`disks`: device key -> layers, oldest first; `capacity` of all disks, bytes."""
        super().__init__(entity.context, state="initializing", initializeProgress=0, transferProgress=0)
        self.entity = entity
        self.files: dict[str, Path] = {}
        threading.Thread(target=self._prepare, args=(disks, capacity), daemon=True).start()

    def _prepare(self, disks: dict[int, list[str]], capacity: int) -> None:
        settings = self.context.settings
        urls = []
        try:
            for number, (key, layers) in enumerate(disks.items()):
                name = f"disk-{number}.vmdk"
                made = settings.datastores / f"{self.moid}-{name}"
                source = "qcow2" if layers[-1].endswith(".qcow2") else "raw"
                subprocess.run(
                    ["qemu-img", "convert", "-U", "-f", source, "-O", "vmdk", "-o", "subformat=streamOptimized",
                     layers[-1], str(made)],
                    check=True, capture_output=True,
                )  # fmt: skip
                self.files[name] = made
                urls.append(
                    fill(
                        vim.HttpNfcLease.DeviceUrl(
                            key=f"/{self.entity.moid}/{key}", importKey="", disk=True, targetId=name,
                            url=f"https://*:{settings.port}/nfc/{self.moid}/{name}", sslThumbprint=settings.thumbprint,
                            fileSize=made.stat().st_size,
                        )
                    )
                )  # fmt: skip
                self.set(initializeProgress=100 * (number + 1) // len(disks))
        except (OSError, subprocess.CalledProcessError) as error:
            log.exception("%s: export failed", self.moid)
            fault = vmodl.fault.SystemError(reason=repr(error), msg="The disks could not be exported.")
            self.set(error=fill(fault), state="error")
            return
        info = vim.HttpNfcLease.Info(
            lease=self.ref, entity=self.entity.ref, deviceUrl=urls, totalDiskCapacityInKB=capacity >> 10,
            leaseTimeout=LEASE_SECONDS,
        )  # fmt: skip
        self.set(info=fill(info), state="ready")

    @property
    def is_open(self) -> bool:
        return self.get("state") in ("initializing", "ready")

    @soap_method("HttpNfcLeaseProgress")
    def progress(self, call: Call) -> None:
        self.set(transferProgress=call["percent"])

    @soap_method("HttpNfcLeaseComplete")
    def complete(self, call: Call) -> None:
        self._end("done")

    @soap_method("HttpNfcLeaseAbort")
    def abort(self, call: Call) -> None:
        self._end("error")

    def _end(self, state: str) -> None:
        self.set(state=state)
        while self.files:
            self.files.popitem()[1].unlink(missing_ok=True)
