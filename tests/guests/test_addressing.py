"""Addresses written into every form of network configuration, on configurations as people and installers write them."""

import pytest
from tree import guest_in

from longshore.guests.addressing.choosing import HOSTS, RESOLVERS, choose, unwritable, vlans_of
from longshore.guests.linux_findings import linux_findings
from longshore.model.addresses import AdapterInGuest, Addressing, NewAddresses, Renumbering, Route
from longshore.model.guest import GuestFindings
from longshore.model.strict_yaml import plain, read_yaml

MAC, OLD, SECOND = "fa:16:3e:00:00:01", "00:50:56:00:00:01", "00:50:56:00:00:02"
STATIC = Addressing(
    ipv4="198.51.100.7/24",
    gateway="198.51.100.1",
    dns=("198.51.100.53", "198.51.100.54"),
    routes=(Route("10.0.0.0/8", "198.51.100.2"),),
)
BOTH = Addressing(
    ipv4=("198.51.100.7/24", "198.51.100.8/24"),
    ipv6=("2001:db8:2::7/64",),
    gateway=("198.51.100.1", "2001:db8:2::1"),
    dns=("2001:db8:2::53", "198.51.100.53"),
)
KEYFILES = "/etc/NetworkManager/system-connections"
SCRIPTS = "/etc/sysconfig/network-scripts"
SUSE = "/etc/sysconfig/network"
UNITS = "/etc/systemd/network"
IFUPDOWN = "/etc/network/interfaces"


def adapter(wanted, *, names=("ens192", "eth0"), addresses=("192.0.2.10",), mac=MAC, old=OLD):
    return AdapterInGuest(mac, old, names, addresses, wanted)


def changed(files, wanted, **how):
    chosen = choose(files, NewAddresses((adapter(wanted, **how),)))
    assert chosen.unwritten == {}
    return {**files, **chosen.changed}


# Netplan

SUBIQUITY = """\
# This is the network config written by 'subiquity'
network:
  ethernets:
    ens192:
      # the office
      addresses:
      - 192.0.2.10/24
      nameservers:
        addresses:
        - 192.0.2.53
        search:
        - example.org
      routes:
      - to: default
        via: 192.0.2.1
      mtu: 9000 # jumbo
    ens224:
      dhcp4: true
  version: 2
"""


def test_netplan_keeps_its_comments_and_what_is_not_about_addresses():
    done = changed({"/etc/netplan/00.yaml": SUBIQUITY}, STATIC)["/etc/netplan/00.yaml"]
    assert "# This is the network config written by 'subiquity'" in done
    assert "# the office" in done
    assert "mtu: 9000 # jumbo" in done
    network = plain(read_yaml(done))["network"]
    assert network["ethernets"]["ens192"] == {
        "dhcp4": False,
        "dhcp6": False,
        "addresses": ["198.51.100.7/24"],
        "routes": [{"to": "0.0.0.0/0", "via": "198.51.100.1"}, {"to": "10.0.0.0/8", "via": "198.51.100.2"}],
        "nameservers": {"addresses": ["198.51.100.53", "198.51.100.54"], "search": ["example.org"]},
        "mtu": 9000,
    }
    assert network["ethernets"]["ens224"] == {"dhcp4": True}


@pytest.mark.parametrize(
    "text",
    [
        "network: {version: 2, ethernets: {ens192: {addresses: [192.0.2.10/24], gateway4: 192.0.2.1, mtu: 1400}}}\n",
        "network:\n  ethernets:\n    lan:\n      match: {macaddress: '00:50:56:00:00:01'}\n      set-name: lan0\n"
        "      dhcp4: true\n      mtu: 1400\n",
        "network:\n  version: 2\n  ethernets:\n    all:\n      match:\n        name: en*\n      dhcp4: yes\n"
        "      dhcp6: yes\n      mtu: 1400\n",
        "network:\n    ethernets:\n        ens192:\n            addresses: [192.0.2.10/24, '2001:db8:1::10/64']\n"
        "            gateway4: 192.0.2.1\n            gateway6: '2001:db8:1::1'\n            mtu: 1400\n",
    ],
)
def test_netplan_however_it_is_laid_out(text):
    done = changed({"/etc/netplan/50-cloud-init.yaml": text}, BOTH)["/etc/netplan/50-cloud-init.yaml"]
    (entry,) = plain(read_yaml(done))["network"]["ethernets"].values()
    assert entry["addresses"] == ["198.51.100.7/24", "198.51.100.8/24", "2001:db8:2::7/64"]
    assert entry["routes"] == [
        {"to": "0.0.0.0/0", "via": "198.51.100.1"},
        {"to": "::/0", "via": "2001:db8:2::1"},
    ]
    assert (entry["dhcp4"], entry["mtu"]) == (False, 1400)
    assert not {"gateway4", "gateway6"} & set(entry)


