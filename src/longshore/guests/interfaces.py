"""A Linux guest's interfaces keep the names, and the addresses, under which it configures them.

A guest names its interfaces by the slot they sit in, or in the order in which they are found, and on other hardware
both are others. What its network configuration doesn't mention is left alone: nothing depends on it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from longshore.guests.appliance import Guest
from longshore.guests.report import NicName
from longshore.guests.selinux import label

LINK_DIRECTORY = "/etc/systemd/network"
RULES = "/etc/udev/rules.d/70-persistent-net.rules"
# Where distributions name their interfaces: ifupdown, netplan, network-scripts, NetworkManager, networkd, wicked
NETWORK_CONFIGURATION = (
    "/etc/network",
    "/etc/netplan",
    "/etc/sysconfig/network-scripts",
    "/etc/sysconfig/network",
    "/etc/NetworkManager/system-connections",
    "/etc/systemd/network",
)
_LARGEST = 1 << 20  # bytes; what is larger configures nothing
_RULE = (
    'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{mac}", ATTR{{type}}=="1", '
    'KERNEL=="eth*", NAME="{name}"\n'
)


def names_to_keep(guest: Guest, nics: Sequence[NicName]) -> set[str]:
    """Of each interface the name that has to be kept, or under which a file mentions its old address."""
    configuration = network_configuration(guest)
    words = _words(configuration)
    texts = "\n".join((*configuration.values(), *_rules(guest).values())).lower()
    kept = {name for nic in nics if (name := _name(guest, nic, words))}
    return kept | {nic.name for nic in nics if _has_moved(nic) and nic.old_mac in texts}


def keep_nic_names(guest: Guest, nics: Sequence[NicName]) -> list[str]:
    """Interfaces keep the names under which the guest configures them, by MAC address. A sentence for each change."""
    changes = list(_rename_addresses(guest, nics))
    words = _words(network_configuration(guest))
    for nic in nics:
        name = _name(guest, nic, words)
        if name is None:
            continue
        path = _keep_by_link(guest, nic, name) if _has_links(guest) else _keep_by_rule(guest, nic, name)
        if path:
            changes.append(f"The interface with MAC address {nic.mac} keeps its name {name} ({path}).")
    return changes


def _name(guest: Guest, nic: NicName, words: set[str]) -> str | None:
    """None when the guest relies on none, or has it by itself.

    Where systemd names interfaces, one called eth0 is left alone: it can't be given a name that the kernel gives out.
    """
    by_kernel = "" if _has_links(guest) else nic.kernel_name
    return next((name for name in (nic.name, *nic.others, by_kernel) if name and name in words), None)


def _has_links(guest: Guest) -> bool:
    """Whether systemd's udev is there, or an older one that knows rules only."""
    return any(guest.files.is_dir(f"{place}/systemd/network") for place in ("/usr/lib", "/lib"))


def _keep_by_link(guest: Guest, nic: NicName, name: str) -> str:
    path = f"{LINK_DIRECTORY}/10-longshore-{name}.link"
    new = not guest.files.is_dir(LINK_DIRECTORY)
    guest.files.mkdir_p(LINK_DIRECTORY)
    guest.files.write(path, f"[Match]\nMACAddress={nic.mac}\n\n[Link]\nName={name}\n".encode())
    label(guest, *((LINK_DIRECTORY,) if new else ()), path)
    return path


def _keep_by_rule(guest: Guest, nic: NicName, name: str) -> str:
    """The path of the rules; "" when one says so already, or when there is no udev."""
    if not guest.files.is_dir("/etc/udev/rules.d"):
        return ""
    text = guest.text(RULES) if guest.files.is_file(RULES) else ""
    lines = [line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#")]
    if any(nic.mac in line.lower() and f'NAME="{name}"' in line for line in lines):
        return ""
    # Another rule for the same adapter or name, as udev writes one for each new adapter, would come before it
    others = [line for line in lines if nic.mac not in line.lower() and f'NAME="{name}"' not in line]
    guest.files.write(RULES, ("".join(others) + _RULE.format(mac=nic.mac, name=name)).encode())
    label(guest, RULES)
    return RULES


def _rename_addresses(guest: Guest, nics: Sequence[NicName]) -> Iterator[str]:
    """Where files say an interface's old MAC address (HWADDR=, match: macaddress:), they get the new one."""
    moved = {nic.old_mac: nic.mac for nic in nics if _has_moved(nic)}
    if not moved:
        return
    pattern = re.compile("|".join(re.escape(mac) for mac in moved), re.IGNORECASE)
    for path, text in {**network_configuration(guest), **_rules(guest)}.items():
        new = pattern.sub(lambda found: moved[found[0].lower()], text)
        if new != text:
            # Over the old one, which keeps its owner, mode and label: NetworkManager reads no file of others
            guest.files.write(path, new.encode())
            yield f"{path} names the interfaces' new MAC addresses."


def _has_moved(nic: NicName) -> bool:
    return bool(nic.old_mac) and nic.old_mac != nic.mac


def _rules(guest: Guest) -> dict[str, str]:
    return {RULES: guest.text(RULES)} if guest.files.is_file(RULES) else {}


def network_configuration(guest: Guest) -> dict[str, str]:
    """The network configuration's texts by their paths."""
    found = {}
    for directory in NETWORK_CONFIGURATION:
        for name in guest.files.find(directory) if guest.files.is_dir(directory) else ():
            path = f"{directory}/{name}"
            if guest.files.is_file(path) and guest.files.filesize(path) <= _LARGEST:
                found[path] = guest.text(path)
    return found


def _words(configuration: Mapping[str, str]) -> set[str]:
    """All words of it, comments left out, and of its files' names (ifcfg-ens192)."""
    words: set[str] = set()
    for path, text in configuration.items():
        words.update(re.findall(r"\w+", re.sub(r"(?m)^\s*#.*$", "", text)))
        words.add(path.rpartition("/")[2].removeprefix("ifcfg-"))
    return words
