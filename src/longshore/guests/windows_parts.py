"""The parts that Windows guests need, where virt-v2v finds them: virtio-win, and rhsrvany for the first boot.

The former is this machine's, the latter comes with the converter.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from longshore.errors import ConversionError
from longshore.guests.converter.tree import Converter, current
from longshore.guests.iso9660 import NotAnImage, contents
from longshore.model.windows import WindowsParts

# The variables by which virt-v2v is told, and where it looks without them
VIRTIO_WIN, FIRST_BOOT = "VIRTIO_WIN", "VIRT_TOOLS_DATA_DIR"
_USUAL_VIRTIO_WIN = ("/usr/share/virtio-win/virtio-win.iso", "/usr/share/virtio-win")
_FIRST_BOOT_INSIDE = "usr/share/virt-tools"
_FIRST_BOOT_PROGRAMS = ("rhsrvany.exe", "pvvxsvc.exe")
_DISK_DRIVER = "viostor.inf"
_MOST_FILES = 20_000
# Versions that share a number. virt-v2v takes no drivers for one that libguestfs tells it and that it doesn't know
TOLD_APART = ("w11", "2k19", "2k22", "2k25")


def windows_parts(environment: Mapping[str, str] | None = None) -> WindowsParts:
    """Return what this machine has; the environment is this process' own unless another is given.

    Where it has no converter that is said by who converts, and here none of its parts are there.
    """
    environment = os.environ if environment is None else environment
    faults: list[str] = []
    virtio_win = _virtio_win(environment, faults)
    converter = _converter()
    version, files = _looked_into(virtio_win, faults) if virtio_win else ("", [])
    return WindowsParts(
        virtio_win=str(virtio_win or ""),
        version=version,
        drivers=tuple(sorted({found for path in files if (found := _version_of(path))})),
        agent=any(path.endswith(".msi") and path.rpartition("/")[2].startswith("qemu-ga-") for path in files),
        first_boot=str(_first_boot(environment, converter, faults) or ""),
        converter_knows=_converter_knows(converter),
        faults=tuple(faults),
    )


def _virtio_win(environment: Mapping[str, str], faults: list[str]) -> Path | None:
    named = environment.get(VIRTIO_WIN)
    if named:
        if Path(named).exists():
            return Path(named)
        faults.append(f"virtio-win isn't where {VIRTIO_WIN} says: there is no {named}.")
        return None
    return next((Path(usual) for usual in _USUAL_VIRTIO_WIN if Path(usual).exists()), None)


def _converter() -> Converter | None:
    try:
        return current()
    except ConversionError:
        return None


def _first_boot(environment: Mapping[str, str], converter: Converter | None, faults: list[str]) -> Path | None:
    """Return the directory that the environment names, else what is in the converter."""
    named = environment.get(FIRST_BOOT)
    directory = Path(named) if named else converter and converter.root / _FIRST_BOOT_INSIDE
    if directory and any((directory / program).is_file() for program in _FIRST_BOOT_PROGRAMS):
        return directory
    if named:
        faults.append(f"Neither {' nor '.join(_FIRST_BOOT_PROGRAMS)} is in {named}, which {FIRST_BOOT} names.")
    return None


def _looked_into(virtio_win: Path, faults: list[str]) -> tuple[str, list[str]]:
    """Look into an image or a directory. Returns (version, files)."""
    try:
        if virtio_win.is_file():
            label, files = contents(virtio_win)
            return label.lower().removeprefix("virtio-win-"), files
        return "", [str(Path(top, name).relative_to(virtio_win)).lower() for top, name in _walked(virtio_win)]
    except NotAnImage:
        faults.append(f"{virtio_win} isn't a CD image, or a damaged one.")
    except OSError as error:
        faults.append(f"{virtio_win} can't be read: {error.strerror}.")
    return "", []


def _walked(directory: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for top, _, names in os.walk(directory):
        found.extend((top, name) for name in names)
        if len(found) > _MOST_FILES:  # it can't be virtio-win
            break
    return found


def _version_of(path: str) -> str | None:
    """Return the driver's Windows and architecture, 2k22/amd64, by a path such as viostor/2k22/amd64/viostor.inf, or as
    distributions unpack it drivers/amd64/win2022/viostor.inf."""
    *directories, name = path.split("/")
    if name != _DISK_DRIVER:
        return None
    architecture = next((word for word in directories if word in ("amd64", "x86", "i386", "arm64")), None)
    version = next((known for word in directories if (known := _short(word))), None)
    return f"{version}/{'x86' if architecture == 'i386' else architecture}" if architecture and version else None


def _short(word: str) -> str | None:
    if word.startswith("2k") or word in ("xp", "vista", "w7", "w8", "w8.1", "w10", "w11"):
        return word
    if word.startswith("win20"):
        return f"2k{word.removeprefix('win20').removeprefix('0')}"
    return {"winxp": "xp", "winvista": "vista"}.get(
        word, f"w{word[3:]}" if word[:4] in ("win7", "win8", "win1") else None
    )


def _converter_knows(converter: Converter | None) -> tuple[str, ...]:
    """Return the Windows that virt-v2v knows, by the names in its program: no option of virt-v2v lists them."""
    try:
        program = converter.program.read_bytes() if converter else b""
    except OSError:
        return ()
    return tuple(name for name in TOLD_APART if f"\0{name}\0".encode() in program or f"win{name}\0".encode() in program)