def test_netplan_gives_them_to_the_bridge_that_the_adapter_is_in():
    text = (
        "network:\n  ethernets:\n    ens192: {}\n  bonds:\n    bond0:\n      interfaces: [ens192]\n  bridges:\n"
        "    br0:\n      interfaces: [bond0]\n      addresses: [192.0.2.10/24]\n      parameters: {stp: false}\n"
        "  vlans:\n    vlan5:\n      id: 5\n      link: br0\n      addresses: [192.0.2.200/28]\n"
    )
    done = plain(read_yaml(changed({"/etc/netplan/1.yaml": text}, STATIC)["/etc/netplan/1.yaml"]))["network"]
    assert done["bridges"]["br0"]["addresses"] == ["198.51.100.7/24"]
    assert done["bridges"]["br0"]["parameters"] == {"stp": False}
    assert done["ethernets"] == {"ens192": {}}
    assert done["bonds"] == {"bond0": {"interfaces": ["ens192"]}}
    assert done["vlans"]["vlan5"]["addresses"] == ["192.0.2.200/28"]


def test_netplan_in_several_files_says_one_thing():
    files = {
        "/etc/netplan/10.yaml": "network:\n  ethernets:\n    ens192:\n      dhcp4: true\n      mtu: 1400\n",
        "/etc/netplan/20.yaml": "network:\n  ethernets:\n    ens192:\n      addresses:\n        - 192.0.2.10/24\n",
    }
    done = changed(files, STATIC)
    assert plain(read_yaml(done["/etc/netplan/10.yaml"]))["network"]["ethernets"]["ens192"] == {"mtu": 1400}
    assert "198.51.100.7/24" in done["/etc/netplan/20.yaml"]


# ifupdown

DEBIAN = """\
# This file describes the network interfaces available on your system
source /etc/network/interfaces.d/*

# The loopback network interface
auto lo
iface lo inet loopback

# The primary network interface
allow-hotplug ens192
iface ens192 inet static
\taddress 192.0.2.10/24
\tgateway 192.0.2.1
\tmtu 9000
\t# dns-* options are implemented by the resolvconf package, if installed
\tdns-nameservers 192.0.2.53
\tdns-search example.org
\tup ip route add 172.16.0.0/12 via 192.0.2.254
\tpost-up /usr/local/sbin/announce

# further ones
auto ens192:1
iface ens192:1 inet static
\taddress 192.0.2.11
\tnetmask 255.255.255.0

auto ens192.5
iface ens192.5 inet static
\taddress 203.0.113.5/24
"""


def test_ifupdown_of_debians_installer():
    assert changed({IFUPDOWN: DEBIAN}, STATIC)[IFUPDOWN] == (
        DEBIAN.partition("iface ens192 inet static")[0]
        + """\
iface ens192 inet static
    address 198.51.100.7
    netmask 255.255.255.0
    gateway 198.51.100.1
    dns-nameservers 198.51.100.53 198.51.100.54
    up ip route add 10.0.0.0/8 via 198.51.100.2 dev ens192
\tmtu 9000
\t# dns-* options are implemented by the resolvconf package, if installed
\tdns-search example.org
\tpost-up /usr/local/sbin/announce

# further ones

auto ens192.5
iface ens192.5 inet static
\taddress 203.0.113.5/24
"""
    )


