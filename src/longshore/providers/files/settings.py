"""The settings of a provider's files, and what its loose images lack; no secrets in here."""

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote_to_bytes, urlsplit

from longshore.errors import InvalidInput
from longshore.model.machine import Firmware
from longshore.model.reach import Reach
from longshore.providers.files.stored import is_plain

MOST_CPUS = 4096
MOST_MEMORY_MIB = 1 << 26  # 64 TiB
_SURROGATE = re.compile("[\ud800-\udfff]")
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]")


@dataclass(frozen=True, slots=True)
class FilesSettings:
    """A file, or a directory with all that is below it, or one file behind HTTPS and what it names beside it.

    What an OVF says of its machine is taken from there. A loose image says nothing of the kind: it is a machine of one
    disk with the hardware named here.
    """

    url: str  # file:///DIRECTORY, file:///FILE or https://HOST/FILE
    ca_file: str | None = None  # PEM file with the authorities to trust instead of the system's
    cpus: int = 1  # of a loose image's machine, as the next ones
    memory_mib: int = 1024
    network: str | None = None  # that its one adapter is on; None: it has none
    firmware: Firmware | None = None  # None: what its partitions tell
    labels: tuple[str, ...] | None = None  # only workers that carry all of them take its machines
    beneath: str | None = None  # directory of a server that no link leads out of; None: the user's own rights count
    reach: Reach | None = None  # never kept: whoever connects says where it may be connected to; None: anywhere

    def __post_init__(self) -> None:
        # By its first letters, as `is_local` and a server's rules have it: urlsplit would skip blanks and change cases
        if self.is_local:
            path_of(self.url)
        elif self.url.startswith("https:"):
            _refuse_unsafe_https(self.url)
        else:
            raise InvalidInput(
                "Machines in files can't be taken from there.",
                advice="Name a directory or file by its whole path (/DIRECTORY), or a file that is served encrypted (https://…).",
                field="settings.url",
            )
        if not (0 < self.cpus <= MOST_CPUS and 0 < self.memory_mib <= MOST_MEMORY_MIB):
            raise InvalidInput(
                f"A machine has 1 to {MOST_CPUS} CPUs and 1 to {MOST_MEMORY_MIB} MiB of memory.", field="settings.cpus"
            )

    @property
    def is_local(self) -> bool:
        return self.url.startswith("file:")


def path_of(url: str) -> PurePosixPath:
    """Return the absolute path that a file: URL names. Raises InvalidInput."""
    wrong = InvalidInput(f"{url!a} names no file of this machine.", advice="Write it as file:///DIRECTORY/FILE.")
    if _SURROGATE.search(url):
        raise InvalidInput(f"{url!a} has letters that aren't UTF-8.", advice="Write their bytes as %FC in the URL.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise wrong from None
    path = PurePosixPath(os.fsdecode(unquote_to_bytes(parts.path)))
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not path.is_absolute():
        raise wrong
    if ".." in path.parts:
        raise InvalidInput(f'The path in {url!a} has a "..".', advice="Write the path that is meant.")
    if not all(map(is_plain, path.parts[1:])):
        raise wrong
    return path


def _refuse_unsafe_https(url: str) -> None:
    wrong = InvalidInput(
        "That isn't the URL of a file.",  # which isn't repeated: it may have a password
        advice="Write it as https://HOST/DIRECTORY/FILE, other letters than ASCII's as percent signs and digits.",
    )
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise wrong
    try:
        parts = urlsplit(url)
        right = _HOST.fullmatch(parts.netloc.rpartition(":")[0] or parts.netloc) or _HOST.fullmatch(parts.netloc)
        port = parts.port
    except ValueError:
        raise wrong from None
    # Settings are kept and shown in clear, and nbdkit has the URL on its command line
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidInput(
            "A URL with a password, a query or a fragment isn't taken: settings are kept and shown in clear.",
            advice="Serve the file without, or download it and name the directory.",
        )
    if not right or port == 0 or parts.path.endswith("/") or not parts.path:
        raise wrong
