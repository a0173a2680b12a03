"""What limits who is let in is carried whole or not at all, and others' things never become one's own."""

import pytest
from resource_files import Files, compared, exported, group, imported, network, of, port, ref, rule
from small_cloud import EXTENSIONS, SmallCloud

from longshore.errors import Conflict
from longshore.tenancy import validate
from longshore.tenancy.kinds import ALL
from longshore.tenancy.kinds.workload import KINDS as MACHINES

# Without one of these a resource lets in no more. Whoever adds a field decides it here and with the kind
DISPENSABLE = {
    "domain": "description",
    "role": "description",
    "project": "description",
    "user": "default_project_ref description email",
    "group": "description user_refs",
    "flavor": "access_refs description",
    "volume type": "access_refs description",
    "address group": "description",
    "security group": "description tags",
    "security group rule": "description",
    "qos policy": "description is_default is_shared",
    "address scope": "is_shared",
    "subnet pool": "description is_default is_shared tags",
    "network": "availability_zone_hints description dns_domain is_default is_router_external is_shared "
    "is_vlan_transparent mtu provider_network_type provider_physical_network provider_segmentation_id qos_policy_ref "
    "segments tags",
    "subnet": "description dns_nameservers segment_ref service_types tags use_default_subnet_pool",
    "router": "availability_zone_hints description external_gateway_refinfo flavor_ref is_distributed is_ha tags",
    "router interface": "device_owner",
    "port": "allowed_address_pairs binding_vnic_type description dns_name extra_dhcp_opts mac_address "
    "qos_policy_ref tags",
    "trunk": "description tags",
    "floating ip": "description dns_domain dns_name qos_policy_ref tags",
    "load balancer": "availability_zone description flavor_ref provider vip_qos_policy_ref",
    "load balancer pool": "description",
    "listener": "default_pool_ref description",
    "load balancer member": "name network_ref",
    "health monitor": "name",
    "l7 policy": "description",
    "server": "description tags",
    "volume": "description",
}
# Of an image all that guests and schedulers are told, and what it needs
OF_IMAGES = ("hw_", "os_", "vm", "min_", "architecture", "has_auto", "hypervisor_", "instance_type", "is_hw", "needs_")


@pytest.mark.parametrize("kind", [*ALL, *MACHINES], ids=lambda kind: kind.name)
def test_each_field_limits_unless_it_is_known_not_to(kind):
    spared = {field.name for field in kind.fields if not kind.limits(field)}
    assert spared == {field.name for field in kind.fields if field.dispensable}
    if kind.name == "image":
        spared -= {name for name in kind.by_name if name.startswith(OF_IMAGES)} | {"kernel_ref", "ramdisk_ref", "tags"}
    assert spared == set(DISPENSABLE.get(kind.name, "").split())


RULES = "address_groups,security_groups,security_group_rules"
TCP = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 5432, "port_range_max": 5432}


def let_in(small, project):
    rules = small.things["security-group-rules"].values()
    return [r for r in rules if r["project_id"] == project and r["direction"] == "ingress"]


@pytest.mark.parametrize("remote", ["remote_group_id", "remote_address_group_id"])
def test_a_rule_for_what_cannot_be_seen_does_not_become_one_for_everybody(small, tmp_path, remote):
    """SovereignCloudStack/standards#473, os-migrate#87"""
    here = small.connect("one")
    db = here.network.create_security_group(name="db")
    small.add("security-group-rules", {**TCP, "security_group_id": db.id, remote: "of-somebody-else"}, "one")
    done = exported(here, tmp_path, RULES)
    field = remote.replace("_id", "_ref")
    assert done.notes == [
        f"security_group_rules: db ingress IPv4 tcp 5432 is left out: what its {field} names can't be seen."
    ]
    assert validate(tmp_path)[1] == []
    imported(small.connect("two"), tmp_path, RULES)
    assert let_in(small, "two") == []
    # Nor is anything opened where it came from
    changes = small.made()
    assert {row.action for row in compared(here, tmp_path, RULES).rows} == {"leave"}
    imported(here, tmp_path, RULES)
    assert small.made() == changes


