#!/usr/bin/python3
"""What is in the cloud from the start: a project with an ordinary member, networks, flavors, a volume type, quotas.

May be run again: what is there already stays as it is.
"""

import json
import os
from pathlib import Path
from typing import Any

import openstack
from openstack.connection import Connection

# Name, vCPUs, MB of memory. No disk: servers boot from volumes.
FLAVORS = (("t.nano", 1, 256), ("t.small", 1, 768), ("t.medium", 2, 1024))

# More than tests need, little enough to run into on purpose. The storage behind it is 20 GiB, sold five times
# (cinder.conf): a volume of 150 GB is within the quota and still refused, for want of space.
COMPUTE_QUOTA = {"instances": 20, "cores": 24, "ram": 16384}
VOLUME_QUOTA = {"volumes": 60, "snapshots": 60, "gigabytes": 200}

UPLINK = "172.24.4"
PRIVATE = "10.20.30"
SHARED = "10.40.0"


def project_and_member(admin: Connection) -> Any:
    identity = admin.identity
    project = identity.find_project("demo") or identity.create_project(name="demo", domain_id="default")
    user = identity.find_user("demo")
    if not user:
        passwords = json.loads((Path(os.environ["LONGSHORE_LAB"]) / "etc" / "passwords.json").read_text())
        user = identity.create_user(
            name="demo", domain_id="default", password=passwords["demo"], default_project_id=project.id
        )
    identity.assign_project_role_to_user(project, user, identity.find_role("member"))
    return project


def flavors(admin: Connection) -> None:
    for name, cores, memory in FLAVORS:
        if not admin.compute.find_flavor(name):
            admin.compute.create_flavor(name=name, vcpus=cores, ram=memory, disk=0)


def volume_type(admin: Connection) -> None:
    if not admin.block_storage.find_type("ceph"):
        admin.block_storage.create_type(name="ceph", extra_specs={"volume_backend_name": "ceph"})


def quotas(admin: Connection, project: Any) -> None:
    admin.set_compute_quotas(project.id, **COMPUTE_QUOTA)
    admin.set_volume_quotas(project.id, **VOLUME_QUOTA)


def network(cloud: Connection, name: str, prefix: str, subnet: dict[str, Any] | None = None, **attributes: Any) -> Any:
    """A network of this cloud's project with one IPv4 subnet, PREFIX.0/24."""
    found = cloud.network.find_network(name)
    if found:
        return found
    made = cloud.network.create_network(name=name, **attributes)
    cloud.network.create_subnet(
        name=name, network_id=made.id, ip_version=4, cidr=f"{prefix}.0/24", gateway_ip=f"{prefix}.1", **(subnet or {})
    )
    return cloud.network.get_network(made.id)


def networks(admin: Connection, member: Connection) -> None:
    public = network(
        admin,
        "public",
        UPLINK,
        {"is_dhcp_enabled": False, "allocation_pools": [{"start": f"{UPLINK}.10", "end": f"{UPLINK}.250"}]},
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network="external",
    )
    network(admin, "shared", SHARED, is_shared=True)
    # Addresses below .100 are left to machines that bring their own.
    private = network(
        member, "private", PRIVATE, {"allocation_pools": [{"start": f"{PRIVATE}.100", "end": f"{PRIVATE}.250"}]}
    )
    if not member.network.find_router("private"):
        # Only an administrator may choose the router's outer address. The lab has a route to `private` through it.
        gateway = {"network_id": public.id, "external_fixed_ips": [{"ip_address": f"{UPLINK}.2"}]}
        router = admin.network.create_router(
            name="private", project_id=private.project_id, external_gateway_info=gateway
        )
        admin.network.add_interface_to_router(router, subnet_id=private.subnet_ids[0])


def main() -> None:
    admin = openstack.connect(cloud="lab-admin")
    project = project_and_member(admin)
    flavors(admin)
    volume_type(admin)
    quotas(admin, project)
    networks(admin, openstack.connect(cloud="lab"))


main()
