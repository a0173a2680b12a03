"""The names of what machines are in, on and attached to, read before the machines themselves."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import unquote

from pyVmomi import vim

from longshore.providers.vsphere.properties import Properties, read, read_all, sweep
from longshore.providers.vsphere.session import VsphereSession

NAMES_PAGE = 2000  # objects in one answer when little is asked of each
_KEPT = re.compile("%(?:2f|5c|25)", re.IGNORECASE)
_AS_KEPT = str.maketrans({"/": "%2f", "\\": "%5c", "%": "%25"})

PLACE_PATHS: dict[Any, tuple[str, ...]] = {
    vim.Datacenter: ("name", "parent"),
    vim.Folder: ("name", "parent"),
    vim.VirtualApp: ("name", "parentFolder", "parentVApp"),
    vim.ComputeResource: ("name", "parent"),
    vim.HostSystem: ("name", "parent"),
    vim.Network: ("name", "parent", "summary"),
    vim.Datastore: ("name", "parent", "summary.type"),
}
# Asked for apart from the others: a vApp is a resource pool too, and would be told of twice
POOL_PATHS: dict[Any, tuple[str, ...]] = {
    vim.ResourcePool: ("name", "parent"),
    vim.ClusterComputeResource: ("configurationEx",),
}


@dataclass(slots=True)
class Places:
    """The places of a vCenter, by managed object id. Of the rules of a cluster those that are in force, each with the
    machines it holds for."""

    names: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    datacenters: set[str] = field(default_factory=set)
    clusters: set[str] = field(default_factory=set)
    pools: dict[str, str] = field(default_factory=dict)  # resource pools and vApps, each with the pool it is in
    storage_kinds: dict[str, str] = field(default_factory=dict)  # of datastores: VMFS, NFS, vsan, …
    opaque_networks: dict[str, str] = field(default_factory=dict)  # NSX' id of a network: its managed object id
    source_uuid: str = ""  # the vCenter's own; empty: an ESXi host
    attributes: dict[int, str] = field(default_factory=dict)  # key of a custom attribute: its name
    rules: dict[str, list[str]] = field(default_factory=dict)  # machine: names of rules
    # VLANs that a port group passes on to guests: by host and name, or of a distributed one by "" and its id
    trunks: dict[tuple[str, str], str] = field(default_factory=dict)
    asked_for_trunks: set[str] = field(default_factory=set)  # port groups and hosts
    reading_trunks: Lock = field(default_factory=Lock)

    def add(self, ref: Any, properties: Properties) -> None:
        """Take in an object that was read with its PLACE_PATHS."""
        moid = ref._moId
        self.names[moid] = inventory_name(properties["name"] or "")
        parent = properties.get("parent") or properties.get("parentFolder") or properties.get("parentVApp")
        if parent is not None:
            self.parents[moid] = parent._moId
        if isinstance(ref, vim.Datacenter):
            self.datacenters.add(moid)
        elif isinstance(ref, vim.ClusterComputeResource):
            self.clusters.add(moid)
        elif isinstance(ref, vim.Datastore):
            self.storage_kinds[moid] = properties.get("summary.type") or ""
        elif isinstance(ref, vim.Network):
            opaque = getattr(properties["summary"], "opaqueNetworkId", None)
            if opaque:
                self.opaque_networks[opaque] = moid

    def add_pool(self, ref: Any, properties: Properties) -> None:
        moid = ref._moId
        self.pools[moid] = properties["parent"]._moId if properties["parent"] is not None else ""
        self.names.setdefault(moid, inventory_name(properties["name"] or ""))

    def add_rules(self, configuration: Any) -> None:
        """Take in a cluster's configurationEx: who must run where, with whom, without whom."""
        groups = {
            str(group.name): group.vm for group in configuration.group or [] if isinstance(group, vim.cluster.VmGroup)
        }
        for rule in configuration.rule or []:
            if isinstance(rule, vim.cluster.VmHostRuleInfo):
                members = groups.get(str(rule.vmGroupName), [])
            else:  # to be together, or apart
                members = getattr(rule, "vm", None) or []
            for machine in members if rule.enabled else ():
                self.rules.setdefault(machine._moId, []).append(rule.name or "unnamed")

    def folder(self, parent: Any) -> tuple[str, str]:
        """Return (datacenter's name, "Folder/Sub" below the datacenter's machine folder) for a machine's parent."""
        above: list[str] = []
        moid = parent._moId if parent is not None else ""
        while moid in self.names and moid not in self.datacenters:
            above.append(self.names[moid])
            moid = self.parents.get(moid, "")
        if moid not in self.datacenters:
            return "", "/".join(reversed(above))
        # The last one is the folder "vm" that each datacenter has and no one sees
        return self.names[moid], "/".join(reversed(above[:-1]))

    def pool(self, ref: Any) -> str:
        """Return a resource pool's path below the one that its cluster has and no one chooses."""
        above: list[str] = []
        moid = ref._moId
        while moid in self.pools:
            above.append(self.names[moid])
            moid = self.pools[moid]
        return "/".join(reversed(above[:-1]))

    def top_pool(self, moid: str) -> str:
        """Return the pool that its cluster has and no one chooses."""
        while self.pools.get(moid) in self.pools:
            moid = self.pools[moid]
        return moid

    def datacenter(self, ref: Any) -> str:
        """Return the name of the datacenter that anything is in."""
        moid = ref._moId
        while moid and moid not in self.datacenters:
            moid = self.parents.get(moid, "")
        return self.names.get(moid, "")

    def cluster(self, host: Any) -> str:
        """Return the name of a host's cluster; empty for a host of its own."""
        moid = self.parents.get(host._moId, "")
        return self.names.get(moid, "") if moid in self.clusters else ""

    def storage_kind(self, backing: Any) -> str:
        """Return the kind of the datastore that a disk is on; empty: nobody says."""
        datastore = getattr(backing, "datastore", None)
        return self.storage_kinds.get(datastore._moId, "") if datastore is not None else ""

    def name(self, ref: Any) -> str:
        return self.names.get(ref._moId, "") if ref is not None else ""


