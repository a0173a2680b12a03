"""Interfaces' names and addresses in every family's configuration, on made-up files."""

import json
import os
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tree import guest_in

from longshore.guests.interfaces import LINK_DIRECTORY, RULES, keep_nic_names, names_to_keep, unsure_names
from longshore.guests.report import NicName

MAC, OTHER = "00:50:56:00:00:01", "fa:16:3e:00:00:01"
NIC = NicName(MAC, "ens192", ("eno33557248", "enp11s0"), MAC, "eth0")
MOVED = NicName(OTHER, "ens192", ("eno33557248", "enp11s0"), MAC, "eth0")
KEY_FILE = "/etc/NetworkManager/system-connections/lan.nmconnection"
SCRIPTS = "/etc/sysconfig/network-scripts"
RULE = 'SUBSYSTEM=="net", ACTION=="add", ATTR{{address}}=="{}", KERNEL=="eth*", NAME="{}"\n'


def links(guest):
    where = LINK_DIRECTORY
    return [name for name in guest.files.ls(where) if name.endswith(".link")] if guest.files.is_dir(where) else []


def test_a_name_is_kept_as_it_comes_to_the_process_that_works_on_the_guest(tmp_path):
    guest = guest_in(tmp_path, {"/etc/network/interfaces": "iface ens192 inet dhcp\n"})
    assert names_to_keep(guest, [NicName.told(json.loads(json.dumps(asdict(NIC))))]) == {"ens192"}


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("/etc/network/interfaces", "iface ens192 inet dhcp\n", "ens192"),
        ("/etc/netplan/01.yaml", "network: {ethernets: {ens192: {dhcp4: true}}}\n", "ens192"),
        (f"{SCRIPTS}/ifcfg-eno33557248", "DEVICE=eno33557248\n", "eno33557248"),
        (KEY_FILE, "[connection]\ninterface-name=enp11s0\n", "enp11s0"),
        ("/etc/sysconfig/network/ifcfg-ens192", "BOOTPROTO='dhcp'\n", "ens192"),
        ("/etc/systemd/network/lan.network", "[Match]\nName=enp11s0\n", "enp11s0"),
    ],
)
def test_the_name_that_the_configuration_has_is_kept(tmp_path, path, text, name):
    guest = guest_in(tmp_path, {path: text})
    assert names_to_keep(guest, [NIC]) == {name}
    (said,) = keep_nic_names(guest, [NIC])
    assert f"{MAC} keeps its name {name}" in said
    assert links(guest) == [f"10-longshore-{name}.link"]
    assert guest.text(f"{LINK_DIRECTORY}/{links(guest)[0]}") == (
        f"[Match]\nMACAddress={MAC}\nPath=*\n\n[Link]\nName={name}\n"
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (f"{SCRIPTS}/ifcfg-lan", f"HWADDR={MAC.upper()}\nBOOTPROTO=dhcp\n"),
        (KEY_FILE, f"[ethernet]\nmac-address={MAC.upper()}\n"),
        ("/etc/netplan/01.yaml", f"network: {{ethernets: {{lan: {{match: {{macaddress: '{MAC}'}}, dhcp4: true}}}}}}\n"),
        (RULES, RULE.format(MAC, "lan0")),
        ("/etc/systemd/network/10-lan.link", f"[Match]\nMACAddress={MAC}\n\n[Link]\nName=lan\n"),
    ],
)
def test_an_interface_known_by_its_address_needs_nothing_but_the_right_one(tmp_path, path, text):
    guest = guest_in(tmp_path, {path: text})
    assert names_to_keep(guest, [NIC]) == set()
    assert keep_nic_names(guest, [NIC]) == []
    assert names_to_keep(guest, [MOVED]) == {"ens192"}  # so that something is done at all
    assert keep_nic_names(guest, [MOVED]) == [f"{path} names the interfaces' new MAC addresses."]
    assert guest.text(path).lower() == text.lower().replace(MAC, OTHER)


