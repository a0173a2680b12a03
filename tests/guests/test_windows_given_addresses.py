"""Other addresses of Windows, as virt-v2v is told of them."""

from longshore.guests.addressing.windows import give_addresses, renumber, without_given
from longshore.model.addresses import AdapterInGuest, Addressing, Renumbering, Route
from longshore.model.guest import StaticAddresses

MAC, SECOND = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"
HAS = [StaticAddresses("{A}", ("192.0.2.10/24",), ("192.0.2.1",), ("192.0.2.53", "203.0.113.53"))]
WANTED = Addressing(
    ipv4=("198.51.100.7/24", "198.51.100.8/24"), gateway="198.51.100.1", dns=("198.51.100.53", "2001:db8::53")
)


def test_the_gateway_goes_with_the_first_address_alone():
    # kubev2v/forklift#6198: Windows refuses a second default gateway
    given = give_addresses([AdapterInGuest(MAC, wanted=WANTED), AdapterInGuest(SECOND)])
    assert given.options == (
        f"{MAC}:ip:198.51.100.7,198.51.100.1,24,198.51.100.53",
        f"{MAC}:ip:198.51.100.8,,24,198.51.100.53",
    )
    assert given.macs == {MAC}
    assert given.warnings == ()


def test_what_virt_v2v_cannot_set_is_told():
    wanted = Addressing(ipv4="198.51.100.7/24", ipv6="2001:db8::7/64", routes=(Route("10.0.0.0/8", "198.51.100.2"),))
    (warning,) = give_addresses([AdapterInGuest(MAC, wanted=wanted)]).warnings
    assert "addresses of IPv6 and routes" in warning


def test_who_asks_by_dhcp_is_told_nothing_and_keeps_nothing():
    adapter = AdapterInGuest(MAC, addresses=("192.0.2.10",), wanted="dhcp")
    given = give_addresses([adapter])
    assert (given.options, given.macs) == ((), {MAC})
    assert without_given(HAS, [adapter]) == []
    assert without_given(HAS, [AdapterInGuest(SECOND, addresses=("192.0.2.11",), wanted="dhcp")]) == HAS


def test_what_it_has_moves_with_its_network():
    rules = Renumbering({"192.0.2.0/24": "198.51.100.0/24"}, {"198.51.100.0/24": "198.51.100.254"})
    assert renumber(HAS, rules) == [
        StaticAddresses("{A}", ("198.51.100.10/24",), ("198.51.100.254",), ("198.51.100.53", "203.0.113.53"))
    ]
    assert renumber(HAS, Renumbering()) == HAS
