"""The inventory of a vCenter: what machines are in, on and attached to, as `longshore.model.inventory` has it. Asked
for seldom, so read whole."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from pyVmomi import vim

from longshore.model.inventory import (
    Cluster,
    Datastore,
    Folder,
    Host,
    Inventory,
    NetworkKind,
    ResourcePool,
    SourceNetwork,
)
from longshore.providers.vsphere.places import NAMES_PAGE, Places, inventory_name, read_places
from longshore.providers.vsphere.properties import Properties, sweep
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.trunks import trunk

_PATHS: dict[Any, tuple[str, ...]] = {
    vim.HostSystem: ("name", "parent", "summary", "config.network.portgroup"),
    vim.Datastore: ("summary",),
    vim.Network: ("name", "summary"),
}
_GROUP_PATHS = ("config",)
_PRODUCT = "summary.config.product"

_Found = tuple[Any, Properties]
_Vlans = dict[tuple[str, str], str]


def inventory(session: VsphereSession) -> Inventory:
    """Read the inventory. Raises AccessDenied, Unreachable, ProviderError."""
    with session.doing("read its inventory"):
        places = read_places(session)
        found = list(sweep(session, _PATHS, page=NAMES_PAGE))
        groups = {
            ref._moId: properties["config"]
            for ref, properties in sweep(session, {vim.dvs.DistributedVirtualPortgroup: _GROUP_PATHS}, page=NAMES_PAGE)
        }
        switches = dict(
            (ref._moId, inventory_name(properties["name"] or ""))
            for ref, properties in sweep(session, {vim.DistributedVirtualSwitch: ("name",)}, page=NAMES_PAGE)
        )
    hosts = [one for one in found if isinstance(one[0], vim.HostSystem)]
    return Inventory(
        datacenters=tuple(sorted(places.names[moid] for moid in places.datacenters)),
        clusters=tuple(_clusters(places)),
        hosts=tuple(_host(ref, properties, places) for ref, properties in hosts),
        folders=tuple(_folders(places)),
        pools=tuple(_pools(places)),
        datastores=tuple(_datastore(*one, places) for one in found if isinstance(one[0], vim.Datastore)),
        networks=tuple(_networks(found, groups, switches, _vlans(hosts, places), places)),
    )


def versions_of_hosts(session: VsphereSession) -> str:
    """Return which versions of ESXi the hosts have, and how many have each: "8.0.2 (3), 7.0.3 (1)"; empty when the
    user may see none. Raises AccessDenied, Unreachable, ProviderError."""
    with session.doing("read its hosts' versions"):
        found = list(sweep(session, {vim.HostSystem: (_PRODUCT,)}, page=NAMES_PAGE))
    products = (properties.get(_PRODUCT) for _, properties in found)
    counted = Counter(str(product.version) for product in products if product is not None)
    return ", ".join(f"{version} ({count})" for version, count in counted.most_common())


def _clusters(places: Places) -> Iterator[Cluster]:
    for moid in sorted(places.clusters):
        yield Cluster(moid, places.names[moid], places.datacenter(vim.ClusterComputeResource(moid)))


def _host(ref: Any, properties: Properties, places: Places) -> Host:
    summary = properties["summary"]
    hardware, product = summary.hardware, summary.config.product
    return Host(
        ref=ref._moId,
        name=inventory_name(properties["name"] or ""),
        datacenter=places.datacenter(ref),
        cluster=places.cluster(ref),
        version=product.version if product is not None else "",
        connected=summary.runtime is not None and summary.runtime.connectionState == "connected",
        maintenance=bool(summary.runtime is not None and summary.runtime.inMaintenanceMode),
        cores=hardware.numCpuCores if hardware is not None else 0,
        memory=hardware.memorySize if hardware is not None else 0,
    )


def _folders(places: Places) -> Iterator[Folder]:
    """Yield the folders for machines: the ones below a datacenter's folder "vm"."""
    for moid in sorted(places.names):
        if not moid.startswith("group-v"):  # group-h is for hosts, group-n for networks, group-s for storage
            continue
        datacenter, path = places.folder(vim.Folder(moid))
        if datacenter and path:
            yield Folder(moid, path, datacenter)


def _pools(places: Places) -> Iterator[ResourcePool]:
    for moid, above in sorted(places.pools.items()):
        if above not in places.pools:
            continue  # the one that each cluster has
        cluster = places.pools[places.top_pool(moid)]
        yield ResourcePool(moid, places.pool(vim.ResourcePool(moid)), places.names.get(cluster, ""))


def _datastore(ref: Any, properties: Properties, places: Places) -> Datastore:
    summary = properties["summary"]
    return Datastore(
        ref=ref._moId,
        name=places.name(ref),
        datacenter=places.datacenter(ref),
        kind=summary.type or "",
        capacity=summary.capacity or 0,
        free=summary.freeSpace or 0,
        accessible=bool(summary.accessible),
        maintenance=(summary.maintenanceMode or "normal") != "normal",
    )


def _networks(
    found: Iterable[_Found], groups: dict[str, Any], switches: dict[str, str], vlans: _Vlans, places: Places
) -> Iterator[SourceNetwork]:
    for ref, _ in found:
        if not isinstance(ref, vim.Network):
            continue
        name, datacenter = places.name(ref), places.datacenter(ref)
        group = groups.get(ref._moId)
        if group is not None:
            if getattr(group, "uplink", False):
                continue  # the way out of the switch: no machine is on it
            switch = switches.get(getattr(group.distributedVirtualSwitch, "_moId", ""), "")
            vlan = _vlan(getattr(group.defaultPortConfig, "vlan", None))
            yield SourceNetwork(ref._moId, name, datacenter, NetworkKind.DISTRIBUTED, vlan, switch)
        elif isinstance(ref, vim.OpaqueNetwork):
            yield SourceNetwork(ref._moId, name, datacenter, NetworkKind.OPAQUE)
        else:
            yield SourceNetwork(ref._moId, name, datacenter, NetworkKind.STANDARD, vlans.get((datacenter, name), ""))


def _vlans(hosts: Iterable[_Found], places: Places) -> _Vlans:
    """Return the VLANs of the hosts' own port groups, by datacenter and name. Each host says it for itself; they
    needn't agree."""
    said: dict[tuple[str, str], set[int]] = defaultdict(set)
    for host, properties in hosts:
        for group in properties["config.network.portgroup"] or []:
            said[places.datacenter(host), inventory_name(group.spec.name)].add(group.spec.vlanId or 0)
    return {one: ", ".join(str(vlan) for vlan in sorted(vlans) if vlan) for one, vlans in said.items()}


def _vlan(spec: Any) -> str:
    kinds = vim.dvs.VmwareDistributedVirtualSwitch
    if isinstance(spec, kinds.VlanIdSpec):
        return str(spec.vlanId) if spec.vlanId else ""
    if isinstance(spec, kinds.PvlanSpec):
        return f"private {spec.pvlanId}"
    return trunk(spec)
