"""A machine as the API shows it: its properties, and what of it must outlive the vCenter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pyVmomi import vim

from . import vmfs
from .context import Context
from .export import Lease
from .foreign_disks import ForeignDisk
from .guest_info import GuestReport, guest_info
from .hardware import DiskView, MachineSpec, configuration, devices, disk_device
from .machine import Machine
from .managed import ApiFault, ManagedObject, fill, now
from .snapshots import Snapshot, walk

if TYPE_CHECKING:
    from .importing import ImportLease


class MachineView(ManagedObject):
    """What clients see of a machine, and what the disk library may open of it."""

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
        self.foreign: list[ForeignDisk] = []
        """Disks of other machines that are attached to this one."""
        self.importing: ImportLease | None = None
        """The lease while its disks are uploaded, during which nothing else is done to it."""
        self.imported = False
        self.ignores_shutdown = False
        self.ballooned_mib = 0
        self._report: GuestReport | None = None
        """What the guest last told of itself; None: its tools do not run."""
        self.open_to_library: list[list[str]] = []
        """Rows for the disk library's table."""
        self.properties["config"] = configuration(spec, self._devices())

    # -- what clients see
    def recent_tasks(self) -> list[Any]:
        return self.context.tasks.of(self.ref)

    def summary(self) -> Any:
        config = self.properties["config"]
        if config is None:  # orphaned: nobody knows any more
            return fill(vim.vm.Summary(vm=self.ref, runtime=self.properties["runtime"], overallStatus="gray"))
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
                quickStats=vim.vm.Summary.QuickStats(balloonedMemory=self.ballooned_mib),
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
        shown = self.own_disks(names, seqs)
        if names is None:
            shown += [disk.device() for disk in self.foreign]
        return devices(self.spec.controller, shown, self.nics, self.spec.controllers)

    def own_disks(self, names: dict[int, str] | None = None, seqs: dict[int, int] | None = None) -> list[Any]:
        """Return the same without disks of other machines."""
        shown = []
        for index, disk in enumerate(self.disks):
            change_id = None
            chain = self.machine.chains[index] if self.machine else None
            if chain and chain.epoch:
                seq = chain.seq if seqs is None else seqs.get(disk.key)
                change_id = f"{chain.epoch}/{seq}" if seq else None
            name = names[disk.key] if names else disk.current
            shown.append(disk_device(disk, self.spec.controller, name, change_id))
        return shown

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

    def _settle_names(self, machine: Machine) -> None:
        """Whether consolidation is due, and, if it isn't and no snapshot is left, the names the disks began with."""
        self.set(runtime__consolidationNeeded=machine.unmerged)
        if not machine.unmerged and not self.snapshot_tree:
            for disk in self.disks:
                disk.current = disk.name
        self._refresh_devices()

    def _publish(self, powered_on: bool | None = None) -> None:
        """Tell the disk library what it may open: the disks at each snapshot, and as they are while switched off.

        The hosts show over SSH what of that is one file.
        """
        machine = self._really()
        rows = []
        if powered_on is None:
            powered_on = self.powered_on
        with machine.lock:
            for index, disk in enumerate(self.disks):
                name = f"{self.moid}:{disk.key}"
                chain = machine.chains[index]
                shown = [machine.layers_at(snapshot.moid, disk.key) for snapshot in self.snapshots()]
                if not powered_on:
                    layers = chain.readable_layers()
                    shown.append(layers)
                    writable = "rw" if layers[0] == chain.base else "ro"  # not the image, which is others', too
                    rows.append(["disk", self.moid, "-", disk.current, name, writable, *layers[::-1]])
                for snapshot in self.snapshots():
                    layers = machine.layers_at(snapshot.moid, disk.key)
                    rows.append(["disk", self.moid, snapshot.moid, snapshot.names[disk.key], name, "ro", *layers[::-1]])
                whole = [chain.base] in shown
                vmfs.show(self.context.settings.volumes, disk.datastore._moId, Path(chain.base), whole)
            self.open_to_library = rows
        if hasattr(self.context, "table"):  # not while the inventory is being built
            self.context.table.write()

    def _show_guest(self, report: GuestReport | None) -> None:
        self._report = report
        self.set(guest=guest_info(self.spec, report, self.powered_on))

    def pretend_to_run(self, report: GuestReport | None) -> None:
        """Have a machine that only the inventory knows say that it is on, and what its guest would tell, if any."""
        self.set(runtime__powerState="poweredOn", runtime__bootTime=now())
        self._show_guest(report)

    def refuse_leased(self) -> None:
        """Raise ApiFault while a lease of the machine is held."""
        exporting = any(lease.machine is self and lease.is_open for lease in self.context.of_type(Lease))
        for what, held in ("import", self.importing is not None), ("export", exporting):
            if held:
                raise ApiFault(vim.fault.MethodDisabled(source=what), f"The method is disabled by '{what}'.")

    def _wrong_state(self, asked: str) -> ApiFault:
        state = self.properties["runtime"].powerState
        shown = "Powered on" if self.powered_on else "Powered off"
        return ApiFault(
            vim.fault.InvalidPowerState(requestedState=asked, existingState=state),
            f"The attempted operation cannot be performed in the current state ({shown}).",
        )
