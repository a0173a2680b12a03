"""Projects of a test's own in the lab's cloud, with something of everything in them, and their removal."""

import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import openstack
import yaml

BYTES = os.urandom(1 << 20)
# What another project has otherwise, even when all is as in the files
ELSEWHERE = {"longshore/floating_ips.yml": ["floating_ip_address"]}
AUTOMATIC = "fd61:1:"  # addresses that begin so follow from the port's MAC address
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGMJw2Yk0K2n4X1qvYbX2nGm0W8oHqf7x3o7y8b5r0Ut ops@example.com"


@dataclass(frozen=True)
class Tenant:
    name: str
    id: str
    user_id: str
    cloud: openstack.connection.Connection


@contextmanager
def tenants(clouds_file, admin, directory, count=2):
    """Make a plain member's projects, and the path of a clouds.yaml with an entry for each by its name.

    `clouds_file` is that of the cloud, with its own member as `lab`; `admin` is its administrator.
    """
    clouds = yaml.safe_load(clouds_file.read_text())
    made = []
    try:
        for _ in range(count):
            name, password = f"tenancy-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
            project = admin.identity.create_project(name=name, domain_id="default")
            user = admin.identity.create_user(name=name, domain_id="default", password=password)
            admin.identity.assign_project_role_to_user(project, user, admin.identity.find_role("member"))
            entry = dict(clouds["clouds"]["lab"])
            entry["auth"] = {**entry["auth"], "username": name, "project_name": name, "password": password}
            clouds["clouds"][name] = entry
            path = directory / "clouds.yaml"
            path.write_text(yaml.safe_dump(clouds))
            cloud = openstack.connect(load_yaml_config=False, load_envvars=False, **entry)
            made.append(Tenant(name, project.id, user.id, cloud))
        yield made, path
    finally:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda tenant: remove_all(tenant, admin), made))


def remove_all(tenant, admin):
    network, cloud = tenant.cloud.network, tenant.cloud
    for policy in network.rbac_policies(project_id=tenant.id):
        network.delete_rbac_policy(policy)
    for ip in network.ips(project_id=tenant.id):
        network.delete_ip(ip)
    for router in network.routers(project_id=tenant.id):
        network.update_router(router, routes=[])
        for port in network.ports(device_id=router.id):
            if port.device_owner == "network:router_interface":
                network.remove_interface_from_router(router, None, port.id)
        network.delete_router(router)
    for port in network.ports(project_id=tenant.id):
        if not port.device_owner:
            network.delete_port(port)
    for each in network.networks(project_id=tenant.id):
        network.delete_network(each)
    for each in network.subnet_pools(project_id=tenant.id):
        network.delete_subnet_pool(each)
    for each in network.address_scopes(project_id=tenant.id):
        network.delete_address_scope(each)
    groups = list(network.security_groups(project_id=tenant.id))
    for group in groups:
        for rule in group.security_group_rules:
            if rule["remote_group_id"]:
                network.delete_security_group_rule(rule["id"])
    for group in groups:
        if group.name != "default":
            network.delete_security_group(group)
    for each in network.subnet_pools(project_id=tenant.id):
        network.delete_subnet_pool(each)
    for each in network.address_scopes(project_id=tenant.id):
        network.delete_address_scope(each)
    for each in network.address_groups(project_id=tenant.id):
        network.delete_address_group(each)
    for each in cloud.image.images(owner=tenant.id):
        cloud.image.update_image(each, is_protected=False)
        cloud.image.delete_image(each)
    for each in cloud.compute.keypairs():
        cloud.compute.delete_keypair(each)
    for each in cloud.compute.server_groups():
        cloud.compute.delete_server_group(each)
    for group in admin.network.security_groups(project_id=tenant.id):
        admin.network.delete_security_group(group)
    admin.identity.delete_user(tenant.user_id)
    admin.identity.delete_project(tenant.id)