ZONE = '<zone><interface name="{}"/></zone>'
PROFILE = {KEY_FILE: "[connection]\ntype=ethernet\n"}


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        ({}, "ens192"),
        ({"/etc/netplan/01.yaml": "network: {ethernets: {all: {match: {name: 'en*'}, dhcp4: true}}}\n"}, "ens192"),
        # firewalld/firewalld#636
        ({**PROFILE, "/etc/firewalld/zones/internal.xml": ZONE.format("ens192")}, "ens192"),
        ({**PROFILE, "/etc/firewalld/zones/internal.xml": ZONE.format("eno33557248")}, "eno33557248"),
        ({"/etc/keepalived/keepalived.conf": "vrrp_instance A {\n  interface enp11s0\n}\n"}, "enp11s0"),
        ({"/etc/iptables/rules.v4": "-A INPUT -i ens192 -j ACCEPT\n"}, "ens192"),
        ({"/etc/firewalld/note.xml": ZONE.format("eth0")}, "ens192"),  # of its own configuration that says nothing
    ],
)
def test_the_name_is_kept_whoever_goes_by_it(tmp_path, tree, name):
    # libguestfs/virt-v2v#99, libguestfs#363
    guest = guest_in(tmp_path, {"/etc/hostname": "web\n", **tree})
    assert names_to_keep(guest, [NIC]) == {name}
    keep_nic_names(guest, [NIC])
    assert links(guest) == [f"10-longshore-{name}.link"]


UNKNOWN, SECOND = NicName(MAC, "", (), MAC, "eth0"), NicName(OTHER, "", (), OTHER, "eth1")
TWO = "network: {ethernets: {ens160: {dhcp4: true}, ens192: {dhcp4: true}}}\n"


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("/etc/netplan/01.yaml", "network: {ethernets: {ens192: {addresses: [192.0.2.4/24]}}}\n", "ens192"),
        (
            "/etc/netplan/01.yaml",
            "network: {ethernets: {ens192: {}}, vlans: {ens192.7: {id: 7, link: ens192}}, bridges: {br0: {}}}\n",
            "ens192",
        ),
        ("/etc/network/interfaces", "auto lo ens33\niface lo inet loopback\niface ens33 inet dhcp\n", "ens33"),
        (f"{SCRIPTS}/ifcfg-eno33557248", "DEVICE=eno33557248\nONBOOT=yes\n", "eno33557248"),
        (KEY_FILE, "[connection]\ntype=ethernet\ninterface-name=enp11s0\n", "enp11s0"),
        ("/etc/sysconfig/network/ifcfg-lan0", "BOOTPROTO='dhcp'\n", "lan0"),
        ("/etc/systemd/network/lan.network", "[Match]\nName=enp11s0\n[Network]\nDHCP=yes\n", "enp11s0"),
        ("/etc/firewalld/zones/internal.xml", ZONE.format("ens192"), "ens192"),
    ],
)
def test_without_a_slot_the_one_name_in_the_configuration_is_kept(tmp_path, path, text, name):
    guest = guest_in(tmp_path, {path: text})
    assert names_to_keep(guest, [UNKNOWN]) == {name}
    assert f"{MAC} keeps its name {name}" in keep_nic_names(guest, [UNKNOWN])[0]
    assert not unsure_names(guest, [UNKNOWN])


@pytest.mark.parametrize(
    "tree",
    [
        {"/etc/netplan/01.yaml": TWO},
        {"/etc/netplan/01.yaml": "network: {ethernets: {all: {match: {name: 'en*'}, dhcp4: true}}}\n"},
        {"/etc/netplan/01.yaml": "network: [\n"},
        {"/etc/sysconfig/network/ifcfg-eth1": "BOOTPROTO='dhcp'\n"},
        {f"{SCRIPTS}/ifcfg-lan": f"HWADDR={MAC.upper()}\nBOOTPROTO=dhcp\n"},
        {"/etc/firewalld/a.xml": ZONE.format("ens192"), "/etc/firewalld/b.xml": ZONE.format("ens160")},
    ],
)
def test_without_a_slot_no_name_is_guessed(tmp_path, tree):
    guest = guest_in(tmp_path, tree)
    assert names_to_keep(guest, [UNKNOWN]) == set()
    assert keep_nic_names(guest, [UNKNOWN]) == []


