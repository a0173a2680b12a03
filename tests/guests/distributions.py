"""Made-up guests that the converter takes for real ones: each family's release files, boot menu and package database.

Their package managers list the files of a kernel's packages as the real ones do, and its files are where those put
them. Programs are shell scripts that write down how they were called. They are made outside of any appliance, so a
test takes no longer than its conversion.
"""

import gzip
import sqlite3
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from phony import SHELL, cpio

UUID, EFI_UUID = "6d3f1c52-7b0e-4a55-9f52-5d1c0a41e0aa", "1234-ABCD"
COMMANDS = "/root/commands"  # how its programs were called
_MIB = 1 << 20
_SYSTEM, _EFI = 440, 40  # MiB
_APPLETS = (
    "sh",
    "cat",
    "ls",
    "find",
    "mkdir",
    "rm",
    "cp",
    "mv",
    "sed",
    "grep",
    "true",
    "ln",
    "touch",
    "chmod",
    "uname",
)
_DIRECTORIES = (
    *("boot", "dev", "etc/default", "etc/modprobe.d", "etc/sysconfig", "etc/systemd/system", "proc", "root", "run"),
    *("sys", "tmp", "usr/bin", "usr/lib/systemd/network", "usr/lib64", "usr/sbin", "var/lib", "var/log"),
)
_DRIVERS = ("drivers/block/virtio_blk", "drivers/net/virtio_net", "drivers/net/vmxnet3/vmxnet3")

_RPM_INDEXES = (
    *("Name", "Basenames", "Group", "Requirename", "Providename", "Conflictname", "Obsoletename", "Triggername"),
    *("Dirnames", "Installtid", "Sigmd5", "Sha1header", "Filetriggername", "Transfiletriggername", "Recommendname"),
    *("Suggestname", "Supplementname", "Enhancename"),
)


@dataclass(frozen=True)
class Guest:
    identity: str  # as os-release has it
    version: str
    product: str
    kernel: str  # its version, as its directory of modules is called
    packages: Mapping[str, Sequence[str]]  # of the kernel: files by package, as rpm -ql and dpkg -L say them
    uefi: bool = False
    files: Mapping[str, str] = field(default_factory=dict)  # what else is particular

    @property
    def by_rpm(self) -> bool:
        return self.identity not in ("debian", "ubuntu")

    @property
    def initramfs(self) -> str:
        name = {"debian": "initrd.img-{}", "ubuntu": "initrd.img-{}", "sles": "initrd-{}", "opensuse-leap": "initrd-{}"}
        return "/boot/" + name.get(self.identity, "initramfs-{}.img").format(self.kernel)


def build(guest: Guest, image: Path) -> None:
    """Build the guest's only disk, a raw image: a system on ext4, behind an EFI partition where it boots by UEFI."""
    tree = image.with_suffix(".tree")
    for directory in _DIRECTORIES:
        (tree / directory).mkdir(parents=True)
    if guest.uefi:
        (tree / "boot/efi").mkdir()
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    _add_kernel(guest, tree)
    _add_programs(guest, tree)
    if guest.by_rpm:
        _add_rpm_database(guest, tree)
    for path, text in {**_files(guest), **guest.files}.items():
        place = tree / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    system, skipped = image.with_suffix(".system"), (1 + _EFI if guest.uefi else 1)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-U", UUID, "-d", tree, system, f"{_SYSTEM}M"], check=True)
    with image.open("wb") as disk:
        disk.truncate((skipped + _SYSTEM + 1) * _MIB)
    table = f"label: dos\nstart={_MIB // 512}, size={_SYSTEM * 2048}, type=83, bootable\n"
    if guest.uefi:
        table = f"label: gpt\nstart={_MIB // 512}, size={_EFI * 2048}, type=U\n"
        table += f"start={skipped * 2048}, size={_SYSTEM * 2048}, type=L\n"
        _put(_efi_partition(guest, tree, image), image, 1)
    subprocess.run(["sfdisk", "-q", "--no-tell-kernel", image], input=table, text=True, check=True)
    _put(system, image, skipped)
    subprocess.run(["rm", "-rf", tree], check=True)


