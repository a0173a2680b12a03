"""Concerns about a guest, as it tells of itself, that stand in the way of moving it."""

import re
from collections.abc import Iterator

from longshore.model.concern import Concern
from longshore.model.machine import FileSystem, Machine, PowerState, ToolsState
from longshore.model.request import LandingMode, MigrationRequest, MigrationType
from longshore.model.windows import WindowsParts
from longshore.planning.faults import RequestFault, check_server_name
from longshore.planning.kinds import blocker, warning
from longshore.planning.windows_checks import by_guest_id, windows_concerns

MIB = 1 << 20

SERVER_NAME_REFUSED = blocker(
    "server-name-refused",
    "Nova takes no name that is empty, longer than 255 characters, begins or ends with a space, or has characters that "
    "can't be printed or stand beyond Unicode's first 65,536.",
    "Give the server another name (--name).",
)
SERVER_NAME_NO_HOST_NAME = warning(
    "server-name-no-host-name",
    "The name isn't a host name (1 to 63 letters, digits and hyphens): metadata and DNS of the target make one of it.",
    "Give the server another name (--name), if its host name is taken from there.",
)
TOOLS_NOT_RUNNING = warning(
    "guest-tools-not-running",
    "The machine runs, but nothing in it answers to a request to shut down.",
    "Start VMware Tools in it, shut it down yourself, or allow a power cut (--force-power-off).",
)
HOST_NAME_EMPTY = warning(
    "guest-host-name-empty",
    "The guest runs and has no host name, or calls itself localhost.",
    "Give it a name, or it may take the server's.",
)
ADDRESS_UNKNOWN = warning(
    "guest-address-unknown",
    "The guest doesn't tell which addresses a connected adapter has, so that none is reserved for it on the target.",
    "Have it run with VMware Tools while this is checked, or have an administrator make its port (--port).",
)
_ADDRESS_OF_ONE_THAT_NEVER_RUNS = "Name them (--address), or have an administrator make its port (--port)."
OS_UNSUPPORTED = blocker(
    "guest-os-unsupported",
    "The guest's operating system is none that virt-v2v converts.",
    "Choose another landing: --landing as-is, or unchanged if it has virtio drivers.",
    acceptable=True,
)
OS_UNKNOWN = warning(
    "guest-os-unknown",
    "The source doesn't say which operating system the guest is. If it is none that virt-v2v converts, that shows when "
    "its disks are looked into, and the move fails.",
    "If virt-v2v doesn't know it, choose another landing: unchanged if it has virtio drivers, or --landing as-is. A "
    "dry run tells.",
)
FILE_SYSTEM_FULL = warning(
    "guest-file-system-full",
    "A file system of the guest has less room than its conversion needs: 100 MiB on / and C:, 50 MiB on /boot, "
    "10 MiB on others.",
    "Make room in the guest, or choose another landing.",
)

_HOST_NAME = re.compile(r"^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$")
# As vSphere calls them (guestId) in lower case, without the numbers behind. Everything else is Linux or Windows
_UNSUPPORTED = re.compile(
    r"^(freebsd|solaris|sunos|netware|os2|darwin|dos|vmkernel|ecomstation|unixware|openserver|win31|win95|win98|winme"
    r"|winnt|win2000|asianux|turbolinux|mandrake|mandriva|amazonlinux|vmwarephoton|coreos|crxpod|crxsys)"
)
# What virt-v2v asks for (its manual, "Free space in the guest"), by mount point
_ROOM = {"/": 100 * MIB, "c:\\": 100 * MIB, "/boot": 50 * MIB}
_ROOM_ELSEWHERE = 10 * MIB


def is_unknown(guest_id: str) -> bool:
    """Tell whether vSphere's name for a guest says no more than which kernel it may have."""
    return guest_id.lower().startswith("other")


def guest_concerns(machine: Machine, request: MigrationRequest, parts: WindowsParts | None) -> Iterator[Concern]:
    """Yield concerns about a guest. `parts`: what there is for Windows guests where this one would be converted; None:
    that isn't known."""
    yield from _server_name(request.server_name or machine.name)
    yield from _running(machine, request)
    converted = request.landing is LandingMode.CONVERT
    if converted and machine.guest_id:
        yield from _system(machine)
        if parts is not None and machine.guest_id.lower().startswith("win"):
            yield from windows_concerns(machine.name, by_guest_id(machine.guest_id), parts)
    if converted:
        for filesystem in machine.filesystems:
            yield from _room(machine, filesystem)


def _server_name(name: str) -> Iterator[Concern]:
    try:
        check_server_name(("name",), name)
    except RequestFault as fault:
        yield SERVER_NAME_REFUSED(name, f"A server can't be called {name!a}: {fault.text}")
        return
    if not _HOST_NAME.match(name):
        yield SERVER_NAME_NO_HOST_NAME(name, f"The server's name \"{name}\" isn't a host name.")


def _running(machine: Machine, request: MigrationRequest) -> Iterator[Concern]:
    """Yield what only a guest that runs can tell. Not every cloud asks one: some know addresses and names by
    themselves."""
    if not machine.platform.traits.asks_guest:
        return
    name = machine.name
    if machine.power is PowerState.ON:
        shut_down = request.type is not MigrationType.DRY_RUN
        if shut_down and not request.force_power_off and machine.tools is not ToolsState.RUNNING:
            yield TOOLS_NOT_RUNNING(name, f"Nothing in {name} answers to a request to shut down.")
        if machine.tools is ToolsState.RUNNING and machine.host_name.partition(".")[0] in ("", "localhost"):
            yield HOST_NAME_EMPTY(name, f"The guest of {name} has no host name of its own.")
    if request.type is MigrationType.DRY_RUN:
        return
    told = {mac.lower() for mac in (*request.ports, *request.addresses)}
    for nic in machine.nics:
        if nic.connected and not nic.addresses and nic.mac not in told:
            yield ADDRESS_UNKNOWN(
                nic.label,
                f"{name} doesn't tell which addresses {nic.label} has: the target gives it others.",
                _ADDRESS_OF_ONE_THAT_NEVER_RUNS if machine.never_runs else None,
            )


def _system(machine: Machine) -> Iterator[Concern]:
    guest = machine.guest_id.lower()
    system = machine.guest_name or machine.guest_id
    if _UNSUPPORTED.match(guest):
        yield OS_UNSUPPORTED(machine.name, f"virt-v2v doesn't convert the guest of {machine.name}: {system}.")
    elif is_unknown(guest):
        yield OS_UNKNOWN(machine.name, f'The source knows the guest of {machine.name} only as "{system}".')


def room_needed(filesystem: FileSystem) -> int:
    """Return the bytes that have to be free on a file system for a conversion."""
    return min(_ROOM.get(filesystem.path.lower(), _ROOM_ELSEWHERE), filesystem.size)


def _room(machine: Machine, filesystem: FileSystem) -> Iterator[Concern]:
    needed = room_needed(filesystem)
    if filesystem.free < needed:
        yield FILE_SYSTEM_FULL(
            filesystem.path,
            f"{filesystem.path} of {machine.name} has {filesystem.free // MIB} MiB left; "
            f"converting it needs {needed // MIB}.",
        )
