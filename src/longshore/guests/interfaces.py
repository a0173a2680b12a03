"""A Linux guest's interfaces keep the names, and the addresses, under which it configures them.

A guest names its interfaces by the slot they sit in, or in the order in which they are found, and on other hardware
both are others. Firewalls' zones, daemons and scripts go by those names, wherever they are written. So each interface
keeps the name that it most likely has, unless the guest names it by its address.
"""

import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from longshore.guests.addressing.choosing import names_of_adapters
from longshore.guests.appliance import Guest
from longshore.guests.boot_entries import default_entry
from longshore.guests.linux_boot import NETWORK
from longshore.guests.report import NicName
from longshore.guests.selinux import label

LINK_DIRECTORY = "/etc/systemd/network"
RULES_DIRECTORY = "/etc/udev/rules.d"
RULES = f"{RULES_DIRECTORY}/70-persistent-net.rules"
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
_LARGEST_ETC = 64 << 10  # KiB
# Of a guest whose interfaces aren't called by their slots: links to nothing, or other rules, in the place of systemd's
_OTHER_NAMING = {"99-default.link", "80-net-setup-link.rules", "80-net-name-slot.rules"}
_BY_HARDWARE = re.compile(r"en(?:o\d|s\d|p\d+s\d|x[0-9a-f]{12})\w*")
# A MAC address with dashes or dots, as systemd and NetworkManager take it too
_MAC = re.compile(r"(?<![0-9a-f.-])(?:(?:[0-9a-f]{2}-){5}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4})(?![0-9a-f.-])")
_COUNTED = re.compile(r"eth\d+")
_PLACE = re.compile(r"enp(\d+)s(\d+)")  # bus and device, decimal
# A rule of udev that names an interface by its place, as those that YaST writes "by bus ID"
_RULE_NAMES = re.compile(r'\bNAME[ \t]*:?=[ \t]*"([\w.-]+)"')
_RULE_PLACE = re.compile(
    r'\b(?:KERNELS|ENV\{ID_PATH\})[ \t]*==[ \t]*"(?:pci-)?([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.\d)"'
)
_NAMES_OFF = re.compile(r"(?:^|\s)net\.ifnames=0(?:\s|$)")
# Where a configuration says of which hardware its adapters are: in netplan, networkd and NetworkManager
_MATCHED = (
    ("/etc/netplan/", ".yaml", re.compile(r"\bdriver:[ \t]*((?:\n[ \t]*-[ \t][^\n#]+)+|[^\n#}]+)")),
    (
        "/etc/systemd/network/",
        ".network",
        re.compile(r"(?m)^[ \t]*(?:Driver|Path|Virtualization)[ \t]*=[ \t]*([^\n#]+)"),
    ),
    ("/etc/NetworkManager/system-connections/", "", re.compile(r"(?m)^(?:driver|path)=([^\n]+)")),
)
_FITS_ANYWHERE = re.compile(r"virtio|kvm|qemu|^(?:!|\*|yes$|no$|vm$)")
# A path is what only an adapter has. What is made on it mostly has its address, and would be given the same name:
# VLANs, bridges and bonds, and also teams and ports of Open vSwitch, which are of no type of their own as udev sees it
_LINK = "[Match]\nMACAddress={mac}\nPath=*\n\n[Link]\nName={name}\n"
_RULE = (
    'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{mac}", ATTR{{type}}=="1", '
    'KERNEL=="eth*", NAME="{name}"\n'
)


def names_to_keep(guest: Guest, nics: Sequence[NicName]) -> set[str]:
    """Return the name of each interface that is to be kept, or under which a file mentions its old address."""
    moved = [nic for nic in nics if _has_moved(nic)]
    texts = _texts(network_configuration(guest), _rules(guest)) if moved else ""
    kept = {name for name in _names(guest, nics).values() if name}
    return kept | {nic.name or nic.kernel_name for nic in moved if nic.old_mac in texts}


def unsure_names(guest: Guest, nics: Sequence[NicName]) -> str:
    """Return a sentence where several adapters may have the names that the network configuration has; "" if none do."""
    unknown = [nic for nic in nics if not nic.name]
    names = sorted(_unclaimed(network_configuration(guest), nics))
    if len(unknown) < 2 or not names or not _has_links(guest):
        return ""
    return (
        f"Its network configuration goes by {' and '.join(names)}, and nothing says which of {len(unknown)} adapters "
        "have these names: where they are called otherwise on the target, their addresses aren't there."
    )


def bound_to_hardware(guest: Guest) -> str:
    """Return a sentence where the network configuration is for adapters of a driver, in a slot or of a hypervisor, none
    of which are the target's; "" where it isn't."""
    told = (
        " ".join(value.split()).strip("\"'[];- ")
        for path, text in network_configuration(guest).items()
        for place, end, matched in _MATCHED
        if path.startswith(place) and path.endswith(end)
        for value in matched.findall(text)
    )
    bound = dict.fromkeys(value for value in told if value and not _FITS_ANYWHERE.search(value))
    if not bound:
        return ""
    return (
        f"Its network configuration is for adapters that are or have {', '.join(bound)}, by which the target's may not "
        "be known: where it isn't applied, the guest has no network. Have it match them by name or MAC address."
    )