def shared(small, *, seen_by=("one", "two"), name="web"):
    """A group of another project, and the project's own one of the same name."""
    own = small.add("security-groups", {"name": "web"}, "one")
    theirs = small.add("security-groups", {"name": name}, "other")
    small.seen_by[theirs["id"]] = set(seen_by)
    db = small.add("security-groups", {"name": "db"}, "one")
    small.add("security-group-rules", {**TCP, "security_group_id": db["id"], "remote_group_id": theirs["id"]}, "one")
    return own, theirs


def test_another_projects_group_of_the_same_name_stays_the_other_projects(small, tmp_path):
    """MirantisWorkloadMobility/CloudFerry#299, ansible#37921"""
    _own, theirs = shared(small)
    exported(small.connect("one"), tmp_path, RULES)
    assert {row.action for row in compared(small.connect("one"), tmp_path, RULES).rows} == {"leave"}
    imported(small.connect("two"), tmp_path, RULES)
    assert [r["remote_group_id"] for r in let_in(small, "two")] == [theirs["id"]]
    assert {row.action for row in imported(small.connect("two"), tmp_path, RULES).rows} == {"left"}


def test_a_third_projects_group_of_the_same_name_is_not_let_in(small, tmp_path):
    shared(small, seen_by=("one",))
    third = small.add("security-groups", {"name": "web"}, "third")
    small.seen_by[third["id"]] = {"two"}
    exported(small.connect("one"), tmp_path, RULES)
    report = imported(small.connect("two"), tmp_path, RULES)
    assert let_in(small, "two") == []
    assert [(row.kind, row.said) for row in report.rows if row.action == "skipped"] == [
        (
            "security group rule",
            "Left out: it names the security group web of project other, which nothing here is known to be: say whose "
            "it is (project_name), %auth% if it is your own.",
        )
    ]


def test_a_group_of_a_project_called_as_the_target_is_not_the_targets_own(small, tmp_path):
    shared(small)
    exported(small.connect("one"), tmp_path, RULES)
    Files(tmp_path).replace("project_name: other", "project_name: two")
    imported(small.connect("two"), tmp_path, RULES)
    assert let_in(small, "two") == []


def test_a_null_project_is_never_ones_own(small, files):
    nobodys = {"name": "web", "project_name": None, "domain_name": None}
    files.write("security_groups.yml", group("web"), group("db"))
    files.write("security_group_rules.yml", rule("db", remote_group_ref=nobodys))
    report = imported(small.connect("two"), files.path, RULES)
    assert of(report, "skipped") == {("security group rule", "db ingress IPv4 web")}
    assert let_in(small, "two") == []


def test_an_outer_network_is_found_by_its_name_among_those_of_others(small, files):
    """Neither the files' own of that name nor the target's is meant."""
    outside = small.add("networks", {"name": "public", "router:external": True}, "operator")
    small.add("networks", {"name": "public"}, "two")
    public = {"network_ref": {"name": "public", "project_name": None, "domain_name": None}}
    files.write("networks.yml", network("public"))
    files.write(
        "routers.yml",
        {"type": "openstack.network.Router", "params": {"name": "edge", "external_gateway_refinfo": public}},
    )
    imported(small.connect("two"), files.path, "networks,routers")
    (edge,) = small.things["routers"].values()
    assert edge["external_gateway_info"]["network_id"] == outside["id"]
    small.add("networks", {"name": "public"}, "another")
    with pytest.raises(Conflict, match="3 networks there are called public"):
        imported(small.connect("three"), files.path, "networks,routers")


def test_a_user_of_another_domain_is_another_user(small, files):
    domain = {"name": "Default", "project_name": None, "domain_name": None}
    ann = {"name": "ann", "project_name": None, "domain_name": "elsewhere"}
    pair = {"name": "laptop", "public_key": "ssh-ed25519 AAAA ann", "type": "ssh", "user_ref": ann}
    files.write("users.yml", {"type": "openstack.user.User", "params": {"name": "ann", "domain_ref": domain}})
    files.write("users_keypairs.yml", {"type": "openstack.compute.Keypair", "params": pair})
    rows = compared(small.connect("admin"), files.path, "users,keypairs").rows
    assert {(row.action, row.kind, row.said) for row in rows} == {
        ("make", "user", ""),
        ("conflict", "key pair", "It needs the user ann, which is neither there nor among what is imported."),
    }
    files.replace("elsewhere", "Default")
    assert {row.action for row in compared(small.connect("admin"), files.path, "users,keypairs").rows} == {"make"}


