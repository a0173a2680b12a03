"""Files that people wrote, which say less than an export and say it in other words: a second import finds them done."""

import hashlib

import pytest
from resource_files import (
    compared,
    exported,
    group,
    image,
    imported,
    interface,
    network,
    of,
    port,
    ref,
    router,
    rule,
    subnet,
)

from longshore.errors import Conflict
from longshore.tenancy import validate


@pytest.fixture
def shop(files):
    files.write("networks.yml", network("front"))
    files.write("subnets.yml", subnet("s", "10.1.0.0/24", "front", gateway_ip="10.1.0.1"))
    return files


def once(cloud, files, only):
    """Imported, and a second time: nothing is left to be done."""
    assert {row.action for row in imported(cloud, files.path, only).rows} == {"made"}
    assert {(row.action, row.said) for row in imported(cloud, files.path, only).rows} == {("left", "")}


RULES = "security_groups,security_group_rules"


@pytest.mark.parametrize(
    "words",
    [
        {"ether_type": None},
        {"protocol": "6", "port_range_min": 22, "port_range_max": 22},
        {"protocol": "TCP", "port_range_min": 1, "port_range_max": 65535},
        {"protocol": "icmp", "ether_type": "IPv6"},
        {"protocol": "icmpv6", "ether_type": "IPv6"},
        {"direction": "egress", "ether_type": None},
        {"direction": "egress", "remote_ip_prefix": "0.0.0.0/0"},
        {"direction": "egress", "ether_type": "IPv6", "remote_ip_prefix": "::/0"},
        {"protocol": "tcp", "port_range_min": 443, "port_range_max": 443, "remote_ip_prefix": "0.0.0.0/0"},
    ],
)
def test_rules(files, small, words):
    files.write("security_groups.yml", group("web"))
    files.write("security_group_rules.yml", rule("web", **words))
    once(small.connect(), files, RULES)


def test_a_rule_for_all_addresses_is_there_where_one_without_a_prefix_is(files, small):
    """MirantisWorkloadMobility/CloudFerry#1166: groups as Terraform writes them."""
    https = {"protocol": "tcp", "port_range_min": 443, "port_range_max": 443}
    files.write("security_groups.yml", group("web"))
    files.write("security_group_rules.yml", rule("web", **https))
    here = small.connect()
    imported(here, files.path, RULES)
    files.write("security_group_rules.yml", rule("web", **https, remote_ip_prefix="0.0.0.0/0"))
    assert {row.action for row in imported(here, files.path, RULES).rows} == {"left"}


@pytest.mark.parametrize(("one", "other"), [("6", "tcp"), ("47", "GRE"), ("sctp", "132"), ("112", "vrrp")])
def test_rules_that_differ_in_words_only_are_one(files, small, one, other):
    files.write("security_groups.yml", group("web"))
    files.write("security_group_rules.yml", rule("web", protocol=one))
    here = small.connect()
    imported(here, files.path, RULES)
    files.write("security_group_rules.yml", rule("web", protocol=other))
    assert {row.action for row in imported(here, files.path, RULES).rows} == {"left"}


def test_ports_and_interfaces_that_take_any_address_of_a_subnet(shop, small):
    anywhere = [{"ip_address": None, "subnet_ref": ref("s")}]
    shop.write("longshore/ports.yml", port("p", "front", fixed_ips_refs=anywhere))
    shop.write("routers.yml", router("edge"))
    shop.write("router_interfaces.yml", interface("edge", "front", ("s", None)))
    once(small.connect(), shop, "networks,subnets,ports,routers,router_interfaces")
    elsewhere = [{"ip_address": "10.1.0.7", "subnet_ref": ref("s")}]
    shop.write("longshore/ports.yml", port("p", "front", fixed_ips_refs=elsewhere))
    with pytest.raises(Conflict, match="fixed_ips_refs is"):
        imported(small.connect(), shop.path, "networks,subnets,ports")


def test_address_pairs_without_a_mac_address_have_the_ports(shop, small):
    shop.write("longshore/ports.yml", port("p", "front", allowed_address_pairs=[{"ip_address": "10.1.0.9"}]))
    once(small.connect(), shop, "networks,subnets,ports")


@pytest.mark.parametrize(
    "gateway", [{}, {"enable_snat": True}, {"enable_snat": False}, {"enable_snat": True, "external_fixed_ips": []}]
)
def test_routers_with_a_gateway(files, small, gateway):
    small.add("networks", {"name": "public", "router:external": True, "shared": True}, "outside")
    public = {"name": "public", "project_name": None, "domain_name": None}
    files.write("routers.yml", router("edge", external_gateway_refinfo={"network_ref": public, **gateway}))
    once(small.connect("admin"), files, "routers")


