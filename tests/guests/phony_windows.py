"""A Windows that never ran: as much of its registry and files, on NTFS, as those who look into guests go by.

No free tool makes an empty registry file, so this does; hivexregedit fills it.
"""

import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import guestfs

_HEADER = "Windows Registry Editor Version 5.00\n"
_SOFTWARE = r"HKEY_LOCAL_MACHINE\SOFTWARE"
_SYSTEM = r"HKEY_LOCAL_MACHINE\SYSTEM"
_CURRENT_VERSION = rf"{_SOFTWARE}\Microsoft\Windows NT\CurrentVersion"
_WINDOWS = rf"{_SOFTWARE}\Microsoft\Windows\CurrentVersion"
_CONTROL_SET = rf"{_SYSTEM}\ControlSet001"
# By its header libmagic knows a program for x86-64, and libguestfs by that the system's architecture
_EXECUTABLE = (
    b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<HHIIIHHH", 0x8664, *[0] * 4, 240, 2, 0x20B)
).ljust(512, b"\0")
_SIGNATURE = b"1234"  # of the disk that Windows is on
_DIRECTORIES = ("/Windows/System32/config", "/Windows/System32/drivers", "/Windows/Temp", "/Program Files")


@dataclass(frozen=True)
class Windows:
    product: str = "Windows Server 2022 Made Up"
    build: str = "20348"
    variant: str = "Server"
    services: Mapping[str, int | tuple[int, int]] = field(default_factory=dict)  # Start, or it and its StartOverride
    addresses: Mapping[str, str] = field(default_factory=dict)  # values of one interface, as in the registry
    keys: tuple[str, ...] = ()  # of SOFTWARE\Microsoft\Windows\CurrentVersion, which are there or aren't
    fast_startup: bool = False
    kind: str = "ServerNT"  # LanmanNT: a domain controller
    san_policy: int | None = None
    letters: Mapping[str, bytes] = field(default_factory=dict)  # what else than C: has one, as the registry has it
    files: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def with_tools(cls, **more: object) -> "Windows":
        """Make a Windows as VMware's Tools leave it."""
        return cls(services={"VMTools": 2, "pvscsi": 0, "vmxnet3ndis6": 3}, **more)  # type: ignore[arg-type]


def write(handle: guestfs.GuestFS, device: str, windows: Windows, directory: Path) -> None:
    """Format that partition and put Windows there; it isn't mounted afterwards. `directory` is for hives."""
    _merge(directory / "SOFTWARE", _SOFTWARE, _software(windows))
    disk = handle.part_to_dev(device)
    handle.pwrite_device(disk, _SIGNATURE, 0x1B8)
    number_ = handle.part_to_partnum(device)
    (start,) = (part["part_start"] for part in handle.part_list(disk) if part["part_num"] == number_)
    _merge(directory / "SYSTEM", _SYSTEM, _system(windows, _SIGNATURE + struct.pack("<q", start)))
    handle.mkfs("ntfs", device)
    handle.mount(device, "/")
    for path in _DIRECTORIES:
        handle.mkdir_p(path)
    handle.write("/Windows/System32/cmd.exe", _EXECUTABLE)
    for name in ("SOFTWARE", "SYSTEM"):
        handle.upload(str(directory / name), f"/Windows/System32/config/{name}")
    for path, content in windows.files.items():
        handle.mkdir_p(path.rpartition("/")[0] or "/")
        handle.write(path, content)
    handle.umount_all()


def virtio_win(directory: Path, *versions: str) -> Path:
    """Make a tree as virtio-win's ISO holds it, with drivers for these versions that are none."""
    for driver, file in (("viostor", "viostor"), ("vioscsi", "vioscsi"), ("NetKVM", "netkvm"), ("Balloon", "balloon")):
        for version in versions:
            place = directory / driver / version / "amd64"
            place.mkdir(parents=True)
            for kind in ("inf", "sys", "cat"):
                (place / f"{file}.{kind}").write_text(f"{file}.{kind} for {version}")
    for version in versions:
        (directory / "Balloon" / version / "amd64" / "blnsvr.exe").write_bytes(_EXECUTABLE)
    return directory


def _software(windows: Windows) -> str:
    text = _keys(_CURRENT_VERSION)
    text += '"CurrentMajorVersionNumber"=dword:0000000a\n"CurrentMinorVersionNumber"=dword:00000000\n'
    text += _value("CurrentVersion", "6.3") + _value("CurrentBuildNumber", windows.build)
    text += _value("CurrentBuild", windows.build) + _value("InstallationType", windows.variant)
    text += _value("ProductName", windows.product) + _value("SystemRoot", r"C:\Windows")
    text += _keys(rf"{_WINDOWS}\Uninstall", from_part=4)
    if "VMTools" in windows.services:
        text += f"\n[{_WINDOWS}\\Uninstall\\{{AAAA-VMTOOLS}}]\n" + _value("DisplayName", "VMware Tools")
        text += _value("DisplayVersion", "12.3.0") + _value("UninstallString", "MsiExec.exe /I{AAAA-VMTOOLS}")
    return text + "".join(_keys(rf"{_WINDOWS}\{key}", from_part=5) for key in windows.keys)


