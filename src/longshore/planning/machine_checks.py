"""Concerns at the source about moving a machine: its state, its devices, its disks, and what won't come along."""

from collections.abc import Iterator

from longshore.border.texts import some
from longshore.model.concern import Concern, Severity
from longshore.model.machine import Disk, Machine, PowerState
from longshore.model.request import CopyRequest, MigrationRequest, MigrationType
from longshore.planning.file_checks import file_concerns
from longshore.planning.kinds import blocker, information, warning
from longshore.planning.reading_checks import export_concerns, ssh_concerns

MACHINE_UNREADABLE = blocker(
    "machine-unreadable",
    "The source can't say what the machine consists of: it is orphaned or inaccessible, the account may not see it, or "
    "its files are damaged or refused.",
    "Repair it at the source, or give the account the right to read it.",
)
HOST_DISCONNECTED = blocker(
    "host-disconnected",
    "The host of the machine is out of touch with its vCenter, so nothing can be asked of the machine.",
    "Bring the host back, or let another one run the machine.",
)
MACHINE_SUSPENDED = blocker(
    "machine-suspended",
    "The machine is suspended: its memory is part of its state, and can't be carried over.",
    "Resume it, or power it off.",
)
NO_WAY_TO_DISKS = blocker(
    "no-way-to-disks",
    "The provider was told no way to read disks: neither where VMware's disk library (VDDK) is, nor any other.",
    "Give it the library (longshore provider set PROVIDER --vddk-libdir DIR), a proxy (--transport proxy --proxy "
    "MACHINE) or SSH to the hosts (--transport ssh). Without any, vSphere itself can export disks (--transport "
    "export): for cold moves, dry runs and backups alone, each as a whole, over one connection, and from its first "
    "byte again when that breaks.",
)
MACHINE_IS_TEMPLATE = blocker(
    "machine-is-template", "The machine is a template.", "Deploy a machine from it and move that."
)
MACHINE_IS_PROXY = blocker(
    "machine-is-proxy",
    "The machine is a proxy: the provider attaches other machines' disks to it, to read them there.",
    "Leave it where it is.",
)
FAULT_TOLERANCE = blocker(
    "fault-tolerance",
    "The machine is protected by Fault Tolerance: vSphere takes no snapshot of it that could be copied.",
    "Turn Fault Tolerance off.",
)
MACHINE_ENCRYPTED = blocker(
    "machine-encrypted",
    "The machine is encrypted. Its disks can be read only by an account with the right to decrypt them "
    "(Cryptographer.Access), and arrive in clear.",
    "Give the account that right and accept this, or decrypt the machine.",
    acceptable=True,
)
PCI_PASSTHROUGH = blocker(
    "pci-passthrough",
    "A device of the host (a graphics card, say) is passed through to the machine: it stays behind, and vSphere takes "
    "no snapshot of such a machine while it runs.",
    "Remove the device, and ask for a flavor that has one like it.",
    acceptable=True,
)
SRIOV = warning(
    "sriov", "A network adapter is a piece of a physical one (SR-IOV). It becomes a virtual adapter.", "Test its speed."
)
USB_DEVICE = warning("usb-device", "A USB device is plugged into the machine. It stays behind.", "Unplug it.")
DEVICE_LEFT_BEHIND = warning(
    "device-left-behind",
    "The machine has a device that is neither a disk nor an adapter, and holds data or is the host's: persistent "
    "memory (NVDIMM), a SCSI device, a serial or parallel port, a drive with a disc in it. It stays behind.",
    "Copy what it holds to a disk in the guest, or reach it by the network. An image that nobody needs can be ejected.",
)
GUEST_SETTINGS_LEFT = warning(
    "guest-settings-left",
    "vSphere gives the guest settings to read: guestinfo.* of its configuration, or properties of a vApp, by which "
    "cloud-init, Ignition or an appliance is set up. They aren't carried over; their values, which may be passwords, "
    "are shown nowhere.",
    "Give the server what its guest needs of them as user data (--user-data), or write it into a file of the guest.",
)
CPU_AFFINITY = warning(
    "cpu-affinity",
    "The machine is pinned to processors of its host. That isn't carried over.",
    "Name a flavor that pins processors (hw:cpu_policy), if it needs that.",
)
MEMORY_AFFINITY = warning(
    "memory-affinity",
    "The machine is pinned to NUMA nodes of its host. That isn't carried over.",
    "Name a flavor with a NUMA topology (hw:numa_nodes), if it needs that.",
)
HOST_AFFINITY = warning(
    "host-affinity",
    "Rules of its cluster tie the machine to hosts, to other machines, or away from them. They aren't carried over.",
    "Name a server group or an availability zone that does the same.",
)
VIRTUALIZES = warning(
    "virtualizes",
    "The guest is given the processor's virtualization, for machines of its own (nested virtualization) or for "
    "Windows' virtualization-based security. A server has it only where the target's compute nodes hand it on.",
    "Ask the target's operator whether they do (nested KVM), or try it in a dry run.",
)
MACHINE_MANAGED = warning(
    "machine-managed",
    "Another product has made the machine and looks after it: vSphere's own cluster services (vCLS), NSX, Cloud "
    "Director and others. It may start the machine again, make it anew, or miss it.",
    "Leave vSphere's own machines where they are. Of others see first what their product says when they are off.",
)
CPU_HOT_ADD = information(
    "cpu-hot-add",
    "Processors can be added to the machine while it runs. A server gets more by a resize, which restarts it.",
)
MEMORY_HOT_ADD = information(
    "memory-hot-add",
    "Memory can be added to the machine while it runs. A server gets more by a resize, which restarts it.",
)
BALLOONING = warning(
    "ballooning",
    "The host is short of memory and has taken some away from the machine: it uses more than it seems to.",
    "Choose the flavor by what the machine is configured with, not by what it seems to use.",
)
BOOTS_ELSEWHERE = warning(
    "boots-elsewhere",
    "By its boot order the machine tries a network adapter or a drive before its disks. The server boots from the "
    "first of its disks in that order.",
    "See that this disk boots by itself: a dry run tells.",
)
MACHINE_HAS_SNAPSHOTS = information(
    "machine-has-snapshots", "The machine has snapshots: its present state is moved, they are not."
)
CONSOLIDATION_NEEDED = warning(
    "consolidation-needed",
    "Disks of the machine have layers left over from removed snapshots: reading is slower, and a further snapshot may "
    "be hard to remove.",
    "Consolidate its disks at the source.",
)
TRACKING_OFF = information(
    "change-tracking-off",
    "Warm: the machine doesn't track changed blocks. Tracking is switched on for the migration, with a snapshot that "
    "is removed at once, and off again at its end.",
)
TRACKING_UNSUPPORTED = warning(
    "change-tracking-unsupported",
    "Warm: the machine can't track changed blocks, so each sync reads and compares whole disks.",
    "Upgrade its virtual hardware to version 7 or newer, or move it cold.",
)
TRACKING_NEEDS_NO_SNAPSHOTS = warning(
    "change-tracking-needs-no-snapshots",
    "Warm: change tracking is off and can't be switched on while the machine has snapshots, so each sync reads and "
    "compares whole disks.",
    "Remove its snapshots, or move it cold.",
)

