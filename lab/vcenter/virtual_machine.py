"""Virtual machines as the API shows them: power, snapshots, change tracking, configuration."""

from __future__ import annotations

import datetime
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from pyVmomi import vim, vmodl

from .changed_areas import allocated_areas, changed_since, page, unknown_change
from .context import Context
from .export import Lease
from .guest_info import GuestReport, guest_info
from .hardware import DiskView, MachineSpec, configuration, devices, disk_device
from .machine import Busy, Machine, MachineError
from .managed import ApiFault, Call, ManagedObject, fill, invalid_argument, now, soap_method
from .snapshots import Snapshot, find, walk, without

log = logging.getLogger(__name__)

HEARTBEAT = 3.0
"""Seconds between two questions to the guest's tools."""
HEARTBEAT_LOST = 30.0
"""Seconds of silence after which the tools count as not running."""
QUIESCE_LIMIT = 60.0
"""Seconds that a guest may take to freeze or thaw its file systems."""
SNAPSHOT_LEVELS = 32
"""VMware's limit of snapshots in a chain."""


class VirtualMachine(ManagedObject):
    vim_type = vim.VirtualMachine
    prefix = "vm"
    computed: ClassVar[dict[str, str]] = {"summary": "summary", "recentTask": "recent_tasks"}

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
        """`places`: parent, resourcePool, host, network, datastore. `machine` None: one in the inventory only."""
        host = places.pop("host")
        super().__init__(
            context,
            moid,
            name=spec.name,
            disabledMethod=[],
            customValue=[],
            value=[],
            availableField=[],
            configStatus="green",
            overallStatus="green",
            capability=fill(
                vim.vm.Capability(
                    changeTrackingSupported=True, quiescedSnapshotsSupported=True, snapshotOperationsSupported=True
                )
            ),
            runtime=fill(
                vim.vm.RuntimeInfo(
                    powerState="poweredOff",
                    connectionState="connected",
                    host=host,
                    device=[],
                    consolidationNeeded=False,
                )
            ),
            guest=guest_info(spec, None, powered_on=False),
            **places,
        )
        self.spec = spec
        self.disks = disks
        self.nics = nics
        self.machine = machine
        self.ignores_shutdown = False
        self._report: GuestReport | None = None
        """What the guest last told of itself; None: its tools do not run."""
        self.open_to_library: list[list[str]] = []
        """Rows for the disk library's table."""
        self.properties["config"] = configuration(spec, self._devices())
        if machine:
            machine.on_stop = self._stopped
            self._restore(machine)
            self._publish()

    # -- what clients see
    def recent_tasks(self) -> list[Any]:
        return self.context.tasks.of(self.ref)

    def summary(self) -> Any:
        config = self.properties["config"]
        guest = self.properties["guest"]
        capacity = sum(disk.capacity for disk in self.disks)
        return fill(
            vim.vm.Summary(
                vm=self.ref,
                runtime=self.properties["runtime"],
                guest=vim.vm.Summary.GuestSummary(
                    guestId=guest.guestId,
                    guestFullName=guest.guestFullName,
                    toolsStatus=guest.toolsStatus,
                    toolsRunningStatus=guest.toolsRunningStatus,
                    toolsVersionStatus2=guest.toolsVersionStatus2,
                    hostName=guest.hostName,
                    ipAddress=guest.ipAddress,
                ),
                config=vim.vm.Summary.ConfigSummary(
                    name=config.name,
                    template=config.template,
                    vmPathName=config.files.vmPathName,
                    memorySizeMB=config.hardware.memoryMB,
                    numCpu=config.hardware.numCPU,
                    numEthernetCards=len(self.nics),
                    numVirtualDisks=len(self.disks),
                    uuid=config.uuid,
                    instanceUuid=config.instanceUuid,
                    guestId=config.guestId,
                    guestFullName=config.guestFullName,
                    annotation=config.annotation,
                ),
                storage=vim.vm.Summary.StorageSummary(
                    committed=capacity, uncommitted=0, unshared=capacity, timestamp=config.modified
                ),
                quickStats=vim.vm.Summary.QuickStats(),
                overallStatus="green",
            )
        )

    @property
    def powered_on(self) -> bool:
        return bool(self.properties["runtime"].powerState == "poweredOn")

    @property
    def tools_running(self) -> bool:
        return bool(self.properties["guest"].toolsRunningStatus == "guestToolsRunning")

    @property
    def tracking(self) -> bool:
        return bool(self.properties["config"].changeTrackingEnabled)

    @property
    def snapshot_tree(self) -> list[Any]:
        info = self.properties.get("snapshot")
        return list(info.rootSnapshotList) if info else []

    @property
    def current_snapshot(self) -> Any | None:
        info = self.properties.get("snapshot")
        return info.currentSnapshot if info else None

    def snapshots(self) -> list[Snapshot]:
        found = [self.context.objects[node.snapshot._moId] for node in walk(self.snapshot_tree)]
        return [snapshot for snapshot in found if isinstance(snapshot, Snapshot)]

    def _devices(self, names: dict[int, str] | None = None, seqs: dict[int, int] | None = None) -> list[Any]:
        """The devices with each disk as it is now, or (names, seqs) as it was at a snapshot."""
        shown = []
        for index, disk in enumerate(self.disks):
            change_id = None
            chain = self.machine.chains[index] if self.machine else None
            if chain and chain.epoch:
                seq = chain.seq if seqs is None else seqs.get(disk.key)
                change_id = f"{chain.epoch}/{seq}" if seq else None
            shown.append(disk_device(disk, names[disk.key] if names else disk.current, change_id))
        return devices(shown, self.nics)

    def _refresh_devices(self) -> None:
        self.set(config__hardware__device=self._devices())

    def _really(self) -> Machine:
        """The machine below. One that only the inventory knows has no files, and says so as VMware would."""
        if self.machine is None:
            path = self.properties["config"].files.vmPathName
            raise ApiFault(vim.fault.FileNotFound(file=path), f"File {path} was not found")
        return self.machine

    # -- what outlives this process
    def _keep(self) -> None:
        nodes = [
            {
                "id": node.snapshot._moId,
                "name": node.name,
                "description": node.description,
                "quiesced": node.quiesced,
                "state": node.state,
                "created": node.createTime.isoformat(),
                "parent": parent,
            }
            for parent, node in self._with_parents(self.snapshot_tree, None)
        ]
        for node in nodes:
            snapshot = self.context.objects[node["id"]]
            assert isinstance(snapshot, Snapshot)
            node["names"], node["seqs"] = snapshot.names, snapshot.seqs
        machine = self._really()
        machine.owner_record = {
            "tracking": self.tracking,
            "annotation": self.properties["config"].annotation,
            "current": {disk.key: disk.current for disk in self.disks},
            "snapshots": nodes,
        }
        machine.store()

    def _with_parents(self, tree: list[Any], parent: str | None) -> Iterator[tuple[str | None, Any]]:
        for node in tree:
            yield parent, node
            yield from self._with_parents(node.childSnapshotList, node.snapshot._moId)

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

    def _settle_names(self, machine: Machine) -> None:
        """Whether consolidation is due, and, if it isn't and no snapshot is left, the names the disks began with."""
        self.set(runtime__consolidationNeeded=machine.unmerged)
        if not machine.unmerged and not self.snapshot_tree:
            for disk in self.disks:
                disk.current = disk.name
        self._refresh_devices()

    def _publish(self, powered_on: bool | None = None) -> None:
        """Tell the disk library what it may open: the disks at each snapshot, and as they are while switched off."""
        machine = self._really()
        rows = []
        if powered_on is None:
            powered_on = self.powered_on
        with machine.lock:
            for index, disk in enumerate(self.disks):
                name = f"{self.moid}:{disk.key}"
                chain = machine.chains[index]
                if not powered_on:
                    layers = chain.readable_layers()
                    writable = "rw" if layers == [chain.base] else "ro"
                    rows.append(["disk", self.moid, "-", disk.current, name, writable, *layers[::-1]])
                for snapshot in self.snapshots():
                    layers = machine.layers_at(snapshot.moid, disk.key)
                    rows.append(["disk", self.moid, snapshot.moid, snapshot.names[disk.key], name, "ro", *layers[::-1]])
            self.open_to_library = rows
        if hasattr(self.context, "table"):  # not while the inventory is being built
            self.context.table.write()

    # -- power
    def _wrong_state(self, asked: str) -> ApiFault:
        state = self.properties["runtime"].powerState
        shown = "Powered on" if self.powered_on else "Powered off"
        return ApiFault(
            vim.fault.InvalidPowerState(requestedState=asked, existingState=state),
            f"The attempted operation cannot be performed in the current state ({shown}).",
        )

    @soap_method("PowerOnVM_Task")
    def power_on_task(self, call: Call) -> Any:
        return self.context.tasks.start(self, call, self.power_on)

    def power_on(self) -> None:
        machine = self._really()
        with machine.lock:
            if self.powered_on:
                raise self._wrong_state("poweredOn")
            self._publish(powered_on=True)
            try:
                machine.start()
            except MachineError:
                self._publish(powered_on=False)
                raise
            self.set(runtime__powerState="poweredOn", runtime__bootTime=now())
            self._show_guest(None)
            self._refresh_devices()
            self._keep()
        self._listen_to_tools(machine)

    @soap_method("PowerOffVM_Task")
    def power_off_task(self, call: Call) -> Any:
        return self.context.tasks.start(self, call, self.power_off)

    def power_off(self) -> None:
        machine = self._really()
        with machine.lock:
            if not self.powered_on:
                raise self._wrong_state("poweredOff")
            machine.quit()
        self.wait_off()

    def wait_off(self) -> None:
        with self.context.changed:
            if not self.context.changed.wait_for(lambda: not self.powered_on, 900):
                raise TimeoutError(f"{self.spec.name} did not go off")

    @soap_method("ResetVM_Task")
    def reset_task(self, call: Call) -> Any:
        def work() -> None:
            machine = self._really()
            with machine.lock:
                if not self.powered_on:
                    raise self._wrong_state("poweredOn")
                machine.reset()
                self._show_guest(None)

        return self.context.tasks.start(self, call, work)

    @soap_method("ShutdownGuest")
    def shutdown_guest(self, call: Call) -> None:
        machine = self._really()
        if not self.powered_on:
            raise self._wrong_state("poweredOn")
        if not self.tools_running:
            raise ApiFault(
                vim.fault.ToolsUnavailable(),
                "Cannot complete operation because VMware Tools is not running in this virtual machine.",
            )
        if not self.ignores_shutdown:
            machine.press_power_button()

    def _stopped(self) -> None:
        """QEMU has ended: the guest shut down, or we switched it off, or it crashed. The machine's lock is held."""
        machine = self._really()
        self._settle_names(machine)
        self.set(runtime__bootTime=None)
        self._keep()
        self._publish(powered_on=False)  # first: who sees it is off may open its disks at once
        with self.context.changed:
            self.set(runtime__powerState="poweredOff")
            self._show_guest(None)
        log.info("%s is off", self.spec.name)

    def _listen_to_tools(self, machine: Machine) -> None:
        qmp = machine.qmp

        def listen() -> None:
            heard = time.monotonic()
            while qmp is not None and machine.qmp is qmp:
                report = _report(machine.channel.ask("info", ("{",), 1))
                if report:
                    heard = time.monotonic()
                if report or time.monotonic() - heard > HEARTBEAT_LOST:
                    self._guest_reports(machine, report)
                time.sleep(HEARTBEAT if self.tools_running else 0.2)

        threading.Thread(target=listen, name=f"{self.spec.name} tools", daemon=True).start()

    def _guest_reports(self, machine: Machine, report: GuestReport | None) -> None:
        with self.context.changed:
            if machine.running and report != self._report:
                self._show_guest(report)

    def _show_guest(self, report: GuestReport | None) -> None:
        self._report = report
        self.set(guest=guest_info(self.spec, report, self.powered_on))

    # -- configuration
    @soap_method("ReconfigVM_Task")
    def reconfigure(self, call: Call) -> Any:
        spec = call["spec"]
        served = {"changeTrackingEnabled", "annotation", "changeVersion"}
        for prop in spec._GetPropertyList():
            value = getattr(spec, prop.name)
            if prop.name not in served and value is not None and value != []:
                raise ApiFault(vmodl.fault.NotSupported(), f"This vCenter does not change {prop.name}.")

        def work() -> None:
            machine = self._really()
            with machine.lock:
                if spec.annotation is not None:
                    self.set(config__annotation=spec.annotation)
                if spec.changeTrackingEnabled is not None and spec.changeTrackingEnabled != self.tracking:
                    self.set(config__changeTrackingEnabled=spec.changeTrackingEnabled)
                    self.forget_changes()
                self._keep()

        return self.context.tasks.start(self, call, work)

    def forget_changes(self) -> None:
        """From now on all earlier change ids mean nothing."""
        machine = self._really()
        with machine.lock:
            machine.forget_changes()
            for snapshot in self.snapshots():
                snapshot.seqs = {}
                snapshot.set(config__hardware__device=self._devices(snapshot.names, {}))
            self._refresh_devices()
            self._keep()

    # -- snapshots
    @soap_method("CreateSnapshot_Task")
    def create_snapshot(self, call: Call) -> Any:
        return self.context.tasks.start(
            self,
            call,
            lambda: self._create_snapshot(
                call["name"], call["description"] or "", bool(call["memory"]), bool(call["quiesce"])
            ),
        )

    def _create_snapshot(self, name: str, description: str, memory: bool, quiesce: bool) -> Any:
        machine = self._really()
        with machine.lock:
            if memory and self.powered_on:
                raise ApiFault(
                    vmodl.fault.NotSupported(), "This vCenter does not keep a machine's memory in a snapshot."
                )
            if len(self.snapshots()) >= SNAPSHOT_LEVELS:
                raise ApiFault(vim.fault.TooManySnapshotLevels(), "The snapshot tree has too many levels.")
            # Without tools, or switched off, VMware takes the snapshot all the same and does not say it is quiesced.
            quiesced = quiesce and self.powered_on and self.tools_running
            moid = self.context.new_id(Snapshot.prefix)
            created = now()
            if quiesced:
                with self._frozen_guest(machine):
                    seqs = machine.point(moid, self.tracking)
            else:
                seqs = machine.point(moid, self.tracking)
            parent = self.current_snapshot
            snapshot = self._add_snapshot(
                moid, {disk.key: disk.current for disk in self.disks}, seqs, name, description, quiesced,
                parent and parent._moId, str(self.properties["runtime"].powerState), created,
            )  # fmt: skip
            for disk in self.disks:
                disk.rename_for(snapshot.number)
            self._refresh_devices()
            self._keep()
            self._publish()
            return snapshot.ref

    @contextmanager
    def _frozen_guest(self, machine: Machine) -> Iterator[None]:
        try:
            if machine.channel.ask("freeze", ("frozen", "error"), QUIESCE_LIMIT) != "frozen":
                raise ApiFault(
                    vim.fault.ApplicationQuiesceFault(),
                    "An error occurred while quiescing the virtual machine.",
                )
            yield
        finally:
            thawed = machine.channel.ask("thaw", ("thawed", "error"), QUIESCE_LIMIT)
            if thawed != "thawed":
                log.warning("%s: the guest did not thaw its file systems: %s", self.spec.name, thawed)

    def _add_snapshot(
        self, moid: str, names: dict[int, str], seqs: dict[int, int], name: str, description: str, quiesced: bool,
        parent: str | None, state: str, created: datetime.datetime,
    ) -> Snapshot:  # fmt: skip
        config = self.properties["config"]
        then = vim.vm.ConfigInfo(
            **{p.name: getattr(config, p.name) for p in config._GetPropertyList() if p.name != "hardware"}
        )
        hardware = config.hardware
        then.hardware = vim.vm.VirtualHardware(
            numCPU=hardware.numCPU, numCoresPerSocket=hardware.numCoresPerSocket, memoryMB=hardware.memoryMB,
            device=self._devices(names, seqs),
        )  # fmt: skip
        snapshot = Snapshot(self, moid, names, seqs, fill(then))
        node = snapshot.node(name, description, state, quiesced, created)
        with self.context.changed:
            tree = self.snapshot_tree
            above = find(tree, vim.vm.Snapshot(parent)) if parent else None
            if above:
                above.childSnapshotList = [*above.childSnapshotList, node]
            else:
                tree.append(node)
            self.set(snapshot=vim.vm.SnapshotInfo(currentSnapshot=snapshot.ref, rootSnapshotList=tree))
        return snapshot

    def remove_snapshot(self, snapshot: Snapshot, call: Call) -> Any:
        def work() -> None:
            with self._really().lock:
                tree, gone = without(self.snapshot_tree, snapshot.moid, bool(call["removeChildren"]))
                self._drop_snapshots(tree, gone)
                if call["consolidate"] is not False:
                    self._consolidate()

        return self.context.tasks.start(self, call, work)

    @soap_method("RemoveAllSnapshots_Task")
    def remove_all_snapshots(self, call: Call) -> Any:
        def work() -> None:
            with self._really().lock:
                self._drop_snapshots([], [snapshot.moid for snapshot in self.snapshots()])
                if call["consolidate"] is not False:
                    self._consolidate()

        return self.context.tasks.start(self, call, work)

    @soap_method("ConsolidateVMDisks_Task")
    def consolidate(self, call: Call) -> Any:
        def work() -> None:
            with self._really().lock:
                self._consolidate()

        return self.context.tasks.start(self, call, work)

    def _drop_snapshots(self, tree: list[Any], gone: list[str]) -> None:
        """Take snapshots out of the tree. Their layers stay until consolidation."""
        newest = max(walk(tree), key=lambda node: node.id, default=None)
        info = vim.vm.SnapshotInfo(currentSnapshot=newest.snapshot, rootSnapshotList=tree) if newest else None
        with self.context.changed:
            self.set(snapshot=info, runtime__consolidationNeeded=True)
            for moid in gone:
                if moid in self.context.objects:
                    self.context.objects[moid].drop()
        self._keep()
        self._publish()

    def _consolidate(self) -> None:
        machine = self._really()
        left = {snapshot.moid for snapshot in self.snapshots()}
        try:
            machine.remove_points([name for name in machine.points if name not in left])
        except Busy as error:
            self._keep()
            self._publish()
            raise ApiFault(
                vim.fault.FileLocked(file=os.path.basename(str(error))), "Unable to access file since it is locked"
            ) from error
        if not left and not self.powered_on:
            machine.flatten()
        self._settle_names(machine)
        self._keep()
        self._publish()

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
        return page(areas, call["startOffset"], disk.capacity)

    # -- export
    @soap_method("ExportVm")
    def export_vm(self, call: Call) -> Any:
        machine = self._really()
        with machine.lock:
            if self.powered_on:
                raise self._wrong_state("poweredOff")
            disks = {chain.key: chain.readable_layers() for chain in machine.chains}
        return Lease(self, disks, sum(disk.capacity for disk in self.disks)).ref

    def export_snapshot(self, snapshot: Snapshot) -> Any:
        machine = self._really()
        with machine.lock:
            disks = {chain.key: machine.layers_at(snapshot.moid, chain.key) for chain in machine.chains}
        return Lease(snapshot, disks, sum(disk.capacity for disk in self.disks)).ref

    # -- what only a test may do
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
            for disk in self.disks:
                disk.current = disk.name
            self.set(
                config__changeTrackingEnabled=False,
                config__annotation=self.spec.annotation,
                runtime__consolidationNeeded=False,
            )
            self._refresh_devices()
            self._publish()


def _report(line: str | None) -> GuestReport | None:
    try:
        return GuestReport.parse(line) if line else None
    except (ValueError, KeyError):
        return None