def test_ifupdown_with_both_kinds_of_addresses_and_back_to_dhcp():
    done = changed({IFUPDOWN: DEBIAN}, BOTH)[IFUPDOWN]
    assert done.count("iface ens192 inet static") == 2
    assert "    address 198.51.100.8\n    netmask 255.255.255.0\n" in done
    assert (
        "iface ens192 inet6 static\n    address 2001:db8:2::7\n    netmask 64\n    gateway 2001:db8:2::1\n"
        "    dns-nameservers 2001:db8:2::53\n"
    ) in done
    again = changed({IFUPDOWN: done}, "dhcp")[IFUPDOWN]
    assert "iface ens192 inet dhcp\n\tmtu 9000\n" in again
    assert "198.51.100" not in again
    assert "2001:db8" not in again


def test_ifupdown_gives_them_to_the_bridge_and_leaves_its_parts():
    files = {
        IFUPDOWN: "auto lo\niface lo inet loopback\nsource interfaces.d/*\n",
        f"{IFUPDOWN}.d/vmbr0": "iface ens192 inet manual\n\nauto vmbr0\n"
        "iface vmbr0 inet static\n  address 192.0.2.10/24\n"
        "  gateway 192.0.2.1\n  bridge-ports ens192\n  bridge-stp off\n",
    }
    done = changed(files, STATIC)[f"{IFUPDOWN}.d/vmbr0"]
    assert "iface ens192 inet manual\n" in done
    assert "iface vmbr0 inet static\n    address 198.51.100.7\n" in done
    assert "  bridge-ports ens192\n  bridge-stp off\n" in done


# ifcfg of RHEL

IFCFG = """\
TYPE=Ethernet
# set by the installer
NAME=ens192
DEVICE="ens192"
ONBOOT=yes
BOOTPROTO=none
IPADDR=192.0.2.10
PREFIX=24
IPADDR1=192.0.2.11
PREFIX1=24
GATEWAY=192.0.2.1
DNS1=192.0.2.53
DOMAIN=example.org
ZONE=internal
"""


def test_ifcfg_of_rhel():
    files = {
        f"{SCRIPTS}/ifcfg-ens192": IFCFG,
        f"{SCRIPTS}/ifcfg-lo": "DEVICE=lo\nIPADDR=127.0.0.1\n",
        f"{SCRIPTS}/route-ens192": "172.16.0.0/12 via 192.0.2.254 dev ens192\n",
        f"{SCRIPTS}/ifcfg-ens192.5": "DEVICE=ens192.5\nVLAN=yes\nIPADDR=203.0.113.5\nPREFIX=24\n",
    }
    done = changed(files, STATIC)
    assert done[f"{SCRIPTS}/ifcfg-ens192"] == (
        'TYPE=Ethernet\n# set by the installer\nNAME=ens192\nDEVICE="ens192"\nONBOOT=yes\nBOOTPROTO=none\n'
        "IPADDR=198.51.100.7\nPREFIX=24\nGATEWAY=198.51.100.1\nDNS1=198.51.100.53\nDNS2=198.51.100.54\n"
        "DOMAIN=example.org\nZONE=internal\n"
    )
    assert done[f"{SCRIPTS}/route-ens192"] == "10.0.0.0/8 via 198.51.100.2 dev ens192\n"
    assert done[f"{SCRIPTS}/ifcfg-ens192.5"] == files[f"{SCRIPTS}/ifcfg-ens192.5"]


def test_ifcfg_known_by_its_mac_with_both_kinds_and_back():
    path = f"{SCRIPTS}/ifcfg-lan"
    files = {
        path: f"HWADDR={OLD.upper()}\nBOOTPROTO=dhcp\nONBOOT=yes\n",
        "/etc/sysconfig/network": "GATEWAY=192.0.2.1\n",
    }
    done = changed(files, BOTH, names=())
    assert "IPADDR1=198.51.100.8\nPREFIX1=24\n" in done[path]
    assert "IPV6INIT=yes\nIPV6_AUTOCONF=no\nIPV6ADDR=2001:db8:2::7/64\n" in done[path]
    assert "IPV6_DEFAULTGW=2001:db8:2::1\nDNS1=2001:db8:2::53\n" in done[path]
    assert done["/etc/sysconfig/network"] == "GATEWAY=198.51.100.1\n"
    assert changed(done, "dhcp", names=())[path] == files[path].replace(
        "BOOTPROTO=dhcp\nONBOOT=yes", "BOOTPROTO=dhcp\nONBOOT=yes"
    )


