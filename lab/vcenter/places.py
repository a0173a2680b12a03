"""Datacenters, clusters, hosts, pools, folders, datastores and networks: what machines are in."""

from __future__ import annotations

from typing import Any, ClassVar

from pyVmomi import vim

from .context import Context
from .creation import imported_machine, wanted_machine
from .importing import ImportLease
from .managed import ApiFault, Call, ManagedObject, fill, invalid_argument, soap_method
from .virtual_machine import VirtualMachine


class Entity(ManagedObject):
    """An inventory object; the machines in it are looked up when asked."""

    machine_property: ClassVar[str] = ""
    """The property of a machine that says whether it is in here."""
    volatile = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.machine_property:
            cls.computed = {**cls.computed, "vm": "machines"}

    def machines(self) -> list[Any]:
        found = []
        for machine in self.context.of_type(VirtualMachine):
            places = machine.get(self.machine_property)
            if self.ref in (places if isinstance(places, list) else [places]):
                found.append(machine.ref)
        return found


class Folder(Entity):
    vim_type = vim.Folder
    prefix = "group-v"

    def __init__(self, context: Context, name: str, moid: str | None, parent: Any, types: list[str]) -> None:
        super().__init__(context, moid, name=name, parent=parent, childType=types, childEntity=[])

    @soap_method("CreateVM_Task")
    def create_machine(self, call: Call) -> Any:
        def work() -> Any:
            config = call["config"]
            self.refuse_second(config.name)
            wanted = wanted_machine(self.context, self, config, call["pool"], call["host"])
            made = self.context.inventory.add(wanted)
            self.context.table.write()
            return made.ref

        return self.context.tasks.start(self, call, work)

    def refuse_second(self, name: str) -> None:
        for child in self.properties["childEntity"]:
            below = self.context.objects.get(child._moId)
            if below is not None and below.get("name") == name:
                raise ApiFault(vim.fault.DuplicateName(name=name, object=child), f"The name '{name}' already exists.")

    @soap_method("MoveIntoFolder_Task")
    def take_in(self, call: Call) -> Any:
        def work() -> None:
            for ref in call["list"]:
                moved = self.context.objects[ref._moId]
                before = self.context.objects[moved.properties["parent"]._moId]
                assert isinstance(before, Folder)
                before.remove(ref)
                moved.set(parent=self.ref)
                self.add(ref)

        return self.context.tasks.start(self, call, work)

    def add(self, ref: Any) -> None:
        self.set(childEntity=[*self.properties["childEntity"], ref])

    def remove(self, ref: Any) -> None:
        self.set(childEntity=[child for child in self.properties["childEntity"] if child != ref])


class Datacenter(Entity):
    vim_type = vim.Datacenter
    prefix = "datacenter"


class Cluster(Entity):
    vim_type = vim.ClusterComputeResource
    prefix = "domain-c"

    def __init__(self, context: Context, name: str, parent: Any) -> None:
        super().__init__(context, name=name, parent=parent, host=[], datastore=[], network=[])
        self.properties["configuration"] = fill(
            vim.cluster.ConfigInfo(
                dasConfig=vim.cluster.DasConfigInfo(enabled=False), drsConfig=vim.cluster.DrsConfigInfo(enabled=False)
            )
        )
        self.properties["configurationEx"] = fill(
            vim.cluster.ConfigInfoEx(
                dasConfig=vim.cluster.DasConfigInfo(enabled=False), drsConfig=vim.cluster.DrsConfigInfo(enabled=False)
            )
        )

    @soap_method("ReconfigureComputeResource_Task")
    def reconfigure(self, call: Call) -> Any:
        """Keep settings of DRS for single machines, each of which is made once."""

        def work() -> None:
            settings = self.properties["configurationEx"]
            known = [one.key for one in settings.drsVmConfig or []]
            for change in call["spec"].drsVmConfigSpec:
                if change.operation != "add" or change.info.key in known:
                    raise invalid_argument("spec.drsVmConfigSpec.operation")
                settings.drsVmConfig = [*(settings.drsVmConfig or []), change.info]
            self.touch()

        return self.context.tasks.start(self, call, work)


class Pool(Entity):
    vim_type = vim.ResourcePool
    prefix = "resgroup"
    machine_property = "resourcePool"

    @soap_method("ImportVApp")
    def take_in(self, call: Call) -> Any:
        config, folder = call["spec"].configSpec, self.context.objects[call["folder"]._moId]
        assert isinstance(folder, Folder)
        folder.refuse_second(config.name)
        wanted = imported_machine(self.context, folder, config, self.ref, call["host"])
        made = self.context.inventory.add(wanted, lasting=False)
        made.imported = True
        return ImportLease(made).ref


