"""Translation of the services' descriptions of a server to `longshore.model`'s. Pure: all has been read already."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from longshore.model import user_data
from longshore.model.machine import (
    AllowedAddress,
    Devices,
    Disk,
    Firmware,
    Machine,
    Nic,
    PowerState,
    ServerDetails,
    ServerSettings,
    ToolsState,
)
from longshore.model.target import DISK_BUS
from longshore.providers.openstack import ownership
from longshore.providers.openstack.platform import PLATFORM
from longshore.providers.openstack.ports import told_port_security

GIB = 1 << 30
ROOT = "root"  # key of a root disk that is no volume
LOCAL = "local"  # what storage is called that isn't Cinder's
BASE = "base:"  # how the location of a root disk that is no volume begins; its image follows

_POWER = {
    "ACTIVE": PowerState.ON,
    "PASSWORD": PowerState.ON,
    "SHUTOFF": PowerState.OFF,
    "PAUSED": PowerState.SUSPENDED,
    "SUSPENDED": PowerState.SUSPENDED,
}
# What Neutron calls the ways to be bound by which a server has (a piece of) a physical adapter
_PHYSICAL = frozenset({"direct", "direct-physical", "macvtap", "smart-nic", "remote-managed"})
# Extra specs of flavors by which a server has devices of its host: names with counts, and Placement's own resources
_ALIAS, _ACCELERATOR, _MEMORY = "pci_passthrough:alias", "accel:device_profile", "hw:pmem"
_COUNT = re.compile(r":(\d{1,3})\s*$")
_RESOURCE = r"resources(?:\d+|_[\w-]+)?:"  # of a group with a number or, since 2020, a name
_OF_HOST = re.compile(rf"{_RESOURCE}(?:VGPU|PGPU|PCI_DEVICE|FPGA)")
_CUSTOM = re.compile(rf"{_RESOURCE}(CUSTOM_\w+)")  # an operator's own: a kind of vGPU as well as a licence
# Properties of images that name snapshots, images, users, keys and certificates of the cloud that they are from
OF_ITS_CLOUD = (
    "base_image_ref",  # which Nova would rescue servers with
    "bdm_v2",
    "block_device_mapping",
    "cinder_encryption_key_deletion_policy",
    "cinder_encryption_key_id",
    "img_signature",
    "img_signature_certificate_uuid",
    "img_signature_hash_method",
    "img_signature_key_type",
    "os_encrypt_key_id",
    "user_id",
)
# Glance's own of those that look like the ones about servers
_OF_THE_IMAGE = frozenset({"os_hash_algo", "os_hash_value", "os_hidden", *OF_ITS_CLOUD})


@dataclass(frozen=True, slots=True)
class Around:
    """The surroundings of a project's servers. Volumes, networks and groups by id, ports by their server's id."""

    volumes: Mapping[str, Any] = field(default_factory=dict)
    ports: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)  # names
    security_groups: Mapping[str, str] = field(default_factory=dict)  # names
    server_groups: Mapping[str, str] = field(default_factory=dict)  # server id: its group's name
    # Fingerprints of key pairs by their user's id and their name, as far as the account sees them
    key_pairs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    # Port id: floating addresses by the fixed ones that they lead to
    floating: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    forwarded: Mapping[str, Sequence[str]] = field(default_factory=dict)  # port id: what floating IPs forward to it
    shares: tuple[str, ...] = ()  # that the server mounts, in words; only told of one server alone
    # Glance's own words on those that servers with a local root disk are made from
    images: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def machine_of(server: Any, around: Around) -> Machine:
    flavor = server.flavor
    specs = flavor.extra_specs or {}
    disks = tuple(_disks(server, around))
    properties = disks[0].image_properties if disks else {}
    uefi = properties.get("hw_firmware_type") == "uefi"
    return Machine(
        ref=server.id,
        name=server.name or "",
        power=power_of(server),
        cpus=flavor.vcpus or 0,
        memory_mib=flavor.ram or 0,
        disks=disks,
        nics=tuple(_nics(server, around)),
        firmware=Firmware.UEFI if uefi else Firmware.BIOS,
        secure_boot=uefi and "required" in (properties.get("os_secure_boot"), specs.get("os:secure_boot")),
        guest_name=" ".join(filter(None, (properties.get("os_distro"), properties.get("os_version")))),
        host_name=server.hostname or "",
        tools=ToolsState.RUNNING if _answers(properties) else ToolsState.NOT_INSTALLED,
        change_tracking=True,  # RBD compares snapshots at any time: there is nothing to switch on
        cluster=server.availability_zone or "",
        host=server.hypervisor_hostname or server.host_id or "",
        uuid=server.id,
        annotation=server.description or "",
        tags=tuple(server.tags or ()),
        platform=PLATFORM,
        freezes=_freezes(disks),
        devices=_devices(properties, specs, around.shares),
        server_settings=ServerSettings(
            key_name=server.key_name or None,
            server_group=around.server_groups.get(server.id),
            availability_zone=server.availability_zone or None,
            user_data=readable_user_data(server.user_data),
            metadata={k: v for k, v in (server.metadata or {}).items() if not k.startswith("longshore:")},
            tags=tuple(server.tags or ()),
            key_fingerprint=around.key_pairs.get((server.user_id, server.key_name)),
        ),
        server=_details(server, around),
    )


def _devices(properties: Mapping[str, str], specs: Mapping[str, Any], shares: tuple[str, ...]) -> Devices:
    """Return what a server has beside disks and adapters: by its flavor or image whole devices of its host, or parts of
    them (vGPU), and accelerators; and shares."""
    counted = filter(None, str(specs.get(_ALIAS) or "").split(","))
    passthrough = sum(int(found[1]) if (found := _COUNT.search(each)) else 1 for each in counted)
    passthrough += sum(int(str(specs[key])) for key in specs if _OF_HOST.fullmatch(key) and str(specs[key]).isdecimal())
    others = [f"the accelerator {specs[_ACCELERATOR]}"] if specs.get(_ACCELERATOR) else []
    custom = sorted(
        {found[1] for key, count in specs.items() if (found := _CUSTOM.fullmatch(key)) and str(count) != "0"}
    )
    others += [f"the host's resource {name}" for name in custom]
    others += [f"persistent memory of its host ({specs[_MEMORY]})"] if specs.get(_MEMORY) else []
    tpm = "hw_tpm_version" in properties or "hw:tpm_version" in specs
    return Devices(tpm, passthrough=passthrough, others=(*others, *shares))


def readable_user_data(kept: str | None) -> str | None:
    """Nova keeps and tells it in base64. None where there is none, or what is kept isn't that."""
    try:
        return user_data.encode(base64.b64decode(kept, validate=True)) if kept else None
    except ValueError:
        return None


