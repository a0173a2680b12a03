"""Guests in the shapes that users have, as far as looking at them and finishing them needs: as a rule no programs.

Each is built on the disks of a running appliance, which `wipe` makes empty again for the next: one start is enough for
many. Kernels are lists of modules and an initramfs with the names of some.
"""

import gzip
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import guestfs

from longshore.guests.appliance import BACKEND

DISKS = 2
DISK_SIZE = 512 << 20  # bytes, hardly any of them written
KERNEL = "5.14.0-427.el9.x86_64"
HELD = ("vmw_pvscsi", "sd_mod", "ahci")  # modules in the initramfs
SHELL = Path("/bin/busybox")  # the static one: the made-up systems have no libraries
_FOUND_BY = ("/bin", "/etc", "/boot", "/dev", "/proc", "/sys", "/tmp", "/usr/sbin", "/var/lib")
_SYSTEMD = "/usr/lib/systemd/network"
_UUID = "6d3f1c52-7b0e-4a55-9f52-5d1c0a41e0"

Tree = Mapping[str, str]


def start(directory: Path, environment: dict[str, str]) -> guestfs.GuestFS:
    """Start an appliance with empty disks, made in that directory."""
    # Without KVM: it is there on some test machines, and guests hang on it
    for name, value in {**BACKEND, "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}.items():
        environment.setdefault(name, value)
    handle = guestfs.GuestFS(python_return_dict=True)
    for number in range(DISKS):
        disk = directory / f"disk{number}.raw"
        with disk.open("wb") as file:
            file.truncate(DISK_SIZE)
        handle.add_drive_opts(str(disk), format="raw")
    handle.launch()
    return handle


def wipe(files: guestfs.GuestFS) -> None:
    files.umount_all()
    files.lvm_remove_all()
    for opened in files.list_dm_devices():
        files.cryptsetup_close(opened)
    for array in files.list_md_devices():
        files.md_stop(array)
    for disk in files.list_devices():
        for part in [p for p in files.list_partitions() if p.startswith(disk)]:
            files.wipefs(part)
        files.wipefs(disk)
        files.zero(disk)
        with suppress(RuntimeError):  # the table that is gone is still known to the kernel
            files.blockdev_rereadpt(disk)


def cpio(names: Iterable[str]) -> bytes:
    return b"".join(_entry(name.encode()) for name in (*names, "TRAILER!!!"))


def _entry(name: bytes) -> bytes:
    fields = [0, 0o100644, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(name) + 1, 0]
    raw = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
    return raw + bytes(-len(raw) % 4)


def write(files: guestfs.GuestFS, tree: Tree) -> None:
    """Write files by their paths; directories on the way are made."""
    for path, text in tree.items():
        files.mkdir_p(path.rpartition("/")[0] or "/")
        files.write(path, text.encode())


def add_kernel(files: guestfs.GuestFS, initramfs: str, held: Sequence[str] = HELD, version: str = KERNEL) -> None:
    modules = f"/lib/modules/{version}"
    dep = "".join(f"kernel/{name}.ko:\n" for name in (*held, "vmxnet3"))
    write(files, {f"{modules}/modules.builtin": "", f"{modules}/modules.dep": dep, f"/boot/vmlinuz-{version}": "x"})
    files.write(initramfs, gzip.compress(cpio(f"lib/modules/{version}/{name}.ko" for name in held)))


def add_debian_programs(files: guestfs.GuestFS, version: str = KERNEL) -> None:
    """Add what virt-v2v asks of a Debian: a package of a kernel with virtio, dpkg to list it, a new initramfs, a
    menu."""
    files.upload(str(SHELL), "/bin/busybox")
    for name in ("sh", "ls", "cp", "touch"):
        files.ln_s("busybox", f"/bin/{name}")
    modules = f"/lib/modules/{version}"
    for name in ("virtio_blk", "virtio_net"):
        files.ln_s("/bin/busybox", f"{modules}/{name}.ko")  # an ELF file: it tells the kernel's architecture
    package = f"linux-image-{version}"
    listed = "".join(f"echo {path}\n" for path in (f"/boot/vmlinuz-{version}", modules))
    tree = {
        "/var/lib/dpkg/status": f"Package: {package}\nStatus: install ok installed\nArchitecture: amd64\n"
        "Version: 1.0-1\nDescription: a kernel\n\n",
        "/usr/bin/dpkg": f"#!/bin/sh\n{listed}",
        "/usr/sbin/update-initramfs": f"#!/bin/sh\necho made anew >/boot/initrd.img-{version}\n",
        "/etc/initramfs-tools/modules": "",
        "/usr/sbin/update-grub": "#!/bin/sh\n",
        "/usr/sbin/grub-mkconfig": "#!/bin/sh\n",
    }
    write(files, tree)
    files.mkdir_p("/etc/modprobe.d")  # where it tells the guest of its new drivers
    for program in ("/bin/busybox", *(path for path in tree if "/bin/" in path or "/sbin/" in path)):
        files.chmod(0o755, program)


def add_system(files: guestfs.GuestFS, tree: Tree, *, systemd: bool = True) -> None:
    for directory in (*_FOUND_BY, *((_SYSTEMD,) if systemd else ())):
        files.mkdir_p(directory)
    write(files, tree)


def os_release(name: str, version: str, product: str) -> Tree:
    return {"/etc/os-release": f'ID="{name}"\nVERSION_ID="{version}"\nPRETTY_NAME="{product}"\n', "/etc/hostname": name}


def grub_menu(uuid: str, options: str, *, kernel: str = f"/boot/vmlinuz-{KERNEL}", initramfs: str) -> str:
    return (
        f"set default=\"0\"\nset root='hd0,msdos1'\nsearch --no-floppy --fs-uuid --set=root {uuid}\n"
        f"menuentry 'Linux' {{\n\tlinux {kernel} root=UUID={uuid} {options}\n\tinitrd {initramfs}\n}}\n"
    )


def _one_partition(files: guestfs.GuestFS, disk: str = "/dev/sda") -> str:
    files.part_disk(disk, "mbr")
    return f"{disk}1"


def _subvolume(files: guestfs.GuestFS, device: str, name: str) -> None:
    """Make a subvolume and mount it."""
    files.umount_all()
    files.mount(device, "/")
    files.mkdir_p(f"/{name}".rpartition("/")[0] or "/")
    files.btrfs_subvolume_create(f"/{name}")
    files.umount_all()
    files.mount_options(f"subvol={name}", device, "/")


def debian_subvolume(files: guestfs.GuestFS) -> None:
    """Build what Debian's installer makes on btrfs: the root is the subvolume @rootfs."""
    device = _one_partition(files)
    files.mkfs("btrfs", device)
    uuid = files.vfs_uuid(device)
    _subvolume(files, device, "@rootfs")
    initramfs = f"/boot/initrd.img-{KERNEL}"
    menu = grub_menu(
        uuid, "ro rootflags=subvol=@rootfs", kernel=f"/@rootfs/boot/vmlinuz-{KERNEL}", initramfs=f"/@rootfs{initramfs}"
    )
    tree = {
        **os_release("debian", "13", "Debian GNU/Linux 13 (trixie)"),
        "/etc/debian_version": "13.1\n",
        "/etc/fstab": f"UUID={uuid} / btrfs defaults,subvol=@rootfs 0 0\n",
        "/etc/network/interfaces": "iface ens192 inet dhcp\n",
        "/etc/default/grub": 'GRUB_CMDLINE_LINUX="quiet"\n',
        "/boot/grub/grub.cfg": menu,
    }
    add_system(files, tree)
    add_kernel(files, initramfs)
    files.umount_all()


def ubuntu_timeshift(files: guestfs.GuestFS) -> None:
    """Build an Ubuntu on btrfs with a snapshot by Timeshift: the root is the subvolume @, the default one is empty."""
    device = _one_partition(files)
    files.mkfs("btrfs", device)
    uuid = files.vfs_uuid(device)
    _subvolume(files, device, "@")
    tree = {
        **os_release("ubuntu", "22.04", "Ubuntu 22.04.4 LTS"),
        "/etc/lsb-release": 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\nDISTRIB_DESCRIPTION="Ubuntu 22.04.4 LTS"\n',
        "/etc/fstab": f"UUID={uuid} / btrfs defaults,subvol=@ 0 1\n",
        "/etc/netplan/50-cloud-init.yaml": "network:\n  ethernets:\n    ens192: {dhcp4: true}\n",
    }
    add_system(files, tree)
    add_kernel(files, f"/boot/initrd.img-{KERNEL}")
    files.umount_all()
    files.mount(device, "/")
    files.mkdir_p("/timeshift-btrfs/snapshots/2024-05-01_10-00-01")
    files.btrfs_subvolume_snapshot("/@", "/timeshift-btrfs/snapshots/2024-05-01_10-00-01/@")
    files.umount_all()


def sles_snapper(files: guestfs.GuestFS, *, snapshots: int = 3) -> None:
    """SLES as its installer leaves it, and snapper after it: the root is the first snapshot, the default subvolume."""
    device = _one_partition(files)
    files.mkfs("btrfs", device)
    uuid = files.vfs_uuid(device)
    _subvolume(files, device, "@")
    files.umount_all()
    files.mount(device, "/")
    for name in (".snapshots", "var", "home", "root"):
        files.btrfs_subvolume_create(f"/@/{name}")
    files.mkdir("/@/.snapshots/1")
    files.btrfs_subvolume_create("/@/.snapshots/1/snapshot")
    numbers = {entry["btrfssubvolume_path"]: entry["btrfssubvolume_id"] for entry in files.btrfs_subvolume_list("/")}
    files.btrfs_subvolume_set_default(numbers["@/.snapshots/1/snapshot"], "/")
    files.umount_all()
    files.mount(device, "/")
    tree = {
        **os_release("sles", "15.5", "SUSE Linux Enterprise Server 15 SP5"),
        "/etc/fstab": f"UUID={uuid} / btrfs defaults 0 0\n"
        + "".join(
            f"UUID={uuid} /{name} btrfs subvol=/@/{name} 0 0\n" for name in ("var", "home", "root", ".snapshots")
        ),
        "/etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n",
        "/etc/default/grub": 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_TERMINAL="gfxterm"\n',
        "/boot/grub2/grub.cfg": grub_menu(uuid, "quiet", initramfs=f"/boot/initrd-{KERNEL}"),
    }
    add_system(files, tree)
    for name in ("var", "home", "root", ".snapshots"):
        files.mkdir_p(f"/{name}")
    add_kernel(files, f"/boot/initrd-{KERNEL}")
    files.umount_all()
    files.mount_options("subvolid=5", device, "/")
    for number in range(2, 2 + snapshots):
        files.mkdir(f"/@/.snapshots/{number}")
        files.btrfs_subvolume_snapshot("/@/.snapshots/1/snapshot", f"/@/.snapshots/{number}/snapshot", ro=True)
    files.umount_all()


_BLS = "/boot/loader/entries/0123456789abcdef0123456789abcdef-{}.conf"


def _red_hat(files: guestfs.GuestFS, name: str, version: str, product: str, options: str, extra: Tree) -> None:
    """A system of that family, with its boot loader's entries, on what is mounted."""
    entry = (
        f"title {product}\nversion {KERNEL}\nlinux /vmlinuz-{KERNEL}\ninitrd /initramfs-{KERNEL}.img\n"
        f"options {options}\ngrub_users $grub_users\n"
    )
    tree = {
        **os_release(name, version, product),
        "/etc/redhat-release": f"{product}\n",
        "/etc/default/grub": f'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="{options}"\nGRUB_ENABLE_BLSCFG=true\n',
        "/boot/grub2/grub.cfg": 'set default="${saved_entry}"\ninsmod blscfg\nblscfg\n',
        _BLS.format(KERNEL): entry,
        _BLS.format("0-rescue"): entry.replace(KERNEL, "0-rescue"),
        **extra,
    }
    add_system(files, tree)
    add_kernel(files, f"/boot/initramfs-{KERNEL}.img")
    files.umount_all()


def fedora_subvolume(files: guestfs.GuestFS) -> None:
    """Fedora as its installer leaves it: /boot is ext4, the root and /home are subvolumes."""
    files.part_init("/dev/sda", "mbr")
    files.part_add("/dev/sda", "p", 2048, 262143)
    files.part_add("/dev/sda", "p", 262144, -1)
    files.mkfs("ext4", "/dev/sda1")
    files.mkfs("btrfs", "/dev/sda2")
    uuid, boot = files.vfs_uuid("/dev/sda2"), files.vfs_uuid("/dev/sda1")
    _subvolume(files, "/dev/sda2", "home")
    _subvolume(files, "/dev/sda2", "root")
    files.mkdir("/boot")
    files.mkdir("/home")
    files.mount("/dev/sda1", "/boot")
    extra = {
        "/etc/fstab": f"UUID={uuid} / btrfs subvol=root 0 0\nUUID={boot} /boot ext4 defaults 1 2\n"
        f"UUID={uuid} /home btrfs subvol=home 0 0\n",
        "/etc/fedora-release": "Fedora release 40 (Forty)\n",
        "/etc/NetworkManager/system-connections/lan.nmconnection": "[connection]\ninterface-name=ens192\n",
    }
    _red_hat(files, "fedora", "40", "Fedora Linux 40", f"root=UUID={uuid} ro rootflags=subvol=root rhgb quiet", extra)


def rhel_lvm(files: guestfs.GuestFS) -> None:
    """RHEL 9 as its installer leaves it but for XFS, which not every appliance makes: the root on LVM, SELinux on."""
    files.part_init("/dev/sda", "mbr")
    files.part_add("/dev/sda", "p", 2048, 262143)
    files.part_add("/dev/sda", "p", 262144, -1)
    files.pvcreate("/dev/sda2")
    files.vgcreate("rhel", ["/dev/sda2"])
    files.lvcreate_free("root", "rhel", 100)
    files.mkfs("ext4", "/dev/sda1")
    files.mkfs("ext4", "/dev/rhel/root")
    boot = files.vfs_uuid("/dev/sda1")
    files.mount("/dev/rhel/root", "/")
    files.mkdir("/boot")
    files.mount("/dev/sda1", "/boot")
    extra = {
        "/etc/fstab": f"/dev/mapper/rhel-root / ext4 defaults 0 0\nUUID={boot} /boot ext4 defaults 0 0\n",
        "/etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
        "/etc/NetworkManager/system-connections/ens192.nmconnection": "[connection]\ninterface-name=ens192\n",
    }
    _red_hat(
        files, "rhel", "9.4", "Red Hat Enterprise Linux 9.4 (Plow)", "root=/dev/mapper/rhel-root ro rhgb quiet", extra
    )


def el6(files: guestfs.GuestFS) -> None:
    """Build a CentOS 6: GRUB legacy, no systemd, interfaces called eth0 by udev's rules."""
    device = _one_partition(files)
    files.mkfs("ext4", device)
    uuid = files.vfs_uuid(device)
    files.mount(device, "/")
    version = "2.6.32-754.el6.x86_64"
    rule = 'SUBSYSTEM=="net", ACTION=="add", ATTR{{address}}=="{}", KERNEL=="eth*", NAME="{}"\n'
    tree = {
        "/etc/redhat-release": "CentOS release 6.10 (Final)\n",
        "/etc/centos-release": "CentOS release 6.10 (Final)\n",
        "/etc/sysconfig/network": "NETWORKING=yes\nHOSTNAME=old.example.com\n",
        "/etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nHWADDR=00:50:56:00:00:01\nBOOTPROTO=dhcp\n",
        "/etc/udev/rules.d/70-persistent-net.rules": rule.format("00:50:56:00:00:01", "eth0"),
        "/etc/fstab": f"UUID={uuid} / ext4 defaults 1 1\n/dev/sda2 swap swap defaults 0 0\n",
        "/boot/grub/grub.conf": "default=0\ntimeout=5\ntitle CentOS 6\n\troot (hd0,0)\n"
        f"\tkernel /boot/vmlinuz-{version} ro root=UUID={uuid} rhgb quiet\n\tinitrd /boot/initramfs-{version}.img\n",
    }
    add_system(files, tree, systemd=False)
    files.ln_s("grub.conf", "/boot/grub/menu.lst")
    add_kernel(files, f"/boot/initramfs-{version}.img", version=version)
    files.umount_all()


def debian_lvm_on_md(files: guestfs.GuestFS) -> None:
    """Build a Debian on two disks as a mirror, LVM on it."""
    for disk in ("/dev/sda", "/dev/sdb"):
        files.part_disk(disk, "mbr")
    files.md_create("mirror", ["/dev/sda1", "/dev/sdb1"], level="raid1")
    array = files.list_md_devices()[0]
    files.pvcreate(array)
    files.vgcreate("vg", [array])
    files.lvcreate_free("root", "vg", 100)
    files.mkfs("ext4", "/dev/vg/root")
    files.mount("/dev/vg/root", "/")
    tree = {
        **os_release("debian", "12", "Debian GNU/Linux 12 (bookworm)"),
        "/etc/debian_version": "12.5\n",
        "/etc/fstab": "/dev/vg/root / ext4 defaults 0 1\n",
    }
    add_system(files, tree)
    add_kernel(files, f"/boot/initrd.img-{KERNEL}")
    files.umount_all()


def _luks_format(files: guestfs.GuestFS, device: str, key: str) -> None:
    """Format a device by LUKS, bound to Clevis, too. Made outside: the appliance would make a key that takes it minutes
    to try."""
    cheap = ("--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    with tempfile.NamedTemporaryFile() as header:
        header.truncate(32 << 20)
        cryptsetup = partial(subprocess.run, check=True)
        cryptsetup(["cryptsetup", "luksFormat", "-q", *cheap, "--key-file", "-", header.name], input=key.encode())
        token = b'{"type": "clevis", "keyslots": ["0"], "jwe": {}}'
        cryptsetup(["cryptsetup", "token", "import", "--json-file", "-", header.name], input=token)
        files.upload(header.name, device)


def debian_lvm_on_luks(files: guestfs.GuestFS, key: str) -> None:
    """Build what Debian's installer makes with encryption: /boot in clear, and the root on LVM inside LUKS, which is
    closed again."""
    files.part_init("/dev/sda", "mbr")
    files.part_add("/dev/sda", "p", 2048, 262143)
    files.part_add("/dev/sda", "p", 262144, -1)
    files.mkfs("ext4", "/dev/sda1")
    _luks_format(files, "/dev/sda2", key)
    files.cryptsetup_open("/dev/sda2", key, "sda2_crypt")
    files.pvcreate("/dev/mapper/sda2_crypt")
    files.vgcreate("safe", ["/dev/mapper/sda2_crypt"])
    files.lvcreate_free("root", "safe", 100)
    files.mkfs("ext4", "/dev/safe/root")
    files.mount("/dev/safe/root", "/")
    files.mkdir("/boot")
    files.mount("/dev/sda1", "/boot")
    boot = files.vfs_uuid("/dev/sda1")
    tree = {
        **os_release("debian", "12", "Debian GNU/Linux 12 (bookworm)"),
        "/etc/debian_version": "12.5\n",
        "/etc/fstab": f"/dev/mapper/safe-root / ext4 defaults 0 1\nUUID={boot} /boot ext4 defaults 0 2\n",
        "/etc/crypttab": f"sda2_crypt UUID={files.vfs_uuid('/dev/sda2')} none luks,discard\n",
        "/etc/network/interfaces": "iface ens192 inet dhcp\n",
        "/etc/default/grub": 'GRUB_CMDLINE_LINUX="quiet"\n',
        "/boot/grub/grub.cfg": grub_menu(
            boot, "root=/dev/mapper/safe-root ro quiet", kernel=f"/vmlinuz-{KERNEL}", initramfs=f"/initrd.img-{KERNEL}"
        ),
    }
    add_system(files, tree)
    add_kernel(files, f"/boot/initrd.img-{KERNEL}")
    add_debian_programs(files)
    files.umount_all()
    files.vg_activate_all(False)
    files.cryptsetup_close("/dev/mapper/sda2_crypt")


def two_systems(files: guestfs.GuestFS) -> None:
    """Build a Debian on each disk."""
    for disk, version in (("/dev/sda", "12"), ("/dev/sdb", "13")):
        device = _one_partition(files, disk)
        files.mkfs("ext4", device)
        files.mount(device, "/")
        tree = {
            **os_release("debian", version, f"Debian GNU/Linux {version}"),
            "/etc/debian_version": f"{version}.1\n",
            "/etc/fstab": f"{device} / ext4 defaults 0 1\n",
        }
        add_system(files, tree)
        files.umount_all()


Builder = Callable[[guestfs.GuestFS], None]
