"""What an import does to a cloud: everything once, conflicts never, and one failure stops only what needs it."""

import random
from threading import Event
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from resource_files import KINDS, compared, exported, group, imported, interface, network, of, ref, router, rule, subnet
from small_cloud import EXTENSIONS, SmallCloud

from longshore.errors import Conflict, InvalidInput, QuotaExceeded, Unreachable
from longshore.tenancy.services.identity import Quotas


@pytest.fixture
def shop(files):
    """Two networks on a router, two groups that refer to each other."""
    files.write("networks.yml", network("front", tags=["web"]), network("back"))
    files.write(
        "subnets.yml",
        subnet("front-v4", "10.1.0.0/24", "front", gateway_ip="10.1.0.1"),
        subnet("back-v4", "10.2.0.0/24", "back", gateway_ip=None),
    )
    files.write("routers.yml", router("edge", routes=[{"destination": "10.9.0.0/16", "nexthop": "10.2.0.9"}]))
    files.write(
        "router_interfaces.yml",
        interface("edge", "front", ("front-v4", "10.1.0.1")),
        interface("edge", "back", ("back-v4", "10.2.0.254")),
    )
    files.write("security_groups.yml", group("web"), group("db"))
    files.write(
        "security_group_rules.yml",
        rule("web", protocol="tcp", port_range_min=443, port_range_max=443),
        rule("web", remote_group_ref=ref("db")),
        rule("db", remote_group_ref=ref("web")),
    )
    return files


def test_the_second_import_changes_nothing(shop, small):
    here = small.connect()
    first = imported(here, shop.path)
    assert {row.action for row in first.rows} == {"made"}
    requests = small.made()
    second = imported(here, shop.path)
    assert {row.action for row in second.rows} == {"left"}
    assert small.made() == requests


def test_groups_have_the_rules_of_the_files_and_no_others(shop, small):
    here = small.connect()
    shop.write("security_group_rules.yml", rule("web", direction="egress"), rule("db", remote_group_ref=ref("web")))
    imported(here, shop.path)
    names = {each.id: each.name for each in here.network.security_groups()}
    rules = [
        (names[r.security_group_id], r.direction, r.ether_type, names.get(r.remote_group_id))
        for r in here.network.security_group_rules()
    ]
    assert sorted(rules) == [("db", "ingress", "IPv4", "web"), ("web", "egress", "IPv4", None)]


def test_routes_are_set_when_the_interfaces_are_there(shop, small):
    imported(small.connect(), shop.path)
    done = [path for method, path, _ in small.log if method == "PUT" and "/routers/" in path]
    assert [path.rpartition("/")[2] == "add_router_interface" for path in done] == [True, True, False]
    edge = next(iter(small.things["routers"].values()))
    assert edge["routes"] == [{"destination": "10.9.0.0/16", "nexthop": "10.2.0.9"}]


def test_an_edit_that_the_api_allows_is_a_change(shop, small):
    here = small.connect()
    imported(here, shop.path)
    shop.write("networks.yml", network("front", tags=["web"], description="visitors"), network("back"))
    only = "networks,subnets"
    assert [(r.action, r.name, r.said) for r in compared(here, shop.path, only).rows if r.action != "leave"] == [
        ("change", "front", "description: nothing → visitors")
    ]
    assert of(imported(here, shop.path, only), "changed") == {("network", "front")}
    assert {n["name"]: n["description"] for n in small.things["networks"].values()} == {"front": "visitors", "back": ""}


def test_one_of_the_same_name_that_is_another_is_a_conflict_and_nothing_is_made(shop, small):
    here = small.connect()
    front = here.network.create_network(name="front")
    here.network.set_tags(front, ["web"])
    here.network.create_subnet(name="front-v4", network_id=front.id, ip_version=4, cidr="10.77.0.0/24")
    before = small.made()
    with pytest.raises(Conflict) as refused:
        imported(here, shop.path)
    assert refused.value.message.startswith(
        "Subnet front-v4 (subnets.yml:3) can't be imported: The one there is another: cidr is 10.77.0.0/24 there and "
        "10.1.0.0/24 in the files. And 1 more."
    )
    assert small.made() == before
    rows = compared(here, shop.path).rows
    assert [(r.kind, r.name) for r in rows if r.action == "conflict"] == [
        ("subnet", "front-v4"),
        ("router interface", "edge 10.1.0.1 front-v4"),
    ]