class Host(Entity):
    vim_type = vim.HostSystem
    prefix = "host"
    machine_property = "runtime.host"

    def __init__(self, context: Context, name: str, parent: Any, **places: Any) -> None:
        super().__init__(context, name=name, parent=parent, **places)
        runtime = fill(
            vim.host.RuntimeInfo(connectionState="connected", powerState="poweredOn", inMaintenanceMode=False)
        )
        self.properties["runtime"] = runtime
        self.properties["summary"] = vim.host.Summary(
            host=self.ref,
            runtime=runtime,
            overallStatus="green",
            rebootRequired=False,
            config=fill(
                vim.host.Summary.ConfigSummary(
                    name=name,
                    port=902,
                    product=vim.AboutInfo(
                        name="VMware ESXi", fullName="VMware ESXi 8.0.2 (stand-in)", vendor="lab", version="8.0.2",
                        build="0", osType="vmnix-x86", productLineId="embeddedEsx", apiType="HostAgent",
                        apiVersion="8.0.2.0",
                    ),
                )
            ),
            hardware=fill(
                vim.host.Summary.HardwareSummary(vendor="lab", model="stand-in", numCpuCores=16, memorySize=64 << 30)
            ),
            quickStats=vim.host.Summary.QuickStats(),
        )  # fmt: skip

    def show_port_groups(self, networks: list[Network]) -> None:
        groups = [
            vim.host.PortGroup(
                spec=vim.host.PortGroup.Specification(
                    name=network.properties["name"], vlanId=network.vlan, vswitchName="vSwitch0",
                    policy=vim.host.NetworkPolicy(),
                )
            )
            for network in networks
        ]  # fmt: skip
        self.set(config=fill(vim.host.ConfigInfo(network=vim.host.NetworkInfo(portgroup=groups))))


class Datastore(Entity):
    vim_type = vim.Datastore
    prefix = "datastore"
    machine_property = "datastore"

    def __init__(self, context: Context, name: str, parent: Any, capacity: int) -> None:
        super().__init__(context, name=name, parent=parent, host=[])
        url = f"ds:///vmfs/volumes/{self.moid}/"
        self.properties["summary"] = vim.Datastore.Summary(
            datastore=self.ref, name=name, type="VMFS", accessible=True, url=url, capacity=capacity,
            freeSpace=capacity // 2, multipleHostAccess=True, maintenanceMode="normal",
        )  # fmt: skip
        self.properties["info"] = fill(vim.Datastore.Info(name=name, url=url, freeSpace=capacity // 2))


class Network(Entity):
    """A port group of the hosts' own switches."""

    vim_type = vim.Network
    prefix = "network"
    machine_property = "network"

    def __init__(self, context: Context, name: str, parent: Any, vlan: int) -> None:
        super().__init__(context, name=name, parent=parent, host=[])
        self.vlan = vlan
        self.properties["summary"] = vim.Network.Summary(network=self.ref, name=name, accessible=True, ipPoolName="")

    def backing(self) -> Any:
        name = self.properties["name"]
        return vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(
            deviceName=name, network=self.ref, useAutoDetect=False
        )


class OpaqueNetwork(Entity):
    """A network that something else than vSphere made."""

    vim_type = vim.OpaqueNetwork
    prefix = "network-o"
    machine_property = "network"

    def __init__(self, context: Context, name: str, parent: Any, network_id: str) -> None:
        super().__init__(context, name=name, parent=parent, host=[])
        self.network_id = network_id
        self.properties["summary"] = vim.OpaqueNetwork.Summary(
            network=self.ref, name=name, accessible=True, ipPoolName="", opaqueNetworkId=network_id,
            opaqueNetworkType="nsx.LogicalSwitch",
        )  # fmt: skip

    def backing(self) -> Any:
        return vim.vm.device.VirtualEthernetCard.OpaqueNetworkBackingInfo(
            opaqueNetworkId=self.network_id, opaqueNetworkType="nsx.LogicalSwitch"
        )


class DistributedSwitch(Entity):
    vim_type = vim.dvs.VmwareDistributedVirtualSwitch
    prefix = "dvs"

    def __init__(self, context: Context, name: str, parent: Any, uuid: str) -> None:
        super().__init__(context, name=name, parent=parent, uuid=uuid, portgroup=[])
        self.properties["config"] = fill(vim.dvs.VmwareDistributedVirtualSwitch.ConfigInfo(name=name, uuid=uuid))
        self.properties["summary"] = fill(vim.DistributedVirtualSwitch.Summary(name=name, uuid=uuid))


class DistributedPortGroup(Entity):
    vim_type = vim.dvs.DistributedVirtualPortgroup
    prefix = "dvportgroup"
    machine_property = "network"

    def __init__(self, context: Context, name: str, parent: Any, switch: DistributedSwitch, vlan: int) -> None:
        super().__init__(context, name=name, parent=parent, host=[])
        self.switch = switch
        self.properties["key"] = self.moid
        self.properties["summary"] = vim.Network.Summary(network=self.ref, name=name, accessible=True, ipPoolName="")
        tag = vim.dvs.VmwareDistributedVirtualSwitch.VlanIdSpec(vlanId=vlan, inherited=False)
        setting = vim.dvs.VmwareDistributedVirtualSwitch.VmwarePortConfigPolicy(vlan=tag)
        self.properties["config"] = fill(
            vim.dvs.DistributedVirtualPortgroup.ConfigInfo(
                key=self.moid, name=name, numPorts=8, distributedVirtualSwitch=switch.ref, type="earlyBinding",
                defaultPortConfig=setting,
            )
        )  # fmt: skip
        switch.set(portgroup=[*switch.properties["portgroup"], self.ref])

    def backing(self) -> Any:
        port = vim.dvs.PortConnection(portgroupKey=self.moid, switchUuid=self.switch.properties["uuid"])
        return vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port)