def test_of_two_without_a_slot_it_is_told_that_their_names_are_unsure(tmp_path):
    guest = guest_in(tmp_path, {"/etc/netplan/01.yaml": TWO})
    assert keep_nic_names(guest, [UNKNOWN, SECOND]) == []
    assert "goes by ens160 and ens192, and nothing says which of 2 adapters" in unsure_names(guest, [UNKNOWN, SECOND])
    # Where the slot of one is known, the other has the name that is left
    names = [replace(NIC, mac=OTHER, old_mac=OTHER), UNKNOWN]
    assert names_to_keep(guest, names) == {"ens160", "ens192"}


@pytest.mark.parametrize(
    "tree",
    [
        {f"{LINK_DIRECTORY}/99-default.link": ""},
        {"/etc/udev/rules.d/80-net-setup-link.rules": ""},
        {"/etc/udev/rules.d/10-net.rules": f'SUBSYSTEM=="net", ATTR{{address}}=="{MAC}", NAME="lan0"\n'},
        {
            "/boot/grub/grub.cfg": "menuentry 'A' {\n linux /vmlinuz root=UUID=1 net.ifnames=0\n initrd /initrd-1\n}\n",
            "/boot/initrd-1": "x",
        },
    ],
)
def test_a_guest_that_calls_its_interfaces_otherwise_is_left_alone(tmp_path, tree):
    guest = guest_in(tmp_path, tree)
    assert names_to_keep(guest, [NIC]) == set()
    assert keep_nic_names(guest, [NIC]) == []


@pytest.mark.parametrize("match", ["Driver=vmxnet3", "Path=pci-0000:0b:00.0", "OriginalName=ens192"])
def test_a_name_that_the_guest_gives_by_its_old_hardware_is_kept(tmp_path, match):
    guest = guest_in(tmp_path, {f"{LINK_DIRECTORY}/05-own.link": f"[Match]\n{match}\n\n[Link]\nName=lan0\n"})
    assert names_to_keep(guest, [NIC]) == {"lan0"}
    keep_nic_names(guest, [NIC])
    assert links(guest) == ["05-own.link", "10-longshore-lan0.link"]


@pytest.mark.parametrize("match", ["Driver=wireguard", "OriginalName=wlan*", "Type=wlan", f"MACAddress={OTHER}"])
def test_a_name_that_the_guest_gives_another_device_is_not_taken(tmp_path, match):
    guest = guest_in(tmp_path, {f"{LINK_DIRECTORY}/05-own.link": f"[Match]\n{match}\n\n[Link]\nName=lan0\n"})
    assert "lan0" not in names_to_keep(guest, [NIC])


@pytest.mark.parametrize(
    "spell",
    [
        lambda mac: mac.upper().replace(":", "-"),
        lambda mac: f"{mac[:2]}{mac[3:5]}.{mac[6:8]}{mac[9:11]}.{mac[12:14]}{mac[15:]}",
    ],
    ids=["dashes", "dots"],
)
def test_an_address_that_is_written_otherwise_is_rewritten_too(tmp_path, spell):
    path = f"{LINK_DIRECTORY}/10-own.link"
    guest = guest_in(tmp_path, {path: f"[Match]\nMACAddress={spell(MAC)}\n\n[Link]\nName=lan0\n"})
    assert keep_nic_names(guest, [MOVED]) == [f"{path} names the interfaces' new MAC addresses."]
    assert spell(OTHER).lower() in guest.text(path)
    assert links(guest) == ["10-own.link"]  # which names it, and no other may come before


BY_PLACE = {
    "a link": (
        f"{LINK_DIRECTORY}/05-{{name}}.link",
        "[Match]\nPath=pci-{place}\n\n[Link]\nName={name}\n",
    ),
    "a rule of YaST": (
        "/etc/udev/rules.d/70-{name}.rules",
        'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", KERNELS=="{place}", ATTR{{type}}=="1", NAME="{name}"\n',
    ),
    "a rule by path": (
        "/etc/udev/rules.d/70-{name}.rules",
        'SUBSYSTEM=="net", ACTION=="add", ENV{{ID_PATH}}=="pci-{place}", NAME="{name}"\n',
    ),
}