WARM_OF_WHAT_NEVER_RUNS = blocker(
    "warm-of-what-never-runs",
    "Warm: the machine never runs where it is, so nothing changes that could be copied later.",
    "Move it cold.",
)

MACHINE_WITHOUT_DISKS = blocker("machine-without-disks", "The machine has no disk.", "There is nothing to move.")
DISK_OF_ZERO_SIZE = blocker("disk-of-zero-size", "A disk has no size.", "Remove the disk.")
DISK_RAW_DEVICE = blocker(
    "disk-raw-device",
    "A disk is a raw device mapping: a LUN rather than a file. In virtual compatibility it can be copied; in physical "
    "compatibility it is independent too, and can't.",
    "Make it a virtual disk (a move to another datastore does it), or copy it in the guest.",
    acceptable=True,
)
DISK_INDEPENDENT = blocker(
    "disk-independent",
    "A disk is independent: snapshots leave it out, and only a snapshot is copied.",
    "Change its mode to dependent.",
)
DISK_SHARED = blocker(
    "disk-shared",
    "A disk is shared with other machines (multi-writer, or a controller that shares its bus): no snapshot holds what "
    "they write, and vSphere often takes none.",
    "Detach it first, or shut all machines that use it down and accept this.",
    acceptable=True,
)

_NAMED = 5  # settings, in a sentence


def against_a_move(machine: Machine) -> list[tuple[Concern, bool]]:
    """Return what of a machine itself stands against a cold move, blockers first; then what stands against a warm one.
    Each comes with whether it stands against a warm one alone. Nobody asks for a warm one of what never runs."""
    order = list(Severity)
    cold = sorted(machine_concerns(machine, MigrationRequest()), key=lambda one: order.index(one.severity))
    warm = () if machine.never_runs else machine_concerns(machine, MigrationRequest(type=MigrationType.WARM))
    only_warm = [one for one in warm if one.severity is Severity.BLOCKER and one not in cold]
    return [*((one, False) for one in cold), *((one, True) for one in only_warm)]


def machine_concerns(machine: Machine, request: CopyRequest) -> Iterator[Concern]:
    """Yield concerns about everything but the guest."""
    yield from _state(machine)
    yield from _host_features(machine)
    yield from _devices(machine)
    yield from _snapshots(machine, request)
    yield from file_concerns(machine.file_doubts)
    yield from ssh_concerns(machine, request)
    yield from export_concerns(machine, request)
    if not machine.disks and not machine.unreadable:
        yield MACHINE_WITHOUT_DISKS(machine.name, f"{machine.name} has no disk.")
    for disk in machine.disks:
        yield from _disk(machine, disk)


