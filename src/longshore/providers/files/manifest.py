"""The manifest of an OVF (.mf): a digest of each of its files, checked before anything is made of them."""

import codecs
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from urllib.parse import quote

from longshore.errors import InvalidInput
from longshore.model.machine import Doubt, FileDoubt
from longshore.providers.files.stored import Stored, printable, spellings

LARGEST = 1 << 20  # bytes
# As the standard has it, as openssl 3 writes it (SHA2-256), and as sha256sum does
_LINE = re.compile(
    r"(MD5|SHA(?:1|-1|(?:2-|-)?(?:224|256|384|512)|3-(?:256|384|512)))\s*\((.+)\)\s*=\s*([0-9a-fA-F]{32,128})", re.I
)
_SUM = re.compile(r"([0-9a-fA-F]{32,128}) [ *](.+)")
_PIECE = 4 << 20  # bytes that are read at once
DIGITS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
DIGITS |= {"sha3_256": 64, "sha3_384": 96, "sha3_512": 128}


def read_manifest(file: Stored, doubts: list[FileDoubt]) -> dict[str, tuple[str, str]]:
    """Return the algorithm (as hashlib calls it) and the digest, by file. A line that says nothing is among the doubts.

    Raises InvalidInput for what is too large.
    """
    if file.size > LARGEST:
        raise InvalidInput(f"{file.name} is too large for a manifest.", code="manifest-refused")
    entries: dict[str, tuple[str, str]] = {}
    for line in _text(file.read(0, LARGEST)).splitlines():
        if not line.strip():
            continue
        name, algorithm, digest = _parsed(line.strip())
        if len(digest) != DIGITS.get(algorithm) or entries.get(name, (algorithm, digest)) != (algorithm, digest):
            text = (
                f'{file.name} has a line that can\'t be read, or says otherwise than another: "{printable(line, 80)}".'
            )
            doubts.append(FileDoubt(Doubt.CLAIM, file.name, text))
            continue
        entries[name] = (algorithm, digest)
    return entries


def _text(data: bytes) -> str:
    """Read it as UTF-8, or, where it says so itself, as Windows' PowerShell writes."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="surrogateescape")


def _parsed(line: str) -> tuple[str, str, str]:
    """Return file, algorithm and digest; empty where it is no such line."""
    if match := _LINE.fullmatch(line):
        digits = match[1].lower()
        algorithm = digits.replace("-", "_") if digits.startswith("sha3-") else digits.replace("sha2-", "sha")
        return match[2].removeprefix("./"), algorithm.replace("sha-", "sha"), match[3].lower()
    if match := _SUM.fullmatch(line):
        algorithm = next((name for name, digits in DIGITS.items() if digits == len(match[1])), "")
        return match[2].removeprefix("./"), algorithm, match[1].lower()
    return "", "", ""


def check_manifest(
    manifest: str,
    entries: Mapping[str, tuple[str, str]],
    files: Mapping[str, Stored],
    ovf: str,
    on_progress: Callable[[int, int], None],
) -> list[FileDoubt]:
    """Read all of these files, by the names that the manifest has for them, and say which aren't what they should be.

    `on_progress` gets how many bytes of how many have been read. The OVF is no disk: with another than was exported,
    what arrives is what it says now.
    """
    found = []
    total, done = sum(file.size for name, file in files.items() if _entry(entries, name)), 0
    for name, file in files.items():
        entry = _entry(entries, name)
        if entry is None:
            text = f"{manifest} has no digest of {printable(name)}: nothing tells whether it is as it was exported."
            found.append(FileDoubt(Doubt.CLAIM, printable(name), text))
            continue
        algorithm, digest = entry
        summed = hashlib.new(algorithm, usedforsecurity=False)
        for offset in range(0, file.size, _PIECE):
            piece = file.read(offset, min(_PIECE, file.size - offset))
            if not piece:
                break  # it was cut off meanwhile; its digest tells
            summed.update(piece)
            done += len(piece)
            on_progress(done, total)
        if not hmac.compare_digest(summed.hexdigest(), digest):
            text = f"{printable(name)} isn't what {manifest} says: its {algorithm.upper()} differs."
            found.append(FileDoubt(Doubt.CLAIM if name == ovf else Doubt.MANIFEST, printable(name), text))
    return found


def _entry(entries: Mapping[str, tuple[str, str]], name: str) -> tuple[str, str] | None:
    """Look a file up by its path, escaped or not, else by its name alone: in an archive of a directory they differ."""
    told = (name, quote(name, errors="surrogateescape"), PurePosixPath(name).name)
    return next((entries[one] for said in told for one in spellings(said) if one in entries), None)
