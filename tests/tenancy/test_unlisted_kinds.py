"""A kind that the cloud doesn't list is told and passed over, and no file says that there are none of it."""

import pytest
from resource_files import compared, exported, network
from small_cloud import EXTENSIONS, SmallCloud

from longshore.errors import LongshoreError


@pytest.fixture
def shop(small):
    for collection, thing in (("networks", {"name": "shop"}), ("security-groups", {"name": "web"})):
        small.add(collection, thing, "one")
    return small


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_the_rest_is_exported(shop, files, status):
    shop.fail("GET", "/networks$", status, times=99)
    done = exported(shop.connect("one"), files.path)
    assert [each["name"] for each in files.params()["security_groups.yml"]] == ["web"]
    assert ("network", "all of them") in done.failed
    assert any("networks" in note and "since they can't be listed" in note for note in done.notes)
    assert "networks.yml" not in files.params()


def test_a_file_of_an_earlier_export_is_not_emptied(shop, files):
    exported(shop.connect("one"), files.path)
    shop.fail("GET", "/networks$", 403, times=99)
    done = exported(shop.connect("one"), files.path, overwrite=True)
    assert [each["name"] for each in files.params()["networks.yml"]] == ["shop"]
    assert (
        "networks.yml is left as it was, since this export leaves out its kind. Delete it if it is no use."
        in done.notes
    )


def test_what_names_one_of_them_is_left_out_or_goes_without(small, files):
    policy = small.add("qos/policies", {"name": "gold"}, "one")
    small.add("networks", {"name": "shop", "qos_policy_id": policy["id"]}, "one")
    small.fail("GET", "/policies$", 403, times=99)
    done = exported(small.connect("one"), files.path)
    assert [each["qos_policy_ref"] for each in files.params()["networks.yml"]] == [None]
    assert "networks: shop is without its qos_policy_ref: what it names can't be seen." in done.notes


def test_ports_stay_behind_where_nobody_tells_of_their_firewalls(files):
    with SmallCloud(extensions=[*EXTENSIONS, "fwaas_v2"]) as small:
        made = small.add("networks", {"name": "shop"}, "one")
        small.add("ports", {"name": "p", "network_id": made["id"]}, "one")
        small.fail("GET", "firewall_groups", 404, times=99)
        done = exported(small.connect("one"), files.path)
    assert done.failed == [("port", "p")]
    assert "longshore/ports.yml" not in files.params()


def test_an_export_of_nothing_at_all_is_an_error(shop, files):
    shop.fail("GET", "network", 403, times=99)
    with pytest.raises(LongshoreError, match="as the test asked"):
        exported(shop.connect("one"), files.path, "networks,subnets")
    assert not list(files.path.rglob("*.yml"))


def test_an_import_that_cannot_look_changes_nothing(shop, files):
    files.write("networks.yml", network("shop"))
    shop.fail("GET", "/networks$", 403, times=99)
    with pytest.raises(LongshoreError, match="as the test asked"):
        compared(shop.connect("one"), files.path)
