"""What a first plan says, and what it leaves to the user."""

from longshore.model.machine import Disk, Machine, Nic, PowerState
from longshore.model.plan import Mappings
from longshore.model.platform import Platform
from longshore.model.target import Flavor, Network, Subnet
from longshore.planning.proposal import Offer, propose

GIB = 1 << 30
NOTHING = Mappings()


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