def _put(part: Path, image: Path, mib: int) -> None:
    how = ("bs=1M", f"seek={mib}", "conv=notrunc,sparse", "status=none")
    subprocess.run(["dd", f"if={part}", f"of={image}", *how], check=True)
    part.unlink()


def _efi_partition(guest: Guest, tree: Path, image: Path) -> Path:
    """Make an EFI partition as grub2-efi of EL 9 and Fedora leaves it: the menu there only leads to the one in
    /boot."""
    part, menu = image.with_suffix(".efi"), tree / "tmp/grub.cfg"
    menu.write_text(
        f"search --no-floppy --fs-uuid --set=dev {UUID}\nset prefix=($dev)/boot/grub2\nexport $prefix\n"
        "configfile $prefix/grub.cfg\n"
    )
    with part.open("wb") as file:
        file.truncate(_EFI * _MIB)
    vendor = "fedora" if guest.identity == "fedora" else guest.identity
    subprocess.run(["mkfs.vfat", "-F", "32", "-i", EFI_UUID.replace("-", ""), part], check=True, capture_output=True)
    for directory in ("EFI", "EFI/BOOT", f"EFI/{vendor}"):
        subprocess.run(["mmd", "-i", part, f"::/{directory}"], check=True)
    for name in (f"{vendor}/grub.cfg", f"{vendor}/shimx64.efi", f"{vendor}/grubx64.efi", "BOOT/BOOTX64.EFI"):
        subprocess.run(["mcopy", "-i", part, menu, f"::/EFI/{name}"], check=True)
    menu.unlink()
    return part


def _add_kernel(guest: Guest, tree: Path) -> None:
    modules = tree / "usr/lib/modules" / guest.kernel
    for driver in _DRIVERS:
        place = modules / f"kernel/{driver}.ko"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to("/usr/bin/busybox")  # an ELF file: it tells the kernel's architecture
    (modules / "modules.dep").write_text("".join(f"kernel/{driver}.ko:\n" for driver in _DRIVERS))
    (modules / "modules.builtin").write_text("kernel/drivers/virtio/virtio_pci.ko\n")
    for path in (
        f"boot/vmlinuz-{guest.kernel}",
        f"usr/lib/modules/{guest.kernel}/vmlinuz",
        f"boot/config-{guest.kernel}",
    ):
        (tree / path).write_text("x")
    names = [f"lib/modules/{guest.kernel}/{name}.ko" for name in ("vmw_pvscsi", "sd_mod", "ahci")]
    (tree / guest.initramfs.lstrip("/")).write_bytes(gzip.compress(cpio(names)))


def _add_programs(guest: Guest, tree: Path) -> None:
    (tree / "usr/bin/busybox").write_bytes(SHELL.read_bytes())
    for name in _APPLETS:
        (tree / "usr/bin" / name).symlink_to("busybox")
    cases = "".join(
        f'"{name}"|"{name}-"[0-9]*) cat <<END\n' + "".join(f"{path}\n" for path in files) + "END\n;;\n"
        for name, files in guest.packages.items()
    )
    programs = {
        "sbin/update-initramfs": f"echo made anew >{guest.initramfs}",
        "sbin/update-grub": "",
        "sbin/grub-mkconfig": "",
        "bin/dpkg": f'case "$1" in -L) case "$2" in\n{cases}esac;; esac',
    }
    if guest.by_rpm:
        # As EL 9's does: the menu in the EFI partition is a wrapper
        refuse = 'case "$2" in /boot/efi/*) echo "Running $0 $* will overwrite the GRUB wrapper." >&2; exit 1;; esac'
        kernel = f"/boot/vmlinuz-{guest.kernel}"
        grubby = f'case "$1" in --default-kernel) echo {kernel};; --info*) echo kernel={kernel};; esac'
        programs = {
            "bin/rpm": f'case "$1" in -ql) case "$2" in\n{cases}esac;; esac',
            "sbin/grub2-mkconfig": refuse,
            "sbin/grubby": grubby,
            **{f"sbin/{name}": "" for name in ("dracut", "mkinitrd", "rpmdb", "yum", "dnf", "load_policy")},
        }
    for path, does in programs.items():
        (tree / "usr" / path).write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >>{COMMANDS}\n{does}\nexit 0\n')
        (tree / "usr" / path).chmod(0o755)
    (tree / "usr/bin/busybox").chmod(0o755)