@pytest.mark.parametrize("what", BY_PLACE)
def test_several_names_that_the_guest_gives_by_place_are_kept(tmp_path, what):
    path, text = BY_PLACE[what]
    nics = [NIC, NicName(OTHER, "ens224", ("eno50332184", "enp19s0"), kernel_name="eth1")]
    places = {"lan": "0000:0b:00.0", "wan": "0000:13:00.0"}
    files = {path.format(name=name): text.format(name=name, place=place) for name, place in places.items()}
    guest = guest_in(tmp_path, {**files, "/etc/network/interfaces": "auto lan\nauto wan\n"})
    assert names_to_keep(guest, nics) == {"lan", "wan"}
    said = " ".join(keep_nic_names(guest, nics))
    assert f"{NIC.mac} keeps its name lan" in said
    assert f"{OTHER} keeps its name wan" in said


def test_files_with_names_in_another_encoding_are_no_hindrance(tmp_path):
    guest = guest_in(tmp_path, {"/etc/network/interfaces": "iface enp11s0 inet dhcp\n"})
    with open(os.fsencode(tmp_path) + b"/etc/network/M\xfcller", "w") as file:
        file.write("x")
    assert names_to_keep(guest, [NIC]) == {"enp11s0"}


def test_what_the_kernel_counts_is_left_to_it_under_systemd(tmp_path):
    guest = guest_in(tmp_path, {"/etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\n"})
    assert names_to_keep(guest, [NIC]) == set()
    assert keep_nic_names(guest, [NIC]) == []


@pytest.mark.parametrize(
    "rules",
    [
        None,
        RULE.format("00:50:56:99:99:99", "eth0"),  # of an adapter that is gone
        RULE.format(MAC, "eth1"),
    ],
)
def test_before_systemd_a_rule_keeps_the_name(tmp_path, rules):
    guest = guest_in(tmp_path, {f"{SCRIPTS}/ifcfg-eth0": "DEVICE=eth0\nBOOTPROTO=dhcp\n"}, systemd=False)
    guest.files.mkdir_p("/etc/udev/rules.d")
    if rules is not None:
        guest.files.write(RULES, rules.encode())
    assert names_to_keep(guest, [NIC]) == {"eth0"}
    assert "keeps its name eth0" in keep_nic_names(guest, [NIC])[0]
    (rule,) = guest.text(RULES).splitlines()
    assert f'ATTR{{address}}=="{MAC}"' in rule
    assert 'NAME="eth0"' in rule
    assert keep_nic_names(guest, [NIC]) == []
    assert links(guest) == []


def test_what_is_written_gets_selinux_labels(tmp_path):
    config = {"/etc/selinux/config": "SELINUX=enforcing\n", KEY_FILE: "[connection]\ninterface-name=ens192\n"}
    guest = guest_in(tmp_path, config)
    guest.files.attributes["/etc"] = b"system_u:object_r:etc_t:s0\0"
    keep_nic_names(guest, [NIC])
    path = f"{LINK_DIRECTORY}/10-longshore-ens192.link"
    assert guest.files.attributes.get(path) == b"system_u:object_r:etc_t:s0"
    unlabelled = guest_in(tmp_path / "two", {**config, "/etc/selinux/config": "SELINUX=disabled\n"})
    assert keep_nic_names(unlabelled, [NIC])
    assert unlabelled.files.attributes == {}


UDEVD = Path("/lib/systemd/systemd-udevd")


@pytest.mark.skipif(os.geteuid() != 0 or not UDEVD.exists(), reason="needs root and systemd's udevd")
def test_a_vlan_on_the_interface_stays_what_it_is(tmp_path):
    """systemd/systemd#11992, #24259: one that can't be renamed is never there for systemd-networkd."""
    guest = guest_in(tmp_path, {"/etc/network/interfaces": "iface ens192 inet dhcp\n"})
    keep_nic_names(guest, [replace(NIC, mac="00:50:56:ab:cd:01")])
    text = guest.text(f"{LINK_DIRECTORY}/10-longshore-ens192.link")
    command = [Path(__file__).with_name("vlan_under_udevd"), text]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode and "unshare" in said.stderr:
        pytest.skip("no namespaces can be made here")
    assert said.stdout.splitlines() == ["ens192 is there", "ens192.100 is there"], said.stderr