def power_of(server: Any) -> PowerState:
    return _POWER.get(server.status, PowerState.UNKNOWN)


def _freezes(disks: Sequence[Disk]) -> bool:
    """Tell whether Nova freezes the running guest for an image of it, or fails: never says nothing and goes on."""
    if not disks or disks[0].key == ROOT:
        return False
    properties = disks[0].image_properties
    return _answers(properties) and _yes(properties.get("os_require_quiesce"))


def _answers(properties: Mapping[str, str]) -> bool:
    return _yes(properties.get("hw_qemu_guest_agent"))


def _yes(value: str | None) -> bool:
    return str(value).lower() in ("yes", "true", "1")


def _disks(server: Any, around: Around) -> Iterator[Disk]:
    """Yield the disk that it boots from first, then the others as their devices are called."""
    there = [around.volumes[v.id] for v in server.attached_volumes or () if v.id in around.volumes]
    attached = volumes_in_order(there, server)
    position, bus = 0, ""
    image_id = getattr(server.image, "id", None)
    if image_id:
        image = around.images.get(image_id)
        properties = kept_properties(image or {})
        yield Disk(
            key=ROOT,
            label="root disk",
            position=0,
            size=_root_size(server, image),
            location=f"{BASE}{image_id}",
            storage=LOCAL,
            controller=(bus := properties.get("hw_disk_bus", "virtio")),
            image_properties=properties,
            tracked=False,
        )
        position = 1
    for volume in attached:
        properties = kept_properties(volume.volume_image_metadata or {})
        bus = bus or properties.get("hw_disk_bus", "virtio")  # the first disk's is the server's
        own_bus = (volume.metadata or {}).get(DISK_BUS) if position else None
        yield Disk(
            key=volume.id,
            label=f"volume {volume.name or volume.id}",
            position=position,
            size=volume.size * GIB,
            location=volume.id,
            storage=volume.volume_type or "",
            controller=own_bus or bus,
            own_bus=own_bus,
            shared=bool(volume.is_multiattach) and len(volume.attachments) > 1,
            name=volume.name or "",
            image_properties=properties,
            encrypted=bool(volume.is_encrypted),
        )
        position += 1


def volumes_in_order(volumes: Iterable[Any], server: Any) -> list[Any]:
    """Return a server's volumes: the one that it boots from first, then the others as their devices are called."""
    return sorted(volumes, key=lambda volume: _place(volume, server))


