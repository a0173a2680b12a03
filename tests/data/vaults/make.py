"""Makes vaults as the code beside it writes them: make.py DIRECTORY. README.md says what for."""

import hashlib
import json
import random
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from longshore.model.forms import form
from longshore.model.machine import Disk, Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.model.point import Hold
from longshore.vault.directory import Directory
from longshore.vault.disks import NewDisk, PointDisk
from longshore.vault.geometry import BLOCK, FANOUT, Top
from longshore.vault.holds import hold_point
from longshore.vault.keys import add_key
from longshore.vault.points import Point, folder_of, new_name
from longshore.vault.sealing import InBarbican
from longshore.vault.vault import Vault
from longshore.vault.writers import finish, leave, register

PHRASES = ["the pass phrase of a kept vault", "AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG-2222", "what Barbican has kept"]
LARGE = FANOUT * BLOCK + 40 * BLOCK + 5000  # bytes: a map of two levels, and a last block that isn't whole
SIZES = {"2000": LARGE, "2001": 3 * BLOCK}
MOMENT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def main(directory: Path) -> None:
    for name, phrases in (("clear", []), ("encrypted", PHRASES)):
        with TemporaryDirectory() as work:
            told = make(Path(work), phrases)
            (Path(work) / "expected.json").write_text(json.dumps(told, indent=1) + "\n")
            with tarfile.open(directory / f"1-{name}.tar.xz", "w:xz") as archive:
                for part in ("vault", "expected.json"):
                    archive.add(Path(work) / part, part, filter=lambda of: None if of.name == "vault/.reserve" else of)


def make(work: Path, phrases: list[str]) -> dict:
    vault = Vault.create(Directory(work / "vault"), phrases[0] if phrases else None)
    if phrases:
        add_key(vault, phrases[1], "recovery")
        kept = InBarbican("7c9a1a9e-0d39-4a7a-9a53-6d1d3b1f5a10", "https://cloud.example.org:5000/v3", "north", "8d1c")
        add_key(vault, phrases[2], "cloud", kept=kept)
    tops, points = dict.fromkeys(SIZES), {}
    for number in range(2):
        moment = MOMENT + timedelta(hours=number)
        register(vault, "w", tuple(top for top in tops.values() if top))
        for key, size in SIZES.items():
            disk = NewDisk(vault, tops[key] or Top(size, None), work / "journal")
            write(disk, size, number)
            tops[key] = disk.finish()
            disk.close()
            (work / "journal").unlink()
        name = new_name(folder_of(vault, "vsphere\nkept"), moment)
        finish(vault, "w", Point(name, moment, dict(tops), content()))
        leave(vault, "w")
        points[name] = {
            key: hashlib.sha256(PointDisk(vault, top).read(0, top.size)).hexdigest() for key, top in tops.items()
        }
    hold_point(vault, min(points), Hold("audit", None))
    return {"phrases": phrases, "machine": "shop", "held": min(points), "points": points}


def write(disk: NewDisk, size: int, number: int) -> None:
    """Text that is packed, noise that isn't, across a border, and the second time less than before."""
    disk.write(BLOCK - 100, f"as it was at {number}\n".encode() * 20)
    disk.write(size - 5000, random.Random(number).randbytes(5000))
    if size > FANOUT * BLOCK:
        disk.write(FANOUT * BLOCK - 50, b"between two nodes\n" * 10)
        if number:
            disk.zero(2 * BLOCK, 4 * BLOCK)
        else:
            disk.write(3 * BLOCK, b"gone later\n" * 1000)


def content() -> dict:
    disks = tuple(
        Disk(key, f"Hard disk {n}", n, size, "[ds] shop", "ds") for n, (key, size) in enumerate(SIZES.items())
    )
    nics = (Nic("4000", "Network adapter 1", "00:50:56:00:00:01", "VM Network"),)
    machine = Machine("vm-1", "shop", PowerState.ON, 1, 256, disks, nics, platform=Platform("vsphere"))
    return {"machine": form(Machine).dump_python(machine, mode="json"), "consistency": "crash", "power": "on"}


main(Path(sys.argv[1]))
