"""Heat's templates: one that points at what is there, and the data of which a stack is made that adopts it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from longshore.iac.labels import Labels
from longshore.model.as_built import BuiltPort, BuiltServer, BuiltVolume

_VERSION = "2018-08-31"  # of the template's language; `external_id` is there since 2016-10-14
_SERVER, _PORT, _VOLUME = "OS::Nova::Server", "OS::Neutron::Port", "OS::Cinder::Volume"

# A mapping with one of these words alone is a question to Heat, wherever it stands: nothing can quote it
_FUNCTIONS = re.compile(
    r"and|contains|digest|equals|filter|get_(attr|file|param|resource)|if|list_(concat|concat_unique|join)|make_url|"
    r"map_(merge|replace)|not|or|repeat|resource_facade|str_(replace|replace_strict|replace_vstrict|split)|yaql"
)

_Resource = tuple[str, str, str, dict[str, Any]]  # label, kind, id, properties


def external(servers: Sequence[BuiltServer]) -> dict[str, Any]:
    """Return a template of resources that Heat knows and doesn't manage: deleting the stack leaves them all."""
    found = {label: {"type": kind, "external_id": id_} for label, kind, id_, _ in _resources(servers)}
    return {"heat_template_version": _VERSION, "resources": found}


def adopted(name: str, servers: Sequence[BuiltServer]) -> dict[str, Any]:
    """Return the data for `openstack stack adopt`: a stack of this name has the resources from then on, and leaves them
    where it is deleted.
    """
    resources = list(_resources(servers))
    template = {
        label: {"type": kind, "deletion_policy": "retain", "properties": said} for label, kind, _, said in resources
    }
    return {
        "action": "CREATE",
        "status": "COMPLETE",
        "name": name,
        "environment": {"parameters": {}},
        "template": {"heat_template_version": _VERSION, "resources": template},
        "resources": {
            label: {
                "name": label,
                "type": kind,
                "resource_id": id_,
                "action": "CREATE",
                "status": "COMPLETE",
                "resource_data": {},
                "metadata": {},
            }
            for label, kind, id_, _ in resources
        },
    }


def is_evaluated(metadata: Mapping[str, str]) -> bool:
    """Tell whether Heat would take metadata for one of its functions."""
    return len(metadata) == 1 and _FUNCTIONS.fullmatch(next(iter(metadata))) is not None


def _resources(servers: Sequence[BuiltServer]) -> Iterator[_Resource]:
    labels = Labels()
    for server in servers:
        label = labels.of(server.name)
        volumes = [labels.of(f"{label}_disk{n}") for n in range(len(server.volumes))]
        ports = [labels.of(f"{label}_nic{n}") for n in range(len(server.ports))]
        for made, volume in zip(volumes, server.volumes, strict=True):
            yield made, _VOLUME, volume.id, _volume(volume)
        for made, port in zip(ports, server.ports, strict=True):
            yield made, _PORT, port.id, _port(port)
        yield label, _SERVER, server.id, _server(server, volumes, ports)


def _server(server: BuiltServer, volumes: Sequence[str], ports: Sequence[str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": server.name,
        "flavor": server.flavor,
        "metadata": {} if is_evaluated(server.metadata) else server.metadata,
        "user_data_format": "RAW",  # else a replacement asks for an endpoint that few clouds have
        "networks": [{"port": {"get_resource": port}} for port in ports],
        "block_device_mapping_v2": [
            {"volume_id": {"get_resource": volume}, "boot_index": number, "delete_on_termination": False}
            for number, volume in enumerate(volumes)
        ],
    }
    return said if server.key_name is None else {**said, "key_name": server.key_name}


def _volume(volume: BuiltVolume) -> dict[str, Any]:
    said = {"name": volume.name, "size": volume.gib, "volume_type": volume.type, "description": volume.description}
    return {name: value for name, value in said.items() if value is not None}


def _port(port: BuiltPort) -> dict[str, Any]:
    return {
        "name": port.name,
        "network": port.network_id,
        "mac_address": port.mac,
        "security_groups": list(port.group_ids),
        "fixed_ips": [{"subnet": subnet, "ip_address": address} for subnet, address in port.fixed],
    }
