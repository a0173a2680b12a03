"""What a member may not set, and what a target doesn't know, is left out with a word; all the rest is made."""

import pytest
from resource_files import compared, exported, group, image, imported, network, of, port, ref, router, rule, subnet
from small_cloud import EXTENSIONS, SmallCloud

NETS = "networks,subnets,security_groups,security_group_rules,ports,routers"


def once(connection, files, only=NETS):
    """What the import makes is as it is to be: a second one has nothing to do. Answers the notes of the first."""
    report = imported(connection, files.path, only)
    assert of(report, "failed") == set()
    again = imported(connection, files.path, only)
    assert {row.action for row in again.rows} <= {"left", "skipped"}, again.rows
    return report.notes


@pytest.fixture
def outside(small):
    return small.add("networks", {"name": "public", "router:external": True, "shared": True}, "operator")


def test_a_router_whose_translation_an_administrator_switched_off(small, outside, files):
    """osism/testbed#12, ansible#44432"""
    gateway = {"network_id": outside["id"], "enable_snat": False, "external_fixed_ips": [{"ip_address": "203.0.113.9"}]}
    small.add("routers", {"name": "edge", "external_gateway_info": gateway}, "one")
    exported(small.connect("one"), files.path, NETS)
    assert {row.action for row in compared(small.connect("one"), files.path, NETS).rows} == {"leave"}
    assert once(small.connect("two"), files)[:1] == [
        "routers: enable_snat of 1 left out, since only an administrator may set it."
    ]
    assert {row.action for row in compared(small.connect("admin"), files.path, NETS).rows} == {"make"}


def test_a_gateway_as_os_migrate_writes_it(small, outside, files):
    public = {"name": "public", "project_name": None, "domain_name": None}
    ips = [{"ip_address": "203.0.113.9", "subnet_ref": {**public, "name": "public-v4"}}]
    info = {"network_ref": public, "enable_snat": True, "external_fixed_ips": ips}
    files.write("routers.yml", router("edge", external_gateway_refinfo=info))
    notes = once(small.connect(), files)
    assert notes == ["routers: external_fixed_ips of 1 left out, since only an administrator may set it."]


def test_an_image_that_is_public(small, files):
    """iesgn/openstack-debian-ansible#17"""
    files.write("images.yml", image("golden", visibility="public"))
    (files.path / "image_blobs").mkdir()
    (files.path / "image_blobs" / "an-id-golden").write_bytes(b"bytes")
    said = "images: visibility of 1 left out, since only an administrator may set it."
    assert compared(small.connect(), files.path, "images").notes == [said]
    assert once(small.connect(), files, "images") == [said]
    assert [i.get("visibility") for i in small.images.values()] == [None]


FILLED = {
    "port-security": ("networks", {"is_port_security_enabled": False}),
    "vlan-transparent": ("networks", {"is_vlan_transparent": True}),
    "dns-integration": ("networks", {"dns_domain": "shop.example.org."}),
    "net-mtu": ("networks", {"mtu": 1400}),
    "standard-attr-tag": ("networks", {"tags": ["web"]}),
    "binding": ("ports", {"binding_vnic_type": "macvtap"}),
    "allowed-address-pairs": ("ports", {"allowed_address_pairs": [{"ip_address": "10.1.0.9"}]}),
    "extra_dhcp_opt": ("ports", {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}]}),
}


@pytest.mark.parametrize("missing", FILLED)
def test_fields_of_extensions_that_the_target_lacks(missing, small, files):
    """ContainX/openstack4j#886, ManageIQ#12736, CAPO#560"""
    plural, said = FILLED[missing]
    given = {kind: params if kind == plural else {} for kind, params in ((k, said) for k in ("networks", "ports"))}
    files.write("networks.yml", network("front", **given["networks"]))
    files.write("subnets.yml", subnet("s", "10.1.0.0/24", "front"))
    files.write("security_groups.yml", group("web"))
    files.write("longshore/ports.yml", port("p", "front", security_group_refs=[ref("web")], **given["ports"]))
    files.write("routers.yml", router("edge"))
    imported(small.connect(), files.path, NETS)
    exported(small.connect(), files.path, NETS, overwrite=True)
    with SmallCloud(extensions=[each for each in EXTENSIONS if each != missing]) as other:
        (field,) = said
        expected = f"{plural}: {field} of 1 left out, since this cloud's network service doesn't know it (the extension"
        assert [n for n in compared(other.connect(), files.path, NETS).notes if n.startswith(expected)]
        assert [n for n in once(other.connect(), files) if n.startswith(expected)]
        assert len(other.things["ports"]) == 1