def test_the_first_name_server_is_asked_first(shop, small, tmp_path):
    here = small.connect()
    servers = ["10.9.9.9", "10.1.1.1"]
    shop.write("subnets.yml", subnet("s", "10.1.0.0/24", "front", gateway_ip="10.1.0.1", dns_nameservers=servers))
    once(here, shop, "networks,subnets")
    exported(here, tmp_path / "out", "subnets")
    shop.path = tmp_path / "out"
    assert shop.read("subnets.yml")[0]["params"]["dns_nameservers"] == servers
    shop.replace("10.9.9.9", "10.7.7.7")
    shop.replace("10.1.1.1", "10.9.9.9")
    shop.replace("10.7.7.7", "10.1.1.1")
    assert of(compared(here, shop.path, "subnets"), "change") == {("subnet", "s")}


def test_numbers_in_extra_specs(files, small):
    specs = {"hw:numa_nodes": 2, "hw:mem_page_size": "any", "hw:cpu_realtime": False, "hw:unsaid": None}
    params = {"name": "big", "ram": 1, "vcpus": 1, "extra_specs": specs}
    files.write("flavors.yml", {"type": "openstack.compute.Flavor", "params": params})
    admin = small.connect("admin")
    once(admin, files, "flavors")
    flavor = next(iter(small.compute.flavors.values()))
    assert flavor["extra_specs"] == {"hw:numa_nodes": "2", "hw:mem_page_size": "any", "hw:cpu_realtime": "false"}
    # What somebody added there stays, whatever else is changed
    flavor["extra_specs"]["quota:vif"] = "7"
    specs["hw:numa_nodes"] = 4
    files.write("flavors.yml", {"type": "openstack.compute.Flavor", "params": params})
    assert of(imported(admin, files.path, "flavors"), "changed") == {("flavor", "big")}
    assert (flavor["extra_specs"]["hw:numa_nodes"], flavor["extra_specs"]["quota:vif"]) == ("4", "7")


def an_image(files, data=b"bytes", **params):
    (files.path / "image_blobs").mkdir(exist_ok=True)
    (files.path / "image_blobs" / "an-id-tool").write_bytes(data)
    files.write("images.yml", image("tool", **params))


def test_hidden_images_are_found_again(files, small):
    an_image(files, is_hidden=True)
    once(small.connect(), files, "images")
    assert len(small.images) == 1


def test_images_are_compared_whatever_their_digest_is_made_with(files, small):
    an_image(files)
    here = small.connect()
    once(here, files, "images")
    an_image(files, hash_algo="sha256", hash_value=hashlib.sha256(b"bytes").hexdigest())
    assert {row.action for row in imported(here, files.path, "images").rows} == {"left"}
    an_image(files, b"other", hash_algo="sha256", hash_value=hashlib.sha256(b"other").hexdigest())
    with pytest.raises(Conflict, match="The one there is another: the digest of its bytes is"):
        imported(here, files.path, "images")
    (files.path / "image_blobs" / "an-id-tool").unlink()
    with pytest.raises(Conflict, match="nothing tells whether it has the same bytes"):
        imported(here, files.path, "images")


def test_properties_that_openstacksdk_writes_say_nothing(files, small):
    """OS-Migrate's files have them, and its imports give them to every image."""
    by_sdk = {f"owner_specified.openstack.{n}": v for n, v in (("md5", "x"), ("sha256", ""), ("object", "images/old"))}
    an_image(files, properties={**by_sdk, "team": "web", "level": 3, "unsaid": None})
    here = small.connect()
    once(here, files, "images")
    (made,) = small.images.values()
    assert (made["team"], made["level"]) == ("web", "3")
    assert not [name for name in made if name.startswith("owner_specified") or name == "unsaid"]
    made |= by_sdk
    assert {row.action for row in imported(here, files.path, "images").rows} == {"left"}


def test_what_differs_is_shown_and_what_is_cut_off_is_said(files, small):
    an_image(files, properties={"aaa": "x" * 150, "team": "web"})
    here = small.connect()
    imported(here, files.path, "images")
    an_image(files, properties={"aaa": "x" * 150, "team": "db"})
    assert [row.said for row in compared(here, files.path, "images").rows] == ["properties: team=web → team=db"]
    an_image(files, properties={"aaa": "y" * 150, "team": "web"})
    (said,) = [row.said for row in compared(here, files.path, "images").rows]
    assert said == f"properties: aaa={'x' * 96}… and 54 more characters → aaa={'y' * 96}… and 54 more characters"


def test_an_image_without_bytes_stops_an_import_before_it_begins(files, small):
    an_image(files)
    files.write("networks.yml", network("front"))
    here = small.connect()
    for blob in (files.path / "image_blobs").iterdir():
        blob.unlink()
    (warning,) = validate(files.path)[1]
    assert warning.warning
    assert warning.sentence == (
        "The bytes of image tool aren't there: there is no file image_blobs/an-id-tool; only an image that is on the "
        "target already can do without."
    )
    assert [row.action for row in compared(here, files.path, "networks,images").rows] == ["make", "conflict"]
    with pytest.raises(Conflict, match=r"Image tool .* can't be imported: The bytes of image tool aren't there"):
        imported(here, files.path, "networks,images")
    assert small.made() == 0
    an_image(files)
    files.write("images.yml", {**image("tool"), "_info": {"id": "an-id", "size": 6}})
    assert [f.sentence for f in validate(files.path)[1]] == [
        "image_blobs/an-id-tool has 5 bytes, but image tool has 6: export it again."
    ]


