"""Load balancers as files: exported, made elsewhere one change after the other, known again."""

import pytest
from resource_files import compared, exported, imported, network, of, ref, subnet
from small_cloud import SmallCloud

from longshore.tenancy import validate
from longshore.tenancy.services import load_balancer

pytestmark = pytest.mark.long

ONLY = (
    "networks,subnets,floating_ips,load_balancers,load_balancer_pools,listeners,load_balancer_members,health_monitors,"
    "l7_policies,l7_rules"
)


@pytest.fixture
def balanced(monkeypatch):
    monkeypatch.setattr("longshore.providers.openstack.waiting.FIRST_PAUSE", 0.005, raising=False)
    with SmallCloud(balancing=True) as cloud:
        yield cloud


def of_kind(kind, **params):
    return {"type": f"openstack.load_balancer.{kind}", "params": params}


@pytest.fixture
def shop(files):
    """A web shop's: one pool for pages, one for pictures, and a redirect."""
    files.write("networks.yml", network("front"), network("public"))
    files.write("subnets.yml", subnet("front-v4", "10.1.0.0/24", "front"))
    files.write(
        "longshore/balancing.yml",
        of_kind("LoadBalancer", name="shop", network_ref=ref("front"), vip_subnet_ref=ref("front-v4")),
        *(
            of_kind(
                "Pool", name=name, protocol="HTTP", lb_algorithm="ROUND_ROBIN", load_balancer_ref=ref("shop"), **more
            )
            for name, more in (("pages", {"session_persistence": {"type": "SOURCE_IP"}}), ("pictures", {}))
        ),
        of_kind(
            "Listener",
            name="http",
            protocol="HTTP",
            protocol_port=80,
            load_balancer_ref=ref("shop"),
            default_pool_ref=ref("pages"),
            insert_headers={"X-Forwarded-For": "true"},
        ),
        *(
            of_kind("Member", address=f"10.1.0.{n}", protocol_port=8080, pool_ref=ref(pool), subnet_ref=ref("front-v4"))
            for n, pool in ((11, "pages"), (12, "pages"), (13, "pictures"))
        ),
        of_kind("HealthMonitor", name="up", type="TCP", delay=5, timeout=3, max_retries=3, pool_ref=ref("pages")),
        of_kind(
            "L7Policy",
            name="pictures",
            action="REDIRECT_TO_POOL",
            redirect_pool_ref=ref("pictures"),
            listener_ref=ref("http"),
        ),
        of_kind("L7Rule", type="PATH", compare_type="STARTS_WITH", rule_value="/img", l7_policy_ref=ref("pictures")),
    )
    files.write(
        "longshore/floating_ips.yml",
        {
            "type": "openstack.network.FloatingIP",
            "params": {
                "floating_ip_address": "172.24.4.9",
                "floating_network_ref": ref("public"),
                "load_balancer_ref": ref("shop"),
            },
        },
    )
    return files


def test_all_of_one_is_made_in_turn_and_a_second_import_changes_nothing(shop, balanced):
    here = balanced.connect()
    assert validate(shop.path)[1] == []
    first = imported(here, shop.path, ONLY)
    assert {row.action for row in first.rows} == {"made"}, first.rows
    assert ("load balancer member", "pages 10.1.0.11 8080") in of(first, "made")
    assert balanced.balancing.refused == 0  # nobody else works on it, so nothing comes too early
    (policy,) = balanced.balancing.things["l7policies"].values()
    (listener,) = balanced.balancing.things["listeners"].values()
    pools = {pool["name"]: pool["id"] for pool in balanced.balancing.things["pools"].values()}
    assert (listener["default_pool_id"], policy["redirect_pool_id"]) == (pools["pages"], pools["pictures"])
    (address,) = balanced.things["floatingips"].values()
    (balancer,) = balanced.balancing.things["loadbalancers"].values()
    assert address["port_id"] == balancer["vip_port_id"]
    requests = balanced.made()
    second = imported(here, shop.path, ONLY)
    assert {row.action for row in second.rows} == {"left"}
    assert balanced.made() == requests


def test_what_is_exported_makes_the_same_elsewhere(shop, balanced, tmp_path):
    imported(balanced.connect(), shop.path, ONLY)
    exported(balanced.connect(), tmp_path / "one", ONLY)
    assert validate(tmp_path / "one")[1] == []
    report = imported(balanced.connect("there"), tmp_path / "one", ONLY)
    assert {row.action for row in report.rows} == {"made"}, report.rows
    exported(balanced.connect("there"), tmp_path / "two", ONLY)
    files = [path.relative_to(tmp_path / "one") for path in sorted((tmp_path / "one").rglob("*.yml"))]
    assert len(files) == 10
    for file in files:
        told = [(tmp_path / side / file).read_text().split("params:", 1)[1:] for side in ("one", "two")]
        assert [_params(part) for part in told[0]] == [_params(part) for part in told[1]], file


