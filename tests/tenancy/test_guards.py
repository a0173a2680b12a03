"""What keeps others out comes along, or what it guards stays behind: nothing is more open after an import."""

import pytest
from resource_files import compared, exported, group, imported, of, port, ref, rule
from small_cloud import EXTENSIONS, SmallCloud


def egress(version, **more):
    return rule("web", direction="egress", ether_type=version, **more)


@pytest.mark.parametrize("wanted", [True, False])
def test_rules_that_the_target_gives_each_new_group(small, files, wanted):
    small.rules_of_new_groups = [
        {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
        {"direction": "egress", "ethertype": "IPv4"},
    ]
    files.write("security_groups.yml", group("web"))
    ssh = rule("web", protocol="tcp", port_range_min=22, port_range_max=22)
    files.write("security_group_rules.yml", egress("IPv4"), *([ssh] if wanted else []))
    assert of(imported(small.connect("one"), files.path), "failed") == set()
    (there,) = (each for each in small.things["security-groups"].values() if each["name"] == "web")
    found = [(each["direction"], each["port_range_min"]) for each in there["security_group_rules"]]
    assert sorted(found, key=str) == [("egress", None), *([("ingress", 22)] if wanted else [])]


def test_private_networks_and_isolated_ports_stay_behind(small, files):
    small.add("networks", {"name": "private", "pvlan": True}, "one")
    plain = small.add("networks", {"name": "plain", "pvlan": False}, "one")
    for name, kind in (("apart", "isolated"), ("open", "promiscuous")):
        small.add("ports", {"name": name, "network_id": plain["id"], "pvlan_type": kind}, "one")
    done = exported(small.connect("one"), files.path)
    assert [each["name"] for each in files.params()["networks.yml"]] == ["plain"]
    assert [each["name"] for each in files.params()["longshore/ports.yml"]] == ["open"]
    assert "networks: private is left out: its pvlan keeps others out, which isn't carried." in done.notes
    assert "ports: apart is left out: its pvlan_type keeps others out, which isn't carried." in done.notes


def test_a_policy_that_hides_port_security_opens_no_port(small, files):
    """openstacksdk says False of what the service doesn't tell."""
    for project in ("one", "two"):
        here = small.add("networks", {"name": "plain"}, project)
        hidden = small.add("ports", {"name": "p", "network_id": here["id"], "fixed_ips": []}, project)
        del here["port_security_enabled"], hidden["port_security_enabled"]
    exported(small.connect("one"), files.path)
    (told,), (port_told,) = (files.params()[file] for file in ("networks.yml", "longshore/ports.yml"))
    assert (told["is_port_security_enabled"], port_told["is_port_security_enabled"]) == (None, None)
    files.replace("is_port_security_enabled: null", "is_port_security_enabled: true")
    assert of(compared(small.connect("two"), files.path), "change") == set()


def test_a_port_on_a_network_that_secures_none(small, files):
    lent = small.add("networks", {"name": "lent", "port_security_enabled": False, "shared": True}, "operator")
    files.write("longshore/ports.yml", port("p", "lent"))
    files.replace("project_name: '%auth%'", "project_name: operator")
    (row,) = imported(small.connect("one"), files.path).rows
    assert (row.action, row.name) == ("skipped", "p")
    assert "its network there secures no ports" in row.said
    lent["port_security_enabled"] = True
    assert of(imported(small.connect("one"), files.path), "made") == {("port", "p")}
    lent["port_security_enabled"] = False
    assert of(imported(small.connect("one"), files.path), "left") == {("port", "p")}


def test_groups_of_a_load_balancers_address_come_along(files, tmp_path):
    with SmallCloud(extensions=EXTENSIONS, balancing=True) as small:
        made = small.add("security-groups", {"name": "web"}, "one")
        balancer = {"id": "b", "project_id": "one", "name": "front", "provisioning_status": "ACTIVE"}
        small.balancing.things.setdefault("loadbalancers", {})["b"] = balancer | {"vip_sg_ids": [made["id"]]}
        only = "security_groups,load_balancers"
        exported(small.connect("one"), files.path, only)
        (found,) = files.params()["longshore/load_balancers.yml"]
        assert [each["name"] for each in found["vip_sg_refs"]] == ["web"]
        done = imported(small.connect("two"), files.path, only)
        assert of(done, "failed") == set()
        (asked,) = (b["loadbalancer"] for m, path, b in small.log if m == "POST" and path.endswith("loadbalancers"))
        (there,) = (g for g in small.things["security-groups"].values() if g["project_id"] == "two")
        assert asked["vip_sg_ids"] == [there["id"]]


@pytest.mark.parametrize(
    ("target", "who", "said"),
    [
        (None, "one", "Left out: only an administrator may share with all projects."),
        (
            {"name": "elsewhere", "domain_name": "Default", "project_name": None},
            "admin",
            "Left out: it needs the project elsewhere, which is neither there nor among what is imported.",
        ),
    ],
)
def test_shares_that_cannot_be_made_are_skipped_and_the_rest_is_made(small, files, target, who, said):
    share = {"object_type": "security_group", "object_ref": ref("web"), "action": "access_as_shared"}
    files.write("security_groups.yml", group("web"))
    files.write(
        "longshore/rbac_policies.yml",
        {"type": "openstack.network.RbacPolicy", "params": {**share, "target_project_ref": target}},
    )
    report = imported(small.connect(who), files.path)
    assert of(report, "made") == {("security group", "web")}
    assert [row.said for row in report.rows if row.action == "skipped"] == [said]


def test_a_flavor_for_projects_of_which_one_is_not_there(small, files):
    refs = [{"name": name, "domain_name": "Default", "project_name": None} for name in ("admin", "elsewhere")]
    big = {"name": "big", "ram": 1, "vcpus": 1, "is_public": False, "access_refs": refs}
    files.write("flavors.yml", {"type": "openstack.compute.Flavor", "params": big})
    report = compared(small.connect("admin"), files.path, "flavors")
    assert of(report, "make") == {("flavor", "big")}
    assert report.notes == [
        "flavors: access_refs of 1 left out, since it needs the project elsewhere, which is neither there nor among "
        "what is imported."
    ]


def test_ports_of_a_cloud_that_does_not_know_port_security_stay_secured(files):
    """openstacksdk says False of what such a cloud doesn't tell: elsewhere everything would be let in."""
    without = [alias for alias in EXTENSIONS if alias != "port-security"]
    with SmallCloud(extensions=without) as old:
        network = old.add("networks", {"name": "front"}, "one")
        old.add("ports", {"name": "p", "network_id": network["id"]}, "one")
        exported(old.connect("one"), files.path)
        assert {row.action for row in compared(old.connect("one"), files.path).rows} == {"leave"}
    with SmallCloud() as new:
        imported(new.connect("one"), files.path)
        there = [*new.things["networks"].values(), *new.things["ports"].values()]
        assert [(each["name"], each["port_security_enabled"]) for each in there] == [("front", True), ("p", True)]
