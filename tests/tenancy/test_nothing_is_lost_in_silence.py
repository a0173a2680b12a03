"""Whatever openstacksdk tells of a resource is carried, told of in the files, or named where it says something."""

import importlib
import pkgutil

import pytest
from resource_files import exported
from small_cloud import EXTENSIONS, SmallCloud

from longshore.tenancy.kinds import KINDS

MODULES = {"identity": "v3", "block_storage": "v3", "compute": "v2", "image": "v2", "network": "v2"}
CLASSES = {"role assignment": None, "role grant": None, "quota": None, "router interface": None, "volume type": "Type"}

# What says nothing of its own: it follows from other fields, is another resource, or tells how things are at the moment
FOLLOWS = {
    "domain": "links options",
    "role": "domain_id links options",
    "project": "links",
    "user": "links password password_expires_at",
    "flavor": "original_name",
    "key pair": "private_key",
    "server group": "member_ids policy",
    "address group": "project_id tenant_id",
    "security group": "is_shared security_group_rules tenant_id",
    "security group rule": "name tenant_id",
    "qos policy": "project_id tenant_id",
    "address scope": "project_id tenant_id",
    "subnet pool": "ip_version tenant_id",
    "network": "ipv4_address_scope_id ipv6_address_scope_id",
    "subnet": "tenant_id",
    "router": "external_gateways tenant_id",
    "port": "binding_host_id binding_vif_details binding_vif_type data_plane_status device_id device_owner "
    "dns_assignment ip_allocation propagate_uplink_status qos_network_policy_id resource_request tenant_id "
    "trunk_details",
    "trunk": "tenant_id",
    "floating ip": "name port_details subnet_id tenant_id",
    "rbac policy": "name project_id tenant_id",
    "load balancer": "listeners pools",
    "load balancer pool": "health_monitor_id listener_id listeners loadbalancers members",
    "listener": "default_pool l7_policies load_balancers",
    "health monitor": "pools",
    "l7 policy": "rules",
    "l7 rule": "name",
    "image": "owner",
    "volume type": "is_encryption private",
}


def class_of(kind):
    name = CLASSES.get(kind.name, kind.type_name.rpartition(".")[2])
    package = importlib.import_module(f"openstack.{kind.service}.{MODULES.get(kind.service, 'v2')}")
    for module in pkgutil.iter_modules(package.__path__):
        found = importlib.import_module(f"{package.__name__}.{module.name}")
        for each, value in vars(found).items():
            if isinstance(value, type) and each.lower() == str(name).lower():
                return value
    return None


@pytest.mark.parametrize("kind", [k for k in KINDS if CLASSES.get(k.name, "") is not None], ids=lambda kind: kind.name)
def test_what_is_read_is_asked_of_by_somebody(kind):
    one = class_of(kind)
    assert one is not None
    classes = (*one.__mro__, *one.__subclasses__())  # those are ours, with what openstacksdk doesn't know
    read = {name for base in classes for name, value in vars(base).items() if type(value).__name__ == "Body"}
    asked = {f.attribute for f in kind.fields} | {f.name for f in kind.fields} | {*kind.info, *kind.not_carried}
    asked |= {*kind.guarded_by}
    assert read - asked - set(FOLLOWS.get(kind.name, "").split()) == set()
    assert set(kind.not_carried) <= read


def test_port_forwardings_are_named(files):
    with SmallCloud(extensions=[*EXTENSIONS, "floating-ip-port-forwarding"]) as small:
        public = small.add("networks", {"name": "public", "router:external": True}, "operator")
        one, _ = (small.add("floatingips", {"floating_network_id": public["id"]}, "one") for _ in range(2))
        small.forwardings[one["id"]] = [{"id": "f", "external_port": 2222, "protocol": "tcp"}]
        assert exported(small.connect("one"), files.path, "floating_ips").notes == [
            "floating_ips: port_forwardings of 1 isn't carried."
        ]


def test_what_hangs_on_a_router_is_named(files):
    """A tenant's VPN isn't one of its routers' fields, and would end with the old cloud."""
    with SmallCloud(extensions=[*EXTENSIONS, "vpnaas", "l3-conntrack-helper"]) as small:
        gateways = [{"network_id": "public"}, {"network_id": "public2"}]
        limited = {"external_gateway_info": {**gateways[0], "qos_policy_id": "slow"}, "enable_default_route_bfd": True}
        at = small.add("routers", {"name": "at-the-edge", "external_gateways": gateways, **limited}, "one")
        small.add("routers", {"name": "inside", "external_gateways": gateways[:1]}, "one")
        small.add("vpn/vpnservices", {"name": "to-the-office", "router_id": at["id"]}, "one")
        small.helpers[at["id"]] = [{"id": "h", "protocol": "udp", "port": 69, "helper": "tftp"}]
        left = (
            *("conntrack_helpers", "enable_default_route_bfd", "external_gateways beyond the first"),
            *("qos_policy_id of external_gateway_info", "vpn_services"),
        )
        notes = exported(small.connect("one"), files.path, "routers").notes
        assert [each for each in notes if "isn't carried" in each] == [
            f"routers: {w} of 1 isn't carried." for w in left
        ]


def test_with_whom_an_image_is_shared_is_named(small, files):
    for name in ("alone", "shared"):
        small.connect("one").image.create_image(name, data=b"x", disk_format="raw", container_format="bare")
    for identity, image in small.images.items():
        image["visibility"] = "shared"
        small.members[identity] = ["three"] if image["name"] == "shared" else []
    assert exported(small.connect("one"), files.path, "images").notes == ["images: members of 1 isn't carried."]


def test_what_is_not_carried_is_named(small, files):
    front = small.add("networks", {"name": "front", "vlan_qinq": True}, "one")
    small.add("ports", {"name": "p", "network_id": front["id"], "trusted": True}, "one")
    small.add("ports", {"name": "q", "network_id": front["id"], "numa_affinity_policy": "required"}, "one")
    hints = {"openvswitch": {"other_config": {"tx-steering": "hash"}}}
    small.add("ports", {"name": "r", "network_id": front["id"], "hints": hints}, "one")
    assert sorted(exported(small.connect("one"), files.path, "networks,ports").notes) == [
        "networks: is_vlan_qinq of 1 isn't carried.",
        "ports: hints of 1 isn't carried.",
        "ports: numa_affinity_policy of 1 isn't carried.",
        "ports: trusted of 1 isn't carried.",
    ]