def test_two_of_one_name_there_are_a_conflict(shop, small):
    here = small.connect()
    for _ in range(2):
        here.network.create_network(name="front")
    with pytest.raises(Conflict, match="2 networks there are called front"):
        imported(here, shop.path)


def test_a_subnet_that_overlaps_one_which_is_there(shop, small):
    here = small.connect()
    front = here.network.create_network(name="front")
    here.network.set_tags(front, ["web"])
    here.network.create_subnet(name="other", network_id=front.id, ip_version=4, cidr="10.1.0.0/16")
    with pytest.raises(Conflict, match=r"10\.1\.0\.0/24 overlaps 10\.1\.0\.0/16 of subnet other"):
        imported(here, shop.path)


def test_networks_of_other_projects_are_nobodys_match(shop, small):
    small.add("networks", {"name": "front", "shared": True}, "there")
    assert ("network", "front") in of(imported(small.connect(), shop.path), "made")


def test_a_failure_stops_only_what_needs_it_and_the_next_import_goes_on(shop, small):
    here = small.connect()
    small.fail("POST", "/subnets$")
    report = imported(here, shop.path)
    failed = {(row.kind, row.name): row.said for row in report.rows if row.action == "failed"}
    assert len(failed) == 2
    assert "as the test asked" in next(said for (kind, _), said in failed.items() if kind == "subnet")
    assert "Not tried: it needs subnet" in next(said for (kind, _), said in failed.items() if kind != "subnet")
    assert len(of(report, "made")) == 10
    again = imported(here, shop.path)
    assert of(again, "made") == set(failed)
    assert {row.action for row in imported(here, shop.path).rows} == {"left"}


@pytest.mark.long
def test_a_cloud_that_limits_requests_is_waited_for(shop, small):
    here = small.connect()
    small.fail("POST", "/(subnets|security-group-rules)$", 429, 3)
    small.fail("GET", "/security-groups$", 429)
    assert not of(imported(here, shop.path), "failed")


@pytest.mark.long
@pytest.mark.parametrize("where", range(1, 24))
def test_whatever_request_fails_the_next_import_ends_right(shop, small, where):
    """As if the process had died there."""
    here = small.connect()
    seen = 0
    handle = small.handle

    def broken(method, path, *rest):
        nonlocal seen
        if method != "GET" and "/v3" not in path:
            seen += 1
            if seen >= where:
                return 500, {"NeutronError": {"message": "gone", "type": "X", "detail": ""}}
        return handle(method, path, *rest)

    small.handle = broken
    imported(here, shop.path)
    small.handle = handle
    imported(here, shop.path)
    report = imported(here, shop.path)
    assert {row.action for row in report.rows} == {"left"}
    assert len(small.things["ports"]) == 2
    assert len(small.things["networks"]) == 2


def test_a_stopped_import_goes_on_later(shop, small):
    stop = Event()
    stop.set()
    here = small.connect()
    report = imported(here, shop.path, stop=stop)
    assert {row.said for row in report.rows} == {"Not tried: stopped before."}
    assert small.made() == 0
    assert {row.action for row in imported(here, shop.path).rows} == {"made"}


def test_quotas_are_looked_at_before_anything_is_made(shop, small):
    small.quota = {"networks": 1, "routers": 5, "security_group_rules": 6, "ports": -1}
    with pytest.raises(QuotaExceeded) as refused:
        imported(small.connect(), shop.path)
    assert "7 security group rules are needed and 6 left; 2 networks are needed and 1 left." in str(refused.value)
    assert small.made() == 0


def test_a_quota_of_the_files_is_set_before_what_needs_it(shop, small, monkeypatch):
    small.quota = {"networks": 1, "security_group_rules": 100}
    there = SimpleNamespace(id="admin", project_id="admin", compute={}, storage={}, network={"networks": 1})
    monkeypatch.setattr(Quotas, "listing", lambda _self: [there])
    made_before = []
    monkeypatch.setattr(Quotas, "update", lambda _self, _raw, values: made_before.append((small.made(), values)))
    limits = {"project_ref": {"name": "admin", "domain_name": "Default"}, "network": {"networks": 2}}
    shop.write("longshore/quotas.yml", {"type": "openstack.Quota", "params": limits})
    report = imported(small.connect("admin"), shop.path, f"quotas,{KINDS}")
    assert of(report, "failed") == set()
    assert ("network", "back") in of(report, "made")
    assert made_before == [(0, {"network": {"networks": 2}})]