def test_an_image_that_is_not_whole_is_not_taken_for_one(files, small):
    an_image(files)
    here = small.connect()
    imported(here, files.path, "images")
    next(iter(small.images.values()))["status"] = "saving"
    with pytest.raises(Conflict, match="The one there is another: it is saving"):
        imported(here, files.path, "images")


def test_a_subnet_is_looked_for_on_its_network(files, small):
    """Of the two called `s`, the one that is imported along isn't that of the port's network."""
    files.write("networks.yml", network("a"), network("b"))
    there = subnet("s", "10.2.0.0/24", "b", tags=["there"])
    files.write("subnets.yml", subnet("s", "10.1.0.0/24", "a"), there)
    here = small.connect()
    imported(here, files.path, "networks,subnets")
    address = [{"ip_address": "10.2.0.7", "subnet_ref": ref("s")}]
    files.write("longshore/ports.yml", port("p", "b", fixed_ips_refs=address))
    report = imported(here, files.path, "networks,subnets,ports", ["tag!=there"])
    assert of(report, "made") == {("port", "p")}
    made = next(iter(small.things["ports"].values()))
    on_b = next(each["id"] for each in small.things["subnets"].values() if each["cidr"] == "10.2.0.0/24")
    assert [ip["subnet_id"] for ip in made["fixed_ips"]] == [on_b]


def test_addresses_are_the_same_however_they_are_written(files, small):
    files.write("networks.yml", network("a"))
    pools = [{"start": "2001:DB8::10", "end": "2001:db8:0::FF"}]
    routes = [{"destination": "2001:DB8:1::/64", "nexthop": "2001:DB8::9"}]
    said = {"gateway_ip": "2001:db8:0::1", "dns_nameservers": ["2001:DB8::53"], "host_routes": routes}
    files.write("subnets.yml", subnet("s", "2001:DB8::/64", "a", allocation_pools=pools, **said))
    address = [{"ip_address": "2001:DB8::99", "subnet_ref": ref("s")}]
    pairs = [{"ip_address": "2001:DB8::7", "mac_address": "FA:16:3E:00:00:01"}]
    files.write("longshore/ports.yml", port("p", "a", fixed_ips_refs=address, allowed_address_pairs=pairs))
    here = small.connect()
    imported(here, files.path, "networks,subnets,ports")
    (made,) = small.things["subnets"].values()
    made |= {
        "cidr": "2001:db8::/64",
        "gateway_ip": "2001:db8::1",
        "dns_nameservers": ["2001:db8::53"],
        "allocation_pools": [{"start": "2001:db8::10", "end": "2001:db8::ff"}],
        "host_routes": [{"destination": "2001:db8:1::/64", "nexthop": "2001:db8::9"}],
    }
    (there,) = small.things["ports"].values()
    there["fixed_ips"][0]["ip_address"] = "2001:db8::99"
    there["allowed_address_pairs"] = [{"ip_address": "2001:db8::7", "mac_address": "fa:16:3e:00:00:01"}]
    assert {row.action for row in compared(here, files.path, "networks,subnets,ports").rows} == {"leave"}


def test_rules_of_qos_without_what_the_service_fills_in(files, small):
    rules = [{"type": "bandwidth_limit", "max_kbps": 10}, {"type": "minimum_bandwidth", "min_kbps": 5}]
    named = {"name": "slow", "rules": rules}
    files.write("longshore/qos_policies.yml", {"type": "openstack.network.QosPolicy", "params": named})
    here = small.connect("admin")
    imported(here, files.path, "qos_policies")
    (policy,) = small.things["qos/policies"].values()
    policy["rules"][0] |= {"max_burst_kbps": 0, "direction": "egress"}
    policy["rules"][1] |= {"direction": "egress"}
    assert {row.action for row in compared(here, files.path, "qos_policies").rows} == {"leave"}


def test_neighbouring_prefixes_of_a_pool_are_one(small, files):
    """The network service merges them, and keeps what it has made of them."""
    pool = {"name": "lab", "prefixes": ["10.0.0.128/25", "10.0.0.0/25", "10.9.0.0/16"]}
    files.write("longshore/subnet_pools.yml", {"type": "openstack.network.SubnetPool", "params": pool})
    small.add("subnetpools", {"name": "lab", "prefixes": ["10.0.0.0/24", "10.9.0.0/16"]}, "one")
    assert of(compared(small.connect("one"), files.path), "leave") == {("subnet pool", "lab")}


def test_a_floating_ip_whose_tags_are_null(small, files):
    public = small.add("networks", {"name": "public", "router:external": True}, "operator")
    small.add("floatingips", {"floating_network_id": public["id"]}, "one")["tags"] = None
    exported(small.connect("one"), files.path, "floating_ips")
    assert {row.action for row in compared(small.connect("one"), files.path, "floating_ips").rows} == {"leave"}