def test_groups_without_state_are_left_out_with_what_needs_them_and_the_rest_is_made(files):
    """A group with state lets in more."""
    files.write("security_groups.yml", group("web", is_stateful=False), group("db"))
    files.write("security_group_rules.yml", rule("web", protocol="tcp"), rule("db", remote_group_ref=ref("web")))
    files.write("networks.yml", network("front"))
    files.write("longshore/ports.yml", port("p", "front", security_group_refs=[ref("web")]), port("q", "front"))
    lacking = [each for each in EXTENSIONS if each != "stateful-security-group"]
    with SmallCloud(extensions=lacking) as small:
        report = imported(small.connect(), files.path, NETS)
        assert of(report, "made") == {("security group", "db"), ("network", "front"), ("port", "q")}
        skipped = {(row.kind, row.name): row.said for row in report.rows if row.action == "skipped"}
        assert skipped["port", "p"] == "Left out: it needs security group web, which is left out."


def test_zones_that_the_target_does_not_have(small, files):
    files.write("networks.yml", network("front", availability_zone_hints=["nova", "az-of-the-source"]))
    files.write("routers.yml", router("edge", availability_zone_hints=["az-of-the-source"]))
    said = [
        f"{kind}: availability_zone_hints of 1 left out, since this cloud has no az-of-the-source."
        for kind in ("networks", "routers")
    ]
    assert compared(small.connect(), files.path, NETS).notes == said
    assert once(small.connect(), files) == said


def test_a_larger_mtu_than_the_targets_networks_have(small, files):
    files.write("networks.yml", network("front", mtu=1500, tags=["web"]), network("back", mtu=1400))
    files.write("subnets.yml", subnet("s", "10.1.0.0/24", "front"))
    small.largest_mtu = 1442
    assert once(small.connect(), files) == ["networks: front has a smaller MTU than 1500, which is too large here."]
    exported(small.connect(), files.path, NETS, overwrite=True)
    assert [r["params"]["tags"] for r in files.read("networks.yml")] == [[], ["web"]]
    files.replace("- web", "- shop")
    assert of(imported(small.connect(), files.path, NETS), "changed") == {("network", "front")}
    assert once(small.connect(), files) == []


def test_a_larger_mtu_than_any_there_is_told_beforehand(small, files):
    small.add("networks", {"name": "old", "mtu": 1442}, "here")
    files.write("networks.yml", network("front", mtu=1500), network("back", mtu=1400))
    assert compared(small.connect(), files.path, NETS).notes == [
        "networks: mtu of 1 is more than any network there has (1442): if this cloud's networks can't have as much, "
        "they get a smaller one."
    ]


def test_what_a_cloud_chose_for_itself_is_not_asked_for(small, files):
    chosen = {"provider:network_type": "vxlan", "provider:segmentation_id": 812}
    small.add("networks", {"name": "front", **chosen}, "admin")
    on_wire = {"provider:network_type": "vlan", "provider:physical_network": "rack", "provider:segmentation_id": 7}
    small.add("networks", {"name": "wire", **on_wire}, "admin")
    exported(small.connect("admin"), files.path, "networks")
    assert {row.action for row in compared(small.connect("admin"), files.path, "networks").rows} == {"leave"}
    with SmallCloud() as other:
        other.network_types = ["geneve", "vlan"]
        notes = once(other.connect("admin"), files, "networks")
        assert notes == [
            f"networks: provider_{name} of 1 left out, since each cloud chooses it for networks that are on no "
            "physical one."
            for name in ("network_type", "segmentation_id")
        ]
        asked = {body["network"]["name"]: body["network"] for method, _, body in other.log if method == "POST"}
        assert on_wire.items() <= asked["wire"].items()