def keep_nic_names(guest: Guest, nics: Sequence[NicName]) -> list[str]:
    """Have interfaces keep their names, by MAC address. A sentence for each change."""
    names = _names(guest, nics)
    changes = list(_rename_addresses(guest, nics))
    for nic, name in names.items():
        if not name:
            continue
        path = _keep_by_link(guest, nic, name) if _has_links(guest) else _keep_by_rule(guest, nic, name)
        if path:
            changes.append(f"The interface with MAC address {nic.mac} keeps its name {name} ({path}).")
    return changes


def _names(guest: Guest, nics: Sequence[NicName]) -> dict[NicName, str]:
    """Return the name of each interface by now; "" when the guest has it by itself.

    The one that its network configuration has is certain. Where systemd names interfaces, one called eth0 is left
    alone: it can't be given a name that the kernel gives out.
    """
    configuration, rules, by_slot = network_configuration(guest), _rules(guest), _has_links(guest)
    own = _own_names(configuration, rules, nics, by_slot=by_slot)
    words = _words(configuration)
    found = dict.fromkeys(nics, "")
    for nic in nics:
        candidates = (nic.name, *nic.others, *(() if by_slot else (nic.kernel_name,)))
        found[nic] = own.get(nic) or next((name for name in candidates if name and name in words), "")
    if by_slot and not any(found.values()) and (_are_counted(guest) or {nic.kernel_name for nic in nics} & words):
        return found
    bound = _addresses(_texts(configuration, rules))
    missing = [nic for nic in nics if not found[nic] and not {nic.mac, nic.old_mac or nic.mac} & bound]
    elsewhere = _words_of_etc(guest) if missing and by_slot else set()
    for nic in missing:
        named = (name for name in (nic.name, *nic.others) if name and name in elsewhere)
        found[nic] = next(named, nic.name) if by_slot else nic.kernel_name
    unknown = [nic for nic in missing if not nic.name]
    if by_slot and len(unknown) == 1:
        names = _unclaimed(configuration, nics) or set(filter(_BY_HARDWARE.fullmatch, elsewhere - _all_names(nics)))
        found[unknown[0]] = names.pop() if len(names) == 1 else ""
    return found


def _unclaimed(configuration: Mapping[str, str], nics: Sequence[NicName]) -> set[str]:
    """Return the names that it has for adapters, but for those whose adapter is known by its slot, and the kernel's."""
    return {name for name in names_of_adapters(configuration) - _all_names(nics) if not _COUNTED.fullmatch(name)}


def _all_names(nics: Sequence[NicName]) -> set[str]:
    return {name for nic in nics for name in nic.names}


def _own_names(
    configuration: Mapping[str, str], rules: Mapping[str, str], nics: Sequence[NicName], *, by_slot: bool
) -> dict[NicName, str]:
    """Return the names that a guest's own link files and rules give interfaces by what they no longer have: place,
    driver or old name. Of several interfaces the place alone tells them apart."""
    texts = [text for path, text in configuration.items() if path.endswith(".link") and "MACAddress" not in text]
    told = [said for text in rules.values() for said in _of_rules(text)]
    if by_slot:  # under systemd, which reads link files; a name that the kernel gives out can't be given there
        told = [said for said in (*told, *map(_settings, texts)) if not _COUNTED.fullmatch(said.get("Name", ""))]
    found = {}
    for nic in nics:
        meant = _meant if len(nics) == 1 else _is_in_its_place
        names = {said["Name"] for said in told if "Name" in said and meant(said, nic)}
        if len(names) == 1:
            found[nic] = names.pop()
    return found


def _of_rules(text: str) -> Iterator[dict[str, str]]:
    """Yield what rules of udev say of interfaces, as a link file would."""
    for rule in text.replace("\\\n", " ").splitlines():
        name, place = _RULE_NAMES.search(rule), _RULE_PLACE.search(rule)
        if '"net"' in rule and not rule.lstrip().startswith("#") and name and place:
            yield {"Name": name[1], "Path": f"pci-{place[1]}"}


def _is_in_its_place(said: Mapping[str, str], nic: NicName) -> bool:
    places = (f"pci-0000:{int(at[1]):02x}:{int(at[2]):02x}.0" for one in nic.others if (at := _PLACE.fullmatch(one)))
    return any(fnmatchcase(place, said.get("Path", "")) for place in places)


def _settings(link: str) -> dict[str, str]:
    return dict(re.findall(r"(?m)^[ \t]*(Name|Driver|Path|OriginalName)[ \t]*=[ \t]*([^\s#;]+)", link))


