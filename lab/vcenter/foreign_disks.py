"""Disks of other machines that are attached to one, as a proxy has them: by VMware's rules.

Who attaches names a file that is there. A snapshot's file may be attached to several machines, in a mode that doesn't
write; what a machine writes, or another one may write, is locked. In a mode that writes nobody else may have the file:
the machine can't be powered on, nor a snapshot of it be taken, until it is detached. No tracking sees what is written
so, and change ids from before mean nothing. While a disk is attached, none of its files is merged or deleted. All
changes of one call are made or none is. They don't outlive the vCenter's process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from .hardware import FIRST_DISK, SCSI_CONTROLLER
from .managed import ApiFault

if TYPE_CHECKING:
    from .virtual_machine import VirtualMachine

Device = vim.vm.device
NOT_WRITING = ("independent_nonpersistent", "nonpersistent")
IDE_CONTROLLERS = (200, 201)
UNITS = 16  # of a SCSI controller, with its own


@dataclass
class ForeignDisk:
    """A disk that is attached: the name of its file, and the layers that it is read from, oldest first."""

    controller: int
    unit: int
    name: str
    mode: str
    capacity: int
    uuid: str
    datastore: Any
    layers: list[str]
    owner: VirtualMachine
    """The machine whose disk it is."""
    locks: list[int] = field(default_factory=list)
    """Descriptors of its layers, which hold their locks."""
    carrying: threading.Lock = field(default_factory=threading.Lock)
    """Held while what the guest has written is carried back, which the end of the guest and a detaching both do."""
    shown: Path | None = None
    """The file in which the guest shows it, once it does."""

    @property
    def key(self) -> int:
        return FIRST_DISK + UNITS * (self.controller - SCSI_CONTROLLER) + self.unit

    def device(self) -> Any:
        return Device.VirtualDisk(
            key=self.key,
            deviceInfo=vim.Description(label=f"Hard disk {self.key - FIRST_DISK + 1}", summary=f"{self.capacity} B"),
            controllerKey=self.controller,
            unitNumber=self.unit,
            capacityInKB=self.capacity >> 10,
            capacityInBytes=self.capacity,
            backing=Device.VirtualDisk.FlatVer2BackingInfo(
                fileName=self.name, datastore=self.datastore, diskMode=self.mode, uuid=self.uuid, split=False,
                thinProvisioned=True, writeThrough=False,
            ),
        )  # fmt: skip

    def lock(self) -> None:
        """Raises ApiFault when somebody has it in a way that doesn't go with this one."""
        for layer in self.layers:
            alone = layer == self.layers[-1] and self.writes
            descriptor = os.open(layer, os.O_RDONLY | os.O_CLOEXEC)
            self.locks.append(descriptor)
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                self.let_go()
                raise locked(self.name) from None

    @property
    def writes(self) -> bool:
        return self.mode not in NOT_WRITING

    def carry_back(self) -> None:
        """Put what the guest has written into the disk's newest layer, which holds what differs from the one below."""
        with self.carrying:
            if self.locks and self.writes and self.shown is not None and self.shown.exists():
                self._carry_back(self.shown)

    def _carry_back(self, shown: Path) -> None:
        os.truncate(shown, self.capacity)
        top = self.layers[-1]
        if len(self.layers) == 1:
            _qemu_img("convert", "-n", "-f", "raw", "-O", "raw", str(shown), top)
            return
        new, below = f"{top}.back", self.layers[-2]
        form = "raw" if len(self.layers) == 2 else "qcow2"
        _qemu_img("create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(shown), new)
        _qemu_img("rebase", "-q", "-U", "-f", "qcow2", "-F", form, "-b", below, new)
        shutil.copyfile(new, top)  # the same file as before, which is locked
        os.unlink(new)

    def let_go(self) -> None:
        with self.carrying:
            while self.locks:
                os.close(self.locks.pop())

    def destroy(self) -> None:
        """Delete its file, as a change with the file operation `destroy` does, and the end of the machine."""
        self.let_go()
        Path(self.layers[-1]).unlink(missing_ok=True)


def locked(name: str) -> ApiFault:
    return ApiFault(vim.fault.FileLocked(file=name), "Unable to access file since it is locked")


def is_of_disk(change: Any) -> bool:
    return isinstance(change.device, Device.VirtualDisk) and change.operation in ("add", "remove")


def changed(machine: VirtualMachine, changes: Sequence[Any]) -> list[ForeignDisk]:
    """Return the disks that a machine has after all of these changes. Raises ApiFault, and then none was made."""
    have, made = list(machine.foreign), []
    removed: list[tuple[ForeignDisk, bool]] = []
    try:
        for index, change in enumerate(changes):
            if change.operation == "add":
                have.append(_added(machine, have, change, index))
                made.append(have[-1])
                continue
            found = next((disk for disk in have if disk.key == change.device.key), None)
            if found is None:
                raise _invalid(index)
            have.remove(found)
            removed.append((found, change.fileOperation == "destroy"))
    except ApiFault:
        for disk in made:
            disk.let_go()
        raise
    for disk in made:
        if disk.writes:
            disk.owner.forget_changes()
    for disk, destroyed in removed:
        disk.carry_back()
        disk.destroy() if destroyed else disk.let_go()
    return have


def _qemu_img(*words: str) -> None:
    subprocess.run(["qemu-img", *words], check=True, capture_output=True)


def _invalid(index: int) -> ApiFault:
    fault = vim.fault.InvalidDeviceSpec(property=f"virtualDeviceSpec.device[{index}]", deviceIndex=index)
    return ApiFault(fault, f"Invalid configuration for device '{index}'.")


def _added(machine: VirtualMachine, have: Sequence[ForeignDisk], change: Any, index: int) -> ForeignDisk:
    asked = change.device
    if change.fileOperation is not None:
        raise ApiFault(vim.fault.FileAlreadyExists(file=asked.backing.fileName), "The file exists already.")
    if type(asked.backing) is not Device.VirtualDisk.FlatVer2BackingInfo:
        raise ApiFault(
            vim.fault.DeviceUnsupportedForVmPlatform(deviceIndex=index), f"Device '{index}' isn't supported."
        )
    if asked.controllerKey in IDE_CONTROLLERS and machine.powered_on:
        raise ApiFault(vim.fault.DeviceHotPlugNotSupported(deviceIndex=index), "Hot-plug is not supported.")
    if machine.spec.controller != "pvscsi" or not 0 <= asked.controllerKey - SCSI_CONTROLLER < machine.spec.controllers:
        fault = vim.fault.InvalidController(deviceIndex=index, controllerKey=asked.controllerKey)
        raise ApiFault(fault, f"The device '{index}' is referring to a nonexisting controller '{asked.controllerKey}'.")
    units = [disk.unit for disk in have if disk.controller == asked.controllerKey]
    if asked.controllerKey == SCSI_CONTROLLER:
        units += [device.unitNumber for device in machine.own_disks()]
    if len(units) >= UNITS - 1:
        raise ApiFault(vim.fault.TooManyDevices(), "The number of devices exceeds the maximum.")
    if asked.unitNumber is None or asked.unitNumber in (7, *units) or not 0 <= asked.unitNumber < UNITS:
        raise _invalid(index)
    found = _file(machine, asked.backing.fileName or "", asked.backing.diskMode not in NOT_WRITING)
    found.controller, found.unit, found.mode = asked.controllerKey, asked.unitNumber, asked.backing.diskMode
    found.lock()
    if found.writes and found.layers[-1] not in [chain.top for chain in found.owner._really().chains]:
        found.let_go()  # a real one may let it happen: the layers above are worth nothing then
        fault = vim.fault.GenericVmConfigFault(reason=f"{found.name} has layers above it")
        raise ApiFault(fault, "The parent of a virtual disk is not written.")
    return found


def _file(proxy: VirtualMachine, name: str, to_write: bool) -> ForeignDisk:
    """Return the disk in this file, not yet attached: a snapshot's, or that of a machine that is off."""
    context, host = proxy.context, proxy.get("runtime.host")
    datastore = context.inventory.datastore_named(name.partition("]")[0].lstrip("["))
    if datastore is None or host not in [mount.key for mount in datastore.get("host")]:
        raise ApiFault(vim.fault.InvalidDatastorePath(datastorePath=name), f"Invalid datastore path '{name}'.")
    for machine in context.inventory.machines():
        real = machine.machine
        for index, disk in enumerate(machine.disks if real else ()):
            assert real
            with real.lock:
                layers = None
                for snapshot in machine.snapshots():
                    if snapshot.names[disk.key] == name:
                        layers = real.layers_at(snapshot.moid, disk.key)
                if layers is None and disk.current == name:
                    if machine.powered_on:
                        raise locked(name)
                    if to_write:
                        real.chains[index].materialize()
                    layers = real.chains[index].readable_layers()
                if layers is not None:
                    of_disk = name, "", disk.capacity, disk.uuid, disk.datastore
                    return ForeignDisk(0, 0, *of_disk, list(layers), machine)
    raise ApiFault(vim.fault.FileNotFound(file=name), f"File {name} was not found")


def refuse_if_attached(machines: Iterable[VirtualMachine], tops: Sequence[str]) -> None:
    """Raises ApiFault when one of these layers is what another machine has attached: it can't be written then."""
    for machine in machines:
        for disk in machine.foreign:
            if disk.layers[-1] in tops:
                raise locked(disk.name)


def forget(disks: Iterable[ForeignDisk]) -> None:
    for disk in disks:
        with suppress(OSError):
            disk.let_go()
