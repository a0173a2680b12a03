"""A playbook of tasks of Ansible's collection openstack.cloud, which find everything as it is."""

from collections.abc import Iterator, Sequence
from typing import Any

from longshore.iac.labels import Labels
from longshore.model.as_built import BuiltServer


def playbook(servers: Sequence[BuiltServer]) -> list[dict[str, Any]]:
    """Return the plays. Which cloud is meant is for whoever runs them to say."""
    labels = Labels()
    tasks = [task for server in servers for task in _tasks(server, labels.of(server.name))]
    return [{"name": "What has landed", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]


def _tasks(server: BuiltServer, label: str) -> Iterator[dict[str, Any]]:
    """Yield tasks that name everything by its id: names may be others' as well."""
    for number, port in enumerate(server.ports):
        said: dict[str, Any] = {
            "name": port.id,
            "network": port.network_id,
            "description": port.description,
            "mac_address": port.mac,
            "fixed_ips": [{"subnet_id": subnet, "ip_address": address} for subnet, address in port.fixed],
            "security_groups": list(port.group_ids),
        }
        yield {"name": f"Port {number} of {label}", "openstack.cloud.port": said}
    for number, volume in enumerate(server.volumes):
        # Left out, later releases of the collection take it for false
        said = {"name": volume.id, "size": volume.gib, "is_bootable": volume.bootable}
        yield {"name": f"Volume {number} of {label}", "openstack.cloud.volume": said}
    said = {
        "name": server.id,
        "flavor": server.flavor,
        **({"boot_volume": server.volumes[0].id} if server.volumes else {}),
        "volumes": [volume.id for volume in server.volumes[1:]],
        "nics": [{"port-id": port.id} for port in server.ports],
        "auto_ip": False,  # else it is given a floating IP
        # Left out, openstack.cloud up to 2.5.0 takes all groups off the ports
        "security_groups": sorted({group for port in server.ports for group in port.group_ids}),
        # What isn't named of these is taken away
        "metadata": server.metadata,
        "tags": list(server.tags),
    }
    yield {"name": f"Server {label}", "openstack.cloud.server": said}