def test_ifcfg_gives_them_to_the_bond():
    files = {
        f"{SCRIPTS}/ifcfg-ens192": "DEVICE=ens192\nMASTER=bond0\nSLAVE=yes\n",
        f"{SCRIPTS}/ifcfg-ens224": "DEVICE=ens224\nMASTER=bond0\nSLAVE=yes\n",
        f"{SCRIPTS}/ifcfg-bond0": 'DEVICE=bond0\nTYPE=Bond\nBONDING_OPTS="mode=1 miimon=100"\n'
        "IPADDR=192.0.2.10\nPREFIX=24\n",
    }
    done = changed(files, STATIC, addresses=())
    assert "IPADDR=198.51.100.7\n" in done[f"{SCRIPTS}/ifcfg-bond0"]
    assert 'BONDING_OPTS="mode=1 miimon=100"' in done[f"{SCRIPTS}/ifcfg-bond0"]
    assert done[f"{SCRIPTS}/ifcfg-ens192"] == files[f"{SCRIPTS}/ifcfg-ens192"]


# SUSE


def test_suses_files_with_routes_and_servers_of_names():
    files = {
        f"{SUSE}/ifcfg-eth0": "BOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='192.0.2.10/24'\nIPADDR_1='192.0.2.11/24'\n"
        "LABEL_1='two'\nZONE=public\n",
        f"{SUSE}/routes": "default 192.0.2.1 - -\n172.16.0.0/12 203.0.113.1 - eth1\n",
        f"{SUSE}/config": '## Type: string\nNETCONFIG_DNS_POLICY="auto"\nNETCONFIG_DNS_STATIC_SERVERS="192.0.2.53"\n',
    }
    done = changed(files, STATIC)
    assert done == {
        f"{SUSE}/ifcfg-eth0": "BOOTPROTO='static'\nIPADDR='198.51.100.7/24'\nSTARTMODE='auto'\nZONE=public\n",
        f"{SUSE}/routes": "172.16.0.0/12 203.0.113.1 - eth1\n",
        f"{SUSE}/ifroute-eth0": "default 198.51.100.1 - eth0\n10.0.0.0/8 198.51.100.2 - eth0\n",
        f"{SUSE}/config": files[f"{SUSE}/config"].replace("192.0.2.53", "198.51.100.53 198.51.100.54"),
    }
    again = changed(done, "dhcp", addresses=("198.51.100.7",))
    assert again[f"{SUSE}/ifcfg-eth0"] == "BOOTPROTO='dhcp'\nSTARTMODE='auto'\nZONE=public\n"
    assert again[f"{SUSE}/ifroute-eth0"] is None


# Keyfiles

KEYFILE = """\
[connection]
id=ens192
uuid=6f2d5b1e-0000-4000-8000-000000000001
type=ethernet
interface-name=ens192

[ethernet]

[802-1x]
eap=peap;
password=correct horse

[ipv4]
address1=192.0.2.10/24,192.0.2.1
dns=192.0.2.53;
dns-search=example.org;
method=manual
route1=172.16.0.0/12,192.0.2.254,50
route1_options=table=5

[ipv6]
addr-gen-mode=eui64
method=disabled

[proxy]
"""


def test_a_keyfile_keeps_all_else():
    path = f"{KEYFILES}/ens192.nmconnection"
    chosen = choose({path: KEYFILE}, NewAddresses((adapter(STATIC),)))
    assert chosen.changed == {
        path: KEYFILE.partition("[ipv4]")[0]
        + """\
[ipv4]
method=manual
address1=198.51.100.7/24
gateway=198.51.100.1
dns=198.51.100.53;198.51.100.54;
route1=10.0.0.0/8,198.51.100.2
dns-search=example.org;

[ipv6]
method=disabled
addr-gen-mode=eui64

[proxy]
"""
    }
    assert "horse" not in " ".join(chosen.said)