def _state(machine: Machine) -> Iterator[Concern]:
    name = machine.name
    if machine.connection:
        yield HOST_DISCONNECTED(name, f"{name} is {machine.connection}: its host can't be asked about it.")
    if machine.unreadable:
        why = machine.unreadable_because.rstrip(".")
        yield MACHINE_UNREADABLE(name, f"The source can't say what {name} consists of{why and ': '}{why}.")
    if machine.no_way:
        yield NO_WAY_TO_DISKS(name, f"{name} can't be read: its provider was told no way to read disks.")
    if machine.power is PowerState.SUSPENDED:
        yield MACHINE_SUSPENDED(name, f"{name} is suspended.")
    if machine.template:
        yield MACHINE_IS_TEMPLATE(name, f"{name} is a template.")
    if machine.proxy:
        yield MACHINE_IS_PROXY(name, f"{name} is a proxy: other machines' disks are attached to it, and read there.")
    if machine.encrypted:
        yield MACHINE_ENCRYPTED(name, f"{name} is encrypted.")
    if machine.boots_first_from:
        text = f"{name} boots from {machine.boots_first_from} first; the server from its first disk."
        yield BOOTS_ELSEWHERE(name, text)


def _host_features(machine: Machine) -> Iterator[Concern]:
    name, has = machine.name, machine.host_features
    if has.fault_tolerance:
        yield FAULT_TOLERANCE(name, f"{name} is protected by Fault Tolerance ({has.fault_tolerance}).")
    if has.cpu_affinity:
        yield CPU_AFFINITY(name, f"{name} is pinned to processors of its host.")
    if has.memory_affinity:
        yield MEMORY_AFFINITY(name, f"{name} is pinned to NUMA nodes of its host.")
    if has.rules:
        yield HOST_AFFINITY(name, f"Rules of its cluster hold for {name}: {', '.join(has.rules)}.")
    if has.virtualizes:
        yield VIRTUALIZES(name, f"{name} may run virtual machines of its own; the server can't everywhere.")
    if has.managed_by:
        yield MACHINE_MANAGED(name, f"{name} is managed by {has.managed_by}.")
    if has.cpu_hot_add:
        yield CPU_HOT_ADD(name, f"{name} can be given more CPUs while it runs; the server can't.")
    if has.memory_hot_add:
        yield MEMORY_HOT_ADD(name, f"{name} can be given more memory while it runs; the server can't.")
    if has.guest_settings:
        left = some(has.guest_settings, _NAMED)
        yield GUEST_SETTINGS_LEFT(name, f"vSphere gives {name} settings that aren't carried over: {left}.")
    if has.ballooned_mib:
        yield BALLOONING(name, f"The host has taken {has.ballooned_mib} MiB of memory away from {name}.")


def _devices(machine: Machine) -> Iterator[Concern]:
    name, has = machine.name, machine.devices
    if has.passthrough:
        yield PCI_PASSTHROUGH(name, f"{has.passthrough} device(s) of the host are passed through to {name}.")
    for nic in machine.nics:
        if nic.model == "sriov":
            yield SRIOV(nic.label, f"{nic.label} of {name} is a piece of a physical adapter; it becomes a virtual one.")
    if has.usb:
        yield USB_DEVICE(name, f"A USB device is plugged into {name}; it stays behind.")
    if has.others:
        yield DEVICE_LEFT_BEHIND(name, f"{name} has further devices, which stay behind: {', '.join(has.others)}.")


def _snapshots(machine: Machine, request: CopyRequest) -> Iterator[Concern]:
    name = machine.name
    if machine.snapshots:
        yield MACHINE_HAS_SNAPSHOTS(
            name, f"{name} has {len(machine.snapshots)} snapshot(s): its present state is moved, they are not."
        )
    if machine.consolidation_needed:
        yield CONSOLIDATION_NEEDED(name, f"Disks of {name} need consolidation.")
    if request.type is not MigrationType.WARM or machine.change_tracking:
        return
    if machine.never_runs:
        yield WARM_OF_WHAT_NEVER_RUNS(name, f"{name} never runs where it is: it can be moved cold only.")
        return
    if not machine.can_track_changes:
        yield TRACKING_UNSUPPORTED(name, f"{name} can't track changed blocks: each sync reads all of its disks.")
    elif machine.snapshots:
        yield TRACKING_NEEDS_NO_SNAPSHOTS(
            name,
            f"{name} doesn't track changed blocks, and has snapshots, so that it can't be made to: "
            "each sync reads all of its disks.",
        )
    else:
        yield TRACKING_OFF(name, f"{name} doesn't track changed blocks; tracking is switched on for the migration.")


def _disk(machine: Machine, disk: Disk) -> Iterator[Concern]:
    what = f"{disk.label} of {machine.name}"
    if disk.size <= 0:
        yield DISK_OF_ZERO_SIZE(disk.label, f"{what} has no size.")
    if disk.raw_device:
        yield DISK_RAW_DEVICE(disk.label, f"{what} is a raw device mapping.")
    if disk.mode.startswith("independent"):
        mode = disk.mode.replace("_", " ")
        yield DISK_INDEPENDENT(disk.label, f"{what} is {mode}: snapshots leave it out.")
    if disk.shared:
        yield DISK_SHARED(disk.label, f"{what} is shared with other machines.")
