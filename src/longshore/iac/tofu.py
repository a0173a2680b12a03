"""HCL for OpenTofu and Terraform: resources of the provider terraform-provider-openstack, and their imports.

An import reads less of a resource than the provider knows, and what it doesn't read counts as a change: of some words
one that replaces the server. So these stand in `ignore_changes`, and everything has `prevent_destroy`. Which words, and
what happens without, is in docs/decisions/landed-as-code.md.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from longshore.border.documents import hcl_text
from longshore.iac.labels import Labels
from longshore.model.as_built import BuiltPort, BuiltServer

_SERVER = "openstack_compute_instance_v2"
_PORT = "openstack_networking_port_v2"
_VOLUME = "openstack_blockstorage_volume_v3"
_FLOATING = "openstack_networking_floatingip_v2"
IGNORED = {
    _SERVER: ("block_device", "config_drive", "network", "tags", "user_data"),
    _PORT: ("fixed_ip", "no_security_groups", "security_group_ids", "tags"),
    _VOLUME: ("backup_id", "image_id", "snapshot_id", "source_vol_id"),
    _FLOATING: ("tags",),
}
_POWER = {"ACTIVE": "active", "SHUTOFF": "shutoff", "PAUSED": "paused", "SHELVED_OFFLOADED": "shelved_offloaded"}


@dataclass(frozen=True, slots=True)
class _Said:
    """An expression, where a plain text would be one."""

    words: str


_Value = str | int | bool | None | _Said | Sequence[str] | Mapping[str, str]
_Block = tuple[str, Mapping[str, _Value]]


def tofu(servers: Sequence[BuiltServer]) -> str:
    """Return the resources, without the comments that a file begins with."""
    labels = Labels()
    return "\n".join(piece for server in servers for piece in _server(server, labels.of(server.name)))


def _server(server: BuiltServer, label: str) -> Iterator[str]:
    ports = [f"{label}_nic{n}" for n in range(len(server.ports))]
    volumes = [f"{label}_disk{n}" for n in range(len(server.volumes))]
    blocks: list[_Block] = [("network", {"port": _id_of(_PORT, port)}) for port in ports]
    blocks += [
        (
            "block_device",
            {
                "uuid": _id_of(_VOLUME, volume),
                "source_type": "volume",
                "destination_type": "volume",
                "boot_index": number,
                "delete_on_termination": False,
            },
        )
        for number, volume in enumerate(volumes)
    ]
    fields: dict[str, _Value] = {
        "name": server.name,
        "flavor_name": server.flavor,
        "key_pair": server.key_name,
        "availability_zone": server.zone,
        "power_state": _POWER.get(server.status),
        "metadata": server.metadata,
        "tags": server.tags,
    }
    yield _resource(_SERVER, label, server.id, fields, blocks)
    for port, made in zip(server.ports, ports, strict=True):
        yield from _port(port, made)
    for volume, made in zip(server.volumes, volumes, strict=True):
        fields = {
            "name": volume.name,
            "description": volume.description,
            "size": volume.gib,
            "volume_type": volume.type,
            "availability_zone": volume.zone,
        }
        yield _resource(_VOLUME, made, volume.id, fields)


def _port(port: BuiltPort, label: str) -> Iterator[str]:
    fields: dict[str, _Value] = {
        "name": port.name,
        "description": port.description,
        "network_id": port.network_id,
        "mac_address": port.mac,
        "security_group_ids": port.group_ids,
        "no_security_groups": None if port.group_ids else True,
    }
    blocks: list[_Block] = [("fixed_ip", {"subnet_id": subnet, "ip_address": ip}) for subnet, ip in port.fixed]
    # The provider leaves a pair's MAC out where it is the port's
    blocks += [
        ("allowed_address_pairs", {"ip_address": ip, "mac_address": mac if mac != port.mac else None})
        for ip, mac in port.pairs
    ]
    yield _resource(_PORT, label, port.id, fields, blocks)
    for number, floating in enumerate(port.floating):
        fields = {
            "pool": floating.network,
            "description": floating.description,
            "port_id": _id_of(_PORT, label),
            "fixed_ip": floating.fixed,
        }
        yield _resource(_FLOATING, f"{label}_floating{number}", floating.id, fields)


def _id_of(kind: str, label: str) -> _Said:
    return _Said(f"{kind}.{label}.id")


def _resource(kind: str, label: str, id_: str, fields: Mapping[str, _Value], blocks: Iterable[_Block] = ()) -> str:
    lines = ["import {", f"  to = {kind}.{label}", f"  id = {hcl_text(id_)}", "}", ""]
    lines += [f'resource "{kind}" "{label}" {{', *_fields(fields, "  ")]
    for block, values in blocks:
        lines += ["", f"  {block} {{", *_fields(values, "    "), "  }"]
    lines += ["", "  lifecycle {", "    prevent_destroy = true"]
    lines += [f"    ignore_changes  = [{', '.join(IGNORED[kind])}]", "  }", "}", ""]
    return "\n".join(lines)


def _fields(fields: Mapping[str, _Value], indent: str) -> Iterator[str]:
    """Yield a line for each field that has something to say."""
    for name, value in fields.items():
        if value not in (None, "", (), {}):
            yield f"{indent}{name} = {_value(value, indent)}"


def _value(value: _Value, indent: str) -> str:
    match value:
        case _Said():
            return value.words
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return hcl_text(value)
        case Mapping():
            inner = [f"{indent}  {hcl_text(key)} = {hcl_text(said)}" for key, said in sorted(value.items())]
            return "\n".join(["{", *inner, f"{indent}}}"])
        case _:
            return f"[{', '.join(map(hcl_text, value or ()))}]"
