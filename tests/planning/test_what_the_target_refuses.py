"""What Nova and Neutron would refuse once the machine is off is found beforehand, or isn't asked for."""

from dataclasses import replace

import pytest
from test_preflight import CLEAN, FACTS, NIC, REQUEST, only, said

from longshore.model.machine import AllowedAddress, HostFeatures, PowerState, ServerDetails
from longshore.model.platform import Platform
from longshore.model.request import MigrationType
from longshore.model.target import Flavor, Network, Subnet
from longshore.planning import land
from longshore.planning.flavors import smallest
from longshore.providers.openstack.placement import narrowing


@pytest.mark.parametrize(
    "name",
    [
        "erp\u200bdb",  # manageiq-v2v#477, openshift-docs#26023: pasted from a page
        "erp\u200f",
        "erp\tdb",
        "erp\u2028db",
        "erp\x7f",
        "erp\ue000",
        "erp\ufeff",
        "erp \U0001f680",
        " erp",
        "",
    ],
)
def test_a_name_that_nova_takes_not_is_a_blocker_and_another_one_helps(name):
    machine = replace(CLEAN, name=name)
    assert only(machine)["server-name-refused"] == "blocker"
    assert "server-name-refused" not in only(machine, replace(REQUEST, server_name="erp"))


@pytest.mark.parametrize("name", ["Größe", "所有者", "erp db", "erp(2)", "x" * 255])
def test_other_names_are_taken(name):
    assert only(replace(CLEAN, name=name)) == {"server-name-no-host-name": "warning"}


PLAIN, GPU = Flavor("2", "t-plain", 1, 512, 0), Flavor("1", "a-gpu", 1, 512, 0, narrowing=("resources:VGPU=1",))


def test_a_flavor_for_special_hosts_comes_after_all_others():
    larger = replace(PLAIN, id="3", memory_mib=1024)
    for flavors in ((GPU, PLAIN), (PLAIN, GPU), (GPU, larger)):
        landing, concerns = land(CLEAN, REQUEST, replace(FACTS, flavors=flavors))
        assert (landing.flavor_name, concerns) == ("t-plain", [])
        assert smallest(1, 512, flavors).name == "t-plain"
    landing, concerns = land(CLEAN, REQUEST, replace(FACTS, flavors=(GPU,)))
    assert landing.flavor_name == "a-gpu"
    assert said(concerns) == {"flavor-narrow": "warning"}
    assert "resources:VGPU=1" in concerns[0].text


def test_a_server_that_had_such_a_flavor_has_it_again():
    server = replace(CLEAN, platform=Platform("openstack"), server=ServerDetails(flavor="a-gpu"))
    landing, concerns = land(server, REQUEST, replace(FACTS, flavors=(PLAIN, GPU)))
    assert landing.flavor_name == "a-gpu"
    assert "flavor-narrow" not in said(concerns)
    landing, concerns = land(CLEAN, replace(REQUEST, flavor="a-gpu"), replace(FACTS, flavors=(PLAIN, GPU)))
    assert (landing.flavor_name, said(concerns)) == ("a-gpu", {"flavor-demands": "information"})


@pytest.mark.parametrize(
    ("has", "demands", "codes"),
    [
        ({"latency_sensitive": True}, (), {"latency-sensitive": "warning"}),
        ({"latency_sensitive": True}, ("hw:cpu_policy=dedicated",), {"flavor-demands": "information"}),
        ({"memory_reserved": True}, (), {"memory-reserved": "information"}),
        ({"memory_reserved": True}, ("hw:mem_page_size=large",), {"flavor-demands": "information"}),
        ({}, ("hw:mem_encryption=True",), {"flavor-demands": "information"}),
    ],
)
def test_what_machine_and_flavor_have_and_the_other_has_not_is_said(has, demands, codes):
    machine = replace(CLEAN, host_features=HostFeatures(**has))
    facts = replace(FACTS, flavors=(replace(PLAIN, narrowing=demands),))
    assert said(land(machine, replace(REQUEST, flavor="t-plain"), facts)[1]) == codes


