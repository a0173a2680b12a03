"""Reparse points of NTFS: a file that is one is a link, or its content isn't where files have theirs.

([MS-FSCC] 2.1.2, "Reparse Points".)
"""

import stat
import struct
from typing import NamedTuple, Self

_SYMLINK, _JUNCTION, _WSL_LINK = 0xA000000C, 0xA0000003, 0xA000001D
_TYPES = {0x80000023: stat.S_IFSOCK, 0x80000024: stat.S_IFIFO, 0x80000025: stat.S_IFCHR, 0x80000026: stat.S_IFBLK}
_CLOUD, _CLOUD_MASK = 0x9000001A, 0xFFFF0FFF  # OneDrive and others that are like it: each has a number of its own
_MEANINGS = {
    0x80000017: "Windows has compressed it (CompactOS, or compact /exe)",
    0x80000013: "Windows has deduplicated it",
    0x80000007: "Windows keeps it once for several (single instance store)",
    0x80000008: "it is in an image of Windows (WIM)",
    0x8000001B: "it is an alias of an app's",
    0x8000001E: "Azure File Sync has it",
    0x9000001C: "it is a projected file system's",
    0xC0000004: "it was moved to slower storage (HSM)",
    0x80000006: "it was moved to slower storage (HSM)",
}


class ReparsePoint(NamedTuple):
    tag: int
    target: bytes  # of a link; empty for what is none
    type: int  # S_IFIFO and so on, for what WSL has made; 0: it is a file or a directory

    @classmethod
    def read(cls, data: bytes) -> Self:
        tag = struct.unpack_from("<I", data)[0] if len(data) >= 8 else 0
        return cls(tag, _target(tag, data[8:]), _TYPES.get(tag, 0))

    @property
    def may_be_whole(self) -> bool:
        """A file of a cloud's may be here as a whole."""
        return self.tag & _CLOUD_MASK == _CLOUD

    @property
    def meaning(self) -> str:
        if self.may_be_whole:
            return "it is in a cloud (OneDrive or another)"
        return _MEANINGS.get(self.tag, f"it is a reparse point that isn't known here ({self.tag:#010x})")


def _target(tag: int, data: bytes) -> bytes:
    """Return the target as Linux writes it; one that Windows gives a drive's letter begins with that."""
    if tag == _WSL_LINK:
        return data[4:]
    if tag not in {_SYMLINK, _JUNCTION} or len(data) < 8:
        return b""
    at, length = struct.unpack_from("<HH", data)
    begin = (12 if tag == _SYMLINK else 8) + at
    path = data[begin : begin + length].decode("utf-16-le", errors="surrogatepass")
    path = path.removeprefix("\\??\\").replace("\\", "/")
    return path.encode(errors="replace").replace(b"\0", b"") or b"?"
