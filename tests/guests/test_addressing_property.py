"""Whatever addresses are given in whatever form: they are there, they alone, and another adapter has what it had."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.guests.addressing.choosing import FORMS, choose
from longshore.model.addresses import AdapterInGuest, Addressing, NewAddresses, Route

FIRST, SECOND = "00:50:56:00:00:01", "00:50:56:00:00:02"
KEYFILES = "/etc/NetworkManager/system-connections"
SCRIPTS = "/etc/sysconfig/network-scripts"
SUSE = "/etc/sysconfig/network"
UNITS = "/etc/systemd/network"
# Each has an adapter with two addresses and one that asks by DHCP, written as people write it
TREES = {
    "netplan in lines": {
        "/etc/netplan/1.yaml": "network:\n  version: 2\n  ethernets:\n    ens192:\n      addresses:\n"
        "        - 192.0.2.10/24\n        - 192.0.2.11/24:\n            label: two\n      gateway4: 192.0.2.1\n\n"
        "    # the other\n    ens224:\n      dhcp4: yes\n"
    },
    "netplan in one line": {
        "/etc/netplan/1.yaml": '{"network": {"ethernets": {"ens192": {"addresses": ["192.0.2.10/24", "192.0.2.11/24"]},'
        ' "ens224": {"dhcp4": true}}}}\n'
    },
    "ifupdown": {
        "/etc/network/interfaces": "auto lo ens192 ens192:0\niface lo inet loopback\niface ens192 inet static\n"
        "  address 192.0.2.10\n  netmask 255.255.255.0\n\niface ens192:0 inet static\n  address 192.0.2.11/24\n"
        "allow-hotplug ens224\niface ens224 inet dhcp\n"
    },
    "ifcfg": {
        f"{SCRIPTS}/ifcfg-ens192": "DEVICE=ens192\nIPADDR=192.0.2.10\nPREFIX=24\nIPADDR2='192.0.2.11'\nPREFIX2=24\n",
        f"{SCRIPTS}/ifcfg-ens224": "DEVICE=ens224\nBOOTPROTO=dhcp\n",
    },
    "SUSE": {
        f"{SUSE}/ifcfg-ens192": "IPADDR='192.0.2.10/24'\nIPADDR_two='192.0.2.11/24'\nLABEL_two='2'\n",
        f"{SUSE}/ifcfg-ens224": "BOOTPROTO='dhcp4'\n",
        f"{SUSE}/routes": "default 192.0.2.1 - -\n",
    },
    "keyfiles": {
        f"{KEYFILES}/a": "[connection]\nid=a\ntype=ethernet\ninterface-name=ens192\n\n[ipv4]\n"
        "addresses=192.0.2.10/24;192.0.2.11/24;\ngateway=192.0.2.1\nmethod=manual\n",
        f"{KEYFILES}/b": f"[connection]\nid=b\ntype=802-3-ethernet\n[ethernet]\n"
        f"mac-address={SECOND}\n[ipv4]\nmethod=auto\n",
    },
    "networkd": {
        f"{UNITS}/1.network": "[Match]\nName=ens192\n[Network]\nAddress=192.0.2.10/24\n"
        "[Address]\nAddress=192.0.2.11/24\n",
        f"{UNITS}/2.network": f"[Match]\nMACAddress={SECOND}\n[Network]\nDHCP=ipv4\n",
    },
}


@st.composite
def addressings(draw):
    four = draw(st.lists(st.integers(2, 100), unique=True, max_size=3))
    six = draw(st.lists(st.integers(2, 100), unique=True, max_size=2, min_size=0 if four else 1))
    ways = [*(["198.51.100.1"] if four else []), *(["2001:db8::1"] if six else [])]
    servers = [*(["198.51.100.53"] if four else []), *(["2001:db8::53"] if six else [])]
    routes = [Route("10.0.0.0/8", "198.51.100.2")] if four else [Route("2001:db8:9::/48", "2001:db8::2")]
    return Addressing(
        ipv4=tuple(f"198.51.100.{one}/24" for one in four),
        ipv6=tuple(f"2001:db8::{one}/64" for one in six),
        gateway=tuple(draw(st.lists(st.sampled_from(ways), unique=True))),
        dns=tuple(draw(st.lists(st.sampled_from(servers), unique=True))),
        routes=tuple(draw(st.lists(st.sampled_from(routes), max_size=1))),
    )


def found(files):
    """By the first letters of what each interface is known by: which addresses it has, and whether it asks for them."""
    told = {}
    for form in FORMS:
        for one in form.interfaces({path: text for path, text in files.items() if form.belongs(path)}):
            told["first" if "ens192" in one.names else "second"] = (set(one.addresses), one.dhcp)
    return told


def given_to(files, wanted, addresses):
    first = AdapterInGuest(FIRST, FIRST, ("ens192",), addresses, wanted)
    second = AdapterInGuest(SECOND, SECOND, ("ens224",), ("203.0.113.5",))
    chosen = choose(files, NewAddresses((first, second)))
    assert chosen.unwritten == {}
    changed = {**files, **chosen.changed}
    return {path: text for path, text in changed.items() if text is not None}


@pytest.mark.parametrize("tree", TREES)
@settings(max_examples=25, deadline=None)
@given(wanted=addressings())
def test_what_was_given_is_there_and_nothing_else(tree, wanted):
    files = TREES[tree]
    assert found(files) == {"first": ({"192.0.2.10", "192.0.2.11"}, False), "second": (set(), True)}
    after = given_to(files, wanted, ("192.0.2.10", "192.0.2.11"))
    assert found(after) == {"first": (set(wanted.addresses), False), "second": (set(), True)}
    text = "\n".join(after.values())
    assert "192.0.2." not in text
    for word in (*wanted.gateway, *wanted.dns, *(route.to for route in wanted.routes)):
        assert word in text or tree == "SUSE"  # which has servers of names in a file that isn't here
    assert given_to(after, wanted, wanted.addresses) == after
    asking = given_to(after, "dhcp", wanted.addresses)
    assert found(asking) == {"first": (set(), True), "second": (set(), True)}
    assert not any(word in "\n".join(asking.values()) for word in ("198.51.100.", "2001:db8"))