def _files(guest: Guest) -> dict[str, str]:
    release = f'NAME="{guest.product.split(" ")[0]}"\nID="{guest.identity}"\nVERSION_ID="{guest.version}"\n'
    fstab = f"UUID={UUID} / ext4 defaults 0 1\n"
    if guest.uefi:
        fstab += f"UUID={EFI_UUID} /boot/efi vfat umask=0077 0 2\n"
    entry = f"\tlinux /boot/vmlinuz-{guest.kernel} root=UUID={UUID} ro quiet\n\tinitrd {guest.initramfs}\n"
    files = {
        "/etc/os-release": f'{release}PRETTY_NAME="{guest.product}"\n',
        "/etc/hostname": "made-up\n",
        "/etc/fstab": fstab,
        "/etc/default/grub": 'GRUB_CMDLINE_LINUX="quiet"\n',
    }
    menu = f"set default=\"0\"\nmenuentry 'Linux' {{\n{entry}}}\n"
    if not guest.by_rpm:
        listed = "".join(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\nDescription: x\n\n"
            for name in guest.packages
        )
        more = {"/boot/grub/grub.cfg": menu, "/var/lib/dpkg/status": listed, "/etc/initramfs-tools/modules": ""}
        return {**files, **more}
    return {**files, "/boot/grub2/grub.cfg": menu, "/etc/sysconfig/kernel": "DEFAULTKERNEL=kernel-core\n"}


def bls(kernel: str, initramfs: str) -> dict[str, str]:
    """Return the boot menu of EL from 8 on, and Fedora."""
    return {
        "/boot/grub2/grub.cfg": 'set default="${saved_entry}"\ninsmod blscfg\nblscfg\n',
        "/etc/default/grub": 'GRUB_CMDLINE_LINUX="quiet"\nGRUB_ENABLE_BLSCFG=true\n',
        f"/boot/loader/entries/0123-{kernel}.conf": f"title Linux\nversion {kernel}\nlinux /boot/vmlinuz-{kernel}\n"
        f"initrd {initramfs}\noptions root=UUID={UUID} ro\n",
    }


def _add_rpm_database(guest: Guest, tree: Path) -> None:
    """An rpmdb.sqlite, whatever the family's real one is: the converter's librpm goes by the guest's macros."""
    directory = tree / "var/lib/rpm"
    directory.mkdir()
    (tree / "usr/lib/rpm").mkdir()
    (tree / "usr/lib/rpm/rpmrc").write_text("")
    (tree / "usr/lib/rpm/macros").write_text("%_dbpath /var/lib/rpm\n%_db_backend sqlite\n")
    version, _, release = guest.kernel.removesuffix(".x86_64").partition("-")
    with sqlite3.connect(directory / "rpmdb.sqlite") as database:
        database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
        for index in _RPM_INDEXES:  # librpm would make those that aren't there
            columns = "key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL"
            database.execute(f"CREATE TABLE '{index}' ({columns}, FOREIGN KEY (hnum) REFERENCES 'Packages'(hnum))")
            database.execute(f"CREATE INDEX '{index}_key_idx' ON '{index}'(key ASC)")
            database.execute(f"CREATE INDEX '{index}_hnum_idx' ON '{index}'(hnum ASC)")
        for name in guest.packages:
            database.execute("INSERT INTO Packages (blob) VALUES (?)", (_header(name, version, release or "1"),))
    database.close()


def _header(name: str, version: str, release: str) -> bytes:
    """Return one package's header, as rpm keeps it: numbers of entries and bytes, an index of tags, their values."""
    values: list[tuple[int, int, bytes]] = [
        *((tag, 6, text.encode() + b"\0") for tag, text in ((1000, name), (1001, version), (1002, release))),
        *((tag, 9, b"made up\0") for tag in (1004, 1005)),
        *((tag, 6, text.encode() + b"\0") for tag, text in ((1021, "linux"), (1022, "x86_64"))),
    ]
    index, data = b"", b""
    for tag, kind, value in values:
        index += struct.pack(">IIII", tag, kind, len(data), 1)
        data += value
    return struct.pack(">II", len(values), len(data)) + index + data


