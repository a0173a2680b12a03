"""What a first plan says, and what it leaves to the user."""

from dataclasses import replace

import pytest

from longshore.model.addresses import AdapterWishes
from longshore.model.concern import Severity
from longshore.model.machine import Disk, Machine, Nic, PowerState
from longshore.model.plan import Mappings
from longshore.model.platform import Platform
from longshore.model.request import MigrationRequest
from longshore.model.target import Choices, Flavor, Named, Network, QuotaRoom, Subnet
from longshore.planning import TargetFacts, land
from longshore.planning.mappings import shared_names, unused_of_plan
from longshore.planning.planfile import request_of
from longshore.planning.proposal import Offer, propose

GIB = 1 << 30
NOTHING = Mappings()
UNLIMITED = QuotaRoom(None, None, None, None, None, None, None)


def machine(name, *, network="LAN", addresses=(), store="ds1", cpus=1, memory=1024, **fields):
    disk = Disk("2000", "Hard disk 1", 0, GIB, f"[{store}] x", store)
    nic = Nic("4000", "Network adapter 1", "00:50:56:00:00:01", network, addresses=addresses)
    return Machine(
        f"ref-{name}", name, PowerState.ON, cpus, memory, (disk,), (nic,), platform=Platform("vsphere"), **fields
    )


def network(name, *cidrs, vlan=None, id_=None):
    subnets = tuple(Subnet(f"{name}-{n}", cidr, True) for n, cidr in enumerate(cidrs))
    return Network(id_ or f"id-{name}", name, False, True, subnets, vlan=vlan)


def proposed(machines, networks=(), types=("ceph",), flavors=(), given=NOTHING, **offer):
    proposal = propose("p", "vc", "cloud", machines, Offer(networks, types, flavors, **offer), given)
    return proposal.plan, {c.code for c in proposal.open}


def test_a_network_of_the_same_name_wins_over_vlan_and_addresses():
    networks = [network("lan", "10.1.0.0/24"), network("other", "10.0.0.0/24", vlan=7)]
    plan, open_ = proposed([machine("a", addresses=("10.0.0.5",))], networks, vlans={"LAN": "7"})
    assert plan.mappings.networks == {"LAN": "lan"}
    assert "network-undecided" not in open_


def test_else_the_same_vlan_and_else_the_subnet_that_holds_all_addresses():
    networks = [network("blue", "10.0.0.0/24", vlan=7), network("green", "10.1.0.0/24", "10.2.0.0/24")]
    assert proposed([machine("a")], networks, vlans={"LAN": "7"})[0].mappings.networks == {"LAN": "blue"}
    both = [machine("a", addresses=("10.1.0.5", "fe80::1")), machine("b", addresses=("10.2.0.5",))]
    plan, _ = proposed(both, networks)
    assert plan.mappings.networks == {"LAN": "green"}
    assert plan.mappings.subnets == {}  # neither subnet holds both
    assert proposed(both[:1], networks)[0].mappings.subnets == {"LAN": "green-0"}


def test_what_could_be_two_networks_or_none_is_left_open():
    twice = [network("a", "10.0.0.0/24"), network("b", "10.0.0.0/24")]
    plan, open_ = proposed([machine("m", addresses=("10.0.0.5",))], twice)
    assert plan.mappings.networks == {}
    assert "network-undecided" in open_
    assert "network-undecided" in proposed([machine("m")], twice)[1]  # a machine that tells no address fits nowhere


def test_of_two_networks_with_one_name_the_id_is_written():
    networks = [network("x", "10.0.0.0/24", id_="one"), network("x", "10.1.0.0/24", id_="two")]
    assert proposed([machine("m", addresses=("10.1.0.5",))], networks)[0].mappings.networks == {"LAN": "two"}


def test_what_the_user_has_given_is_kept():
    given = Mappings(networks={"LAN": "mine"}, storage={"ds1": "gold"})
    plan, open_ = proposed([machine("m")], [network("lan")], given=given)
    assert (plan.mappings.networks, plan.mappings.storage) == ({"LAN": "mine"}, {"ds1": "gold"})
    assert open_ == {"flavor-undecided"}


def test_storage_by_name_else_the_default_type_and_a_word_about_it():
    plan, open_ = proposed([machine("a", store="CEPH"), machine("b", store="ds9")])
    assert plan.mappings.storage == {"CEPH": "ceph"}
    assert "storage-default" in open_