def _place(volume: Any, server: Any) -> tuple[bool, int, str]:
    """Return a volume's place by the name of its device: vda before vdb before vdaa. What isn't on the first disk's bus
    comes after it."""
    names = [a.get("device") or "" for a in volume.attachments or () if a.get("server_id") == server.id]
    device = names[0] if names else ""
    return (DISK_BUS in (volume.metadata or {}), len(device) if device else 1 << 10, device)


def _root_size(server: Any, image: Mapping[str, Any] | None) -> int:
    """Return the root disk's bytes, whole GiB: as large as a volume that takes it all has to be."""
    if server.flavor.disk:
        return int(server.flavor.disk) * GIB
    told = image or {}
    size = max(told.get("virtual_size") or 0, told.get("size") or 0, (told.get("min_disk") or 0) * GIB)
    return -(-size // GIB) * GIB


def kept_properties(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return those of an image's or a volume's properties that are about the servers made from it."""
    named = ("hw_", "os_", "img_")
    return {
        key: str(value)
        for key, value in metadata.items()
        if key.startswith(named) and key not in _OF_THE_IMAGE and value is not None
    }


def _nics(server: Any, around: Around) -> Iterator[Nic]:
    for port in around.ports.get(server.id, ()):
        groups = tuple(around.security_groups.get(group, group) for group in port.security_group_ids or ())
        yield Nic(
            key=port.id,
            label=f"port {port.name or port.id}",
            mac=(port.mac_address or "").lower(),
            network=around.networks.get(port.network_id, port.network_id),
            network_ref=port.network_id or "",
            subports=tuple(_subports(port)),
            port_features=(*_features(port), *around.forwarded.get(port.id, ())),
            model="sriov" if port.binding_vnic_type in _PHYSICAL else "virtio",
            connected=port.is_admin_state_up is not False,
            addresses=tuple(fixed["ip_address"] for fixed in port.fixed_ips or ()),
            # Where there is no port security there are no groups: that isn't a port that lets nothing through
            security_groups=groups if _is_secured(port) else None,
            floating_addresses=dict(around.floating.get(port.id, {})),
            allowed_addresses=tuple(_allowed(port)),
        )


def _is_secured(port: Any) -> bool:
    """Tell whether a port has port security, as all have in a cloud that doesn't know it. One without can't have
    groups."""
    return told_port_security(port) is not False or bool(port.security_group_ids)


def _subports(port: Any) -> Iterator[str]:
    for one in (port.trunk_details or {}).get("sub_ports") or ():
        kind = str(one.get("segmentation_type") or "vlan").upper()
        yield f"{kind} {one.get('segmentation_id')} ({one.get('mac_address')})"


def _features(port: Any) -> Iterator[str]:
    if port.binding_vnic_type not in (None, "normal"):
        yield f"the vnic type {port.binding_vnic_type}"
    if port.qos_policy_id:
        yield f"the QoS policy {port.qos_policy_id}"
    for what in ("device_profile", "hardware_offload_type", "numa_affinity_policy"):
        if said := getattr(port, what, None):  # older versions of openstacksdk lack some
            yield f"the {what.replace('_', ' ')} {said}"
    if port.extra_dhcp_opts:
        yield f"DHCP options ({', '.join(str(one.get('opt_name')) for one in port.extra_dhcp_opts)})"


def _allowed(port: Any) -> Iterator[AllowedAddress]:
    """Yield the further addresses of a port. Neutron notes the port's own MAC where none was asked for: the new port's
    own is meant then."""
    own = (port.mac_address or "").lower()
    for pair in port.allowed_address_pairs or ():
        mac = (pair.get("mac_address") or own).lower()
        yield AllowedAddress(pair["ip_address"], None if mac == own else mac)


def _details(server: Any, around: Around) -> ServerDetails:
    seen = [volume for volume in server.attached_volumes or () if volume.id in around.volumes]
    return ServerDetails(
        flavor=str(server.flavor.original_name or server.flavor.name or ""),
        status="" if server.status in _POWER else str(server.status),
        ephemeral_gib=server.flavor.ephemeral or 0,
        swap_mib=server.flavor.swap or 0,
        config_drive=_yes(str(server.has_config_drive)),
        unseen_volumes=len(server.attached_volumes or ()) - len(seen),
        locked=bool(server.is_locked),
        port_security_off=not all(map(_is_secured, around.ports.get(server.id, ()))),
        relay=ownership.RELAY in (server.metadata or {}),
    )