@pytest.mark.parametrize(
    ("specs", "kept"),
    [
        ({"trait:CUSTOM_FAST": "required", "hw:cpu_sockets": "2"}, ("trait:CUSTOM_FAST=required",)),
        ({"trait_group1:HW_CPU_X86_AVX": "forbidden"}, ("trait_group1:HW_CPU_X86_AVX=forbidden",)),
        (
            {"trait1:CUSTOM_FAST": "required", "trait_gpu-1:X": "required"},
            ("trait1:CUSTOM_FAST=required", "trait_gpu-1:X=required"),
        ),
        ({"resources_gpu-1:VGPU": "1"}, ("resources_gpu-1:VGPU=1",)),
        ({"resources:VCPU": "0", "resources1:VGPU": "1"}, ("resources1:VGPU=1", "resources:VCPU=0")),
        ({"pci_passthrough:alias": "t4:1"}, ("pci_passthrough:alias=t4:1",)),
        ({"aggregate_instance_extra_specs:ssd": "true"}, ("aggregate_instance_extra_specs:ssd=true",)),
        ({"ssd": "true"}, ("ssd=true",)),
        ({"capabilities:hypervisor_type": "s== QEMU"}, ("capabilities:hypervisor_type=s== QEMU",)),
        (
            {"hw:cpu_policy": "dedicated", "hw:mem_page_size": "1GB"},
            ("hw:cpu_policy=dedicated", "hw:mem_page_size=1GB"),
        ),
        ({"hw:cpu_policy": "shared", "hw:mem_page_size": "any"}, ()),
        ({"hw_rng:allowed": "true", "quota:disk_read_iops_sec": "500", "hw:tpm_version": "2.0"}, ()),
    ],
)
def test_which_extra_specs_leave_hosts_out(specs, kept):
    assert narrowing(specs) == kept


SLAAC = Subnet("s6", "2001:db8::/64", True, "v6", automatic=True)
DUAL = Network("n6", "dual", shared=False, owned=True, subnets=(Subnet("s4", "10.0.0.0/24", True), SLAAC))
ON_DUAL = replace(FACTS, networks=(DUAL,))
TO_DUAL = replace(REQUEST, networks={"VM Network": "dual"})


def with_addresses(*addresses):
    return replace(CLEAN, nics=(replace(NIC, addresses=addresses),))


def test_the_address_that_a_port_gets_by_its_mac_is_not_asked_for_and_nothing_is_said():
    landing, concerns = land(with_addresses("10.0.0.41", "2001:db8::250:56ff:fe00:1"), TO_DUAL, ON_DUAL)
    assert (landing.nics[0].addresses, concerns) == (("10.0.0.41",), [])


def test_another_one_of_that_subnet_stays_behind_and_that_is_said():
    landing, concerns = land(with_addresses("10.0.0.41", "2001:db8::99"), TO_DUAL, ON_DUAL)
    assert landing.nics[0].addresses == ("10.0.0.41",)
    assert said(concerns) == {"address-by-itself": "warning"}
    stateful = replace(DUAL, subnets=(DUAL.subnets[0], replace(SLAAC, automatic=False)))
    landing, concerns = land(with_addresses("10.0.0.41", "2001:db8::99"), TO_DUAL, replace(FACTS, networks=(stateful,)))
    assert (landing.nics[0].addresses, concerns) == (("10.0.0.41", "2001:db8::99"), [])


@pytest.mark.parametrize("address", ["10.0.0.0", "10.0.0.255"])
def test_an_address_that_no_port_can_have_is_not_asked_for(address):
    landing, concerns = land(with_addresses(address), TO_DUAL, ON_DUAL)
    assert landing.nics[0].addresses == ()
    assert said(concerns) == {"address-of-nobody": "warning"}


def test_no_groups_and_no_further_addresses_where_there_is_no_port_security():
    nic = replace(NIC, security_groups=("web",), allowed_addresses=(AllowedAddress("10.0.0.50"),))
    machine = replace(CLEAN, nics=(nic,))
    landing, concerns = land(machine, TO_DUAL, ON_DUAL)
    assert (landing.nics[0].security_groups, len(landing.nics[0].allowed_addresses), concerns) == (("sg-1",), 1, [])
    open_ = replace(ON_DUAL, networks=(replace(DUAL, port_security=False),))
    landing, concerns = land(machine, TO_DUAL, open_)
    assert (landing.nics[0].security_groups, landing.nics[0].allowed_addresses) == (None, ())
    assert said(concerns) == {"security-groups-impossible": "warning"}
    bare = replace(ON_DUAL, networks=(replace(DUAL, subnets=()),))
    landing, concerns = land(machine, TO_DUAL, bare)
    assert landing.nics[0].security_groups is None
    assert said(concerns)["security-groups-impossible"] == "warning"


def test_a_locked_server_that_has_to_be_stopped_is_a_blocker():
    server = replace(CLEAN, platform=Platform("openstack"), server=ServerDetails(locked=True))
    for kind in (MigrationType.COLD, MigrationType.WARM):
        assert only(server, replace(REQUEST, type=kind))["server-locked"] == "blocker"
    assert "server-locked" not in only(server, replace(REQUEST, type=MigrationType.DRY_RUN))
    assert "server-locked" not in only(replace(server, power=PowerState.OFF))