def test_one_flavor_rule_for_each_size_the_smallest_that_fits():
    flavors = [Flavor("1", "small", 1, 1024, 0), Flavor("2", "wide", 8, 1024, 0), Flavor("3", "big", 8, 8192, 0)]
    machines = [machine("a"), machine("b"), machine("c", cpus=4), machine("d", memory=4096), machine("e", cpus=64)]
    plan, open_ = proposed(machines, flavors=flavors)
    assert [r.flavor for r in plan.mappings.flavors] == ["small", "wide", "big"]
    for one, flavor in zip(machines, ["small", "small", "wide", "big"], strict=False):
        assert plan.options_for(plan.machines[0], one)["flavor"] == flavor
    assert "flavor-undecided" in open_


def test_clusters_and_zones_of_one_name_are_put_together():
    plan, _ = proposed([machine("a", cluster="AZ1"), machine("b", cluster="other")], zones=("az1", "az2"))
    assert plan.mappings.zones == {"AZ1": "az1"}


def test_machines_of_one_name_are_told_apart_by_their_folder():
    plan, _ = proposed([machine("a", folder="x"), machine("a", folder="y"), machine("b")])
    assert [m.machine for m in plan.machines] == ["x/a", "y/a", "b"]


def in_datacenter(name, number, address=""):
    """A machine on port group LAN of one of two datacenters (ManageIQ/manageiq#8457, openshift/installer#5673)."""
    one = machine(name, addresses=(address,) if address else (), datacenter=f"DC{number}")
    nic = replace(one.nics[0], network_ref=f"network-{number}")
    return replace(one, nics=(nic,), disks=(replace(one.disks[0], storage_ref=f"datastore-{number}"),))


def test_two_networks_of_one_name_at_the_source_are_left_open_and_said():
    both = [in_datacenter("a", 0, "10.0.0.5"), in_datacenter("b", 1, "10.1.0.5")]
    networks = [network("lan", "10.0.0.0/24", vlan=10), network("green", "10.1.0.0/24", vlan=20)]
    offer = Offer(networks, ("ds1",), (), vlans={"network-0": "10", "network-1": "20", "LAN": "20"})
    proposal = propose("p", "vc", "cloud", both, offer, NOTHING)
    assert (proposal.plan.mappings.networks, proposal.plan.mappings.storage) == ({}, {})
    said = {concern.code: concern for concern in proposal.open}
    assert "DC0/LAN (network-0), DC1/LAN (network-1)" in said["network-undecided"].text
    assert "DATACENTER/NAME" in said["network-undecided"].advice
    assert "DC0/ds1 (datastore-0), DC1/ds1 (datastore-1)" in said["storage-default"].text
    # Of one of them alone everything is known: by its own VLAN, not by that of the other one
    alone = propose("p", "vc", "cloud", both[1:], replace(offer, networks=networks[1:]), NOTHING).plan
    assert alone.mappings.networks == {"LAN": "green"}


def test_each_of_two_networks_of_one_name_goes_where_it_is_mapped_to():
    both = [in_datacenter("a", 0, "10.1.0.5"), in_datacenter("b", 1, "10.2.0.5")]
    green = network("green", "10.1.0.0/24", "10.2.0.0/24")
    given = Mappings(networks={"DC0/LAN": "green", "network-1": "green"}, storage={"DC1/ds1": "gold"})
    plan, open_ = proposed(both, [green], ("gold",), given=given)
    assert "network-undecided" not in open_
    assert plan.mappings.subnets == {"DC0/LAN": "green-0", "network-1": "green-1"}
    options = [plan.options_for(entry, one) for entry, one in zip(plan.machines, both, strict=True)]
    facts = TargetFacts((green,), ("gold",), (Flavor("f", "small", 1, 1024, 0),), UNLIMITED)
    landings = [land(one, request_of(said), facts) for one, said in zip(both, options, strict=True)]
    assert [landing.nics[0].subnet_id for landing, _ in landings] == ["green-0", "green-1"]
    assert [landing.disks[0].volume_type for landing, _ in landings] == [None, "gold"]


