"""Finish of a Linux guest's conversion: what virt-v2v leaves out, done offline in one run of the appliance after it.

The guest is converted already, so nothing here may fail it: what couldn't be done is a warning, and says what is left
undone.
Each function says what it changed, one sentence per thing, and changes nothing it needn't.
"""

import re
from collections.abc import Callable, Sequence

from longshore.guests.addressing.writing import write_addresses
from longshore.guests.agent_packages import agent_packages
from longshore.guests.agents import install_agents
from longshore.guests.appliance import Guest
from longshore.guests.efi import put_fallback_loader
from longshore.guests.first_boot import add_first_boot
from longshore.guests.interfaces import keep_nic_names
from longshore.guests.linux_boot import names_by_hardware
from longshore.guests.misread import reason
from longshore.guests.report import Finished, NicName
from longshore.guests.selinux import announce_relabelling
from longshore.guests.serial_console import enable_serial_console
from longshore.guests.windows_agents import add_windows_agents
from longshore.guests.windows_first_boot import bring_disks_online, tell_restarts
from longshore.model.addresses import NOTHING_NEW, NewAddresses
from longshore.model.agents import Agent

FIRST_BOOT = "/usr/lib/virt-sysprep"
FIRST_BOOT_SCRIPTS = f"{FIRST_BOOT}/scripts"
FIRST_BOOT_UNIT = "guestfs-firstboot.service"
AGENT_SCRIPTS = {"wait-online", "setenforce-0", "install-qga", "setenforce-restore", "start-qga"}
_FIRST_BOOT_NAME = re.compile(r"^(\d+-)+")  # scripts are called 5000-0003-install-qga
_UNITS = ("/etc/systemd", "/usr/lib/systemd", "/lib/systemd")
# The same where systemd isn't: virt-v2v's links into the directories of runlevels
_RUNLEVELS = ("/etc/rc.d", "/etc/rc2.d", "/etc/rc3.d", "/etc/rc5.d", "/etc/init.d")


def finish(
    guest: Guest,
    nics: Sequence[NicName],
    first_boot: Sequence[str],
    agents: Sequence[Agent] = (),
    addresses: NewAddresses = NOTHING_NEW,
    *,
    keep: bool = False,
) -> Finished:
    """The guest's file systems aren't mounted any more after it. `keep`: as in `write_addresses`."""
    tasks: list[tuple[str, Callable[[], Finished]]] = []
    if guest.system.family == "linux":
        tasks = [
            ("its interfaces' names couldn't be kept", lambda: Finished(tuple(keep_nic_names(guest, nics)))),
            ("its new addresses couldn't be written", lambda: write_addresses(guest, addresses, keep=keep)),
            ("the serial console couldn't be set up", lambda: enable_serial_console(guest)),
            (
                "virt-v2v's own first-boot scripts, which need the network, stay",
                lambda: _without_online_first_boot(guest, agents),
            ),
            ("no agent was installed", lambda: install_agents(guest, agents, agent_packages())),
            ("whether it relabels its files isn't known", lambda: announce_relabelling(guest)),
            ("how it calls its disks isn't known", lambda: warn_of_disk_names(guest)),
        ]
    if guest.system.family == "windows":
        tasks = [
            ("its further disks may be offline at first", lambda: bring_disks_online(guest)),
            ("no agent is installed", lambda: add_windows_agents(guest, agents, agent_packages())),
            ("how often it restarts isn't known", lambda: tell_restarts(guest)),
        ]
    tasks += [
        ("the first-boot scripts were left out", lambda: Finished(tuple(add_first_boot(guest, first_boot)))),
        # The last: it mounts the EFI partition in place of all others
        ("UEFI's fallback loader wasn't put there", lambda: Finished(tuple(put_fallback_loader(guest)))),
    ]
    return Finished.of_all(_tried(left_undone, task) for left_undone, task in tasks)


def _tried(left_undone: str, task: Callable[[], Finished]) -> Finished:
    try:
        return task()
    except Exception as error:  # noqa: BLE001 a guest's text may make any of it raise
        return Finished(warnings=(f"The guest is converted, but {left_undone}: {reason(error)}.",))


def warn_of_disk_names(guest: Guest) -> Finished:
    """Warn of disk names that stay: virt-v2v renames sda to vda in fstab and on the kernel's command line, other names
    it leaves as they are."""
    left = [name for name in names_by_hardware(guest) if not name.startswith("/dev/vd")]
    if not left:
        return Finished()
    return Finished(
        warnings=(
            f"The guest calls disks by names that the target doesn't give them ({', '.join(left)}), so it may not "
            "boot, or lack them: name them by UUID= or LABEL= in its /etc/fstab and boot menu before it is moved.",
        )
    )


def _without_online_first_boot(guest: Guest, agents: Sequence[Agent]) -> Finished:
    said = drop_online_first_boot(guest)
    return Finished() if Agent.QEMU in agents else Finished(tuple(said))  # of it more is said where it is installed


def drop_online_first_boot(guest: Guest) -> list[str]:
    """Take away virt-v2v's first-boot scripts, which install the QEMU guest agent from the network.

    They hold up the first boot by up to a minute when there is none, and change a guest whose owner didn't ask for it.
    Other first-boot scripts, and then the service that runs them, stay.
    """
    files = guest.files
    if not files.is_dir(FIRST_BOOT_SCRIPTS):
        return []
    names = guest.names_in(FIRST_BOOT_SCRIPTS)
    ours = [name for name in names if _FIRST_BOOT_NAME.sub("", name) in AGENT_SCRIPTS]
    if not any(name.endswith("install-qga") for name in ours):
        return []
    for name in ours:
        files.rm(f"{FIRST_BOOT_SCRIPTS}/{name}")
    if len(ours) == len(names):
        for directory in (place for place in (*_UNITS, *_RUNLEVELS) if files.is_dir(place)):
            for path in guest.paths_below(directory):
                if _starts_first_boot(path.rpartition("/")[2]):
                    files.rm_f(f"{directory}/{path}")
        files.rm_rf(FIRST_BOOT)
    return ["The QEMU guest agent isn't installed: at the first boot that would need the network, and hold it up."]


def _starts_first_boot(name: str) -> bool:
    return name == FIRST_BOOT_UNIT or re.fullmatch(r"(?:S\d\d)?guestfs-firstboot", name) is not None
