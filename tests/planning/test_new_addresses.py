"""New addresses and wishes about adapters, checked against the target before anything is stopped."""

from dataclasses import replace

import pytest
from test_landing import FACTS, MACHINE, NIC, PRIVATE, REQUEST, SHARED, codes

from longshore.errors import InvalidInput
from longshore.model.addresses import AdapterInGuest, AdapterWishes, Addressing, Renumbering, Route
from longshore.model.concern import Severity
from longshore.model.guest import FoundSystem, GuestFindings
from longshore.model.machine import Nic
from longshore.model.request import LandingMode, MigrationRequest, MigrationType
from longshore.model.target import Network, Port, Subnet
from longshore.planning import concerns_of_guest, land
from longshore.planning.new_addresses import addresses_to_ask, new_addresses, with_chosen_adapters
from longshore.planning.planfile import read, write
from longshore.planning.validation import check_request

MAC, SECOND = NIC.mac, "00:50:56:00:00:02"
OTHER = Network(
    "net-3",
    "other",
    shared=False,
    owned=True,
    subnets=(Subnet("s3", "198.51.100.0/24", True, "office", "198.51.100.1"),),
)
THERE = replace(FACTS, networks=(PRIVATE, SHARED, OTHER))
GIVEN = Addressing(ipv4="198.51.100.7/24", gateway="198.51.100.1")
TEST = Addressing(ipv4="198.51.100.99/24")
ASKED = MigrationRequest(networks={"VM Network": "other"}, addresses={MAC.upper(): GIVEN})
TWO = replace(MACHINE, nics=(NIC, Nic("4001", "Network adapter 2", SECOND, "VM Network", addresses=("10.20.30.42",))))


def test_the_port_has_the_address_that_the_guest_is_given():
    landing, concerns = land(MACHINE, ASKED, THERE)
    assert concerns == []
    (nic,) = landing.nics
    assert (nic.addresses, nic.mac, nic.chosen) == (("198.51.100.7",), MAC, True)
    assert addresses_to_ask(NIC, ASKED) == {"198.51.100.7"}


def test_who_is_to_ask_by_dhcp_gets_what_the_cloud_chooses():
    landing, concerns = land(MACHINE, replace(ASKED, addresses={MAC: "dhcp"}), THERE)
    assert (concerns, landing.nics[0].addresses) == ([], ())
    silent = replace(OTHER, subnets=(replace(OTHER.subnets[0], allows_dhcp=False),))
    _, concerns = land(MACHINE, replace(ASKED, addresses={MAC: "dhcp"}), replace(THERE, networks=(silent,)))
    assert codes(concerns) == {"new-address-no-dhcp"}


