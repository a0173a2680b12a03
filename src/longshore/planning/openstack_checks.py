"""Concerns about moving a server of OpenStack, and about what won't come along."""

from collections.abc import Iterator

from longshore.model.concern import Concern
from longshore.model.machine import Machine, PowerState
from longshore.model.request import MigrationRequest, MigrationType
from longshore.planning.kinds import blocker, warning
from longshore.planning.nics import with_new_ports

SERVER_STATE = blocker(
    "server-state",
    "The server is in a state in which it can't be moved: being built or resized, shelved, rescued, in error.",
    "Bring it to ACTIVE or SHUTOFF.",
)
SERVER_LOCKED = blocker(
    "server-locked",
    "The server is locked: its project can't stop it, which a migration has to.",
    "Unlock it first (openstack server unlock).",
)
SERVER_IS_RELAY = blocker(
    "server-is-relay", "The server is one of Longshore's own, made to reach volumes.", "Leave it: it is removed again."
)
VOLUMES_ENCRYPTED = blocker(
    "volumes-encrypted",
    "Volumes of the server, or the volume, are encrypted; what is read of them from outside can't be understood.",
    "Move them to a volume type without encryption first (a retype does it).",
)
VOLUMES_UNSEEN = blocker(
    "volumes-unseen",
    "The server has volumes that the account may not see.",
    "Add the source as a provider with an account of the volumes' project.",
)
EPHEMERAL_DISKS = warning(
    "ephemeral-disks",
    "The server has disks that live on its compute node only (ephemeral, swap). What is on them stays behind.",
    "Copy what is needed to a volume; a flavor with such disks gives the server new ones.",
)
CONFIG_DRIVE = warning(
    "config-drive",
    "The server has a config drive. It stays behind, and the new server has none.",
    "Where the target has a metadata service, cloud-init finds the same there.",
)
PORT_SECURITY_OFF = warning(
    "port-security-off",
    "A port of the server has port security switched off. At the target it has it, with the project's default group.",
    "Make the port beforehand as it should be, and name it (--port).",
)
PORT_FEATURES_LEFT = warning(
    "port-features-left",
    "A port of the server has what no new port is given: a way of its own to be bound (vnic type), a QoS policy, DHCP "
    "options, port forwardings of a floating IP.",
    "Make the port beforehand as it should be, with what is forwarded to it, and name it (--port MAC=ID).",
)
NOT_ONE_MOMENT = warning(
    "not-one-moment",
    "The server runs with several disks and can't be frozen: in a copy of it each disk is of a moment of its own, some "
    "seconds apart. The last copy of a migration is made when it is off.",
    "To have one moment: qemu-guest-agent in the guest, and hw_qemu_guest_agent=yes and os_require_quiesce=yes among "
    "the image properties of its first volume.",
)
QUIESCE_IMPOSSIBLE = blocker(
    "quiesce-impossible",
    "The running guest is to be frozen (--quiesce), and Nova can't freeze the server.",
    "Do without, or see to it: qemu-guest-agent in the guest, a first disk that is a volume, and "
    "hw_qemu_guest_agent=yes and os_require_quiesce=yes among its image properties when the server is made.",
)
ROOT_NOT_TRACKED = warning(
    "root-disk-not-tracked",
    "Warm: the server's root disk is no volume. For each sync an image and a volume are made of it, and all of it is "
    "read and compared.",
    "Move it cold, if it is large.",
)
STOPPED_BY_NOVA = warning(
    "stopped-by-nova",
    "Nova stops the server: it asks the guest, and cuts its power when that takes longer than Nova's own time, 60 s "
    "unless the cloud or the image (os_shutdown_timeout) says otherwise, also without --force-power-off. "
    "--shutdown-timeout can't lengthen that.",
    "Shut a guest that takes longer down from inside, and migrate it then.",
)


def openstack_concerns(machine: Machine, request: MigrationRequest, *, keeps_ports: bool = False) -> Iterator[Concern]:
    """Yield concerns, none of a machine from elsewhere. `keeps_ports`: the new server gets the ports of this one."""
    if not machine.platform.traits.as_server:
        return
    name, server = machine.name, machine.server
    if server.status:
        yield SERVER_STATE(name, f"{name} is in state {server.status}.")
    stops = machine.power is PowerState.ON and request.type in (MigrationType.COLD, MigrationType.WARM)
    if server.locked and stops:
        yield SERVER_LOCKED(name, f"{name} is locked, and can't be stopped.")
    if server.relay:
        yield SERVER_IS_RELAY(name, f"{name} is one of Longshore's own servers.")
    if encrypted := [disk.name or disk.key for disk in machine.disks if disk.encrypted]:
        yield VOLUMES_ENCRYPTED(name, f"Volumes of {name} are encrypted: {', '.join(encrypted)}.")
    if server.unseen_volumes:
        yield VOLUMES_UNSEEN(name, f"{name} has {server.unseen_volumes} volume(s) that the account may not see.")
    if server.ephemeral_gib or server.swap_mib:
        has = f"{server.ephemeral_gib} GiB ephemeral, {server.swap_mib} MiB swap"
        yield EPHEMERAL_DISKS(name, f"{name} has disks on its compute node only: {has}.")
    if server.config_drive:
        yield CONFIG_DRIVE(name, f"{name} has a config drive, which stays behind.")
    if server.port_security_off:
        yield PORT_SECURITY_OFF(name, f"A port of {name} has port security switched off; at the target it has it.")
    if not keeps_ports:
        yield from _lost_with_ports(machine, request)
    yield from _copies(machine, request)


def _lost_with_ports(machine: Machine, request: MigrationRequest) -> Iterator[Concern]:
    """Yield what is lost with ports for which new ones are made."""
    for nic in with_new_ports(machine, request):
        if nic.port_features:
            text = f"{nic.label} of {machine.name} has {', '.join(nic.port_features)}, which stays behind."
            yield PORT_FEATURES_LEFT(nic.label, text)


def _copies(machine: Machine, request: MigrationRequest) -> Iterator[Concern]:
    name, running = machine.name, machine.power is PowerState.ON
    while_it_runs = running and request.type in (MigrationType.WARM, MigrationType.DRY_RUN)
    if while_it_runs and request.quiesce and not machine.freezes:
        yield QUIESCE_IMPOSSIBLE(name, f"{name} is to be frozen, and can't be.")
    elif while_it_runs and len(machine.disks) > 1 and not machine.freezes:
        yield NOT_ONE_MOMENT(name, f"{name} runs with {len(machine.disks)} disks and can't be frozen.")
    if request.type is MigrationType.WARM and not all(disk.tracked for disk in machine.disks):
        yield ROOT_NOT_TRACKED(name, f"The root disk of {name} is no volume: each sync reads all of it.")
    if running and request.type is not MigrationType.DRY_RUN:
        yield STOPPED_BY_NOVA(name, f"Nova stops {name}, and cuts its power when the guest takes too long.")