def test_only_and_filters(shop, small):
    here = small.connect()
    assert of(compared(here, shop.path, "networks"), "make") == {("network", "front"), ("network", "back")}
    assert of(compared(here, shop.path, filters=["tag=web"]), "make") == {("network", "front"), ("subnet", "front-v4")}
    assert of(compared(here, shop.path, "networks", ["name~^b"]), "make") == {("network", "back")}
    assert ("security group", "web") not in of(compared(here, shop.path, filters=["name!~^(web|edge)$"]), "make")
    for filters, said in ((["size=3"], "isn't a filter"), (["name~("], "isn't right: missing")):
        with pytest.raises(InvalidInput, match=said):
            compared(here, shop.path, filters=filters)
    with pytest.raises(InvalidInput, match="Did you mean networks"):
        compared(here, shop.path, "netwroks")


def test_what_is_needed_and_left_out_must_be_there(shop, small):
    here = small.connect()
    with pytest.raises(Conflict, match="It needs the network front, which is neither there nor among what is imported"):
        imported(here, shop.path, "subnets")
    imported(here, shop.path, "networks")
    assert len(of(imported(here, shop.path, "subnets"), "made")) == 2


def test_what_only_the_target_has_is_told(shop, small):
    here = small.connect()
    imported(here, shop.path)
    web = here.network.find_security_group("web")
    here.network.create_security_group_rule(security_group_id=web.id, direction="ingress", ether_type="IPv6")
    rows = [row for row in imported(here, shop.path).rows if row.said]
    assert [(row.action, row.name, row.said) for row in rows] == [("left", "web ingress IPv6", "Only on the target.")]


def test_kinds_that_cannot_be_made_are_skipped_with_a_sentence(files):
    port = {"name": "p", "network_ref": ref("front")}
    files.write("networks.yml", network("front"))
    files.write("longshore/ports.yml", {"type": "openstack.network.Port", "params": port})
    files.write(
        "longshore/trunks.yml",
        {"type": "openstack.network.Trunk", "params": {"name": "t", "port_ref": ref("p")}},
    )
    files.write("flavors.yml", {"type": "openstack.compute.Flavor", "params": {"name": "big", "ram": 1, "vcpus": 1}})
    with SmallCloud(extensions=[each for each in EXTENSIONS if each != "trunk"]) as small:
        report = imported(small.connect(), files.path, "networks,ports,trunks,flavors")
        notes = exported(small.connect(), files.path / "out", "networks,trunks,flavors,volume_types").notes
    assert of(report, "made") == {("network", "front"), ("port", "p")}
    assert {(row.name, row.said) for row in report.rows if row.action == "skipped"} == {
        ("t", "Left out, since this cloud's network service doesn't have them."),
        ("big", "Left out, since only an administrator may see and make them."),
    }
    assert notes == [
        "flavors, volume_types: left out, since only an administrator may see and make them.",
        "trunks: left out, since this cloud's network service doesn't have them.",
    ]


def test_what_a_member_cannot_see_is_not_guessed(shop, small, tmp_path):
    """A share with one other project must not come out as a share with all."""
    here = small.connect()
    imported(here, shop.path)
    front = here.network.find_network("front")
    share = {"object_type": "network", "object_id": front.id, "action": "access_as_shared"}
    here.network.create_rbac_policy(**share, target_project_id="of-somebody")
    done = exported(here, tmp_path / "out", "networks,rbac_policies")
    assert "longshore/rbac_policies.yml" not in done.files
    assert [note for note in done.notes if note.startswith("rbac_policies")] == [
        "rbac_policies: access_as_shared network front is left out: what its target_project_ref names can't be seen."
    ]


