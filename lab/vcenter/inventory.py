"""The inventory: built from inventory.yaml at start, changed by tests at run time."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from pyVmomi import vim

from . import vmfs
from .context import Context
from .foreign_disks import forget
from .hardware import FIRST_DISK, DiskSpec, DiskView, MachineSpec, NicSpec, identity, nic_device
from .machine import DiskFiles, Machine
from .machine.qemu import Hardware
from .places import (
    Cluster,
    Datacenter,
    Datastore,
    DistributedPortGroup,
    DistributedSwitch,
    Folder,
    Host,
    Network,
    OpaqueNetwork,
    Pool,
)
from .virtual_machine import VirtualMachine

log = logging.getLogger(__name__)
ROOT_FOLDER = "group-d1"
AnyNetwork = Network | DistributedPortGroup | OpaqueNetwork


class UnknownPlace(Exception):
    """A machine is to be in a place that the inventory doesn't have."""


def _spec(wanted: dict[str, Any]) -> MachineSpec:
    disks = tuple(DiskSpec(**disk) for disk in wanted.pop("disks"))
    nics = tuple(NicSpec(**nic) for nic in wanted.pop("nics"))
    return MachineSpec(disks=disks, nics=nics, **wanted)


class Inventory:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.shape = 0
        """Counts the comings and goings of entities."""
        self._datacenters: dict[str, Datacenter] = {}
        self._machine_folders: dict[tuple[str, str], Folder] = {}
        self._clusters: dict[tuple[str, str], Cluster] = {}
        self._pools: dict[tuple[str, str], Pool] = {}
        self._hosts: dict[str, Host] = {}
        self._datastores: dict[str, Datastore] = {}
        self._networks: dict[str, AnyNetwork] = {}
        self._machines: dict[str, VirtualMachine] = {}
        self._added: dict[str, dict[str, Any]] = {}
        """Machines that tests added: name -> moref and specification. They outlive this process as the others do."""
        self.root = Folder(context, "Datacenters", ROOT_FOLDER, None, ["Folder", "Datacenter"])

    @property
    def _added_file(self) -> Path:
        return self.context.settings.datastores / "added.json"

    # -- building
    def build(self, wanted: dict[str, Any]) -> None:
        for datacenter in wanted["datacenters"]:
            self._build_datacenter(datacenter, wanted)
        for machine in wanted["machines"]:
            moid = self.context.new_id(VirtualMachine.prefix)
            self._add_if_built(moid, _spec(dict(machine)))
        if self._added_file.exists():
            self._added = json.loads(self._added_file.read_text())
            for added in self._added.values():
                self.context.reserve_id(added["moid"])
                self._add_if_built(added["moid"], _spec(dict(added["spec"])))

    def _add_if_built(self, moid: str, spec: MachineSpec) -> None:
        wanted = [*(disk.image for disk in spec.disks), spec.nvram]
        missing = [image for image in wanted if image and not (self.context.settings.images / image).exists()]
        if missing:
            log.warning("%s is left out: cache/guests has no %s", spec.name, ", ".join(missing))
        else:
            self._add(moid, spec)

    def _build_datacenter(self, wanted: dict[str, Any], all_wanted: dict[str, Any]) -> None:
        context, name = self.context, wanted["name"]
        datacenter = Datacenter(context, name=name, parent=self.root.ref)
        self._datacenters[name] = datacenter
        self.root.add(datacenter.ref)
        parent = datacenter.ref
        tops = {
            "vm": Folder(context, "vm", None, parent, ["Folder", "VirtualMachine", "VirtualApp"]),
            "host": Folder(context, "host", context.new_id("group-h"), parent, ["Folder", "ComputeResource"]),
            "datastore": Folder(
                context, "datastore", context.new_id("group-s"), datacenter.ref, ["Folder", "Datastore"]
            ),
            "network": Folder(context, "network", context.new_id("group-n"), parent, ["Folder", "Network"]),
        }
        datacenter.set(**{f"{kind}Folder": folder.ref for kind, folder in tops.items()})
        self._machine_folders[name, ""] = tops["vm"]
        for path in wanted["folders"]:
            self._machine_folder(name, path)
        self._build_storage(wanted, all_wanted, tops["datastore"])
        self._build_networks(wanted, all_wanted, tops["network"])
        datastores = [self._datastores[d] for d in wanted["datastores"]]
        networks = [self._networks[n] for n in wanted["networks"]]
        datacenter.set(datastore=[d.ref for d in datastores], network=[n.ref for n in networks])
        for cluster in wanted["clusters"]:
            self._build_cluster(name, cluster, tops["host"], datastores, networks)

    def _machine_folder(self, datacenter: str, path: str) -> Folder:
        if (datacenter, path) not in self._machine_folders:
            above_path, _, name = path.rpartition("/")
            above = self._machine_folder(datacenter, above_path)
            made = Folder(self.context, name, None, above.ref, ["Folder", "VirtualMachine", "VirtualApp"])
            above.add(made.ref)
            self._machine_folders[datacenter, path] = made
        return self._machine_folders[datacenter, path]

    def _build_storage(self, wanted: dict[str, Any], all_wanted: dict[str, Any], folder: Folder) -> None:
        for described in all_wanted["datastores"]:
            if described["name"] in wanted["datastores"]:
                made = Datastore(self.context, described["name"], folder.ref, described["capacity_gib"] << 30)
                self._datastores[described["name"]] = made
                vmfs.mount(self.context.settings.volumes, made.moid, described["name"])
                folder.add(made.ref)

    def _build_networks(self, wanted: dict[str, Any], all_wanted: dict[str, Any], folder: Folder) -> None:
        switches: dict[str, DistributedSwitch] = {}
        for described in all_wanted["networks"]:
            name = described["name"]
            if name not in wanted["networks"]:
                continue
            made: AnyNetwork
            if "opaque" in described:
                made = OpaqueNetwork(self.context, name, folder.ref, described["opaque"])
            elif "switch" in described:
                title = described["switch"]
                if title not in switches:
                    switches[title] = DistributedSwitch(self.context, title, folder.ref, identity("switch", title))
                    folder.add(switches[title].ref)
                made = DistributedPortGroup(self.context, name, folder.ref, switches[title], described["vlan"])
            else:
                made = Network(self.context, name, folder.ref, described.get("vlan", 0))
            self._networks[name] = made
            folder.add(made.ref)

    def _build_cluster(
        self, datacenter: str, wanted: dict[str, Any], folder: Folder, datastores: list[Datastore],
        networks: list[AnyNetwork],
    ) -> None:  # fmt: skip
        context, name = self.context, wanted["name"]
        cluster = Cluster(context, name, folder.ref)
        folder.add(cluster.ref)
        self._clusters[datacenter, name] = cluster
        storage, nets = [d.ref for d in datastores], [n.ref for n in networks]
        top = Pool(context, name="Resources", parent=cluster.ref, owner=cluster.ref, resourcePool=[])
        self._pools[name, ""] = top
        for title in wanted.get("pools", []):
            pool = Pool(context, name=title, parent=top.ref, owner=cluster.ref, resourcePool=[])
            self._pools[name, title] = pool
            top.set(resourcePool=[*top.properties["resourcePool"], pool.ref])
        hosts = []
        for title in wanted["hosts"]:
            host = Host(context, title, cluster.ref, datastore=storage, network=nets)
            host.show_port_groups([net for net in networks if isinstance(net, Network)])
            self._hosts[title] = host
            hosts.append(host)
        count = len(hosts)
        cluster.set(
            host=[host.ref for host in hosts],
            resourcePool=top.ref,
            datastore=storage,
            network=nets,
            summary=vim.ClusterComputeResource.Summary(
                totalCpu=count * 40000,
                totalMemory=count * (64 << 30),
                numCpuCores=count * 16,
                numCpuThreads=count * 32,
                effectiveCpu=count * 38000,
                effectiveMemory=count * (60 << 10),
                numHosts=count,
                numEffectiveHosts=count,
                overallStatus="green",
                currentFailoverLevel=0,
                numVmotions=0,
            ),
        )
        for place in [*datastores, *networks]:
            mounts = [*place.properties["host"]]
            if isinstance(place, Datastore):
                mount = vim.host.MountInfo(
                    path=place.get("info.url"), accessMode="readWrite", mounted=True, accessible=True
                )
                mounts += [vim.Datastore.HostMount(key=host.ref, mountInfo=mount) for host in hosts]
            else:
                mounts += [host.ref for host in hosts]
            place.set(host=mounts)

    # -- machines
    def machine(self, name: str) -> VirtualMachine | None:
        return self._machines.get(name)

    def machines(self) -> list[VirtualMachine]:
        with self.context.changed:
            return list(self._machines.values())

    def datastore_named(self, name: str) -> Datastore | None:
        return self._datastores.get(name)

    def add(self, wanted: dict[str, Any], lasting: bool = True) -> VirtualMachine:
        """A new machine, as described in inventory.yaml. `lasting`: it outlives a restart of the vCenter."""
        spec = _spec(dict(wanted))
        if spec.name in self._machines:
            raise UnknownPlace(f"There is a machine {spec.name} already.")
        for disk in spec.disks:
            if disk.image and not self._image(disk).exists():
                raise UnknownPlace(f"There is no image {disk.image} in the lab's cache/guests.")
        made = self._add(self.context.new_id(VirtualMachine.prefix), spec)
        if lasting:
            self._added[spec.name] = {"moid": made.moid, "spec": asdict(spec)}
            self._added_file.write_text(json.dumps(self._added))
        return made

    def remove(self, machine: VirtualMachine) -> None:
        """Take a machine, switched off, and its files out of the inventory."""
        name = machine.spec.name
        forget(machine.foreign)
        if machine.machine:
            machine.back_to_pristine()
            machine.open_to_library = []
            for folder in {Path(disk.base).parent for disk in machine.machine.disks}:
                folder.rmdir()
        with self.context.changed:
            del self._machines[name]
            self.shape += 1
            machine.drop()
            self._folder_of(machine.spec).remove(machine.ref)
        if machine.machine:
            self.context.table.write()
        if self._added.pop(name, None):
            self._added_file.write_text(json.dumps(self._added))

    def _folder_of(self, spec: MachineSpec) -> Folder:
        return self._machine_folder(spec.datacenter, spec.folder)

    def _image(self, disk: DiskSpec) -> Path:
        return self.context.settings.images / str(disk.image)

    def _add(self, moid: str, spec: MachineSpec) -> VirtualMachine:
        try:
            cluster = self._clusters[spec.datacenter, spec.cluster]
            pool = self._pools[spec.cluster, spec.pool]
            host = self._hosts[spec.host].ref if spec.host else cluster.properties["host"][0]
            networks = [self._networks[nic.network] for nic in spec.nics]
            datastores = [self._datastores[disk.datastore] for disk in spec.disks]
        except KeyError as error:
            raise UnknownPlace(f"{spec.name} is to be in {error}, which the inventory doesn't have.") from None
        folder = self._folder_of(spec)
        disks, files = self._disks(spec)
        machine = None
        if files:
            settings = self.context.settings
            for file in files:
                Path(file.base).parent.mkdir(parents=True, exist_ok=True)
            home = Path(files[0].base).parent
            macs = tuple(nic.mac for nic in spec.nics)
            nvram = settings.images / spec.nvram if spec.nvram else None
            hardware = Hardware(spec.name, spec.memory_mib, spec.cpus, macs, spec.controller, nvram)
            machine = Machine(hardware, home, settings.sockets, settings.logs, files)
        made = VirtualMachine(
            self.context,
            moid,
            spec,
            disks,
            [nic_device(i, nic.mac, nic.network, networks[i].backing()) for i, nic in enumerate(spec.nics)],
            {
                "parent": folder.ref,
                "resourcePool": pool.ref,
                "host": host,
                "network": [network.ref for network in dict.fromkeys(networks)],
                "datastore": [datastore.ref for datastore in dict.fromkeys(datastores)],
            },
            machine,
        )
        with self.context.changed:
            self._machines[spec.name] = made
            self.shape += 1
            folder.add(made.ref)
        return made

    def _disks(self, spec: MachineSpec) -> tuple[list[DiskView], list[DiskFiles]]:
        """The disks as the API shows them, and their files; no files for a machine that is in the inventory only."""
        views, files = [], []
        for index, disk in enumerate(spec.disks):
            stem = f"{spec.name}_{index}" if index else spec.name
            name = f"[{disk.datastore}] {spec.name}/{stem}.vmdk"
            capacity = self._image(disk).stat().st_size if disk.image else disk.capacity
            if not capacity:
                raise UnknownPlace(f"Disk {index} of {spec.name} has neither an image nor a capacity.")
            store = self._datastores[disk.datastore].ref
            key = FIRST_DISK + index
            views.append(DiskView(key, name, name, store, capacity, identity("disk", stem)))
            if disk.image:
                home = self.context.settings.datastores / disk.datastore / spec.name
                files.append(DiskFiles(key, str(home / f"{stem}-flat.vmdk"), str(self._image(disk))))
        if files and len(files) != len(views):
            raise UnknownPlace(f"{spec.name} has disks with and without an image.")
        return views, files


def load(path: Path) -> dict[str, Any]:
    wanted: dict[str, Any] = yaml.safe_load(path.read_text())
    return wanted