def test_a_port_whose_group_cannot_be_seen_does_not_get_the_default_one(small, tmp_path):
    here = small.connect("one")
    front = here.network.create_network(name="front")
    small.add("ports", {"name": "p", "network_id": front.id, "security_groups": ["of-somebody-else"]}, "one")
    parent = here.network.create_port(name="t", network_id=front.id)
    (unseen,) = (p["id"] for p in small.things["ports"].values() if p["name"] == "p")
    sub_port = {"port_id": unseen, "segmentation_id": 7, "segmentation_type": "vlan"}
    here.network.create_trunk(name="trunk", port_id=parent.id, sub_ports=[sub_port])
    done = exported(here, tmp_path, "networks,ports,trunks")
    assert done.notes == [
        "ports: p is left out: what its security_group_refs names can't be seen.",
        "trunks: trunk is left out: what its sub_ports names is left out, too.",
    ]
    assert validate(tmp_path)[1] == []


def test_what_limits_nothing_is_left_out_alone(small, tmp_path):
    here = small.connect("one")
    small.add("networks", {"name": "front", "qos_policy_id": "of-somebody-else"}, "one")
    small.add("routers", {"name": "edge", "external_gateway_info": {"network_id": "of-somebody-else"}}, "one")
    done = exported(here, tmp_path, "networks,routers")
    assert done.notes == [
        "networks: front is without its qos_policy_ref: what it names can't be seen.",
        "routers: edge is without its external_gateway_refinfo: what it names can't be seen.",
    ]
    assert {row.action for row in compared(here, tmp_path, "networks,routers").rows} == {"leave"}
    assert of(imported(small.connect("two"), tmp_path, "networks,routers"), "made") == {
        ("network", "front"),
        ("router", "edge"),
    }


def test_what_a_firewall_guards_stays_behind(tmp_path):
    with SmallCloud(extensions=[*EXTENSIONS, "fwaas_v2"]) as small:
        here = small.connect("one")
        front = here.network.create_network(name="front")
        guarded = here.network.create_port(name="guarded", network_id=front.id)
        here.network.create_port(name="open", network_id=front.id)
        small.add("fwaas/firewall_groups", {"name": "wall", "ports": [guarded.id]}, "one")
        done = exported(here, tmp_path, "networks,ports")
    assert [r["params"]["name"] for r in Files(tmp_path).read("longshore/ports.yml")] == ["open"]
    assert done.notes == ["ports: guarded is left out: the firewall group wall guards it, which isn't carried."]


def test_a_group_without_rules_gets_none(small, tmp_path):
    """Neutron gives each new group two that let everything out."""
    made = small.add("security-groups", {"name": "shut"}, "one")
    for each in list(made["security_group_rules"]):
        small.drop("security-group-rules", each["id"])
    exported(small.connect("one"), tmp_path, RULES)
    imported(small.connect("two"), tmp_path, RULES)
    assert [r for r in small.things["security-group-rules"].values() if r["project_id"] == "two"] == []


def test_an_import_that_is_broken_off_leaves_no_group_open(small, files):
    files.write("security_groups.yml", group("shut"))
    files.write("security_group_rules.yml", rule("shut", protocol="tcp"))
    small.fail("POST", "/security-group-rules$")
    report = imported(small.connect("two"), files.path, RULES)
    assert len(of(report, "failed")) == 1
    assert [r for r in small.things["security-group-rules"].values() if r["direction"] == "egress"] == []


def test_a_share_says_with_whom(files, small):
    params = {"action": "access_as_shared", "object_type": "network", "object_ref": ref("front")}
    files.write("networks.yml", network("front"))
    files.write("longshore/rbac_policies.yml", {"type": "openstack.network.RbacPolicy", "params": params})
    (fault,) = validate(files.path)[1]
    assert "target_project_ref is missing: say with which project it is shared; null is all of them." in str(fault)


def test_ports_name_groups_of_others_by_their_project(small, files):
    nobodys = {"name": "web", "project_name": None, "domain_name": None}
    small.add("security-groups", {"name": "web"}, "other")
    files.write("networks.yml", network("front"))
    files.write("longshore/ports.yml", port("p", "front", security_group_refs=[nobodys]))
    rows = imported(small.connect("two"), files.path, "networks,ports").rows
    said = "Left out: it needs the security group web, which is neither there nor among what is imported."
    assert [(row.action, row.said) for row in rows] == [("made", ""), ("skipped", said)]