def test_networks_become_others():
    request = replace(ASKED, addresses={}, readdress={"10.20.30.0/24": "198.51.100.0/24"})
    landing, concerns = land(MACHINE, request, THERE)
    assert concerns == []
    assert landing.nics[0].addresses == ("198.51.100.41",)
    assert addresses_to_ask(NIC, request) >= {"198.51.100.41"}
    (adapter,) = (AdapterInGuest(MAC, MAC, (), NIC.addresses),)
    rules = new_addresses([adapter], request, landing.nics[0].gateways).renumbering
    assert rules == Renumbering(request.readdress, {"198.51.100.0/24": "198.51.100.1"})
    assert (rules.moved("10.20.30.41"), rules.moved("10.20.31.1")) == ("198.51.100.41", None)
    assert rules.moved_gateway("10.20.30.254") == "198.51.100.1"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"addresses": {MAC: replace(GIVEN, ipv4="203.0.113.7/24")}}, "new-address-outside-subnet"),
        ({"addresses": {MAC: replace(GIVEN, gateway="203.0.113.1")}}, "gateway-outside-subnet"),
        ({"addresses": {MAC: replace(GIVEN, routes=(Route("10.0.0.0/8", "10.9.9.9"),))}}, "gateway-outside-subnet"),
        ({"addresses": {MAC: replace(GIVEN, ipv4="198.51.100.1/24")}}, "new-address-of-gateway"),
        ({"addresses": {SECOND: GIVEN}}, "adapter-unknown"),
        ({"test_addresses": {SECOND: GIVEN}}, "adapter-unknown"),
        ({"adapters": {SECOND: AdapterWishes(unplugged=True)}}, "adapter-unknown"),
        ({"networks": {"VM Network": "shared"}}, "new-address-refused"),
        ({"addresses": {}, "readdress": {"10.20.30.0/24": "203.0.113.0/24"}}, "new-address-outside-subnet"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_done(change, code):
    landing, concerns = land(MACHINE, replace(ASKED, **change), THERE)
    assert landing is None
    assert code in codes(concerns)


def test_an_address_that_is_taken_blocks_a_dry_run_too():
    taken = replace(THERE, addresses_in_use=frozenset({("net-3", "198.51.100.7"), ("net-3", "198.51.100.99")}))
    assert codes(land(MACHINE, ASKED, taken)[1]) == {"address-in-use"}
    rehearsal = replace(ASKED, type=MigrationType.DRY_RUN, test_addresses={MAC: TEST})
    assert codes(land(MACHINE, rehearsal, taken)[1]) == {"address-in-use"}
    alone = replace(rehearsal, isolated=True)
    assert land(MACHINE, alone, taken)[1] == []


def test_another_prefix_and_a_subnet_without_gateway_are_warned_of():
    _, concerns = land(MACHINE, replace(ASKED, addresses={MAC: replace(GIVEN, ipv4="198.51.100.7/16")}), THERE)
    assert [(one.code, one.severity) for one in concerns] == [("new-address-other-prefix", Severity.WARNING)]
    alone = replace(OTHER, subnets=(replace(OTHER.subnets[0], gateway=""),))
    request = replace(ASKED, addresses={}, readdress={"10.20.30.0/24": "198.51.100.0/24", "10.9.0.0/24": "10.8.0.0/24"})
    _, concerns = land(MACHINE, request, replace(THERE, networks=(alone,)))
    assert codes(concerns) == {"readdress-no-gateway", "readdress-unused"}


@pytest.mark.parametrize(
    ("change", "addresses", "chosen"),
    [
        ({}, ("10.20.30.41",), False),  # its own, which a rehearsal beside the machine doesn't get
        ({"test_addresses": {MAC: TEST}}, ("198.51.100.99",), True),
        ({"isolated": True}, ("198.51.100.7",), True),
        ({"isolated": True, "test_addresses": {MAC: TEST}}, ("198.51.100.99",), True),
        ({"test_readdress": {"10.20.30.0/24": "198.51.100.0/24"}}, ("198.51.100.41",), True),
    ],
)
@pytest.mark.parametrize("type_", [MigrationType.DRY_RUN, MigrationType.TEST])
def test_a_rehearsal_has_addresses_of_its_own(type_, change, addresses, chosen):
    both = replace(OTHER, subnets=(*OTHER.subnets, Subnet("s4", "10.20.30.0/24", True)))
    landing, _ = land(MACHINE, replace(ASKED, type=type_, **change), replace(THERE, networks=(both,)))
    assert (landing.nics[0].addresses, landing.nics[0].chosen) == (addresses, chosen)


def test_a_port_that_is_there_has_to_have_the_address():
    port = Port("p1", MAC, ("198.51.100.8",), "net-3")
    request = replace(ASKED, ports={MAC: "p1"})
    assert codes(land(MACHINE, request, replace(THERE, ports={"p1": port}))[1]) == {"new-address-other-port"}
    right = replace(port, addresses=("198.51.100.7",))
    assert land(MACHINE, request, replace(THERE, ports={"p1": right}))[1] == []


def test_each_adapter_has_its_own_network_and_subnet_or_none():
    request = replace(
        REQUEST,
        adapters={SECOND: AdapterWishes(network="other", subnet="office", unplugged=True)},
        addresses={SECOND: GIVEN},
    )
    landing, concerns = land(TWO, request, THERE)
    assert concerns == []
    first, second = landing.nics
    assert (first.network_id, first.plugged) == ("net-1", True)
    assert (second.network_id, second.subnet_id, second.plugged) == ("net-3", "s3", False)
    left = replace(REQUEST, adapters={SECOND.upper(): AdapterWishes(leave_out=True)})
    landing, concerns = land(TWO, left, THERE)
    assert (concerns, [nic.nic_key for nic in landing.nics]) == ([], ["4000"])
    assert with_chosen_adapters(TWO, left).nics == (NIC,)


def test_a_subnet_of_the_mapped_network_is_not_looked_for_on_another():
    request = replace(
        REQUEST, subnets={"VM Network": "s"}, adapters={MAC: AdapterWishes(network="other")}, addresses={MAC: GIVEN}
    )
    assert land(MACHINE, request, THERE)[1] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"addresses": {MAC: "dchp"}}, "is dhcp, or a table"),
        ({"addresses": {"00:50": "dhcp"}}, "isn't a MAC"),
        ({"addresses": {MAC: Addressing()}}, "no address"),
        ({"addresses": {MAC: Addressing(ipv4="198.51.100.7")}}, "with its prefix length"),
        ({"addresses": {MAC: Addressing(ipv4="2001:db8::7/64")}}, "isn't an address"),
        ({"addresses": {MAC: replace(GIVEN, gateway="2001:db8::1")}}, "gateway for IPv6"),
        ({"addresses": {MAC: replace(GIVEN, gateway=("198.51.100.1", "198.51.100.2"))}}, "two gateways"),
        ({"addresses": {MAC: replace(GIVEN, dns=("8.8.8",))}}, "isn't an address"),
        ({"addresses": {MAC: replace(GIVEN, dns=("fe80::1%eth0",))}}, "isn't an address"),
        ({"addresses": {MAC: replace(GIVEN, routes=(Route("default", "198.51.100.1"),))}}, "the gateway"),
        ({"readdress": {"10.0.0.0/24": "10.1.0.0/16"}}, "one size"),
        ({"readdress": {"10.0.0.1/24": "10.1.0.0/24"}}, "isn't a network"),
        ({"readdress": {"10.0.0.0/8": "11.0.0.0/8", "10.1.0.0/16": "172.16.0.0/16"}}, "in common"),
        ({"ports": {MAC: "p"}, "adapters": {MAC: AdapterWishes(network="x")}}, "A port is named"),
        ({"adapters": {MAC: AdapterWishes(leave_out=True)}, "addresses": {MAC: GIVEN}}, "is to be left out"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, said):
    with pytest.raises(InvalidInput, match=said):
        check_request(replace(REQUEST, **change))