def _params(text):
    """Without what is told of the originals, and the address that each has of its own."""
    lines = text.splitlines()
    return [
        line
        for line in lines
        if not line.lstrip().startswith(("id:", "project_id:", "vip_port_id:", "floating_ip_address"))
    ]


def test_an_edit_is_a_change_where_the_service_can_and_a_conflict_where_it_cannot(shop, balanced):
    here = balanced.connect()
    imported(here, shop.path, ONLY)
    shop.replace("delay: 5", "delay: 10")
    shop.replace("protocol_port: 8080", "protocol_port: 8080\n    weight: 7")
    changed = imported(here, shop.path, ONLY)
    assert of(changed, "changed") == {
        ("health monitor", "up"),
        *(
            ("load balancer member", f"{p} 10.1.0.{n} 8080")
            for n, p in ((11, "pages"), (12, "pages"), (13, "pictures"))
        ),
    }
    assert {m["weight"] for m in balanced.balancing.things["members"].values()} == {7}
    shop.replace("protocol_port: 80\n", "protocol_port: 81\n")
    (conflict,) = [row for row in compared(here, shop.path, ONLY).rows if row.kind == "listener"]
    assert (conflict.name, conflict.said) == (
        "http",
        "The one there is another: protocol_port is 80 there and 81 in the files.",
    )


def test_one_that_cannot_be_set_up_stops_only_what_belongs_to_it(shop, balanced):
    balanced.balancing.breaks = True
    report = imported(balanced.connect(), shop.path, ONLY)
    assert ("network", "front") in of(report, "made")
    failed = {row.kind: row.said for row in report.rows if row.action == "failed"}
    assert "couldn't set up shop: it is in state ERROR" in failed["load balancer"]
    assert "it needs load balancer shop, which failed" in failed["load balancer pool"]
    assert balanced.balancing.things["pools"] == {}


def test_others_may_be_changing_it(shop, balanced, monkeypatch):
    monkeypatch.setattr(load_balancer, "_BUSY_PAUSE", 0.01)
    here = balanced.connect()
    imported(here, shop.path, ONLY)
    shop.replace("delay: 5", "delay: 10")
    real = load_balancer.Balancing._until_ready
    busy = [True]

    def meanwhile(self, balancer):
        real(self, balancer)
        if busy:
            busy.pop()
            balanced.balancing.meanwhile = balancer

    monkeypatch.setattr(load_balancer.Balancing, "_until_ready", meanwhile)
    report = imported(here, shop.path, ONLY)
    assert of(report, "changed") == {("health monitor", "up")}
    assert balanced.balancing.refused == 1


def test_a_cloud_without_the_service_says_so_once(shop, small, tmp_path):
    here = small.connect()
    notes = exported(here, tmp_path / "out", ONLY).notes
    assert notes == [
        "load_balancers, load_balancer_pools, listeners, load_balancer_members, health_monitors, l7_policies, "
        "l7_rules: left out, since this cloud has no load-balancer service."
    ]
    (shop.path / "longshore/floating_ips.yml").unlink()
    report = imported(here, shop.path, ONLY)
    assert of(report, "made") == {("network", "front"), ("network", "public"), ("subnet", "front-v4")}
    assert {row.action for row in report.rows} == {"made", "skipped"}


def test_who_lacks_the_role_is_told_so_and_exports_the_rest(shop, balanced, tmp_path):
    balanced.balancing.strangers.add("here")
    (note,) = exported(balanced.connect(), tmp_path / "out", ONLY).notes
    assert note.endswith(
        "left out, since this user lacks the role for the load-balancer service (load-balancer_member, usually)."
    )


def test_who_may_connect_comes_along(balanced, files, tmp_path):
    """A listener without its authority for clients' certificates would let in everybody."""
    files.write("networks.yml", network("front"))
    files.write("subnets.yml", subnet("front-v4", "10.1.0.0/24", "front"))
    clients = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": "https://keys/ca"}
    files.write(
        "longshore/balancing.yml",
        of_kind("LoadBalancer", name="shop", network_ref=ref("front"), vip_subnet_ref=ref("front-v4")),
        of_kind(
            "Listener",
            name="https",
            protocol="TERMINATED_HTTPS",
            protocol_port=443,
            load_balancer_ref=ref("shop"),
            allowed_cidrs=["192.0.2.0/24"],
            **clients,
        ),
    )
    imported(balanced.connect("one"), files.path, ONLY)
    exported(balanced.connect("one"), tmp_path / "out", ONLY)
    assert {row.action for row in compared(balanced.connect("one"), tmp_path / "out", ONLY).rows} == {"leave"}
    imported(balanced.connect("two"), tmp_path / "out", ONLY)
    made = balanced.balancing.things["listeners"].values()
    told = [(each["project_id"], each["client_authentication"], each["client_ca_tls_container_ref"]) for each in made]
    assert told == [("one", "MANDATORY", "https://keys/ca"), ("two", "MANDATORY", "https://keys/ca")]