def test_keyfiles_of_a_bridge_by_its_uuid():
    files = {
        f"{KEYFILES}/port": "[connection]\ntype=ethernet\ninterface-name=ens192\nmaster=1234\nslave-type=bridge\n",
        f"{KEYFILES}/br0": "[connection]\nid=br0\nuuid=1234\ntype=bridge\ninterface-name=br0\n[ipv4]\nmethod=auto\n",
    }
    done = changed(files, BOTH, addresses=())
    assert "address2=198.51.100.8/24\n" in done[f"{KEYFILES}/br0"]
    assert "[ipv6]\nmethod=manual\naddress1=2001:db8:2::7/64\n" in done[f"{KEYFILES}/br0"]
    assert done[f"{KEYFILES}/port"] == files[f"{KEYFILES}/port"]


# networkd


def test_networkds_units():
    path = f"{UNITS}/10-lan.network"
    files = {
        path: "[Match]\nName=ens192\n\n[Network]\n# fixed\nAddress=192.0.2.10/24\nGateway=192.0.2.1\nVLAN=vlan5\n\n"
        "[Address]\nAddress=192.0.2.11/24\nLabel=two\n\n[Route]\nDestination=172.16.0.0/12\nGateway=192.0.2.254\n\n"
        "[Link]\nMTUBytes=9000\n",
        f"{UNITS}/vlan5.netdev": "[NetDev]\nName=vlan5\nKind=vlan\n",
        f"{UNITS}/vlan5.network": "[Match]\nName=vlan5\n[Network]\nAddress=203.0.113.5/24\n",
    }
    done = changed(files, STATIC)
    assert done == {
        **files,
        path: "[Match]\nName=ens192\n\n[Network]\nAddress=198.51.100.7/24\nGateway=198.51.100.1\nDNS=198.51.100.53\n"
        "DNS=198.51.100.54\n# fixed\nVLAN=vlan5\n\n[Link]\nMTUBytes=9000\n\n[Route]\nDestination=10.0.0.0/8\n"
        "Gateway=198.51.100.2\n",
    }
    assert "[Network]\nDHCP=yes\n# fixed\nVLAN=vlan5\n" in changed(done, "dhcp", addresses=())[path]


# What is told


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "none of the files"),
        (
            {"/etc/netplan/1.yaml": "network:\n  ethernets: &a\n    ens192: {}\n"},
            "line 2 of /etc/netplan/1.yaml isn't YAML",
        ),
        ({"/etc/netplan/1.yaml": "network: [\n"}, "isn't YAML"),
        (
            {"/etc/netplan/1.yaml": "network: {ethernets: {all: {match: {name: 'en*'}, dhcp4: true}}}\n"},
            "other adapters",
        ),
        ({f"{SCRIPTS}/ifcfg-ens192": "DEVICE=ens192\nBRIDGE=br0\n"}, "isn't configured there"),
        ({IFUPDOWN: "iface ens192 inet static inherits lan\n address 192.0.2.10\n"}, "inherits"),
        (
            {f"{UNITS}/1.network": "[Match]\nName=ens192\n", f"{UNITS}/1.network.d/x.conf": "[Network]\nDHCP=yes\n"},
            "adds to",
        ),
        (
            {
                "/etc/netplan/1.yaml": "network:\n  ethernets: {ens192: {}}\n  vlans:\n    v5: {id: 5, link: ens192,"
                " addresses: [192.0.2.10/24]}\n"
            },
            "such as a VLAN",
        ),
        ({IFUPDOWN: "iface eth7 inet dhcp\n", f"{KEYFILES}/a": "[connection]\ntype=wifi\n"}, "none of the files"),
    ],
)
def test_what_cannot_be_written_is_told_beforehand_and_changes_nothing(files, why):
    both = (adapter(STATIC), adapter(None, mac=SECOND, old=SECOND, names=("ens224", "eth1"), addresses=()))
    assert why in unwritable(files, both)[OLD]
    chosen = choose(files, NewAddresses(both))
    assert why in chosen.unwritten[MAC]
    assert chosen.changed == {}


