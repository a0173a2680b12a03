"""Servers and volumes in OS-Migrate's words. They are checked with the rest; machines are moved by plans, not with a
tenant's resources."""

from collections.abc import Mapping

from longshore.tenancy.forms import (
    Form,
    address,
    anything,
    boolean,
    known_of,
    list_of,
    mac,
    mapping,
    one_of,
    or_null,
    record,
    reference,
    scalar,
    text,
)
from longshore.tenancy.kind import Field, KindOf, ResourceKind, ref

_UUID = record(uuid=text)


def _parts(field: str, params: Mapping[str, Form], refs: Mapping[str, KindOf] | None = None) -> Field:
    """Return the field for resources within another one."""
    form = list_of(record(_info=mapping, _migration_params=mapping, params=known_of(**params), type=text))
    return Field(field, form, refs=refs or {}, inner=frozenset(params))


_VOLUME = {
    "availability_zone": text,
    "description": text,
    "name": text,
    "volume_image_metadata": mapping,
    "volume_type": text,
}

_PORT = {
    "binding_profile": anything,
    "binding_vnic_type": text,
    "fixed_ips_refs": list_of(record(ip_address=address, subnet_ref=reference)),
    "mac_address": mac,
    "network_ref": reference,
}

_FLOATING_IP = {
    "description": text,
    "dns_domain": text,
    "dns_name": text,
    "fixed_ip_address": address,
    "floating_ip_address": address,
    "floating_network_ref": reference,
    "qos_policy_ref": reference,
}

SERVER = ResourceKind(
    "server",
    "workloads",
    "openstack.compute.Server",
    "compute",
    (
        Field("availability_zone", text),
        Field("config_drive", scalar),
        Field("description", text, dispensable=True),
        Field("disk_config", text),
        Field("key_name", text),
        Field("metadata", mapping),
        Field("name", text, required=True),
        Field("user_data", text),
        Field("scheduler_hints", mapping),
        Field("tags", list_of(text), dispensable=True),
        ref("flavor_ref", "flavor", required=True),
        ref("image_ref", "image"),
        Field(
            "security_group_refs",
            list_of(or_null(reference)),
            refs={"security_group_refs": "security group"},
        ),
        _parts("ports", _PORT, {"network_ref": "network", "subnet_ref": "subnet"}),
        _parts("floating_ips", _FLOATING_IP, {"floating_network_ref": "network", "qos_policy_ref": "qos policy"}),
        _parts("volumes", _VOLUME),
    ),
    how={
        "additional_volumes": list_of(_UUID),
        "boot_disk_copy": boolean,
        "boot_volume": _UUID,
        "boot_volume_params": known_of(availability_zone=text, description=text, name=text, volume_type=text),
        "data_copy": boolean,
        "floating_ip_mode": one_of("auto", "new", "existing", "skip"),
        "nbdkit_export_name": text,
        "nbdkit_socket_uri": text,
        "port_creation_mode": one_of("nova", "neutron"),
        "use_nbdkit_direct": boolean,
    },
)

DETACHED_VOLUME = ResourceKind(
    "volume",
    "detached_volumes",
    "openstack.network.ServerVolume",
    "block_storage",
    tuple(Field(name, form, dispensable=name == "description") for name, form in _VOLUME.items()),
    key=(),  # volumes without a name are many
)

KINDS = (SERVER, DETACHED_VOLUME)