def test_policies_are_made_in_the_order_in_which_they_are_asked(shop, balanced):
    """Octavia puts each where it says, or at the end: made beside each other they would come out in another order."""
    names = {"first": 1, "second": 2, "a third": 3}
    shop.write(
        "longshore/policies.yml",
        *(
            of_kind("L7Policy", name=name, action="REJECT", position=position, listener_ref=ref("http"))
            for name, position in sorted(names.items())
        ),
    )
    shop.replace("REDIRECT_TO_POOL", "REJECT")
    assert not of(imported(balanced.connect(), shop.path, ONLY), "failed")
    made = [body["l7policy"]["name"] for m, path, body in balanced.log if m == "POST" and path.endswith("/l7policies")]
    assert [name for name in made if name in names] == list(names)


def test_what_openstacksdk_does_not_know_comes_along(shop, balanced, tmp_path):
    """Without the name that members answer to they would all be down, and without 308 a POST would become a GET."""
    shop.replace("type: TCP", "type: HTTP\n    http_version: 1.1\n    domain_name: shop.example.org")
    to = {"action": "REDIRECT_TO_URL", "redirect_url": "https://x.example.org", "redirect_http_code": 308}
    shop.write("longshore/moved.yml", of_kind("L7Policy", name="moved", listener_ref=ref("http"), **to))
    imported(balanced.connect(), shop.path, ONLY)
    exported(balanced.connect(), tmp_path / "out", ONLY)
    report = imported(balanced.connect("there"), tmp_path / "out", ONLY)
    assert {row.action for row in report.rows} == {"made"}, report.rows
    there = balanced.balancing.things
    said = [(each["http_version"], each["domain_name"]) for each in there["healthmonitors"].values()]
    assert said == [(1.1, "shop.example.org")] * 2
    codes = [each["redirect_http_code"] for each in there["l7policies"].values() if each["name"] == "moved"]
    assert codes == [308] * 2
    shop.replace("308", "301")
    assert of(imported(balanced.connect(), shop.path, ONLY), "changed") == {("l7 policy", "moved")}


@pytest.mark.parametrize("fails", ["/l7policies$", "/rules$"])
def test_a_listener_is_on_when_all_of_its_policies_are(balanced, shop, fails):
    """Without the one that rejects, or a rule of one, more would be let through than before."""
    shop.replace("protocol_port: 80\n", "protocol_port: 80\n    is_admin_state_up: true\n")
    shop.replace("name: pictures\n    action", "name: pictures\n    is_admin_state_up: true\n    action")
    balanced.fail("POST", fails)
    failed = of(imported(balanced.connect(), shop.path, ONLY), "failed")
    assert {("listener", "http"), ("l7 policy", "pictures")} <= failed
    (listener,) = balanced.balancing.things["listeners"].values()
    policies = balanced.balancing.things["l7policies"].values()
    assert not any(each["admin_state_up"] for each in (listener, *policies))
    assert not of(imported(balanced.connect(), shop.path, ONLY), "failed")
    assert all(each["admin_state_up"] for each in (listener, *policies))
    assert {row.action for row in imported(balanced.connect(), shop.path, ONLY).rows} == {"left"}


def test_a_provider_that_the_target_does_not_have(shop, balanced):
    shop.replace("vip_subnet_ref:", "provider: ovn\n    vip_subnet_ref:")
    report = imported(balanced.connect(), shop.path, ONLY)
    assert "load_balancers: provider of 1 left out, since this cloud has no ovn." in report.notes
    assert not of(report, "failed")
    assert {row.action for row in imported(balanced.connect(), shop.path, ONLY).rows} == {"left"}


def test_what_names_the_clouds_key_manager_is_said(shop, balanced, tmp_path):
    imported(balanced.connect(), shop.path, ONLY)
    for listener in balanced.balancing.things["listeners"].values():
        listener["default_tls_container_ref"] = "https://keys.example.org/v1/containers/1"
    notes = exported(balanced.connect(), tmp_path / "out", ONLY).notes
    said = "listeners: default_tls_container_ref of 1 names this cloud's key manager: put the target's own there."
    assert said in notes