def test_policies_of_an_administrator(files, small):
    limit = {"type": "bandwidth_limit", "max_kbps": 1000, "max_burst_kbps": 100, "direction": "egress"}
    packets = {"type": "packet_rate_limit", "max_kpps": 10, "max_burst_kpps": 1, "direction": "ingress"}
    slow = {"name": "slow", "rules": [limit, {"type": "dscp_marking", "dscp_mark": 26}, packets]}
    shared = {"object_type": "qos_policy", "object_ref": ref("slow"), "action": "access_as_shared"}
    files.write("longshore/qos_policies.yml", {"type": "openstack.network.QosPolicy", "params": slow})
    files.write(
        "longshore/rbac_policies.yml",
        {"type": "openstack.network.RbacPolicy", "params": {**shared, "target_project_ref": None}},
    )
    files.write("networks.yml", network("front", qos_policy_ref=ref("slow")))
    admin = small.connect("admin")
    assert {row.action for row in imported(admin, files.path).rows} == {"made"}
    policy = next(iter(small.things["qos/policies"].values()))
    assert [{k: v for k, v in rule.items() if k != "id"} for rule in policy["rules"]] == slow["rules"]
    assert next(iter(small.things["rbac-policies"].values()))["target_tenant"] == "*"
    assert next(iter(small.things["networks"].values()))["qos_policy_id"] == policy["id"]
    assert {row.action for row in imported(admin, files.path).rows} == {"left"}


def test_a_floating_ip_that_cannot_have_its_address_is_known_by_it_all_the_same(files, small):
    outside = small.add("networks", {"name": "public", "router:external": True, "shared": True}, "outside")
    public = {"name": "public", "project_name": None, "domain_name": None}
    files.write(
        "longshore/floating_ips.yml",
        *(
            {
                "type": "openstack.network.FloatingIP",
                "params": {"floating_ip_address": f"198.51.100.{n}", "floating_network_ref": public},
            }
            for n in (7, 8)
        ),
    )
    here = small.connect()
    small.fail("PUT", "/tags$", 403)
    first = imported(here, files.path)
    assert (len(of(first, "made")), len(of(first, "failed"))) == (1, 1)
    assert len(small.things["floatingips"]) == 1, "one that can't be told apart would be made again and again"
    then = imported(here, files.path)
    assert len(of(then, "made")) == 1
    said = [note for note in [*first.notes, *then.notes] if note.startswith("floating_ips")]
    assert sorted(note.partition(" is in the place of ")[2] for note in said) == [
        f"198.51.100.{n}, which can't be had here." for n in (7, 8)
    ]
    assert {ip["floating_network_id"] for ip in small.things["floatingips"].values()} == {outside["id"]}
    assert len(of(imported(here, files.path), "left")) == 2
    assert len(small.things["floatingips"]) == 2


def test_broken_files_are_refused_before_anyone_logs_in(shop, small):
    (shop.path / "networks.yml").write_text("a: [")
    with pytest.raises(InvalidInput, match=r"networks\.yml:2: This isn't YAML"):
        imported(small.connect(), shop.path)
    assert small.made() == 0


def test_ports_trunks_and_what_hangs_on_them(shop, small):
    here = small.connect()
    port = {"network_ref": ref("front"), "security_group_refs": [ref("web")]}
    ips = [{"ip_address": "10.1.0.7", "subnet_ref": ref("front-v4")}]
    files = [
        {"type": "openstack.network.Port", "params": {"name": "trunk", **port, "fixed_ips_refs": ips}},
        {"type": "openstack.network.Port", "params": {"name": "vlan7", **port, "mac_address": "00:50:56:00:00:07"}},
    ]
    shop.write("longshore/ports.yml", *files)
    sub_ports = [{"port_ref": ref("vlan7"), "segmentation_id": 7, "segmentation_type": "vlan"}]
    params = {"name": "t", "port_ref": ref("trunk"), "sub_ports": sub_ports}
    shop.write("longshore/trunks.yml", {"type": "openstack.network.Trunk", "params": params})
    imported(here, shop.path)
    ports = {each.get("name"): each for each in small.things["ports"].values()}
    trunk = next(iter(small.things["trunks"].values()))
    assert trunk["port_id"] == ports["trunk"]["id"]
    assert trunk["sub_ports"] == [{"port_id": ports["vlan7"]["id"], "segmentation_id": 7, "segmentation_type": "vlan"}]
    assert {row.action for row in imported(here, shop.path).rows} == {"left"}


BYTES = random.Random(7).randbytes(5 << 20)


def with_an_image(small):
    there = small.connect("there")
    there.image.create_image("tool", data=BYTES, disk_format="raw", container_format="bare")
    return there


