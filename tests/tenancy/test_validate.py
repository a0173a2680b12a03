"""What is wrong with files is said in one sentence each, with file and line; what is right passes."""

import itertools
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from resource_files import group, interface, network, ref, router, rule, subnet

from longshore.errors import InvalidInput
from longshore.tenancy import validate


def faults(files):
    return [str(fault) for fault in validate(files.path)[1]]


def the_fault(files):
    found = faults(files)
    assert len(found) == 1, found
    return found[0]


def written(files, name, text):
    (files.path / name).write_text(text)
    return files


HEAD = "os_migrate_version: 1.0.5\nresources:\n"
NETWORK = "- type: openstack.network.Network\n  params:\n    name: front\n"


def test_files_as_os_migrate_writes_them_are_valid(files):
    written(
        files,
        "networks.yml",
        """\
os_migrate_version: 1.0.1
resources:
  - _info:
      availability_zones: [nova]
      created_at: '2024-05-06T07:08:09Z'
      id: 0a1b2c3d-0000-4000-8000-000000000001
      project_id: 0a1b2c3d000040008000000000000002
      qos_policy_id: null
      revision_number: 2
      status: ACTIVE
      subnet_ids: [0a1b2c3d-0000-4000-8000-000000000003]
      updated_at: '2024-05-06T07:08:10Z'
    _migration_params: {}
    params:
      availability_zone_hints: []
      description: ''
      dns_domain: null
      is_admin_state_up: true
      is_default: null
      is_port_security_enabled: true
      is_router_external: false
      is_shared: false
      is_vlan_transparent: null
      mtu: 1450
      name: shop
      provider_network_type: null
      provider_physical_network: null
      provider_segmentation_id: null
      qos_policy_ref: null
      segments: null
      tags: [blue]
    type: openstack.network.Network
""",
    )
    written(
        files,
        "subnets.yml",
        """\
os_migrate_version: 1.0.5
resources:
- _info: {id: 0a1b2c3d-0000-4000-8000-000000000003, network_id: 0a1b2c3d-0000-4000-8000-000000000001}
  _migration_params: {}
  params:
    allocation_pools:
    - end: 192.168.50.200
      start: 192.168.50.10
    cidr: 192.168.50.0/24
    description: ''
    dns_nameservers: []
    gateway_ip: 192.168.50.1
    host_routes: []
    ip_version: 4
    ipv6_address_mode: null
    ipv6_ra_mode: null
    is_dhcp_enabled: true
    name: shop-v4
    network_ref: {domain_name: '%auth%', name: shop, project_name: '%auth%'}
    segment_ref: null
    service_types: []
    subnet_pool_ref: null
    tags: []
    use_default_subnet_pool: null
  type: openstack.subnet.Subnet
""",
    )
    written(
        files,
        "keypairs.yml",
        """\
os_migrate_version: 1.0.5
resources:
- _info: {created_at: null, fingerprint: 'aa:bb', id: ops, is_deleted: null, user_id: 7}
  _migration_params: {}
  params:
    name: ops
    public_key: ssh-ed25519 AAAA ops@example.com
    type: ssh
    user_ref: {domain_name: '%auth%', name: '%auth%', project_name: null}
  type: openstack.compute.Keypair
""",
    )
    written(
        files,
        "workloads.yml",
        HEAD + "- type: openstack.compute.Server\n  params: {name: web01, flavor_ref: {name: m1}}\n",
    )
    resources, found = validate(files.path)
    assert found == []
    assert [r.name for r in resources] == ["ops", "shop", "shop-v4", "web01"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("    mtu: large", 'networks.yml:6: params.mtu must be a whole number, not "large".'),
        ("    mtu: 20", "networks.yml:6: params.mtu must be between 68 and 65535, not 20."),
        ("    is_shared: 'no'", 'networks.yml:6: params.is_shared must be true or false, not "no".'),
        ("    tags: blue", 'networks.yml:6: params.tags must be a list, not "blue".'),
        ("    tags: [1]", "networks.yml:6: params.tags has an entry that must be text, not the number 1."),
        ("    descripton: x", "networks.yml:6: params.descripton isn't a field of a network; did you mean "
                              "description?"),
        ("    qos_policy_ref: gold", "networks.yml:6: params.qos_policy_ref must be a reference (a mapping with name, "
                                     'project_name and domain_name), not "gold".'),
    ],
)  # fmt: skip
def test_wrong_values(files, line, said):
    assert the_fault(written(files, "networks.yml", f"{HEAD}{NETWORK}{line}\n")) == said


