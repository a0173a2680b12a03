"""The manifest of an OVF (.mf): a digest of each of its files, checked before anything is made of them."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping

from longshore.border.texts import shortened
from longshore.errors import InvalidInput
from longshore.providers.files.stored import Stored

LARGEST = 1 << 20  # bytes
_LINE = re.compile(r"(SHA1|SHA256|SHA512)\s*\((.+)\)\s*=\s*([0-9a-fA-F]{40,128})")
_PIECE = 4 << 20  # bytes that are read at once
DIGITS = {"SHA1": 40, "SHA256": 64, "SHA512": 128}


def read_manifest(file: Stored) -> dict[str, tuple[str, str]]:
    """By file, the algorithm and the digest. Raises InvalidInput."""
    if file.size > LARGEST:
        raise InvalidInput(f"{file.name} is too large for a manifest.", code="manifest-refused")
    entries: dict[str, tuple[str, str]] = {}
    for line in file.read(0, LARGEST).decode(errors="replace").splitlines():
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or len(match[3]) != DIGITS[match[1]] or match[2] in entries:
            raise InvalidInput(
                f'{file.name} is no manifest that can be read: "{shortened(line.strip(), 80)}".',
                code="manifest-refused",
            )
        entries[match[2]] = (match[1], match[3].lower())
    return entries


def check_manifest(
    manifest: str,
    entries: Mapping[str, tuple[str, str]],
    files: Mapping[str, Stored],
    on_progress: Callable[[int, int], None],
) -> None:
    """Read all of these files, by the names that the manifest has for them.

    `on_progress` gets how many bytes of how many have been read. Raises InvalidInput when one isn't what it should be.
    """
    for name in files:
        if name not in entries:
            raise InvalidInput(
                f"{manifest} doesn't name {name}.", advice="Export the machine again.", code="manifest-mismatch"
            )
    total, done = sum(file.size for file in files.values()), 0
    for name, file in files.items():
        algorithm, digest = entries[name]
        found = hashlib.new(algorithm.lower(), usedforsecurity=False)
        for offset in range(0, file.size, _PIECE):
            piece = file.read(offset, min(_PIECE, file.size - offset))
            if not piece:
                break  # it was cut off meanwhile; its digest tells
            found.update(piece)
            done += len(piece)
            on_progress(done, total)
        if not hmac.compare_digest(found.hexdigest(), digest):
            raise InvalidInput(
                f"{name} isn't what {manifest} says: its {algorithm} differs.",
                advice="It was damaged or changed since: copy or export it again.",
                code="manifest-mismatch",
            )
