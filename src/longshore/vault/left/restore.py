#!/usr/bin/env python3
"""Read a "longshore vault 1" without Longshore. It lies in the vault that it reads; README.txt says how to use it."""

from __future__ import annotations

import argparse
import base64
import getpass
import hashlib
import hmac
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

try:
    from zstandard import ZstdDecompressor, ZstdError
except ImportError:
    ZstdDecompressor = None  # type: ignore[assignment,misc]
try:
    from blake3 import blake3
except ImportError:
    blake3 = None  # type: ignore[assignment,misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("point", nargs="?", help="its name, as the list shows it")
    parser.add_argument("disk", nargs="?", help="the key of one of its disks")
    parser.add_argument("file", nargs="?", type=Path, help="to write the disk into; it must not be there yet")
    parser.add_argument("--vault", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--pass-phrase-file", "--secret-file", type=Path, help="that has the pass phrase, or a secret")
    given = parser.parse_args()
    vault = Vault(given.vault, given.pass_phrase_file)
    if given.point is None:
        return list_points(vault)
    try:
        point = vault.point(given.point)
    except Damaged as error:
        sys.exit(shown(error))
    if given.disk is None:
        print(json.dumps(point, indent=1))
        return
    disks = {disk["key"]: disk for disk in point["disks"]}
    if given.disk not in disks:
        sys.exit(shown(f"The point has no disk {given.disk}; it has {', '.join(disks)}."))
    if given.file is None:
        sys.exit("Name a file to write the disk into.")
    if blake3 is None:
        print("Python's blake3 module isn't there: digests aren't compared.", file=sys.stderr)
    name = (point["content"].get("machine") or {}).get("name", "")
    lost = write_disk(vault, disks[given.disk], given.file, f"Point {given.point} of {name}, disk {given.disk}")
    if lost:
        sys.exit(
            f"{given.file} isn't whole: {lost} bytes of it are zeroes, since the vault is damaged. The rest is good."
        )


def shown(text: object) -> str:
    """On one line of a screen: what would move its cursor, or turn its text around, is written as a number."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))


def list_points(vault: Vault) -> None:
    failed = 0
    for path in sorted((vault.root / "points").glob("*/*.point"), key=lambda path: path.name):
        name = f"{path.parent.name}/{path.stem}"
        try:
            point = vault.point(name)
        except Damaged as error:
            failed += 1
            print(shown(error), file=sys.stderr)
            continue
        machine = point["content"].get("machine") or {}
        said = name, point["moment"], machine.get("name", ""), *(disk["key"] for disk in point["disks"])
        print(*map(shown, said))
    if failed:
        sys.exit(f"{failed} point(s) can't be read.")


def write_disk(vault: Vault, disk: dict[str, Any], path: Path, what: str) -> int:
    """All that can be had; each range that can't is told. How many bytes those are."""
    lost, begin, end, why = 0, 0, 0, ""  # the range that was lost last, which may go on
    with path.open("xb") as file:
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
    """Something in the vault isn't what was written."""


class Lost(NamedTuple):
    """Bytes of a disk that can't be had."""

    length: int
    why: str


class Vault:
    def __init__(self, root: Path, pass_phrase_file: Path | None) -> None:
        self.root = root
        self.told = json.loads((root / "vault.json").read_bytes())
        if self.told["format"] != "longshore vault 1":
            sys.exit(shown(f"This is {self.told['format']}, which isn't known here."))
        if strange := set(self.told["features"]["read"]) - {"aes-256-gcm"}:
            sys.exit(shown(f"To read this vault takes what isn't known here: {', '.join(strange)}."))
        self.block, self.fanout = self.told["block_size"], self.told["fanout"]
        self.key = self._unlock(pass_phrase_file) if self.told["encryption"] else None
        self._ciphers: dict[bytes, Any] = {}

    def _unlock(self, pass_phrase_file: Path | None) -> bytes:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            sys.exit("The vault is encrypted: this needs Python's cryptography module.")
        self._aes, self._wrong = AESGCM, InvalidTag
        keys = [json.loads(path.read_bytes()) for path in sorted((self.root / "keys").glob("*.json"))]
        keys = [told for told in keys if told["kind"] == "passphrase"]  # others are for whoever knows them
        kept = "\n".join(in_barbican(told["barbican"]) for told in keys if "barbican" in told)
        if pass_phrase_file:
            phrase = "".join(pass_phrase_file.read_text().splitlines()[:1])
        else:
            if kept:
                print(*map(shown, kept.splitlines()), sep="\n", file=sys.stderr)
            try:
                phrase = getpass.getpass("Pass phrase, or what the secret holds: " if kept else "Pass phrase: ")
            except EOFError:
                sys.exit("The vault is encrypted: name a file with its pass phrase, or the secret: --pass-phrase-file.")
        for told in keys:
            salt, nonce, wrapped = (base64.b64decode(told[part]) for part in ("salt", "nonce", "wrapped"))
            cost = told["scrypt"]
            memory = 256 * cost["n"] * cost["r"]
            stretched = hashlib.scrypt(phrase.encode(), salt=salt, dklen=32, maxmem=memory, **cost)
            try:
                return AESGCM(stretched).decrypt(nonce, wrapped, self.told["id"].encode())
            except InvalidTag:
                continue
        sys.exit("This pass phrase opens none of the vault's keys." + (f"\n{kept}" if kept else ""))

    def derived(self, what: bytes, salt: bytes = b"") -> bytes:
        """HKDF with SHA-256, of one block."""
        assert self.key is not None
        early = hmac.new(salt or bytes(32), self.key, hashlib.sha256).digest()
        return hmac.new(early, b"longshore vault 1 " + what + b"\1", hashlib.sha256).digest()

    def point(self, name: str) -> dict[str, Any]:
        path = f"points/{name}.point"
        try:
            line, said = (self.root / path).read_bytes().split(b"\n")[:2]
        except FileNotFoundError:
            sys.exit(f"There is no point {name}.")
        except (OSError, ValueError) as error:
            raise Damaged(f"{path} can't be read: {getattr(error, 'strerror', 'it is cut off')}.") from None
        if said != b"sha256 " + hashlib.sha256(line).hexdigest().encode():
            raise Damaged(f"{path} isn't what was written: its checksum differs.")
        told = json.loads(line)
        if self.key is not None:
            nonce, sealed = base64.b64decode(told["nonce"]), base64.b64decode(told["sealed"])
            try:
                told = json.loads(self._aes(self.derived(b"documents")).decrypt(nonce, sealed, path.encode()))
            except self._wrong:
                raise Damaged(f"{path} can't be decrypted: it isn't what was written, or where.") from None
        found: dict[str, Any] = told
        return found

    def blocks(self, disk: dict[str, Any]) -> Iterator[tuple[int, bytes | Lost]]:
        """(offset, data) of all blocks of a disk that hold anything, from its beginning to its end."""
        level, covered = 1, self.fanout
        while covered * self.block < disk["size"]:
            level, covered = level + 1, covered * self.fanout
        if disk["top"] is not None:
            top = {name: bytes.fromhex(disk["top"][name]) for name in ("id", "pack")}
            place = top["id"], top["pack"], disk["top"]["offset"], disk["top"]["length"]
            yield from self._below(level, 0, place)

    def _below(
        self, level: int, index: int, place: tuple[bytes, bytes, int, int]
    ) -> Iterator[tuple[int, bytes | Lost]]:
        id_, pack, offset, length = place
        width = self.block * self.fanout**level
        try:
            data = self._record(pack, offset, length)
            if level == 0:
                self._compare(data, id_, pack, offset)
            else:
                children = self._children(level, data, id_, pack, offset)
        except Damaged as error:
            yield index * width, Lost(width, str(error))
            return
        if level == 0:
            yield index * self.block, data
            return
        for number, below in children:
            yield from self._below(level - 1, index * self.fanout + number, below)

    def _children(
        self, level: int, data: bytes, id_: bytes, pack: bytes, offset: int
    ) -> list[tuple[int, tuple[bytes, bytes, int, int]]]:
        """What is below a node, by its number there."""
        said, _, count, packs = struct.unpack_from("<BBHH", data)
        if said != level:
            raise Damaged(f"pack {pack.hex()} at {offset} isn't the map that its place says.")
        names = [data[6 + 32 * n : 38 + 32 * n] for n in range(packs)]
        children = []
        for n in range(count):
            at = 6 + 32 * packs + 44 * n
            number, own, start, size = struct.unpack_from("<BxHII", data, at)
            stored = pack if names[own] == bytes(32) else names[own]
            children.append((number, (data[at + 12 : at + 44], stored, start, size)))
        ids = {number: place[0] for number, place in children}
        whole = bytes((level,)) + b"".join(ids.get(n, bytes(32)) for n in range(self.fanout))
        self._compare(whole, id_, pack, offset)
        return children

    def _record(self, pack: bytes, offset: int, length: int) -> bytes:
        name = pack.hex()
        try:
            with (self.root / "packs" / name[:2] / f"{name}.pack").open("rb") as file:
                salt = file.read(40)[8:]
                file.seek(offset)
                stored = file.read(length)
        except FileNotFoundError:
            raise Damaged(f"the pack {name} is gone.") from None
        except OSError as error:  # of a disk with bad sectors, say
            raise Damaged(f"the pack {name} can't be read: {error.strerror}.") from None
        if len(stored) < length:
            raise Damaged(f"the pack {name} is too short.")
        if self.key is not None:
            if salt not in self._ciphers:
                self._ciphers[salt] = self._aes(self.derived(b"pack", salt))
            try:
                stored = self._ciphers[salt].decrypt(offset.to_bytes(12, "big"), stored, None)
            except self._wrong:
                raise Damaged(f"pack {name} at {offset} can't be decrypted, some of its bytes have changed.") from None
        data: bytes = stored[1:]
        return unpack(data, f"pack {name} at {offset}") if stored[0] else data

    def _compare(self, data: bytes, id_: bytes, pack: bytes, offset: int) -> None:
        if blake3 is None:
            return
        found = blake3(data) if self.key is None else blake3(data, key=self.derived(b"ids"))
        if found.digest() != id_:
            raise Damaged(f"pack {pack.hex()} at {offset} isn't what was written.")


def in_barbican(kept: dict[str, str]) -> str:
    region = f", region {kept['region']}" if kept["region"] else ""
    return (
        f"A key of the vault opens by the secret {kept['secret']} in Barbican, of the cloud at {kept['auth_url']}"
        f"{region}, project {kept['project']}. Whoever may read it there has it shown, or put into a file, by:\n"
        f"    openstack secret get --payload {kept['secret']}\n"
        f"    openstack secret get --file FILE {kept['secret']}"
    )


def unpack(data: bytes, what: str) -> bytes:
    if ZstdDecompressor is not None:
        try:
            return ZstdDecompressor().decompress(data)
        except ZstdError:
            raise Damaged(f"{what} can't be unpacked, some of its bytes have changed.") from None
    done = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False)
    if done.returncode:
        raise Damaged(f"{what} can't be unpacked: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


if __name__ == "__main__":
    try:
        main()
    except OSError as error:  # a file that is there already, or isn't; a full disk
        sys.exit(f"{error.filename or 'The disk'}: {error.strerror}.")