def test_a_number_as_a_name_wants_quotes(files):
    text = f"{HEAD}- type: openstack.network.Network\n  params:\n    name: 2024\n"
    assert the_fault(written(files, "networks.yml", text)) == (
        "networks.yml:5: params.name must be text, not the number 2024."
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\n", "networks.yml:2: This isn't YAML: while parsing a flow sequence did not find expected ',' or ']'."),
        ("\tresources: []\n", "networks.yml:1: This isn't YAML: while scanning for the next token found character that "
                               "cannot start any token."),
        ("[" * 100_000, "networks.yml:1: There are more than 40 tables and lists within each other."),
        ("a: 1\na: 2\n", 'networks.yml:2: "a" is there twice.'),
        ("a: !!python/name:os.system\n", "networks.yml:1: The tag tag:yaml.org,2002:python/name:os.system isn't "
                                         "allowed here."),
        ("\x00", "networks.yml:1: This isn't YAML: control characters are not allowed."),
        ("", "networks.yml:1: This must be a mapping with os_migrate_version and resources."),
        ("resources: []\n", "networks.yml:1: os_migrate_version is missing; files of version 1 are read, for example "
                            '"1.0.5".'),
        ("os_migrate_version: 0.17.0\nresources: []\n", "networks.yml:1: os_migrate_version is 0.17.0; files of "
                                                        'version 1 are read, for example "1.0.5".'),
        (HEAD + "- params: {}\n", "networks.yml:3: This resource has no type."),
        (HEAD + "- type: openstack.network.Netwrok\n", "networks.yml:3: There is no type openstack.network.Netwrok."),
        (HEAD + "- type: openstack.network.Network\n", "networks.yml:3: params must be a mapping."),
        (HEAD + "- type: openstack.network.Network\n  params: {}\n", "networks.yml:4: params.name of this network is "
                                                                     "missing."),
        ("- a\n--- \n- b\n", "networks.yml:2: A second document begins here; one is allowed."),
    ],
)  # fmt: skip
def test_broken_files(files, text, said):
    assert the_fault(written(files, "networks.yml", text)).startswith(said)


def test_references_are_refused_however_little_they_stand_for(files):
    said = the_fault(written(files, "networks.yml", "a: &a [1]\nb: *a\n"))
    assert said.startswith("networks.yml:1: &a is a reference, which isn't read here")


def test_a_file_of_100_mb_is_refused_without_being_read(files):
    with (files.path / "networks.yml").open("wb") as file:
        file.truncate(100_000_000)
    begun = time.monotonic()
    assert the_fault(files).startswith("networks.yml: The file has 100 MB; more than 67 MB isn't read.")
    assert time.monotonic() - begun < 5


def test_an_empty_directory_is_an_error(files):
    with pytest.raises(InvalidInput, match=r"There are no \*\.yml files"):
        validate(files.path)


def test_duplicates_name_both_places(files):
    written(files, "networks.yml", HEAD + NETWORK + NETWORK)
    assert (
        the_fault(files) == "networks.yml:8: The network front is here a second time; the first is in networks.yml:3."
    )


def test_subnets_of_two_networks_may_have_one_name(files):
    files.write("networks.yml", network("a"), network("b"))
    files.write("subnets.yml", subnet("s", "10.0.0.0/24", "a"), subnet("s", "10.0.1.0/24", "b"))
    assert faults(files) == []


def test_a_missing_reference_is_told_with_its_line(files):
    files.write("networks.yml", network("front"), network("back"))
    files.write("subnets.yml", subnet("s", "10.0.0.0/24", "frnt"))
    assert the_fault(files) == (
        "subnets.yml:8: params.network_ref of subnet s names the network frnt, which isn't in these files; "
        "did you mean front?"
    )


def test_a_reference_to_a_kind_that_was_not_exported_may_be_there_already(files):
    files.write("subnets.yml", subnet("s", "10.0.0.0/24", "front"))
    assert faults(files) == []


def test_references_inside_of_lists_count_too(files):
    files.write("networks.yml", network("front"))
    files.write("subnets.yml", subnet("s", "10.0.0.0/24", "front"))
    files.write("routers.yml", router("edge"))
    files.write("router_interfaces.yml", interface("edge", "front", ("gone", "10.0.0.1")))
    assert "params.fixed_ips_refs" in the_fault(files)
    assert "names the subnet gone" in the_fault(files)


