"""Virtual machines: what is common to all, put together, and configuration and change tracking."""

from __future__ import annotations

import datetime
import time
from contextlib import nullcontext
from typing import Any

from pyVmomi import vim, vmodl

from . import foreign_disks
from .changed_areas import allocated_areas, changed_since, page, unknown_change, without
from .context import Context
from .hardware import DiskView, MachineSpec
from .machine import Machine
from .managed import ApiFault, Call, invalid_argument, soap_method
from .snapshot_control import SnapshotControl
from .snapshots import Snapshot


def moved(name: str, datastore: str) -> str:
    """Return the name of a file in another datastore."""
    return f"[{datastore}] {name.partition('] ')[2]}"


class VirtualMachine(SnapshotControl):
    """A machine of the inventory, taken up as an earlier life of the vCenter left it."""

    def __init__(
        self,
        context: Context,
        moid: str,
        spec: MachineSpec,
        disks: list[DiskView],
        nics: list[Any],
        places: dict[str, Any],
        machine: Machine | None,
    ) -> None:
        super().__init__(context, moid, spec, disks, nics, places, machine)
        self.reconfigured_after = 0.0
        """Seconds that a change of its configuration takes."""
        self.untold: list[tuple[int, int, int]] = []
        """Device key, offset and length of what its account of changes leaves out."""
        if machine:
            machine.on_stop = self._stopped
            self._restore(machine)
            self._publish()

    def _restore(self, machine: Machine) -> None:
        """Take up what an earlier life of the vCenter left: chains, snapshots, a running QEMU."""
        with machine.lock:
            running = machine.recover()
            record = machine.owner_record
            if record:
                self.set(config__changeTrackingEnabled=record["tracking"], config__annotation=record["annotation"])
                for disk in self.disks:
                    disk.current = record["current"][str(disk.key)]
            known = []
            for node in record.get("snapshots", []):
                self.context.reserve_id(node["id"])
                if node["id"] in machine.points:
                    known.append(node["id"])
                    names = {int(key): name for key, name in node["names"].items()}
                    seqs = {int(key): seq for key, seq in node["seqs"].items()}
                    self._add_snapshot(
                        node["id"], names, seqs, node["name"], node["description"], node["quiesced"], node["parent"],
                        node["state"], datetime.datetime.fromisoformat(node["created"]),
                    )  # fmt: skip
            untold = [name for name in machine.points if name not in known]
            if untold:  # made right before the crash: no client was ever told of them
                for name in untold:
                    self.context.reserve_id(name)
                machine.remove_points(untold)
            if running:
                self.set(runtime__powerState="poweredOn")
                self._show_guest(None)
                self._listen_to_tools(machine)
            elif record and not machine.points:
                machine.flatten()
                machine.store()
            self._settle_names(machine)

    # -- configuration
    @soap_method("ReconfigVM_Task")
    def reconfigure(self, call: Call) -> Any:
        spec = call["spec"]
        served = {"changeTrackingEnabled", "annotation", "bootOptions", "changeVersion", "deviceChange", "extraConfig"}
        for prop in spec._GetPropertyList():
            value = getattr(spec, prop.name)
            if prop.name not in served and value is not None and value != []:
                raise ApiFault(vmodl.fault.NotSupported(), f"This vCenter does not change {prop.name}.")
        cards = {card.key: card for card in self.nics}
        order = self._boot_order(spec.bootOptions)
        of_disks = [change for change in spec.deviceChange or [] if foreign_disks.is_of_disk(change)]
        of_cards = [change for change in spec.deviceChange or [] if change not in of_disks]
        for change in of_cards:
            if change.operation != "edit" or change.device.key not in cards:
                raise ApiFault(
                    vmodl.fault.NotSupported(), "This vCenter edits network adapters, and attaches and detaches disks."
                )

        def work() -> None:
            time.sleep(self.reconfigured_after)
            with self.machine.lock if self.machine else nullcontext():
                self._refuse_stale(spec.changeVersion)
                if of_disks:
                    self.foreign = foreign_disks.changed(self, of_disks)
                for change in of_cards:
                    cards[change.device.key].connectable = change.device.connectable
                self._refresh_devices()
                if spec.annotation is not None:
                    self.set(config__annotation=spec.annotation)
                if order:
                    self.set(config__bootOptions__bootOrder=order)
                if spec.extraConfig:
                    self.put_extra({option.key: option.value for option in spec.extraConfig})
                if spec.changeTrackingEnabled is not None and spec.changeTrackingEnabled != self.tracking:
                    self._really()
                    self.set(config__changeTrackingEnabled=spec.changeTrackingEnabled)
                    self.forget_changes()
                self.set(config__changeVersion=str(int(self.properties["config"].changeVersion) + 1))
                if self.machine:
                    self._keep()

        with self.context.changed:  # so that no second one begins between the look and the start
            if (busy := self.context.tasks.busy_with(self.ref, call.method)) is not None:
                raise ApiFault(vim.fault.TaskInProgress(task=busy), "Another task is already in progress.")
            return self.context.tasks.start(self, call, work)

    def _boot_order(self, options: Any) -> list[Any]:
        """Return the boot order that is asked for. A device that the machine hasn't got isn't taken."""
        order = list(options.bootOrder) if options is not None else []
        keys = {device.key for device in self.properties["config"].hardware.device}
        if any(getattr(entry, "deviceKey", None) not in keys for entry in order):
            raise invalid_argument("spec.bootOptions.bootOrder.deviceKey")
        return order

    def _refuse_stale(self, version: str | None) -> None:
        if version and version != self.properties["config"].changeVersion:
            raise ApiFault(
                vim.fault.ConcurrentAccess(),
                "The operation is not allowed: the configuration has been changed meanwhile.",
            )

    def put_extra(self, values: dict[str, str]) -> None:
        """Set lines of the configuration file, or take those away whose value is empty."""
        with self.context.changed:
            now = {option.key: option.value for option in self.properties["config"].extraConfig}
            now = {key: value for key, value in {**now, **values}.items() if value}
            self.set(config__extraConfig=[vim.option.OptionValue(key=key, value=now[key]) for key in now])

    @soap_method("Rename_Task")
    def rename(self, call: Call) -> Any:
        def work() -> None:
            self.set(name=call["newName"], config__name=call["newName"])

        return self.context.tasks.start(self, call, work)

    @soap_method("Destroy_Task")
    def destroy(self, call: Call) -> Any:
        def work() -> None:
            self.refuse_leased()
            if self.powered_on:
                raise self._wrong_state("poweredOff")
            for disk in self.foreign:  # a machine goes with all the disks that it has
                disk.destroy()
            self.context.inventory.remove(self)

        return self.context.tasks.start(self, call, work)

    # -- change tracking
    @soap_method("QueryChangedDiskAreas")
    def query_changed_disk_areas(self, call: Call) -> Any:
        snapshot: Snapshot | None = None
        if call["snapshot"]:
            found = self.context.objects.get(call["snapshot"]._moId)
            if not isinstance(found, Snapshot) or found.machine is not self:
                raise ApiFault(vmodl.fault.ManagedObjectNotFound(obj=call["snapshot"]), "The snapshot does not exist.")
            snapshot = found
        index = next((i for i, disk in enumerate(self.disks) if disk.key == call["deviceKey"]), None)
        if index is None:
            raise invalid_argument("deviceKey")
        disk, machine = self.disks[index], self._really()
        with machine.lock:
            chain = machine.chains[index]
            if snapshot is None and self.powered_on:
                raise unknown_change(disk.name)  # the running machine has the disk open
            if not chain.epoch or (snapshot and disk.key not in snapshot.seqs):
                raise unknown_change(disk.name)
            if not 0 <= call["startOffset"] < disk.capacity:
                raise invalid_argument("startOffset")
            if call["changeId"] == "*":
                layers = machine.layers_at(snapshot.moid, disk.key) if snapshot else chain.readable_layers()
                areas = allocated_areas(layers)
            else:
                upto = snapshot.seqs[disk.key] if snapshot else None
                areas = changed_since(chain, disk.name, call["changeId"] or "", upto)
                areas = without(areas, [(start, length) for key, start, length in self.untold if key == disk.key])
        return page(areas, call["startOffset"], disk.capacity)

    # -- what only a test may do
    def move_storage(self, datastore: str, ref: Any) -> None:
        """Have the names of its disks, and of what its snapshots hold, lead to another datastore from now on."""
        machine = self._really()
        with machine.lock:
            for disk in self.disks:
                disk.name, disk.current = moved(disk.name, datastore), moved(disk.current, datastore)
                disk.datastore = ref
            for snapshot in self.snapshots():
                snapshot.names = {key: moved(name, datastore) for key, name in snapshot.names.items()}
                snapshot.set(config__hardware__device=self._devices(snapshot.names, snapshot.seqs))
            self._refresh_devices()
            self._keep()
            self._publish()

    def back_to_pristine(self) -> None:
        """Switched off, without snapshots, without tracking, on fresh disks."""
        machine = self._really()
        with machine.lock:
            if self.powered_on:
                machine.quit()
        self.wait_off()
        with machine.lock:
            self._drop_snapshots([], [snapshot.moid for snapshot in self.snapshots()])
            machine.erase()
            self.ignores_shutdown = False
            self.untold = []
            for disk in self.disks:
                disk.current = disk.name
            self.set(
                config__changeTrackingEnabled=False,
                config__annotation=self.spec.annotation,
                runtime__consolidationNeeded=False,
            )
            self._refresh_devices()
            self._publish()