def furnish(tenant):
    """Make something of every kind that a plain member may make in the lab."""
    network, compute = tenant.cloud.network, tenant.cloud.compute
    public = network.find_network("public")
    front = network.create_network(name="front", description="where visitors come in")
    network.set_tags(front, ["web", "edge"])
    back = network.create_network(name="back", mtu=1400, is_port_security_enabled=False)
    front_v4 = network.create_subnet(
        name="front-v4",
        network_id=front.id,
        ip_version=4,
        cidr="10.61.1.0/24",
        dns_nameservers=["10.61.1.53", "10.61.1.54"],
        host_routes=[{"destination": "10.200.0.0/24", "nexthop": "10.61.1.9"}],
        allocation_pools=[{"start": "10.61.1.100", "end": "10.61.1.150"}],
    )
    back_v4 = network.create_subnet(
        name="back-v4", network_id=back.id, ip_version=4, cidr="10.61.2.0/24", gateway_ip=None, is_dhcp_enabled=False
    )
    network.create_subnet(
        name="front-v6",
        network_id=front.id,
        ip_version=6,
        cidr="fd61:1::/64",
        ipv6_address_mode="slaac",
        ipv6_ra_mode="slaac",
    )
    router = network.create_router(name="edge", external_gateway_info={"network_id": public.id})
    network.add_interface_to_router(router, front_v4.id)
    inner = network.create_port(network_id=back.id, fixed_ips=[{"subnet_id": back_v4.id, "ip_address": "10.61.2.254"}])
    network.add_interface_to_router(router, None, inner.id)
    # A port on a network of both kinds: its IPv6 address follows from its MAC address, and can't be asked for
    side = network.create_router(name="side")
    both = network.create_port(network_id=front.id, fixed_ips=[{"subnet_id": front_v4.id, "ip_address": "10.61.1.5"}])
    network.add_interface_to_router(side, None, both.id)
    network.update_router(router, routes=[{"destination": "10.210.0.0/16", "nexthop": "10.61.2.9"}])

    # Its addresses from a pool, in a scope where they are nobody else's
    scope = network.create_address_scope(name="inside", ip_version=4)
    pool = network.create_subnet_pool(
        name="pool", prefixes=["10.66.0.0/16"], default_prefix_length=26, address_scope_id=scope.id, description="ours"
    )
    pooled = network.create_network(name="pooled")
    network.create_subnet(
        name="pooled-v4", network_id=pooled.id, ip_version=4, cidr="10.66.1.0/26", subnet_pool_id=pool.id
    )

    offices = network.create_address_group(name="offices", addresses=["192.0.2.0/28", "198.51.100.7/32"])
    web = network.create_security_group(name="web", description="the front")
    db = network.create_security_group(name="db")
    quick = network.create_security_group(name="quick", stateful=False)
    network.set_tags(web, ["edge"])

    def rule(group, **how):
        network.create_security_group_rule(security_group_id=group.id, direction="ingress", **how)

    tcp = {"protocol": "tcp", "ether_type": "IPv4"}
    rule(web, **tcp, port_range_min=443, port_range_max=443, remote_ip_prefix="0.0.0.0/0")
    rule(web, **tcp, port_range_min=22, port_range_max=22, remote_address_group_id=offices.id)
    rule(web, **tcp, port_range_min=9000, port_range_max=9100, remote_group_id=db.id)
    rule(db, **tcp, port_range_min=5432, port_range_max=5432, remote_group_id=web.id)
    rule(quick, protocol="icmp", ether_type="IPv4")
    # One of those that the API gives every group is missing here, and must be missing there
    v6 = next(r for r in db.security_group_rules if r["ethertype"] == "IPv6")
    network.delete_security_group_rule(v6["id"])

    vip = network.create_port(
        name="vip",
        network_id=front.id,
        mac_address="00:50:56:61:01:07",
        fixed_ips=[{"subnet_id": front_v4.id, "ip_address": "10.61.1.7"}],
        security_groups=[web.id],
        allowed_address_pairs=[{"ip_address": "10.61.1.8"}],
    )
    network.create_ip(floating_network_id=public.id, port_id=vip.id, description="visitors")
    network.create_ip(floating_network_id=public.id, description="spare")
    compute.create_keypair(name="ops", public_key=SSH_KEY)
    compute.create_server_group(name="apart", policy="anti-affinity", rules={"max_server_per_host": 2})
    compute.create_server_group(name="near", policy="soft-affinity")
    tenant.cloud.image.create_image(
        "tool", container_format="bare", disk_format="raw", data=BYTES, min_disk=1, hw_disk_bus="scsi", team="web"
    )


def params(directory):
    """Return what people edit, by file, without what follows from the cloud."""
    found = {}
    for path in sorted(directory.rglob("*.yml")):
        name = str(path.relative_to(directory))
        listed = [resource["params"] for resource in yaml.safe_load(path.read_text())["resources"]]
        for each in listed:
            for field in ELSEWHERE.get(name, ()):
                each.pop(field)
            for ip in each.get("fixed_ips_refs") or ():
                if (ip.get("ip_address") or "").startswith(AUTOMATIC):
                    ip["ip_address"] = "automatic"
        found[name] = sorted(listed, key=repr)
    return found


def replace(directory, old, new):
    for path in directory.rglob("*.yml"):
        path.write_text(path.read_text().replace(old, new))


def rows(done, *actions):
    """Return what a report says of these actions, by kind and name."""
    assert done.returncode == 0, done.stderr
    return {(row["Kind"], row["Name"]): row["What"] for row in json.loads(done.stdout) if row["Action"] in actions}