def rpm_core(kernel: str, *, directory: bool) -> list[str]:
    """Return the files of kernel-core of EL from 8 on; from 9.2 on another package has the directory of modules."""
    modules = f"/lib/modules/{kernel}"
    names = (".vmlinuz.hmac", "System.map", "config", "modules.builtin", "modules.order", "symvers.gz", "vmlinuz")
    return [
        *(f"/boot/{name}-{kernel}" for name in (".vmlinuz", "System.map", "config")),
        f"/boot/initramfs-{kernel}.img",
        f"/boot/vmlinuz-{kernel}",
        *([modules] if directory else []),
        *(f"{modules}/{name}" for name in names),
        *(drivers(modules) if directory else []),
        "/usr/share/licenses/kernel-core",
    ]


def drivers(modules: str, ending: str = ".ko.xz") -> list[str]:
    return [f"{modules}/kernel", *(f"{modules}/kernel/{driver}{ending}" for driver in _DRIVERS)]


NO_FILES = ["(contains no files)"]  # as rpm says of a package that only asks for others


def red_hat(
    identity: str, version: str, product: str, kernel: str, *, split: bool, uefi: bool = False, **files: str
) -> Guest:
    """Make a guest of EL from 8 on. `split`: modules, and the directory that they are in, are in
    kernel-modules-core."""
    modules = f"/lib/modules/{kernel}"
    packages = {"kernel": NO_FILES, "kernel-core": rpm_core(kernel, directory=not split)}
    if split:
        packages["kernel-modules-core"] = [modules, f"{modules}/modules.dep", *drivers(modules)]
    packages["kernel-modules"] = [f"{modules}/kernel", f"{modules}/kernel/drivers/net/wireless"]
    special = {
        **bls(kernel, f"/boot/initramfs-{kernel}.img"),
        "/etc/redhat-release": f"{product}\n",
        "/etc/NetworkManager/system-connections/lan.nmconnection": "[connection]\ninterface-name=ens192\n",
        **files,
    }
    if identity == "fedora":
        special["/etc/fedora-release"] = f"{product}\n"
    return Guest(identity, version, product, kernel, packages, uefi, special)


def el7() -> Guest:
    kernel = "3.10.0-1160.118.1.el7.x86_64"
    modules = f"/lib/modules/{kernel}"
    listed = [f"/boot/.vmlinuz-{kernel}.hmac", f"/boot/vmlinuz-{kernel}", f"/boot/initramfs-{kernel}.img", modules]
    special = {
        "/etc/redhat-release": "CentOS Linux release 7.9.2009 (Core)\n",
        "/etc/centos-release": "CentOS Linux release 7.9.2009 (Core)\n",
    }
    return Guest(
        "centos", "7", "CentOS Linux 7 (Core)", kernel, {"kernel": [*listed, *drivers(modules)]}, files=special
    )


def suse(identity: str, version: str, product: str, kernel: str) -> Guest:
    modules = f"/lib/modules/{kernel}"
    listed = [f"/boot/System.map-{kernel}", f"/boot/config-{kernel}", f"/boot/vmlinuz-{kernel}", modules]
    packages = {"kernel-default": [*listed, *drivers(modules, ".ko.zst")]}
    special = {"/etc/SuSE-release": f"{product} (x86_64)\nVERSION = 12\nPATCHLEVEL = 5\n"} if version < "15" else {}
    return Guest(identity, version, product, kernel, packages, files=special)


def debian(version: str, name: str, kernel: str, merged: str = "") -> Guest:
    """Make a Debian. `merged`: /usr, from where on modules are listed there."""
    modules = f"{merged}/lib/modules/{kernel}"
    listed = ["/.", "/boot", f"/boot/System.map-{kernel}", f"/boot/config-{kernel}", f"/boot/vmlinuz-{kernel}", modules]
    packages = {f"linux-image-{kernel}": [*listed, *drivers(modules, ".ko")]}
    special = {"/etc/debian_version": f"{version}.1\n"}
    return Guest("debian", version, f"Debian GNU/Linux {version} ({name})", kernel, packages, files=special)


