"""Adapters and their addresses, as they are said on the command line."""

from argparse import ArgumentParser

import pytest

from longshore.cli.migrate import asked_of, with_restore
from longshore.model.addresses import AdapterWishes, Addressing, Route

MAC = "00:50:56:00:00:01"


def asked(*words):
    parser = ArgumentParser(exit_on_error=False)
    with_restore(parser)
    return asked_of(parser.parse_args(["--target", "cloud", *words]))


def test_what_is_said_of_adapters_and_addresses():
    request = asked(
        *("--adapter", f"{MAC},network=office,unplugged"),
        *("--adapter", "00:50:56:00:00:02,plugged"),
        *("--address", f"{MAC},ipv4=198.51.100.7/24,gateway=198.51.100.1,dns=192.0.2.53,dns=192.0.2.54"),
        *("--address", "00:50:56:00:00:02=dhcp"),
        *("--test-address", f"{MAC},ipv6=2001:db8::7/64,route=2001:db8:9::/48>2001:db8::2"),
        *("--readdress", "192.0.2.0/24=198.51.100.0/24", "--test-readdress", "192.0.2.0/24=203.0.113.0/24"),
    )
    assert request.adapters == {
        MAC: AdapterWishes(network="office", unplugged=True),
        "00:50:56:00:00:02": AdapterWishes(plugged=True),
    }
    assert request.addresses == {
        MAC: Addressing(ipv4=("198.51.100.7/24",), gateway=("198.51.100.1",), dns=("192.0.2.53", "192.0.2.54")),
        "00:50:56:00:00:02": "dhcp",
    }
    routes = (Route("2001:db8:9::/48", "2001:db8::2"),)
    assert request.test_addresses == {MAC: Addressing(ipv6=("2001:db8::7/64",), routes=routes)}
    assert request.readdress == {"192.0.2.0/24": "198.51.100.0/24"}
    assert request.test_readdress == {"192.0.2.0/24": "203.0.113.0/24"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--adapter", MAC), "says of no adapter"),
        (("--adapter", f"{MAC},leave-out=yes"), "is none of network=NAME"),
        (("--address", MAC), "names no addresses"),
        (("--address", f"{MAC}=dchp"), "names no addresses"),
        (("--address", f"{MAC},ip=198.51.100.7/24"), "is none of ipv4"),
        (("--address", f"{MAC},ipv4=198.51.100.7/24,route=10.0.0.0/8"), "isn't a route"),
        (("--readdress", "192.0.2.0/24"), "isn't SOURCE=TARGET"),
    ],
)
def test_what_cannot_be_meant_is_refused(words, said):
    with pytest.raises(Exception, match=said):
        asked(*words)