PLAN = f"""\
name: waves
source: vc
target: os
defaults:
  readdress:
    192.0.2.0/24: 198.51.100.0/24
machines:
- machine: web01
  adapters:
    {SECOND}:
      leave_out: true
  addresses:
    {MAC}:
      ipv4: 198.51.100.7/24
      gateway: 198.51.100.1
  test_addresses:
    {MAC}: dhcp
"""


def test_a_plan_holds_it_and_comes_back_as_it_was_written():
    assert write(read(PLAN, "plan.yaml")) == PLAN


@pytest.mark.parametrize(
    ("word", "wrong", "line"),
    [
        ("ipv4: 198.51.100.7/24", "ipv44: 198.51.100.7/24", 13),
        ("dhcp\n", "dchp\n", 17),
        ("leave_out: true", "leave-out: true", 11),
        ("198.51.100.0/24\n", "198.51.100.0/25\n", 6),
    ],
)
def test_a_mistake_in_a_plan_is_told_with_its_line(word, wrong, line):
    with pytest.raises(InvalidInput, match=f"plan.yaml, line {line}: "):
        read(PLAN.replace(word, wrong), "plan.yaml")


LINUX = GuestFindings(inspected=True, systems=(FoundSystem("/dev/sda1", "linux", "debian"),))
CONVERTED = replace(ASKED, landing=LandingMode.CONVERT)


@pytest.mark.parametrize(
    ("findings", "request_", "why"),
    [
        (replace(LINUX, unaddressable={MAC: "netplan has no ens192"}), CONVERTED, "netplan has no ens192"),
        (GuestFindings(why_not="No system was found."), CONVERTED, "No system was found"),
        (replace(LINUX, systems=(FoundSystem("/dev/sda1", "freebsd"),)), CONVERTED, "only Linux and Windows"),
        (
            replace(LINUX, systems=(FoundSystem("/dev/sda1", "windows"),)),
            replace(CONVERTED, landing=LandingMode.AS_IS),
            "by its conversion only",
        ),
        (
            replace(LINUX, systems=(FoundSystem("/dev/sda1", "windows"),)),
            replace(CONVERTED, addresses={MAC: replace(GIVEN, ipv6="2001:db8::7/64")}),
            "no IPv6",
        ),
    ],
)
def test_what_cannot_be_written_blocks_until_it_is_accepted(findings, request_, why):
    def of_addresses(request):
        found = concerns_of_guest(MACHINE, findings, request)
        return [(one.severity, one.text) for one in found if one.code == "guest-addresses-not-written"]

    ((severity, text),) = of_addresses(request_)
    assert (severity, why in text) == (Severity.BLOCKER, True)
    ((severity, _),) = of_addresses(replace(request_, accept=("guest-addresses-not-written",)))
    assert severity is Severity.WARNING
    assert of_addresses(replace(request_, addresses={})) == []
