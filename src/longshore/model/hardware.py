"""Drivers that a guest can boot with, and the hardware that is chosen for it when it lands unchanged."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BootDrivers:
    """The drivers that an unchanged guest brings along for new hardware: found on its disks, or guessed from its
    present hardware.

    Drivers are called as Linux calls its modules (vmw_pvscsi, ahci, mptspi, virtio_blk, vmxnet3 …), Windows' too.
    """

    inspected: bool  # False: nobody has looked at the disks yet, or they can't be looked into (`doubts` says why)
    family: str = ""  # linux, windows, …; "" when nothing tells
    system: str = ""  # the operating system's full name, for people
    boot: tuple[str, ...] = ()  # of disk adapters: there when the root file system is to be mounted
    later: tuple[str, ...] = ()  # of disk adapters: there once the system runs, those of `boot` among them
    network: tuple[str, ...] = ()
    root_disks: tuple[int, ...] = (0,)  # positions of the disks without which the root file system can't be mounted
    # Devices that fstab, crypttab, units or the kernel's command line call by names of the hardware, such as /dev/sda1
    device_names: tuple[str, ...] = ()
    needed_names: tuple[str, ...] = ()  # those of them without whose device it doesn't boot
    lasting_names: tuple[str, ...] = ()  # those of them in units of systemd, where virt-v2v renames none
    interface_names: tuple[str, ...] = ()  # of the names asked about, those that the network configuration relies on
    fallback_loader: bool | None = None  # whether \EFI\BOOT\BOOTX64.EFI is there; None: there is no EFI partition
    mounts: dict[str, str] = field(default_factory=dict)  # mount point to device, as the appliance calls it
    uuids: dict[str, str] = field(default_factory=dict)  # mount point to the UUID of the file system there
    doubts: tuple[str, ...] = ()  # what couldn't be found out, one sentence each


@dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware on which the target runs a server: image properties of its root volume, and a bus for each disk."""

    image_properties: dict[str, str]
    disk_buses: tuple[str | None, ...]  # in the machine's order of disks; None: what the image properties say
    nic_model: str | None  # None: the target's own default
    finish: bool = False  # the guest's disks need `guests.finish_as_is` before it boots
    reasons: tuple[str, ...] = ()  # why this hardware, one sentence each