def read_places(session: VsphereSession) -> Places:
    """Read the places. Raises vSphere's own faults."""
    about = session.content.about
    places = Places(source_uuid=(about.instanceUuid or "") if about.apiType == "VirtualCenter" else "")
    for ref, properties in sweep(session, PLACE_PATHS, page=NAMES_PAGE):
        places.add(ref, properties)
    for ref, properties in sweep(session, POOL_PATHS, page=NAMES_PAGE):
        if isinstance(ref, vim.ResourcePool):
            places.add_pool(ref, properties)
        elif properties["configurationEx"] is not None:
            places.add_rules(properties["configurationEx"])
    fields = session.content.customFieldsManager  # an ESXi host has none
    if fields is not None:
        places.attributes = _attributes(read(session, fields, ("field",))["field"])
    return places


def datacenter_of(session: VsphereSession, thing: Any) -> Any:
    """Return the datacenter that a machine or host is in; None for one that is in none. Raises vSphere's own faults."""
    while thing is not None and not isinstance(thing, vim.Datacenter):
        thing = read(session, thing, ("parent",))["parent"]
    return thing


def folder_called(session: VsphereSession, datacenter: Any, path: str) -> Any:
    """Return the folder for machines with this path below a datacenter; None: there is none. A folder's own name may
    hold slashes. Raises vSphere's own faults."""
    return _below(session, read(session, datacenter, ("vmFolder",))["vmFolder"], path)


def _below(session: VsphereSession, folder: Any, path: str) -> Any:
    if not path:
        return folder
    below = read(session, folder, ("childEntity",))["childEntity"] or []
    folders = [child for child in below if isinstance(child, vim.Folder)]
    names = read_all(session, folders, ("name",)) if folders else {}
    for child in folders:
        name = inventory_name(names[child._moId]["name"] or "")
        if f"{path}/".startswith(f"{name}/") and (found := _below(session, child, path[len(name) + 1 :])):
            return found
    return None


def _attributes(definitions: Iterable[Any] | None) -> dict[int, str]:
    return {definition.key: definition.name for definition in definitions or []}


def inventory_name(name: str) -> str:
    """vSphere keeps /, \\ and % in names as %2f, %5c and %25, and nothing else: %1b is what somebody has called it."""
    return _KEPT.sub(lambda found: unquote(found[0]), name)


def kept_name(name: str) -> str:
    """Return a name as vSphere keeps it."""
    return name.translate(_AS_KEPT)
