"""Port groups that pass VLANs on to guests, read for those alone that some machines are on."""

from collections.abc import Iterable
from typing import Any

from pyVmomi import vim

from longshore.providers.vsphere.places import Places, inventory_name
from longshore.providers.vsphere.properties import Properties, read_present
from longshore.providers.vsphere.session import VsphereSession

_ALL = 4095  # as the VLAN of a host's own port group
_Card = vim.vm.device.VirtualEthernetCard


def note_trunks(session: VsphereSession, machines: Iterable[Properties], places: Places) -> None:
    """Note in `places` which port groups of these machines are trunks. Each group, or host, is asked once. Raises
    vSphere's own faults."""
    groups: set[str] = set()
    hosts: set[str] = set()
    for properties in machines:
        for device in properties["config.hardware.device"] or []:
            backing = device.backing if isinstance(device, _Card) else None
            if isinstance(backing, _Card.DistributedVirtualPortBackingInfo):
                groups.add(backing.port.portgroupKey or "")
            elif isinstance(backing, _Card.NetworkBackingInfo) and properties["runtime.host"] is not None:
                hosts.add(properties["runtime.host"]._moId)
    with places.reading_trunks:  # what another page has asked for is known once that one has it
        for moid, found in _unread(session, vim.dvs.DistributedVirtualPortgroup, groups, "config", places).items():
            setting = getattr(found, "defaultPortConfig", None)
            if vlans := trunk(getattr(setting, "vlan", None)):
                places.trunks["", moid] = vlans
        for moid, found in _unread(session, vim.HostSystem, hosts, "config.network.portgroup", places).items():
            for group in found or []:
                if group.spec.vlanId == _ALL:
                    places.trunks[moid, inventory_name(group.spec.name)] = "0-4094"


def trunk(spec: Any) -> str:
    """Return the VLANs that a distributed port group passes on: "0-4094", "10-12, 30-30"; empty for one that isn't a
    trunk."""
    if not isinstance(spec, vim.dvs.VmwareDistributedVirtualSwitch.TrunkVlanSpec):
        return ""
    return ", ".join(f"{part.start}-{part.end}" for part in spec.vlanId or [])


def _unread(session: VsphereSession, kind: Any, wanted: set[str], path: str, places: Places) -> dict[str, Any]:
    """Read a path of those that the user may see and that haven't been asked before."""
    new = sorted(moid for moid in wanted - places.asked_for_trunks if moid in places.names)
    places.asked_for_trunks.update(new)
    found = read_present(session, [session.object(kind, moid) for moid in new], (path,))
    return {moid: properties[path] for moid, properties in found.items()}