def ubuntu(version: str, kernel: str, merged: str = "") -> Guest:
    """Modules are a package of their own."""
    modules = f"{merged}/lib/modules/{kernel}"
    packages = {
        f"linux-image-{kernel}": ["/.", "/boot", f"/boot/vmlinuz-{kernel}", "/usr", "/usr/share"],
        f"linux-modules-{kernel}": ["/.", "/boot", f"/boot/System.map-{kernel}", modules, *drivers(modules, ".ko")],
    }
    special = {
        "/etc/lsb-release": f'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE={version}\nDISTRIB_DESCRIPTION="Ubuntu {version}"\n'
    }
    return Guest("ubuntu", version, f"Ubuntu {version} LTS", kernel, packages, files=special)


_EL10 = ("AlmaLinux 10.0 (Purple Lion)", "6.12.0-55.9.1.el10_0.x86_64")
_EL95 = ("Rocky Linux 9.5 (Blue Onyx)", "5.14.0-503.14.1.el9_5.x86_64")
_FEDORA = ("Fedora Linux 42 (Server Edition)", "6.14.0-63.fc42.x86_64")
# An older disk's names, which a wrapper keeps virt-v2v from renaming
_BY_PLACE = {
    "/etc/fstab": f"/dev/sda2 / ext4 defaults 0 1\nUUID={EFI_UUID} /boot/efi vfat umask=0077 0 2\n",
    "/boot/grub2/device.map": "(hd0) /dev/sda\n",
}
GUESTS = {
    "EL 7": el7(),
    "EL 8": red_hat("rocky", "8.10", "Rocky Linux 8.10 (Green Obsidian)", "4.18.0-553.el8_10.x86_64", split=False),
    "EL 9.0": red_hat("rocky", "9.0", "Rocky Linux 9.0 (Blue Onyx)", "5.14.0-70.13.1.el9_0.x86_64", split=False),
    "EL 9.5": red_hat("rocky", "9.5", *_EL95, split=True),
    "EL 9.5, UEFI": red_hat("rocky", "9.5", *_EL95, split=True, uefi=True),
    "EL 9.5, UEFI, disks by place": red_hat("rocky", "9.5", *_EL95, split=True, uefi=True, **_BY_PLACE),
    "EL 10": red_hat("almalinux", "10.0", *_EL10, split=True),
    "EL 10, UEFI": red_hat("almalinux", "10.0", *_EL10, split=True, uefi=True),
    "Fedora 42": red_hat("fedora", "42", *_FEDORA, split=True),
    "Fedora 42, UEFI": red_hat("fedora", "42", *_FEDORA, split=True, uefi=True),
    "SLES 12": suse("sles", "12.5", "SUSE Linux Enterprise Server 12 SP5", "4.12.14-122.222-default"),
    "SLES 15": suse("sles", "15.6", "SUSE Linux Enterprise Server 15 SP6", "6.4.0-150600.23.25-default"),
    "openSUSE Leap 15.6": suse("opensuse-leap", "15.6", "openSUSE Leap 15.6", "6.4.0-150600.23.25-default"),
    "Debian 11": debian("11", "bullseye", "5.10.0-33-amd64"),
    "Debian 12": debian("12", "bookworm", "6.1.0-28-amd64"),
    "Debian 13": debian("13", "trixie", "6.12.48+deb13-amd64", "/usr"),
    "Ubuntu 18.04": ubuntu("18.04", "4.15.0-213-generic"),
    "Ubuntu 20.04": ubuntu("20.04", "5.4.0-200-generic"),
    "Ubuntu 22.04": ubuntu("22.04", "5.15.0-127-generic"),
    "Ubuntu 24.04": ubuntu("24.04", "6.8.0-51-generic"),
    "Ubuntu 26.04": ubuntu("26.04", "7.0.0-14-generic", "/usr"),
}
