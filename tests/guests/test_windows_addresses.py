"""Which of the addresses that Windows gives itself it is given again."""

from longshore.guests.addressing.windows import keep_addresses
from longshore.guests.report import NicAddresses
from longshore.model.guest import StaticAddresses

FIRST, SECOND = "00:50:56:00:00:01", "00:50:56:00:00:02"
PORTS = [NicAddresses(FIRST, ("192.0.2.7",)), NicAddresses(SECOND, ("198.51.100.9", "2001:db8::9"))]


def static(*addresses, gateways=("198.51.100.1",), name_servers=()):
    return [StaticAddresses("{GUID}", addresses, gateways, name_servers)]


def test_an_address_is_kept_on_the_adapter_whose_port_has_it():
    kept = keep_addresses(static("198.51.100.9/16", name_servers=("192.0.2.53", "192.0.2.54")), PORTS)
    assert kept.options == (f"{SECOND}:ip:198.51.100.9,198.51.100.1,16,192.0.2.53,192.0.2.54",)
    assert kept.changes == (
        f"Windows gives itself the address 198.51.100.9/16 on the adapter {SECOND} at its first boot.",
    )
    assert kept.warnings == ()


def test_an_address_without_a_gateway_is_kept():
    kept = keep_addresses(static("192.0.2.7/24", gateways=(), name_servers=("192.0.2.53",)), PORTS)
    assert (kept.options, kept.warnings) == ((f"{FIRST}:ip:192.0.2.7,,24,192.0.2.53",), ())


def test_an_address_that_cannot_be_kept_is_warned_of():
    kept = keep_addresses(static("203.0.113.4/24"), PORTS)  # as in a dry run
    assert (kept.options, kept.changes) == ((), ())
    assert "203.0.113.4, which no port on the target has" in kept.warnings[0]


def test_two_addresses_of_an_adapter_are_both_kept_and_its_gateway_is_told_once():
    ports = [NicAddresses(SECOND, ("198.51.100.9", "198.51.100.10"))]
    kept = keep_addresses(static("198.51.100.9/24", "198.51.100.10/24", name_servers=("192.0.2.53",)), ports)
    assert kept.options == (
        f"{SECOND}:ip:198.51.100.9,198.51.100.1,24,192.0.2.53",
        f"{SECOND}:ip:198.51.100.10,,24,192.0.2.53",
    )
    assert (len(kept.changes), kept.warnings) == (2, ())


def test_of_two_addresses_the_one_without_a_port_is_said_to_be_left_out():
    kept = keep_addresses(static("198.51.100.8/24", "198.51.100.9/24"), PORTS)
    assert kept.options == (f"{SECOND}:ip:198.51.100.9,198.51.100.1,24",)
    (warning,) = kept.warnings
    assert "198.51.100.8 as well" in warning
    assert "DHCP" not in warning