def _system(windows: Windows, drive_c: bytes) -> str:
    text = f'\n[{_SYSTEM}\\Select]\n"Current"=dword:00000001\n"Default"=dword:00000001\n'
    text += f"\n[{_SYSTEM}\\DriverDatabase]\n"
    text += f"\n[{_SYSTEM}\\MountedDevices]\n"
    for letter, content in {"C:": drive_c, **windows.letters}.items():
        text += f'"\\\\DosDevices\\\\{letter}"=hex(3):{",".join(f"{byte:02x}" for byte in content)}\n'
    text += _keys(rf"{_CONTROL_SET}\Control\ProductOptions") + _value("ProductType", windows.kind)
    if windows.san_policy is not None:
        text += _keys(rf"{_CONTROL_SET}\Services\partmgr\Parameters", from_part=4)
        text += f'"SanPolicy"=dword:{windows.san_policy:08x}\n'
    text += _keys(rf"{_CONTROL_SET}\Control\Session Manager\Power")
    text += f'"HiberbootEnabled"=dword:{int(windows.fast_startup):08x}\n'
    text += _keys(rf"{_CONTROL_SET}\Services\Tcpip\Parameters", from_part=4) + _value("Hostname", "WIN-VM01")
    text += f"\n[{_CONTROL_SET}\\Services\\Tcpip\\Parameters\\Interfaces]\n"
    if windows.addresses:
        text += f"\n[{_CONTROL_SET}\\Services\\Tcpip\\Parameters\\Interfaces\\{{4D36-INTERFACE}}]\n"
        text += "".join(f'"{name}"={value}\n' for name, value in windows.addresses.items())
    for name, said in windows.services.items():
        start, override = said if isinstance(said, tuple) else (said, None)
        text += f'\n[{_CONTROL_SET}\\Services\\{name}]\n"Start"=dword:{start:08x}\n'
        if override is not None:
            text += f'\n[{_CONTROL_SET}\\Services\\{name}\\StartOverride]\n"0"=dword:{override:08x}\n'
    return text


def texts(*words: str) -> str:
    """Return a value of several strings, as a registry file has it."""
    raw = "".join(f"{word}\0" for word in words).encode("utf-16-le") + bytes(2)
    return f"hex(7):{','.join(f'{byte:02x}' for byte in raw)}"


def number(value: int) -> str:
    return f"dword:{value:08x}"


def _value(name: str, text: str) -> str:
    escaped = text.replace("\\", "\\\\")
    return f'"{name}"=str(1):"{escaped}"\n'


def _keys(path: str, from_part: int = 3) -> str:
    """Return each key from that part on: hivexregedit makes no parents."""
    words = path.split("\\")
    return "".join(f"\n[{chr(92).join(words[:n])}]\n" for n in range(from_part, len(words) + 1))


def _merge(path: Path, prefix: str, text: str) -> None:
    _empty_hive(path)
    subprocess.run(["hivexregedit", "--merge", "--prefix", prefix, path], input=_HEADER + text, text=True, check=True)


def _empty_hive(path: Path) -> None:
    """Make a registry file of version 1.5 with nothing but its root."""
    page, none = 0x1000, 0xFFFFFFFF
    everyone = bytes.fromhex(
        "0100048000000000000000000000000014000000"  # security descriptor with a DACL
        "02001c000100000000031400 3f000f00010100000000000100000000".replace(" ", "")
    )
    node_at, node_size, security_size = 0x20, 0x58, (24 + len(everyone) + 7) // 8 * 8
    node = struct.pack(
        "<2sHqIIIIIIIIIIHHIIIIHH", b"nk", 0x2C, 0, 0, none, 0, 0, none, none, 0, none, node_at + node_size,
        none, 0, 0, 0, 0, 0, 0, 4, 0,
    )  # fmt: skip
    security_at = node_at + node_size
    security = struct.pack("<2sHIIII", b"sk", 0, security_at, security_at, 1, len(everyone)) + everyone
    cells = _cell(node + b"ROOT", node_size) + _cell(security, security_size)
    body = struct.pack("<4sIIIIqI", b"hbin", 0, page, 0, 0, 0, 0) + cells
    body += struct.pack("<i", page - len(body))
    header = bytearray(page)
    struct.pack_into("<4sIIqIIIIIII", header, 0, b"regf", 1, 1, 0, 1, 5, 0, 1, node_at, page, 1)
    checksum = 0
    for (word,) in struct.iter_unpack("<I", header[:0x1FC]):
        checksum ^= word
    struct.pack_into("<I", header, 0x1FC, checksum)
    path.write_bytes(bytes(header) + body.ljust(page, b"\0"))


def _cell(content: bytes, size: int) -> bytes:
    return struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
