"""Findings about a guest from a look onto its machine's disks, before anything on them is changed.

Plain data: it is kept as JSON, so whatever is added later needs a default.
"""

from dataclasses import dataclass, field

from longshore.model.hardware import BootDrivers
from longshore.model.machine import FileSystem


@dataclass(frozen=True, slots=True)
class FoundSystem:
    """One operating system on a machine's disks."""

    root: str  # the device of its root file system, as the appliance calls it
    family: str  # linux, windows, freebsd, …
    distribution: str = ""  # debian, rhel, windows, …; "unknown" when nothing tells
    version: str = ""  # major.minor; of Windows that of its kernel: 10.0 from Windows 10 to Server 2025
    product: str = ""  # its own full name
    architecture: str = ""  # x86_64, i386, …
    variant: str = ""  # Windows: Client, Server, …
    build: str = ""  # Windows: the number that tells 2016 (14393) from 2022 (20348)
    package_format: str = ""  # deb, rpm, …; "unknown" for Windows
    host_name: str = ""


@dataclass(frozen=True, slots=True)
class StaticAddresses:
    """Addresses that Windows itself gives to one of its interfaces."""

    interface: str  # Windows' own GUID for it
    addresses: tuple[str, ...]  # with prefix length: 192.0.2.7/24
    gateways: tuple[str, ...] = ()
    name_servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestFindings:
    """The findings on a machine's disks. Devices are called as the appliance calls them: /dev/sda2, /dev/vg/root."""

    inspected: bool = False  # whether one operating system was found and looked into
    why_not: str = ""  # a sentence; "" where it was
    systems: tuple[FoundSystem, ...] = ()
    drivers: BootDrivers = field(default_factory=lambda: BootDrivers(inspected=False))
    file_systems: tuple[FileSystem, ...] = ()  # those that the guest mounts at its boot
    hibernated: bool = False  # Windows is in hibernation, or was shut down by its fast startup, which is the same
    fast_startup: bool = False  # Windows goes into it at each shutdown from its own menu
    suspended: tuple[str, ...] = ()  # swap devices that hold the memory of a suspended Linux
    dirty: tuple[str, ...] = ()  # NTFS file systems that Windows hasn't closed: usual for a machine that runs
    luks: tuple[str, ...] = ()  # devices
    unlocked: tuple[str, ...] = ()  # those of them that a given key opens
    network_bound: tuple[str, ...] = ()  # those of the others that Clevis opens, by a server in their network
    bitlocker: tuple[str, ...] = ()  # devices
    dynamic_disks: tuple[str, ...] = ()  # whole disks under Windows' Logical Disk Manager
    pending_reboot: tuple[str, ...] = ()  # why Windows wants to be started again: what follows "because"
    vmware_tools: bool = False
    guest_agent: bool = False  # QEMU's
    serial_console: bool = False  # whether the kernel or a login prompt is set up to use one
    static_addresses: tuple[StaticAddresses, ...] = ()  # Windows'
    domain_controller: bool = False  # of a Windows domain
    san_policy: int | None = None  # Windows': what it does with disks that are new to it; None: what its edition does
    lost_letters: tuple[str, ...] = ()  # drive letters of Windows whose disks aren't among these
    # Linux: adapters that can't be given other addresses, by the MACs of their machine, and why
    unaddressable: dict[str, str] = field(default_factory=dict)
    vlans: tuple[str, ...] = ()  # Linux: names of the interfaces that it has on VLANs
    selinux_enforcing: bool = False
    root_in_fstab: bool = True  # False: only the kernel's command line says what / is
    read_only: tuple[str, ...] = ()  # where file systems are that can't be written to: a subvolume's property, squashfs
    immutable: tuple[str, ...] = ()  # files that a conversion changes, and that the guest keeps from all changes
    without_inodes: tuple[str, ...] = ()  # where file systems are that take hardly another file
    not_mounted: tuple[str, ...] = ()  # lines of fstab for parts of the system that couldn't be mounted by their names
    without_kernel: bool = False  # Linux: no kernel is there whose modules are there as well
    without_initramfs_tool: bool = False  # Linux: kernels have an initramfs, and nothing that virt-v2v knows makes one
    without_boot_menu: bool = False  # Linux: no GRUB has a menu where virt-v2v looks for one
    cloud_init: bool = False  # or Windows' cloudbase-init
    doubts: tuple[str, ...] = ()  # what couldn't be found out, one sentence each
    signature: str = (
        ""  # of what it boots by: the same at a later moment while that hasn't changed; "": it can't be told
    )
