"""What virt-v2v leaves out for a Linux guest, done offline in one run of the appliance after it.

Each function says what it changed, one sentence per thing, and changes nothing it needn't.
"""

import re
from collections.abc import Sequence

from longshore.guests.appliance import Guest
from longshore.guests.report import Finished, NicName

LINK_DIRECTORY = "/etc/systemd/network"
# Where distributions name their interfaces: ifupdown, netplan, network-scripts, NetworkManager, networkd, wicked
NETWORK_CONFIGURATION = (
    "/etc/network",
    "/etc/netplan",
    "/etc/sysconfig/network-scripts",
    "/etc/sysconfig/network",
    "/etc/NetworkManager/system-connections",
    "/etc/systemd/network",
)
GRUB_DEFAULTS = "/etc/default/grub"
GRUB_SNIPPET = "/etc/default/grub.d/90-longshore-console.cfg"
GRUB_MENU = "/boot/grub/grub.cfg"
SERIAL_CONSOLE = "console=tty0 console=ttyS0,115200n8"
FIRST_BOOT = "/usr/lib/virt-sysprep"
FIRST_BOOT_SCRIPTS = f"{FIRST_BOOT}/scripts"
FIRST_BOOT_UNIT = "guestfs-firstboot.service"
AGENT_SCRIPTS = {"wait-online", "setenforce-0", "install-qga", "setenforce-restore", "start-qga"}
_FIRST_BOOT_NAME = re.compile(r"^(\d+-)+")  # scripts are called 5000-0003-install-qga


def finish(guest: Guest, nics: Sequence[NicName]) -> Finished:
    if guest.system.family != "linux":
        return Finished()
    console = enable_serial_console(guest)
    changes = (*keep_nic_names(guest, nics), *console.changes, *drop_online_first_boot(guest))
    return Finished(changes, console.warnings)


def keep_nic_names(guest: Guest, nics: Sequence[NicName]) -> list[str]:
    """Interfaces keep the names under which the guest configures them, by MAC address.

    A guest names its interfaces by the slot they sit in, and on other hardware that slot is another. A name that the
    guest's network configuration doesn't mention is left alone: nothing depends on it.
    """
    if not (guest.files.is_dir("/usr/lib/systemd/network") or guest.files.is_dir("/lib/systemd/network")):
        return []
    changes = []
    mentioned = configured_names(guest)
    for nic in nics:
        path = f"{LINK_DIRECTORY}/10-longshore-{nic.name}.link"
        if nic.name not in mentioned:
            continue
        guest.files.mkdir_p(LINK_DIRECTORY)
        guest.files.write(path, f"[Match]\nMACAddress={nic.mac}\n\n[Link]\nName={nic.name}\n".encode())
        changes.append(f"The interface with MAC address {nic.mac} keeps its name {nic.name} ({path}).")
    return changes


def configured_names(guest: Guest) -> set[str]:
    """All words of the network configuration, comments left out, and of its files' names (ifcfg-ens192)."""
    words: set[str] = set()
    for directory in NETWORK_CONFIGURATION:
        if not guest.files.is_dir(directory):
            continue
        for name in guest.files.find(directory):
            path = f"{directory}/{name}"
            if not guest.files.is_file(path) or guest.files.filesize(path) > 1 << 20:
                continue
            text = guest.text(path)
            words.update(re.findall(r"\w+", re.sub(r"(?m)^\s*#.*$", "", text)))
            words.add(name.rpartition("/")[2].removeprefix("ifcfg-"))
    return words


def enable_serial_console(guest: Guest) -> Finished:
    """The guest's console is readable through Nova. Only where GRUB takes snippets, as Debian's and Ubuntu's does.

    A menu that would boot something else is put back: a guest that boots is worth more than its console.
    """
    files = guest.files
    if not (files.is_file(GRUB_DEFAULTS) and files.is_file(GRUB_MENU) and files.is_file("/usr/sbin/update-grub")):
        return Finished()
    before = guest.text(GRUB_MENU)
    if "console=ttyS" in before or files.is_file(GRUB_SNIPPET):
        return Finished()
    saved = files.read_file(GRUB_MENU)
    files.mkdir_p(GRUB_SNIPPET.rpartition("/")[0])
    files.write(
        GRUB_SNIPPET,
        f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {SERIAL_CONSOLE}"\n'
        'GRUB_TERMINAL="console serial"\n'
        'GRUB_SERIAL_COMMAND="serial --speed=115200"\n'.encode(),
    )
    try:
        guest.run("update-grub")
        after = guest.text(GRUB_MENU)
        fault = _fault(before, after)
    except RuntimeError as error:
        fault = f"update-grub failed: {str(error).strip().splitlines()[-1]}"
    if fault is None:
        return Finished((f"The kernel and GRUB use the serial console ttyS0 as well ({GRUB_SNIPPET}).",))
    files.rm_f(GRUB_SNIPPET)
    files.write(GRUB_MENU, saved)
    return Finished(
        warnings=(
            f"The serial console couldn't be set up and the boot menu is as it was: {fault}. So the console that the "
            "cloud shows stays empty once the kernel runs, and a login prompt can't prove there that the guest is up.",
        )
    )


def _fault(before: str, after: str) -> str | None:
    """Why the menu that was made isn't one to boot with; None when it is."""
    if "console=ttyS" not in after:
        return "update-grub left the new settings out"
    old, new = boot_places(before), boot_places(after)
    if old == new:
        return None
    return f"the new menu would boot from {_listed(new - old)} and not from {_listed(old - new)}"


def boot_places(menu: str) -> set[str]:
    """Where GRUB's menu looks for kernels, and what its kernels take for their root file system.

    `set root='hd0,msdos1'`, GRUB's own name for a disk, counts only without a `search` for the file system's UUID: that
    comes after it and corrects it.
    """
    searched, named, roots = set[str](), set[str](), set[str]()
    for words in (line.split() for line in menu.splitlines()):
        if words[:1] == ["search"] and "--fs-uuid" in words:
            searched.add(words[-1])
        elif words[:1] == ["set"]:
            named.update(word for word in words[1:] if word.startswith("root="))
        elif words and re.fullmatch(r"linux(?:efi|16)?", words[0]):
            roots.update(word for word in words if word.startswith(("root=", "rootflags=")))
    return roots | (searched or named)


def _listed(places: set[str]) -> str:
    return ", ".join(sorted(places)) or "nothing else"


def drop_online_first_boot(guest: Guest) -> list[str]:
    """Take away virt-v2v's first-boot scripts, which install the QEMU guest agent from the network.

    They hold up the first boot by up to a minute when there is none, and change a guest whose owner didn't ask for it.
    Other first-boot scripts, and then the service that runs them, stay.
    """
    files = guest.files
    if not files.is_dir(FIRST_BOOT_SCRIPTS):
        return []
    names = files.ls(FIRST_BOOT_SCRIPTS)
    ours = [name for name in names if _FIRST_BOOT_NAME.sub("", name) in AGENT_SCRIPTS]
    if not any(name.endswith("install-qga") for name in ours):
        return []
    for name in ours:
        files.rm(f"{FIRST_BOOT_SCRIPTS}/{name}")
    if len(ours) == len(names):
        for path in guest.run(f"find /etc/systemd /lib/systemd/ -name {FIRST_BOOT_UNIT}").split():
            files.rm_f(path)
        files.rm_rf(FIRST_BOOT)
    return ["The QEMU guest agent isn't installed: at the first boot that would need the network, and hold it up."]