def test_ports_on_a_network_of_somebody_else(small, files):
    """Only its owner may choose addresses there."""
    shared = small.add("networks", {"name": "shared", "shared": True}, "operator")
    small.add("subnets", {"name": "s", "network_id": shared["id"], "cidr": "10.5.0.0/24", "ip_version": 4}, "operator")
    small.add("ports", {"name": "p", "network_id": shared["id"]}, "one")
    exported(small.connect("one"), files.path, NETS)
    assert {row.action for row in compared(small.connect("one"), files.path, NETS).rows} == {"leave"}
    assert once(small.connect("two"), files) == [
        f"ports: {field} of 1 left out, since only the network's owner may set it."
        for field in ("mac_address", "ip_address")
    ]
    assert [len(p["fixed_ips"]) for p in small.things["ports"].values()] == [1, 1]


@pytest.mark.parametrize(
    ("newest", "wanted", "said"),
    [
        (
            "2.60",
            {"policies": ["anti-affinity"], "rules": {"max_server_per_host": 3}},
            "its rules need API version 2.64",
        ),
        ("2.14", {"policies": ["soft-affinity"]}, "its policy needs API version 2.15"),
        ("2.60", {"policies": ["soft-affinity"]}, None),
        ("2.14", {"policies": ["affinity"], "rules": {}}, None),
    ],
)
def test_server_groups_that_an_old_cloud_does_not_know(small, files, newest, wanted, said):
    small.compute.newest = newest
    files.write("longshore/groups.yml", {"type": "openstack.compute.ServerGroup", "params": {"name": "g", **wanted}})
    (row,) = imported(small.connect("one"), files.path, "server_groups").rows
    assert row.action == ("skipped" if said else "made")
    assert (said or "") in row.said


def test_a_flavor_is_not_there_without_what_its_servers_are_confined_by(small, files):
    given = {"name": "licensed", "vcpus": 1, "ram": 512, "extra_specs": {"trait:CUSTOM_LICENSED": "required"}}
    files.write("flavors.yml", {"type": "openstack.compute.Flavor", "params": given})
    small.fail("POST", "/os-extra_specs$")
    assert of(imported(small.connect("admin"), files.path, "flavors"), "failed") == {("flavor", "licensed")}
    assert small.compute.flavors == {}
    assert of(imported(small.connect("admin"), files.path, "flavors"), "made") == {("flavor", "licensed")}
    (flavor,) = small.compute.flavors.values()
    assert flavor["extra_specs"] == given["extra_specs"]


def test_what_an_export_names_of_others_and_the_target_does_not_have(small, outside, files):
    """What may be lost is lost with a word."""
    policy = small.add("qos/policies", {"name": "gold", "shared": True}, "operator")
    small.add("networks", {"name": "front", "qos_policy_id": policy["id"]}, "one")
    small.add("routers", {"name": "edge", "external_gateway_info": {"network_id": outside["id"]}}, "one")
    exported(small.connect("one"), files.path, NETS)
    with SmallCloud() as other:
        assert once(other.connect(), files) == [
            "networks: qos_policy_ref of 1 left out, since it needs the qos policy gold, which is neither there nor "
            "among what is imported.",
            "routers: external_gateway_refinfo of 1 left out, since it needs the network public, which is neither "
            "there nor among what is imported.",
        ]


def test_a_question_that_a_policy_forbids_ends_no_import(small, files):
    """Zones and limits are asked for beforehand only to say more, and tags are something to go without."""
    files.write("networks.yml", network("shop", availability_zone_hints=["nova"], tags=["web"]))
    files.write("subnets.yml", subnet("s", "10.0.0.0/24", "shop"))
    files.write("security_groups.yml", group("web", tags=["web"]))
    user = {"name": "%auth%", "domain_name": "%auth%", "project_name": None}
    key = {"name": "ops", "public_key": "ssh-ed25519 AAAA", "type": "ssh", "user_ref": user}
    files.write("keypairs.yml", {"type": "openstack.compute.Keypair", "params": key})
    for method, path in (("GET", "availability_zones"), ("GET", "limits"), ("PUT", "/tags$")):
        small.fail(method, path, 403, times=99)
    done = imported(small.connect("one"), files.path)
    assert of(done, "failed") == set()
    assert of(done, "made") >= {("network", "shop"), ("subnet", "s"), ("security group", "web"), ("key pair", "ops")}
    assert sorted(note for note in done.notes if "tags" in note) == [
        "networks: shop is without its tags, which this user may not set.",
        "security_groups: web is without its tags, which this user may not set.",
    ]