def test_two_adapters_of_one_bond_cannot_be_given_different_addresses():
    text = "network:\n  ethernets: {ens192: {}, ens224: {}}\n  bonds:\n    b:\n      interfaces: [ens192, ens224]\n"
    other = Addressing(ipv4="198.51.100.99/24")
    two = adapter(other, mac=SECOND, old=SECOND, names=("ens224",), addresses=())
    chosen = choose({"/etc/netplan/1.yaml": text}, NewAddresses((adapter(STATIC, addresses=()), two)))
    assert MAC in chosen.unwritten[SECOND]
    assert "198.51.100.99" not in chosen.changed["/etc/netplan/1.yaml"]


def test_the_guests_own_name_and_its_servers_of_names_go_along():
    files = {
        IFUPDOWN: DEBIAN,
        HOSTS: "127.0.0.1 localhost\n192.0.2.10\tweb01.example.org web01\n192.0.2.100 db\n",
        RESOLVERS: "search example.org\nnameserver 192.0.2.53\n",
    }
    done = changed(files, STATIC)
    assert done[HOSTS] == "127.0.0.1 localhost\n198.51.100.7\tweb01.example.org web01\n192.0.2.100 db\n"
    assert done[RESOLVERS] == "search example.org\nnameserver 198.51.100.53\nnameserver 198.51.100.54\n"
    made = {**files, RESOLVERS: "# Generated by NetworkManager\nnameserver 192.0.2.53\n"}
    assert changed(made, STATIC)[RESOLVERS] == made[RESOLVERS]


# Renumbering

RULES = Renumbering({"192.0.2.0/24": "198.51.100.0/24"}, {"198.51.100.0/24": "198.51.100.254"})


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (
            "/etc/netplan/1.yaml",
            SUBIQUITY,
            SUBIQUITY.replace("192.0.2.1\n", "198.51.100.254\n").replace("192.0.2.", "198.51.100."),
        ),
        (
            IFUPDOWN,
            DEBIAN,
            DEBIAN.replace("192.0.2.1\n", "198.51.100.254\n").replace("192.0.2.", "198.51.100."),
        ),
        (
            f"{SCRIPTS}/ifcfg-ens192",
            IFCFG,
            IFCFG.replace("192.0.2.1\n", "198.51.100.254\n").replace("192.0.2.", "198.51.100."),
        ),
        (
            f"{KEYFILES}/a",
            KEYFILE,
            KEYFILE.replace("192.0.2.1\n", "198.51.100.254\n").replace("192.0.2.", "198.51.100."),
        ),
        (
            f"{UNITS}/a.network",
            "[Match]\nName=ens192\n[Network]\nAddress=192.0.2.10/24\nGateway=192.0.2.1\n[Route]\nDestination=10.0.0.0/8\n"
            "Gateway=192.0.2.1\n",
            "[Match]\nName=ens192\n[Network]\nAddress=198.51.100.10/24\nGateway=198.51.100.254\n[Route]\n"
            "Destination=10.0.0.0/8\nGateway=198.51.100.254\n",
        ),
    ],
)
def test_networks_become_others_and_hosts_keep_their_part(path, before, after):
    chosen = choose({path: before}, NewAddresses((adapter(None),), RULES))
    assert chosen.unwritten == {}
    assert chosen.changed == {path: after}


def test_only_what_is_an_address_in_the_network_moves():
    text = (
        "iface ens192 inet static\n  address 192.0.2.10\n  # was 192.0.2.9\n  netmask 255.255.255.0\n"
        "  broadcast 192.0.2.255\n  up ip route add 192.0.0.0/16 via 192.0.2.7\n"
        "  up ip route add 192.0.2.0/23 via 192.0.2.7\n"
        "  up run --version 1.192.0.2.10 192.0.2.10.5 x192.0.2.10 192.0.3.10 192.0.2.10:80\n"
        "  hwaddress 00:50:56:00:00:01\n"
    )
    done = choose({IFUPDOWN: text}, NewAddresses((adapter(None),), RULES)).changed[IFUPDOWN]
    assert done == (
        "iface ens192 inet static\n  address 198.51.100.10\n  # was 192.0.2.9\n  netmask 255.255.255.0\n"
        "  broadcast 198.51.100.255\n  up ip route add 192.0.0.0/16 via 198.51.100.7\n"
        "  up ip route add 192.0.2.0/23 via 198.51.100.7\n"
        "  up run --version 1.192.0.2.10 192.0.2.10.5 x192.0.2.10 192.0.3.10 192.0.2.10:80\n"
        "  hwaddress 00:50:56:00:00:01\n"
    )


