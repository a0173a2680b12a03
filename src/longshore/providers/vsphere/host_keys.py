"""The SSH keys of ESXi hosts that are trusted, and no others: lines of a known_hosts file.

A key counts for the names it is given with, as the vCenter knows the hosts. Nothing is ever trusted on first use.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from longshore.errors import InvalidInput

_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
HOW = (
    "Get them with `ssh-keyscan HOST > FILE`, compare each with what `ssh-keygen -lf /etc/ssh/ssh_host_rsa_key.pub` "
    "prints on that host's own console (`ssh-keygen -lf FILE` prints yours), and give FILE with --ssh-host-key."
)


class HostKey(NamedTuple):
    """One line: the names as they are written there, the kind of the key, the key in base64."""

    names: str
    kind: str
    key: str


@lru_cache(maxsize=16)  # asked for each machine of an inventory
def parsed(lines: tuple[str, ...]) -> tuple[HostKey, ...]:
    """Parse lines of known_hosts files; empty ones and comments are left out. Raises InvalidInput."""
    return tuple(_parse_line(line) for line in map(str.strip, lines) if line and not line.startswith("#"))


def none_given() -> InvalidInput:
    return InvalidInput(
        "To read disks over SSH, the keys of the ESXi hosts have to be known beforehand.",
        advice=HOW,
        code="no-ssh-host-key",
    )


def keys_of(keys: Iterable[HostKey], host: str, port: int) -> list[HostKey]:
    """Return the keys that are trusted for a host, by its name or address."""
    wanted = host.lower() if port == 22 else f"[{host.lower()}]:{port}"
    # One that was written without a port holds for any of them: ESXi hosts have one SSH server
    return [key for key in keys if any(_is_meant(key.names, name) for name in {wanted, host.lower()})]


def known_hosts(keys: Iterable[HostKey], address: str, port: int) -> str:
    """Write a known_hosts file that trusts these keys for an address, and nothing else."""
    name = address if port == 22 else f"[{address}]:{port}"
    return "".join(f"{name} {key.kind} {key.key}\n" for key in keys)


def _parse_line(line: str) -> HostKey:
    words = line.split()
    if words[0].startswith("@"):
        raise InvalidInput(
            f"{words[0]} lines of known_hosts files aren't understood.", advice="Give the hosts' own keys."
        )
    if words[0] in _KINDS:
        raise InvalidInput(
            f"A {words[0]} key is given without the host that it is of.",
            advice="Write the host's name before it, as the vCenter knows it: HOST TYPE KEY.",
        )
    if len(words) < 3 or words[1] not in _KINDS or not _is_key(words[1], words[2]):
        raise InvalidInput(
            f"{line[:60]!r} isn't the SSH key of a host.",
            advice="It is written as ssh-keyscan prints it: HOST TYPE KEY.",
        )
    return HostKey(*words[:3])


def _is_key(kind: str, text: str) -> bool:
    """A key begins with its own kind, after four bytes that tell how long that is."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return raw.startswith(struct.pack(">I", len(kind)) + kind.encode())


def _is_meant(names: str, name: str) -> bool:
    if not names.startswith("|1|"):
        return name in names.lower().split(",")
    try:  # as `ssh-keyscan -H` hides them
        salt, digest = (base64.b64decode(part) for part in names[3:].split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