def test_clusters_of_one_name_in_two_datacenters_become_the_zones_that_they_are_mapped_to():
    both = [replace(in_datacenter(name, number), cluster="prod") for number, name in enumerate("ab")]
    zones = {"prod": "east", "DC1/prod": "west"}
    plan = proposed(both, [], given=Mappings(zones=zones))[0]
    options = [plan.options_for(entry, one) for entry, one in zip(plan.machines, both, strict=True)]
    assert [said["availability_zone"] for said in options] == ["east", "west"]
    assert not list(shared_names({}, {}, both, zones))
    assert not [c for c in unused_of_plan(plan, both) if c.subject in zones]
    (shared,) = shared_names({}, {}, both, {"prod": "east"})
    assert shared.code == "mapping-shared"
    assert "DC0/prod, DC1/prod" in shared.text


def test_a_word_that_means_several_networks_is_told_and_one_of_two_kinds_stops():
    both = [in_datacenter("a", 0), in_datacenter("b", 1)]
    shared = list(shared_names({"LAN": "green"}, {"ds1": "gold"}, both))
    assert [(c.code, c.severity) for c in shared] == [("mapping-shared", Severity.WARNING)] * 2
    assert "DC0/LAN (network-0), DC1/LAN (network-1)" in shared[0].text
    assert not list(shared_names({"LAN": "green", "DC1/LAN": "blue"}, {"datastore-0": "gold", "ds1": "ceph"}, both))
    odd = machine("c", network="network-1")
    (clash,) = shared_names({"network-1": "green"}, {}, [*both, odd])
    assert (clash.code, clash.severity) == ("mapping-ambiguous", Severity.BLOCKER)
    assert "DC1/LAN (network-1), network-1" in clash.text


def test_two_adapters_on_two_networks_of_one_name_are_mapped_by_id_or_mac():
    """As a server in OpenStack may have them (cloudify-openstack-plugin#169)."""
    one = machine("a")
    nics = tuple(
        replace(one.nics[0], key=str(n), mac=f"fa:16:3e:00:00:0{n}", network="net", network_ref=f"id-{n}")
        for n in (1, 2)
    )
    server = replace(one, nics=nics)
    networks = (network("blue", "10.0.0.0/24"), network("green", "10.1.0.0/24"))
    facts = TargetFacts(networks, (), (Flavor("f", "small", 1, 1024, 0),), UNLIMITED)
    said = [str(c) for c in land(server, MigrationRequest(), facts)[1] if c.code == "network-unmapped"]
    assert ['"id-1=TARGET"' in said[0], '"id-2=TARGET"' in said[1]] == [True, True]
    landing, _ = land(server, MigrationRequest(networks={"id-1": "blue", "id-2": "green"}), facts)
    assert [nic.network_id for nic in landing.nics] == ["id-blue", "id-green"]
    by_mac = MigrationRequest(networks={"net": "blue"}, adapters={nics[1].mac: AdapterWishes(network="green")})
    landing, concerns = land(server, by_mac, facts)
    assert [nic.network_id for nic in landing.nics] == ["id-blue", "id-green"]
    assert "mapping-shared" not in {c.code for c in concerns}
    assert "mapping-shared" in {c.code for c in land(server, MigrationRequest(networks={"net": "blue"}), facts)[1]}


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"networks": {"LAN": "two"}}, "network-ambiguous"),
        ({"networks": {"LAN": "green"}, "subnets": {"LAN": "green-1"}}, "subnet-ambiguous"),
        ({"networks": {"LAN": "green"}, "flavor": "f"}, "flavor-ambiguous"),
        ({"networks": {"LAN": "green"}, "server_group": "g"}, "name-ambiguous"),
        ({"networks": {"LAN": "green"}, "security_groups": ("s",)}, "name-ambiguous"),
    ],
)
def test_a_word_that_is_ones_name_and_anothers_id_is_never_the_first_that_fits(wanted, code):
    green = network("green", "10.1.0.0/24", "10.2.0.0/24")
    first, second = green.subnets
    green = replace(green, subnets=(first, replace(second, id="other", name="green-1"), replace(first, id="green-1")))
    facts = TargetFacts(
        (network("a", "10.3.0.0/24", id_="two"), network("two", "10.4.0.0/24", id_="b"), green),
        (),
        (Flavor("f", "small", 1, 1024, 0), Flavor("g", "f", 1, 1024, 0)),
        UNLIMITED,
        choices=Choices((), (), (), (Named("s", "web"), Named("t", "s")), (Named("g", "near"), Named("h", "g"))),
    )
    landing, concerns = land(machine("a"), MigrationRequest(**wanted), facts)
    assert landing is None
    assert {c.code for c in concerns if c.severity is Severity.BLOCKER} == {code}