def _meant(said: Mapping[str, str], nic: NicName) -> bool:
    """Tell whether what a link file says of an interface was so of this one, as far as it is known."""
    old_names = (nic.name, *nic.others, nic.kernel_name)
    return (
        said.get("Driver") in NETWORK
        or said.get("Path", "").startswith("pci-")
        or any(fnmatchcase(name, said.get("OriginalName", "")) for name in old_names)
    )


def _are_counted(guest: Guest) -> bool:
    """Tell whether the guest doesn't call its interfaces by their slots, though its udev could."""
    if _OTHER_NAMING & {*guest.names_in(LINK_DIRECTORY), *guest.names_in(RULES_DIRECTORY)}:
        return True
    entry = default_entry(guest)
    return entry is not None and _NAMES_OFF.search(entry.options) is not None


def _words_of_etc(guest: Guest) -> set[str]:
    """Return all words of all of its files there, read at once: firewalls, daemons, scripts."""
    if not guest.files.is_dir("/etc") or guest.files.du("/etc") > _LARGEST_ETC:
        return set()
    words: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="longshore-") as directory:
        archive = Path(directory, "etc.tar")
        guest.files.tar_out("/etc", str(archive))
        with tarfile.open(archive) as files:
            for file in files:
                if file.isreg() and file.size <= _LARGEST and (content := files.extractfile(file)) is not None:
                    words.update(_words({file.name: content.read().decode(errors="replace")}))
    return words


def _texts(configuration: Mapping[str, str], rules: Mapping[str, str]) -> str:
    """Return both in small letters, with all MAC addresses written with colons."""
    texts = "\n".join((*configuration.values(), *rules.values())).lower()
    return _MAC.sub(lambda found: ":".join(re.findall("[0-9a-f]{2}", found[0])), texts)


def _addresses(texts: str) -> set[str]:
    """Return all MAC addresses in them, as bindings of names to adapters have them."""
    return set(re.findall(r"(?<![0-9a-f:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![0-9a-f:])", texts))


def _has_links(guest: Guest) -> bool:
    """Tell whether systemd's udev is there, or an older one that knows rules only."""
    return any(guest.files.is_dir(f"{place}/systemd/network") for place in ("/usr/lib", "/lib"))


def _keep_by_link(guest: Guest, nic: NicName, name: str) -> str:
    path = f"{LINK_DIRECTORY}/10-longshore-{name}.link"
    new = not guest.files.is_dir(LINK_DIRECTORY)
    guest.files.mkdir_p(LINK_DIRECTORY)
    guest.files.write(path, _LINK.format(mac=nic.mac, name=name).encode())
    label(guest, *((LINK_DIRECTORY,) if new else ()), path)
    return path


def _keep_by_rule(guest: Guest, nic: NicName, name: str) -> str:
    """Write rules that keep the names. Returns their path; "" when one says so already, or when there is no udev."""
    if not guest.files.is_dir(RULES_DIRECTORY):
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
    """Rewrite files that say an interface's old MAC address (HWADDR=, match: macaddress:) to the new one. Yields a
    sentence for each."""
    pairs = (zip(_spellings(nic.old_mac), _spellings(nic.mac), strict=True) for nic in nics if _has_moved(nic))
    moved = {old: new for pair in pairs for old, new in pair}
    if not moved:
        return
    pattern = re.compile("|".join(re.escape(mac) for mac in moved), re.IGNORECASE)
    for path, text in {**network_configuration(guest), **_rules(guest)}.items():
        new = pattern.sub(lambda found: moved[found[0].lower()], text)
        if new != text:
            # Over the old one, which keeps its owner, mode and label: NetworkManager reads no file of others
            guest.files.write(path, new.encode())
            yield f"{path} names the interfaces' new MAC addresses."


def _spellings(mac: str) -> tuple[str, str, str]:
    """Return how files may write a MAC address: with colons, dashes or dots."""
    digits = mac.replace(":", "")
    return mac, mac.replace(":", "-"), ".".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def _has_moved(nic: NicName) -> bool:
    return bool(nic.old_mac) and nic.old_mac != nic.mac


def _rules(guest: Guest) -> dict[str, str]:
    return _small_files(guest, RULES_DIRECTORY)


def network_configuration(guest: Guest) -> dict[str, str]:
    """Return the network configuration's texts by their paths."""
    return {path: text for place in NETWORK_CONFIGURATION for path, text in _small_files(guest, place).items()}


def _small_files(guest: Guest, directory: str) -> dict[str, str]:
    paths = (f"{directory}/{name}" for name in guest.paths_below(directory))
    return {p: guest.text(p) for p in paths if guest.files.is_file(p) and guest.files.filesize(p) <= _LARGEST}


def _words(configuration: Mapping[str, str]) -> set[str]:
    """Return all words of it, comments left out, and of its files' names (ifcfg-ens192)."""
    words: set[str] = set()
    for path, text in configuration.items():
        words.update(re.findall(r"\w+", re.sub(r"(?m)^\s*#.*$", "", text)))
        words.add(path.rpartition("/")[2].removeprefix("ifcfg-"))
    return words
