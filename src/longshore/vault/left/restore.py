#!/usr/bin/env python3
# ruff: noqa: TRY301, TRY004, B905, PLR0917
"""Read a "longshore vault 1" without Longshore; README.txt of the vault says how to use it.

Whoever can write to a vault can change the script that lies in it: take it from Longshore's release, or compare its
SHA-256 with the one that is published there, before you give it a pass phrase.
"""

from __future__ import annotations

import argparse
import base64
import errno
import getpass
import hashlib
import hmac
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from unicodedata import normalize

try:
    from zstandard import ZstdDecompressor, ZstdError, frame_content_size
except ImportError:
    ZstdDecompressor = None  # type: ignore[assignment,misc]
try:
    from blake3 import blake3
except ImportError:
    blake3 = None  # type: ignore[assignment,misc]

BLOCK, FANOUT = 131072, 128  # of every vault of this format
LARGEST_DISK = 1 << 53
LARGEST = {"vault.json": 1 << 16, "keys": 1 << 16, "points": 1 << 22}  # bytes: nothing larger is read
MOST_KEYS = 32
MOST_SCRYPT = 4 * 65536 * 8  # n times r times p: four times what Longshore's own keys take
POINT = re.compile(r"[0-9a-z]{1,64}/\d{8}T\d{9}Z-[0-9a-f]{8}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("point", nargs="?", help="its name, as the list shows it")
    parser.add_argument("disk", nargs="?", help="the key of one of its disks")
    parser.add_argument("file", nargs="?", type=Path, help="to write the disk into; it must not be there yet")
    parser.add_argument("--vault", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--pass-phrase-file", "--secret-file", type=Path, help="that has the pass phrase, or a secret")
    given = parser.parse_args()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # it has none that was closed
        stream.reconfigure(errors="backslashreplace")
    vault = Vault(given.vault, given.pass_phrase_file)
    if given.point is None:
        return list_points(vault)
    try:
        point = vault.point(given.point)
    except Damaged as error:
        sys.exit(shown(error))
    except NotThere:
        sys.exit(f"There is no point {shown(given.point)}.")
    if given.disk is None:
        print(json.dumps(point, indent=1))  # which has nothing but ASCII
        return
    disks = {disk["key"]: disk for disk in point["disks"]}
    if given.disk not in disks:
        sys.exit(shown(f"The point has no disk {given.disk}; it has {', '.join(disks)}."))
    if given.file is None:
        sys.exit("Name a file to write the disk into.")
    if blake3 is None:
        print("Python's blake3 module isn't there: comparing digests takes longer.", file=sys.stderr)
    what = f"Point {given.point} of {shown(name_in(point))}, disk {shown(given.disk)}"
    lost = write_disk(vault, disks[given.disk], given.file, what)
    if lost:
        sys.exit(
            f"{given.file} isn't whole: {lost} bytes of it are zeroes, since the vault is damaged. The rest is good."
        )


def shown(text: object) -> str:
    """Write a text on one line of a screen: what would move its cursor, or turn its text around, becomes a number."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))


def list_points(vault: Vault) -> None:
    failed, found = 0, list[Path]()
    for folder in filter(Path.is_dir, inside(vault.root / "points")):
        try:
            found += (path for path in inside(folder) if path.suffix == ".point")
        except OSError as error:  # the others' can be had
            failed += 1
            print(f"{shown(folder)}: {error.strerror}.", file=sys.stderr)
    for path in sorted(found, key=lambda path: path.name):
        name = f"{path.parent.name}/{path.stem}"
        if not POINT.fullmatch(name):  # others put files there, too
            continue
        try:
            point = vault.point(name)
        except Damaged as error:
            failed += 1
            print(shown(error), file=sys.stderr)
            continue
        except NotThere:
            continue
        print(name, *map(shown, (point["moment"], name_in(point), *(disk["key"] for disk in point["disks"]))))
    if failed:
        sys.exit(f"{failed} point(s) or folder(s) of points can't be read.")


def inside(folder: Path) -> list[Path]:
    """Return what is in a folder, in order; nothing where there is none. Raises OSError: one that mayn't be read isn't
    an empty one."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def name_in(point: dict[str, Any]) -> str:
    """Return the name of a point's machine."""
    machine = point["content"].get("machine")
    return str(machine.get("name", "")) if isinstance(machine, dict) else ""


def opened(path: Path) -> BinaryIO:
    """Open an object's file for reading. Raises OSError; for a pipe too, which nobody may ever write to."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file")
    return path.open("rb")


def write_disk(vault: Vault, disk: dict[str, Any], path: Path, what: str) -> int:
    """Write a disk, all that can be had of it; each range that can't is told. Returns how many bytes those are. A file
    that is broken off goes: it has the disk's size from the beginning."""
    with path.open("xb") as file:
        try:
            return fill(file, vault, disk, what)
        except BaseException:
            path.unlink()
            raise


def fill(file: BinaryIO, vault: Vault, disk: dict[str, Any], what: str) -> int:
    lost, begin, end, why = 0, 0, 0, ""  # the range that was lost last, which may go on
    file.truncate(disk["size"])
    for offset, data in vault.blocks(disk):
        if not isinstance(data, Lost):
            file.seek(offset)
            file.write(data)
            continue
        until = min(offset + data.length, disk["size"])
        lost += until - offset
        if end > begin and (offset, data.why) != (end, why):
            print(shown(f"{what}, bytes {begin} to {end}: {why}"), file=sys.stderr)
        begin, end, why = (begin if (offset, data.why) == (end, why) else offset), until, data.why
    if end > begin:
        print(shown(f"{what}, bytes {begin} to {end}: {why}"), file=sys.stderr)
    file.flush()
    os.fsync(file.fileno())
    return lost


class Damaged(Exception):
    """The error for something in the vault that isn't what was written."""


class NotThere(Exception):
    """There is no such object."""


class Lost(NamedTuple):
    """Bytes of a disk that can't be had."""

    length: int
    why: str


class Place(NamedTuple):
    """A place of a block or a node in a pack, and its id."""

    id: bytes
    pack: bytes
    offset: int
    length: int


class Vault:
    def __init__(self, root: Path, pass_phrase_file: Path | None) -> None:
        self.root = root
        try:
            told = self.told = self._checked("vault.json")
            strange = set(told["features"]["read"]) - {"aes-256-gcm"}
            known = told["format"] == "longshore vault 1" and told["encryption"] in (None, "aes-256-gcm")
            known = known and (told["block_size"], told["fanout"], told["compression"]) == (BLOCK, FANOUT, "zstd")
            id_ = told["id"].encode()
        except NotThere:
            sys.exit(f"{root}/vault.json: No such file or directory.")
        except (Damaged, KeyError, TypeError, AttributeError) as error:
            why = str(error) if isinstance(error, Damaged) else "vault.json isn't what was written."
            sys.exit(f"{why} Take it from a copy of the vault; every block is compared with its digest all the same.")
        if strange:
            sys.exit(f"To read this vault takes what isn't known here: {', '.join(map(shown, map(str, strange)))}.")
        if not known:
            sys.exit(f"This is no vault that is known here: {shown(str(told['format']))}.")
        self.key = self._unlock(id_, pass_phrase_file) if told["encryption"] else None
        self._ciphers: dict[bytes, Any] = {}

    def _read(self, name: str) -> bytes:
        """Read an object. Raises NotThere, Damaged."""
        most = LARGEST[name.partition("/")[0]]
        try:
            with opened(self.root / name) as file:
                data = file.read(most + 1)
        except FileNotFoundError:
            raise NotThere from None
        except OSError as error:
            raise Damaged(f"{name} can't be read: {error.strerror}.") from None
        if len(data) > most:
            raise Damaged(f"{name} isn't what was written: it has more than {most} bytes.")
        return data

    def _checked(self, name: str) -> dict[str, Any]:
        """Parse an object whose last member is the hash of what stands before that."""
        data = self._read(name)
        before, _, after = data.rpartition(b'"sha256"')
        if after.strip() != b': "%s"\n}' % hashlib.sha256(before).hexdigest().encode():
            raise Damaged(f"{name} isn't what was written: its checksum differs.")
        return parsed(name, data)

    def _unlock(self, id_: bytes, pass_phrase_file: Path | None) -> bytes:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            sys.exit("The vault is encrypted: this needs Python's cryptography module.")
        self._aes, self._wrong = AESGCM, InvalidTag
        keys = []
        named = (path for path in inside(self.root / "keys") if re.fullmatch(r"[0-9A-Za-z].*\.json", path.name))
        for path in list(named)[:MOST_KEYS]:
            try:
                told = self._checked(f"keys/{path.name}")
                if told["kind"] == "passphrase":  # others are for whoever knows them
                    keys.append((f"keys/{path.name}", told))
            except (NotThere, Damaged, KeyError) as error:
                print(error or f"keys/{path.name} can't be read.", file=sys.stderr)
        kept = "\n".join(in_barbican(told["barbican"]) for _, told in keys if isinstance(told.get("barbican"), dict))
        if pass_phrase_file:
            try:
                phrase = "".join(pass_phrase_file.read_text(encoding="utf-8-sig").splitlines()[:1])
            except UnicodeDecodeError:
                sys.exit(f"{pass_phrase_file} isn't text in UTF-8. Write the pass phrase into it once more.")
        else:
            if kept:
                print(*map(shown, kept.splitlines()), sep="\n", file=sys.stderr)
            try:
                phrase = getpass.getpass("Pass phrase, or what the secret holds: " if kept else "Pass phrase: ")
            except EOFError:
                sys.exit("The vault is encrypted: name a file with its pass phrase, or the secret: --pass-phrase-file.")
        octets = normalize("NFC", phrase).encode()
        for name, told in keys:
            try:
                salt, nonce, wrapped = (base64.b64decode(told[part]) for part in ("salt", "nonce", "wrapped"))
                cost = {one: whole(told["scrypt"][one], MOST_SCRYPT) for one in ("n", "r", "p")}
                if cost["n"] * cost["r"] * cost["p"] > MOST_SCRYPT:
                    raise ValueError
                memory = 256 * cost["n"] * cost["r"]
                stretched = hashlib.scrypt(octets, salt=salt, dklen=32, maxmem=memory, **cost)
                return AESGCM(stretched).decrypt(nonce, wrapped, id_)
            except InvalidTag:
                continue
            except (KeyError, TypeError, ValueError):
                print(f"{name} can't be used: it isn't what was written.", file=sys.stderr)
        sys.exit("This pass phrase opens none of the vault's keys." + (f"\n{kept}" if kept else ""))

    def derived(self, what: bytes, salt: bytes = b"") -> bytes:
        """Derive a key by HKDF with SHA-256, of one block."""
        assert self.key is not None
        early = hmac.new(salt or bytes(32), self.key, hashlib.sha256).digest()
        return hmac.new(early, b"longshore vault 1 " + what + b"\1", hashlib.sha256).digest()

    def point(self, name: str) -> dict[str, Any]:
        """Read a point. Raises NotThere, Damaged."""
        if not POINT.fullmatch(name):
            raise NotThere
        path = f"points/{name}.point"
        line, _, rest = self._read(path).partition(b"\n")
        if rest.strip() != b"sha256 " + hashlib.sha256(line).hexdigest().encode():
            raise Damaged(f"{path} isn't what was written: its checksum differs, or it is cut off.")
        told = parsed(path, line)
        try:
            if self.key is not None:
                nonce, sealed = base64.b64decode(told["nonce"]), base64.b64decode(told["sealed"])
                told = parsed(path, self._aes(self.derived(b"documents")).decrypt(nonce, sealed, path.encode()))
            for disk in told["disks"]:
                whole(disk["size"], LARGEST_DISK)
                if not isinstance(disk["key"], str) or (disk["top"] is not None and not place_of(disk["top"])):
                    raise ValueError
            if not isinstance(told["moment"], str) or not isinstance(told["content"], dict):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise Damaged(f"{path} has no point.") from None
        except Exception as error:
            if self.key is None or not isinstance(error, self._wrong):
                raise
            raise Damaged(f"{path} can't be decrypted: it isn't what was written, or where.") from None
        return told

    def blocks(self, disk: dict[str, Any]) -> Iterator[tuple[int, bytes | Lost]]:
        """Yield (offset, data) of all blocks of a disk that hold anything, from its beginning to its end."""
        level, covered = 1, FANOUT
        while covered * BLOCK < disk["size"]:
            level, covered = level + 1, covered * FANOUT
        if disk["top"] is not None:
            yield from self._below(level, 0, place_of(disk["top"]), disk["size"])

    def _below(self, level: int, index: int, place: Place, size: int) -> Iterator[tuple[int, bytes | Lost]]:
        width = BLOCK * FANOUT**level
        offset = index * width
        if offset >= size:
            return
        try:
            data = self._record(place)
            if level == 0:
                self._compare(data, place)
                if len(data) != min(BLOCK, size - offset):
                    raise Damaged(f"pack {place.pack.hex()} at {place.offset} isn't as long as the block is.")
            else:
                children = self._children(level, data, place)
        except Damaged as error:
            yield offset, Lost(width, str(error))
            return
        if level == 0:
            yield offset, data
            return
        for number, below in children:
            yield from self._below(level - 1, index * FANOUT + number, below, size)

    def _children(self, level: int, data: bytes, place: Place) -> list[tuple[int, Place]]:
        """Return what is below a node, by its number there."""
        children: dict[int, Place] = {}
        try:
            said, _, count, packs = struct.unpack_from("<BBHH", data)
            names = [data[6 + 32 * n : 38 + 32 * n] for n in range(packs)]
            for n in range(count):
                at = 6 + 32 * packs + 44 * n
                number, own, start, size = struct.unpack_from("<BxHII", data, at)
                stored = place.pack if names[own] == bytes(32) else names[own]
                if number >= FANOUT or number in children or size > BLOCK + 17:
                    raise ValueError
                children[number] = Place(data[at + 12 : at + 44], stored, start, size)
        except (struct.error, IndexError, ValueError):
            said = -1
        if said != level:
            raise Damaged(f"pack {place.pack.hex()} at {place.offset} isn't the map that its place says.")
        ids = (children[n].id if n in children else bytes(32) for n in range(FANOUT))
        self._compare(bytes((level,)) + b"".join(ids), place)
        return sorted(children.items())

    def _record(self, place: Place) -> bytes:
        name = place.pack.hex()
        try:
            with opened(self.root / "packs" / name[:2] / f"{name}.pack") as file:
                salt = file.read(40)[8:]
                file.seek(place.offset)
                stored = file.read(place.length)
        except FileNotFoundError:
            raise Damaged(f"the pack {name} is gone.") from None
        except OSError as error:  # of a disk with bad sectors, say
            raise Damaged(f"the pack {name} can't be read: {error.strerror}.") from None
        if len(stored) < place.length or not stored:
            raise Damaged(f"the pack {name} is too short.")
        if self.key is not None:
            if salt not in self._ciphers:
                self._ciphers[salt] = self._aes(self.derived(b"pack", salt))
            try:
                stored = self._ciphers[salt].decrypt(place.offset.to_bytes(12, "big"), stored, None)
            except self._wrong:
                raise Damaged(
                    f"pack {name} at {place.offset} can't be decrypted, some of its bytes have changed."
                ) from None
        data: bytes = stored[1:]
        return unpack(data, f"pack {name} at {place.offset}") if stored[0] else data

    def _compare(self, data: bytes, place: Place) -> None:
        key = None if self.key is None else self.derived(b"ids")
        if blake3 is None:
            found = blake3_of(data, key)
        else:
            found = (blake3(data) if key is None else blake3(data, key=key)).digest()
        if found != place.id:
            raise Damaged(f"pack {place.pack.hex()} at {place.offset} isn't what was written.")


def parsed(name: str, data: bytes) -> dict[str, Any]:
    """Parse an object's JSON. Raises Damaged."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Damaged(f"{name} isn't what was written: it can't be read.")
    return told


def whole(told: object, most: int) -> int:
    """Return a number from 0 to `most`. Raises ValueError for anything else."""
    if type(told) is not int or not 0 <= told <= most:
        raise ValueError
    return told


def place_of(told: dict[str, Any]) -> Place:
    """Read a place from plain data. Raises KeyError, TypeError, ValueError."""
    ids = [bytes.fromhex(told[part]) for part in ("id", "pack")]
    if [len(one) for one in ids] != [32, 32]:
        raise ValueError
    return Place(ids[0], ids[1], whole(told["offset"], (1 << 32) - 1), whole(told["length"], BLOCK + 17))


def in_barbican(kept: dict[str, Any]) -> str:
    secret, where, region, project = (shown(str(kept.get(one, ""))) for one in _KEPT)
    region = f", region {region}" if region else ""
    return (
        f"A key of the vault opens by the secret {secret} in Barbican, of the cloud at {where}"
        f"{region}, project {project}. Whoever may read it there has it shown, or put into a file, by:\n"
        f"    openstack secret get --payload {secret}\n"
        f"    openstack secret get --file FILE {secret}"
    )


_KEPT = ("secret", "auth_url", "region", "project")


def unpack(data: bytes, what: str) -> bytes:
    """Unpack at most a block, whatever the frame says of its size. Raises Damaged."""
    if ZstdDecompressor is not None:
        try:
            if frame_content_size(data) <= BLOCK:  # the library believes what a frame says
                return ZstdDecompressor().decompress(data, max_output_size=BLOCK)
        except ZstdError:
            pass
        raise Damaged(f"{what} can't be unpacked, some of its bytes have changed.")
    with tempfile.TemporaryFile() as packed, tempfile.TemporaryFile() as said:
        packed.write(data)
        packed.seek(0)
        try:
            command = subprocess.Popen(["zstd", "-dcq"], stdin=packed, stdout=subprocess.PIPE, stderr=said)
        except FileNotFoundError:
            sys.exit("To unpack what is in the vault takes the command zstd, or Python's zstandard module.")
        assert command.stdout is not None
        with command.stdout:
            found = command.stdout.read(BLOCK + 1)
        if command.wait() or len(found) > BLOCK:
            raise Damaged(f"{what} can't be unpacked, some of its bytes have changed.")
    return found


IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
MIXED = (
    *((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)),
    *((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)),
)
CHUNK, FIRST, LAST, PARENT, ROOT, KEYED = 1024, 1, 2, 4, 8, 16


def blake3_of(data: bytes, key: bytes | None) -> bytes:
    """Compute BLAKE3 without its module (github.com/BLAKE3-team/BLAKE3-specs): all chunks at once, each in 64 bits of
    one large number, of which it takes the lower half."""
    start = list(IV) if key is None else list(struct.unpack("<8I", key))
    base, full = (0 if key is None else KEYED), len(data) // CHUNK
    alone = len(data) <= CHUNK
    found: list[list[int]] = []
    if full:
        whole_chunks = struct.unpack_from(f"<{full * 256}I", data)
        found = _chunks([whole_chunks[n::256] for n in range(256)], [64] * 16, start, list(range(full)), base, alone)
    if len(data) % CHUNK or not data:
        rest = data[full * CHUNK :]
        lengths = [min(64, len(rest) - at) for at in range(0, len(rest) or 1, 64)]
        last = struct.unpack(f"<{len(lengths) * 16}I", rest.ljust(len(lengths) * 64, b"\0"))
        found += _chunks([(word,) for word in last], lengths, start, [full], base, alone)
    while len(found) > 1:
        pairs = len(found) // 2
        words = [_wide([one[word] for one in found[side : 2 * pairs : 2]]) for side in (0, 1) for word in range(8)]
        flags = base | PARENT | (ROOT if len(found) == 2 else 0)
        above = _narrow(_compress([_wide([one] * pairs) for one in start], words, 0, 64, flags, pairs), pairs)
        found = above + found[2 * pairs :]
    return struct.pack("<8I", *found[0])


def _chunks(
    words: list[tuple[int, ...]], lengths: list[int], start: list[int], numbers: list[int], base: int, alone: bool
) -> list[list[int]]:
    """Compute what chunks of the same length come to: `words`, each of all of them; `lengths` of their blocks."""
    lanes = len(numbers)
    state = [_wide([one] * lanes) for one in start]
    for block, length in enumerate(lengths):
        last = block == len(lengths) - 1
        flags = base | (FIRST if block == 0 else 0) | (LAST if last else 0) | (ROOT if last and alone else 0)
        message = [_wide(word) for word in words[block * 16 : block * 16 + 16]]
        state = _compress(state, message, _wide(numbers), length, flags, lanes)
    return _narrow(state, lanes)


def _wide(values: Any) -> int:
    return int.from_bytes(struct.pack(f"<{len(values)}Q", *values), "little")


def _narrow(state: list[int], lanes: int) -> list[list[int]]:
    columns = [struct.unpack(f"<{lanes}Q", word.to_bytes(8 * lanes, "little")) for word in state]
    return [list(one) for one in zip(*columns)]


def _compress(cv: list[int], words: list[int], counter: int, length: int, flags: int, lanes: int) -> list[int]:
    ones = _wide([1] * lanes)
    mask = ones * 0xFFFFFFFF
    v = [*cv, *(ones * one for one in IV[:4]), counter, 0, ones * length, ones * flags]
    for _ in range(7):
        for n, (a, b, c, d) in enumerate(MIXED):
            for word, first, second in ((words[2 * n], 16, 12), (words[2 * n + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & mask
                x = v[d] ^ v[a]
                v[d] = (x >> first | x << 32 - first) & mask
                v[c] = (v[c] + v[d]) & mask
                x = v[b] ^ v[c]
                v[b] = (x >> second | x << 32 - second) & mask
        words = [words[n] for n in ORDER]
    return [v[n] ^ v[n + 8] for n in range(8)]


if __name__ == "__main__":
    try:
        main()
    except OSError as error:  # a file that is there already, or isn't; a full disk
        sys.exit(f"{error.filename or 'The disk'}: {error.strerror}.")
    except KeyboardInterrupt:
        sys.exit("Broken off.")
    except MemoryError:
        sys.exit("There is too little memory.")