def test_an_image_whose_bytes_stopped_coming_is_gone_on_with(small, files):
    there = with_an_image(small)
    small.breaks_after = 3 << 20
    with pytest.raises(Unreachable, match="The bytes of image tool stopped coming"):
        exported(there, files.path, "images")
    assert not list(files.path.glob("*.yml"))
    small.breaks_after = None
    exported(there, files.path, "images")
    assert [where for (what, where) in small.requests if what == "GET from"] == [0, 3 << 20]
    assert [path.read_bytes() for path in (files.path / "image_blobs").iterdir()] == [BYTES]
    assert {row.action for row in imported(small.connect("here"), files.path, "images").rows} == {"made"}
    assert {row.action for row in imported(small.connect("here"), files.path, "images").rows} == {"left"}
    assert list(small.image_bytes.values()) == [BYTES, BYTES]


def test_bytes_that_changed_on_the_way_are_not_kept(small, files):
    there = with_an_image(small)
    identity = next(iter(small.image_bytes))
    small.image_bytes[identity] = b"!" + BYTES[1:]
    done = exported(there, files.path, "images")
    assert done.failed == [("image", "tool")]
    assert done.notes == [
        "images: tool is left out: The cloud's store has other bytes for image tool than the cloud says."
    ]
    assert not list((files.path / "image_blobs").iterdir())


def test_an_image_of_the_same_name_with_other_bytes_is_a_conflict(small, files):
    exported(with_an_image(small), files.path, "images")
    here = small.connect("here")
    here.image.create_image("tool", data=BYTES[:100], disk_format="raw", container_format="bare")
    with pytest.raises(
        Conflict, match=r"Image tool .* can't be imported: The one there is another: the digest of its bytes is"
    ):
        imported(here, files.path, "images")


NAMES = st.sampled_from(["a", "b", "c", "d e", "é", "#f"])


@st.composite
def tenants(draw):
    """Networks with subnets, routers on some of them, groups that refer to each other at random."""
    networks = draw(st.lists(NAMES, unique=True, max_size=4))
    groups = draw(st.lists(NAMES, unique=True, max_size=4))
    pairs = st.tuples(st.sampled_from(groups), st.sampled_from(groups)) if groups else st.nothing()
    rules = draw(st.lists(pairs, unique=True, max_size=6)) if groups else []
    routers = draw(st.lists(NAMES, unique=True, max_size=2))
    several = st.lists(st.sampled_from(networks), max_size=2, unique=True) if networks else st.just([])
    ends = [(name, networks.index(other)) for name in routers for other in draw(several)]
    one_router_each = {where: (name, where) for name, where in ends}
    return networks, groups, rules, routers, list(one_router_each.values())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tenants(), st.randoms(use_true_random=False))
@pytest.mark.long
def test_what_is_exported_imported_and_exported_again_is_the_same(tmp_path_factory, tenant, chance: random.Random):
    from resource_files import Files

    networks, groups, rules, routers, ends = tenant
    begun, first, second = (Files(tmp_path_factory.mktemp("files")) for _ in range(3))
    begun.write("networks.yml", *map(network, networks))
    begun.write(
        "subnets.yml",
        *(subnet(f"{n} net", f"10.{i}.0.0/24", n, gateway_ip=f"10.{i}.0.1") for i, n in enumerate(networks)),
    )
    begun.write("routers.yml", *map(router, routers))
    begun.write(
        "router_interfaces.yml",
        *(interface(r, networks[i], (f"{networks[i]} net", f"10.{i}.0.1")) for r, i in ends),
    )
    begun.write("security_groups.yml", *map(group, groups))
    begun.write("security_group_rules.yml", *(rule(a, remote_group_ref=ref(b)) for a, b in rules))
    for path in begun.path.glob("*.yml"):  # the order in files means nothing
        listed = begun.read(path.name)
        chance.shuffle(listed)
        begun.write(path.name, *listed)
    with SmallCloud() as small:
        assert {row.action for row in imported(small.connect("one"), begun.path).rows} <= {"made"}
        exported(small.connect("one"), first.path)
        if not any(first.params().values()):
            return
        imported(small.connect("two"), first.path)
        requests = small.made()
        assert {row.action for row in imported(small.connect("two"), first.path).rows} <= {"left"}
        assert small.made() == requests
        exported(small.connect("two"), second.path)
    assert second.params() == first.params()
