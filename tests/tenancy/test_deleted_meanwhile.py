"""What somebody deletes while it is being read is left out with a word, and ends nothing."""

from types import SimpleNamespace

import pytest
from resource_files import compared, exported
from small_cloud import EXTENSIONS, SmallCloud

from longshore.tenancy.services.identity import Quotas


@pytest.fixture
def small():
    with SmallCloud(extensions=[*EXTENSIONS, "floating-ip-port-forwarding"], balancing=True) as small:
        yield small


@pytest.fixture
def flavors(small):
    """Return the request that asks whose the second of two flavors is."""
    for name in ("kept", "deleted"):
        flavor = {"name": name, "ram": 64, "vcpus": 1, "disk": 1, "swap": 0, "OS-FLV-EXT-DATA:ephemeral": 0}
        public = {"os-flavor-access:is_public": name == "kept", "rxtx_factor": 1.0, "description": None}
        small.compute.flavors[name] = {"id": name, "extra_specs": {}} | flavor | public
    small.compute.access["deleted"] = ["admin"]
    return "flavors/deleted/os-flavor-access"


def test_a_flavor_is_named_and_the_others_are_exported(small, flavors, files):
    small.fail("GET", flavors, 404)
    done = exported(small.connect("admin"), files.path, "flavors")
    assert done.notes == ["flavors: deleted is left out: it was deleted during the export."]
    assert [each["name"] for each in files.params()["flavors.yml"]] == ["kept"]


@pytest.mark.parametrize("status", [403, 500])
def test_a_flavor_of_which_the_cloud_does_not_tell_does_not_end_the_export(small, flavors, files, status):
    small.fail("GET", flavors, status)
    done = exported(small.connect("admin"), files.path, "flavors")
    assert [each["name"] for each in files.params()["flavors.yml"]] == ["kept"]
    assert done.failed == [("flavor", "deleted")]
    assert "as the test asked" in done.notes[0]


def test_a_question_that_is_refused_is_told_and_the_floating_ip_exported(small, files):
    public = small.add("networks", {"name": "public", "router:external": True}, "operator")
    small.add("floatingips", {"floating_network_id": public["id"]}, "one")
    small.fail("GET", "port_forwardings", 403)
    done = exported(small.connect("one"), files.path, "floating_ips")
    assert len(files.params()["longshore/floating_ips.yml"]) == 1
    assert done.notes == [
        "floating_ips: 203.0.113.1 may have what isn't carried: The project's user may not read what floating ip "
        "203.0.113.1 has: as the test asked."
    ]


def test_a_comparison_tells_it_of_the_one_flavor(small, flavors, files):
    exported(small.connect("admin"), files.path, "flavors")
    small.fail("GET", flavors, 404)
    rows = {row.name: (row.action, row.said) for row in compared(small.connect("admin"), files.path, "flavors").rows}
    assert rows["kept"][0] == "leave"
    assert rows["deleted"] == (
        "conflict",
        "It was deleted there while it was compared: import again to make it.",
    )


def test_a_floating_ip(small, files):
    public = small.add("networks", {"name": "public", "router:external": True}, "operator")
    small.add("floatingips", {"floating_network_id": public["id"]}, "one")
    small.fail("GET", "port_forwardings", 404)
    assert exported(small.connect("one"), files.path, "floating_ips").notes == []


def test_the_pool_of_members(small, files):
    for number in range(2):
        pool = {"id": f"pool-{number}", "project_id": "one", "name": f"pool-{number}", "loadbalancers": []}
        small.balancing.things.setdefault("pools", {})[pool["id"]] = pool
    small.fail("GET", "pools/pool-0/members", 404)
    assert exported(small.connect("one"), files.path, "load_balancer_members").notes == []


def test_limits_have_no_name_to_be_left_out_by(small, files, monkeypatch):
    limits = SimpleNamespace(id="admin", project_id="admin", compute={}, storage={}, network={})
    monkeypatch.setattr(Quotas, "listing", lambda _self: [limits])
    assert exported(small.connect("admin"), files.path, "quotas").notes == []
    assert len(next(iter(files.params().values()))) == 1
