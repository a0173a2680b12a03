"""Taking, removing and exporting snapshots of machines."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyVmomi import vim, vmodl

from .export import Lease
from .hardware import DiskView
from .machine import Busy, Machine
from .managed import ApiFault, Call, fill, now, soap_method
from .power import PowerControl
from .snapshots import Snapshot, find, number_of, walk, without

log = logging.getLogger(__name__)

QUIESCE_LIMIT = 60.0
"""Seconds that a guest may take to freeze or thaw its file systems."""
SNAPSHOT_LEVELS = 32
"""VMware's limit of snapshots in a chain."""


class SnapshotControl(PowerControl):
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
            if (written := machine.written_layer()) is not None:
                raise _locked(Busy(written))
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
            names = {disk.key: (disk.current, disk.name_for(number_of(moid))) for disk in self.disks}
            for disk in self.disks:
                if self._is_on_vvol(disk):
                    names[disk.key] = names[disk.key][::-1]
            snapshot = self._add_snapshot(
                moid, {key: held for key, (held, _) in names.items()}, seqs, name, description, quiesced,
                parent and parent._moId, str(self.properties["runtime"].powerState), created,
            )  # fmt: skip
            for disk in self.disks:
                disk.current = names[disk.key][1]
            self._refresh_devices()
            self._keep()
            self._publish()
            return snapshot.ref

    def _is_on_vvol(self, disk: DiskView) -> bool:
        """Tell whether its file goes on being written after a snapshot, which is an object of its own there."""
        return bool(self.context.objects[disk.datastore._moId].get("summary.type") == "VVOL")

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
            self.refuse_leased()
            with self._really().lock:
                tree, gone = without(self.snapshot_tree, snapshot.moid, bool(call["removeChildren"]))
                self._drop_snapshots(tree, gone)
                if call["consolidate"] is not False:
                    self._consolidate()

        return self.context.tasks.start(self, call, work)

    def revert_to(self, snapshot: Snapshot, call: Call) -> Any:
        """A machine that runs goes off first: no snapshot keeps its memory. What its disks held since is gone.

        Change ids from before mean nothing afterwards. A tree with branches isn't kept: only the newest can be
        reverted to.
        """

        def work() -> None:
            machine = self._really()
            if any(other.number > snapshot.number for other in self.snapshots()):
                raise ApiFault(vmodl.fault.NotSupported(), "This vCenter reverts to the newest snapshot alone.")
            with machine.lock:
                if self.powered_on:
                    machine.quit()
            self.wait_off()
            with machine.lock:
                try:
                    machine.revert(snapshot.moid)
                except Busy as error:
                    raise _locked(error) from error
                self.forget_changes()
                self._settle_names(machine)
                self._keep()
                self._publish()

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
            raise _locked(error) from error
        if not left and not self.powered_on:
            machine.flatten()
        self._settle_names(machine)
        self._keep()
        self._publish()

    # -- export
    @soap_method("ExportVm")
    def export_vm(self, call: Call) -> Any:
        machine = self._really()
        with machine.lock:
            if self.powered_on:
                raise self._wrong_state("poweredOff")
            disks = {chain.key: chain.readable_layers() for chain in machine.chains}
        return Lease(self, disks).ref

    def export_snapshot(self, snapshot: Snapshot) -> Any:
        machine = self._really()
        with machine.lock:
            disks = {chain.key: machine.layers_at(snapshot.moid, chain.key) for chain in machine.chains}
        return Lease(self, disks).ref


def _locked(error: Busy) -> ApiFault:
    return ApiFault(vim.fault.FileLocked(file=os.path.basename(str(error))), "Unable to access file since it is locked")