def test_groups_may_refer_to_each_other_and_to_the_default_group(files):
    files.write("security_groups.yml", group("web"), group("db"))
    files.write(
        "security_group_rules.yml",
        rule("web", remote_group_ref=ref("db")),
        rule("db", remote_group_ref=ref("web")),
        rule("db", remote_group_ref=ref("default")),
    )
    assert faults(files) == []


def test_subnets_of_one_network_may_not_overlap(files):
    files.write("networks.yml", network("front"))
    files.write("subnets.yml", subnet("a", "10.0.0.0/16", "front"), subnet("b", "10.0.9.0/24", "front"))
    assert the_fault(files) == (
        "subnets.yml:15: 10.0.9.0/24 of subnet b overlaps 10.0.0.0/16 of subnet a (subnets.yml:6) on the network front."
    )


def test_subnets_on_one_router_may_not_overlap(files):
    files.write("networks.yml", network("a"), network("b"))
    files.write("subnets.yml", subnet("a", "10.0.0.0/24", "a"), subnet("b", "10.0.0.128/25", "b"))
    assert faults(files) == []
    files.write("routers.yml", router("edge"))
    files.write(
        "router_interfaces.yml",
        interface("edge", "a", ("a", "10.0.0.1")),
        interface("edge", "b", ("b", "10.0.0.129")),
    )
    assert "on the router edge" in the_fault(files)


def test_what_is_forgotten_when_a_cidr_is_changed(files):
    pools = [{"start": "10.0.0.10", "end": "10.0.0.20"}]
    edited = subnet("s", "10.7.0.0/24", "front", allocation_pools=pools, gateway_ip="10.0.0.1")
    files.write("networks.yml", network("front"))
    files.write("subnets.yml", edited)
    files.write("routers.yml", router("edge"))
    files.write("router_interfaces.yml", interface("edge", "front", ("s", "10.0.0.1")))
    _, found = validate(files.path)
    assert [fault.sentence for fault in found if not fault.warning] == [
        "The address 10.0.0.1 isn't in 10.7.0.0/24, the CIDR of subnet s.",
        "10.0.0.10 of an allocation pool isn't in 10.7.0.0/24, the CIDR of subnet s.",
        "10.0.0.20 of an allocation pool isn't in 10.7.0.0/24, the CIDR of subnet s.",
    ]
    assert ["The gateway 10.0.0.1" in fault.sentence for fault in found if fault.warning] == [True]


def test_a_next_hop_is_a_neighbour(files):
    files.write("networks.yml", network("front"))
    files.write("subnets.yml", subnet("s", "10.7.0.0/24", "front"))
    files.write("router_interfaces.yml", interface("edge", "front", ("s", "10.7.0.1")))
    files.write("routers.yml", router("edge", routes=[{"destination": "10.9.0.0/16", "nexthop": "10.7.0.9"}]))
    assert faults(files) == []
    files.write("routers.yml", router("edge", routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}]))
    assert the_fault(files) == (
        "routers.yml:6: The next hop 10.0.0.9 isn't in any subnet that router edge has an interface in."
    )


@pytest.mark.parametrize("cidr", ["10.0.0.1/24", "10.0.0.0", "10.0.0.0/40", "front"])
def test_a_cidr_is_that_of_a_network(files, cidr):
    files.write("subnets.yml", subnet("s", cidr, "front"))
    assert "params.cidr" in the_fault(files)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["%auth%", "10.0.0.0/24"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TYPES = ["openstack.network.Network", "openstack.subnet.Subnet", "openstack.network.RouterInterface",
         "openstack.network.SecurityGroupRule", "openstack.network.Router", "openstack.network.Port",
         "openstack.network.RbacPolicy", "openstack.compute.Keypair"]  # fmt: skip
NAMES = ["name", "cidr", "network_ref", "fixed_ips_refs", "device_ref", "security_group_ref", "object_ref",
         "external_gateway_refinfo", "allocation_pools", "gateway_ip", "ip_version", "user_ref", "tags"]  # fmt: skip
COUNT = itertools.count()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(NAMES), VALUES)).map(
            lambda pair: {"type": pair[0], "params": pair[1]}
        ),
        max_size=4,
    )
)
@pytest.mark.long
def test_whatever_people_write_is_answered_with_sentences(files, resources):
    files.write("networks.yml", *resources)
    for fault in validate(files.path)[1]:
        assert fault.place.line > 0
        assert fault.sentence.endswith((".", "?"))
