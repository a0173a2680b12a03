"""The parts that a machine that converts guests has for those that run Windows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WindowsParts:
    """The parts for Windows guests that virt-v2v takes and few Linux distributions bring along."""

    virtio_win: str = ""  # path of the ISO or directory with Windows' virtio drivers; "": there is none
    version: str = ""  # of virtio-win, as far as it tells
    drivers: tuple[str, ...] = ()  # versions it has disk drivers for, in lower case: 2k22/amd64, w10/x86
    first_boot: str = ""  # path of the directory with rhsrvany.exe or pvvxsvc.exe; "": there is none
    converter_knows: tuple[str, ...] = ()  # of those versions, the ones that the converter tells apart: 2k22
    faults: tuple[str, ...] = ()  # what was named and can't be used, one sentence each
    agent: bool = False  # whether virtio-win has an installer of QEMU's guest agent