def test_what_asks_by_dhcp_needs_no_other_address():
    text = "network: {ethernets: {ens192: {dhcp4: true}}}\n"
    chosen = choose({"/etc/netplan/1.yaml": text}, NewAddresses((adapter(None),), RULES))
    assert (chosen.changed, chosen.unwritten) == ({}, {})


def test_an_address_that_stands_nowhere_is_told():
    text = "network: {ethernets: {ens192: {addresses: [203.0.113.4/24]}}}\n"
    chosen = choose({"/etc/netplan/1.yaml": text}, NewAddresses((adapter(None),), RULES))
    assert "192.0.2.10 is in none of the files" in chosen.unwritten[MAC]


def test_an_adapter_of_its_own_is_no_matter_of_the_rules():
    files = {
        IFUPDOWN: "iface ens192 inet static\n  address 192.0.2.10/24\n  gateway 192.0.2.1\n",
        HOSTS: "192.0.2.10 web\n",
    }
    rules = Renumbering({"192.0.2.0/28": "192.0.2.64/28"})
    own = adapter(Addressing(ipv4="192.0.2.3/24", gateway="192.0.2.1"))
    done = choose(files, NewAddresses((own,), rules)).changed
    assert "address 192.0.2.3\n" in done[IFUPDOWN]
    assert "gateway 192.0.2.1\n" in done[IFUPDOWN]
    assert done[HOSTS] == "192.0.2.3 web\n"


def test_no_word_of_a_file_that_is_not_understood_is_told():
    text = "network:\n  wifis:\n    w:\n      access-points:\n        x: {password: 2020-99-99}\n"
    chosen = choose({"/etc/netplan/1.yaml": text}, NewAddresses((adapter(STATIC),)))
    assert "line 5" in chosen.unwritten[MAC]
    assert "2020" not in chosen.unwritten[MAC]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"/etc/netplan/00.yaml": "network:\n  vlans:\n    office: {id: 12, link: ens192}\n"}, ("office",)),
        ({"/etc/netplan/00.yaml": SUBIQUITY}, ()),
        (
            {IFUPDOWN: "auto eth0.12\niface eth0.12 inet manual\niface eth0.12:1 inet dhcp\niface eth0 inet dhcp\n"},
            ("eth0.12",),
        ),
        ({f"{IFUPDOWN}.d/v": "iface vlan7 inet dhcp\n  vlan-raw-device eth0\n"}, ("vlan7",)),
        ({f"{SCRIPTS}/ifcfg-ens192.12": "VLAN=yes\nBOOTPROTO=dhcp\n"}, ("ens192.12",)),
        ({f"{SCRIPTS}/ifcfg-office": "TYPE=Vlan\nDEVICE=vlan12\nVLAN_ID=12\n"}, ("vlan12",)),
        ({f"{SCRIPTS}/ifcfg-ens192": "TYPE=Ethernet\nVLAN=no\n"}, ()),
        ({f"{SUSE}/ifcfg-vlan12": "ETHERDEVICE='eth0'\nVLAN_ID='12'\n"}, ("vlan12",)),
        ({f"{KEYFILES}/a": "[connection]\nid=office\ntype=vlan\n[vlan]\nid=12\nparent=ens192\n"}, ("office",)),
        (
            {
                f"{UNITS}/12.netdev": "[NetDev]\nName=office\nKind=vlan\n[VLAN]\nId=12\n",
                f"{UNITS}/br.netdev": "[NetDev]\nName=br0\nKind=bridge\n",
            },
            ("office",),
        ),
    ],
)
def test_interfaces_on_vlans_are_known_in_each_form(files, names):
    beside = {"/etc/netplan/99.yaml": "network: [\n"} if "/etc/netplan/00.yaml" not in files else {}
    assert vlans_of({**files, **beside}) == names


def test_a_look_into_a_guest_finds_its_vlans(tmp_path):
    guest = guest_in(tmp_path, {IFUPDOWN: "iface eth0.12 inet dhcp\n"})
    assert linux_findings(guest, GuestFindings()).vlans == ("eth0.12",)
