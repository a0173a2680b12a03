"""Makes state.tar.xz: see README.md beside it. Run by the code of an earlier commit, not by today's.

    PYTHONPATH=OLD/src:OLD/tests/flows python make.py ARCHIVE

OLD is the absolute path of a clone of the commit that the README names.
"""

import contextlib
import io
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import yaml
from lives import FleetLife
from small_clouds import LOOSE, LOOSE_SIZE, SIZES
from small_fleet import Fleet, fleet_connect

from longshore.cli.app import main
from longshore.flows import clouds, engine
from longshore.store import StateDirectory, Store

WARM = {"type": "warm", "cutover": {"mode": "manual", "interval": 3}}
PLAN = {
    "name": "shop",
    "source": "vc",
    "target": "cloud",
    "mappings": {"networks": {"VM Network": "private"}},
    "defaults": {"boot_timeout": 5, "shutdown_timeout": 5},
    "machines": ["app01", "app02", {"machine": "db01", **WARM}, {"machine": "db02", **WARM}],
}
NAMES = ("app01", "app02", "db01", "db02")
WAITING = ("db01", "db02")
SYNCS = 4  # so many at least before the engine is killed
WRITTEN = 64 << 10  # bytes at the beginning and at the end of each disk; all between is a hole


def create_fleet(root: Path) -> Fleet:
    fleet = Fleet.create(root, NAMES)
    for name in NAMES:
        for key, size in {**SIZES, LOOSE: LOOSE_SIZE}.items():
            with (root / name / f"source-{key}").open("wb") as disk:
                disk.write(text_of(name, key, 0))
                disk.seek(size - WRITTEN)
                disk.write(text_of(name, key, size))
    (root / "app02" / "no-boot").touch()  # it fails at the end, and is rolled back
    (root / "db02" / "keeps-bases").touch()  # its source tells what changed only since a snapshot that is still there
    return fleet


def text_of(name: str, key: str, place: int) -> bytes:
    lines = (f"{name} {key} {place + n * 32:>12}".ljust(31) + "\n" for n in range(WRITTEN // 32))
    return "".join(lines).encode()


def command(state: StateDirectory, *words: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = main(["--state", str(state.root), *words])
    if code:
        raise SystemExit(f"{words} ended with {code}: {said.getvalue()}")


def settled(store: Store, fleet: Fleet) -> bool:
    """Whether all has ended that ends, and the others wait with enough syncs and nothing at work."""
    records = {record.machine_name: record for record in store.migrations.all()}
    if any(r.status.ended != (name not in WAITING) for name, r in records.items()):
        return False
    if any(records[name].phase != "waiting" or len(records[name].syncs or []) < SYNCS for name in WAITING):
        return False
    volumes = [v for name in WAITING for v in fleet.world(name).read()["volumes"].values()]
    return not any(v["reserved"] for v in volumes)


def make(root: Path) -> None:
    fleet = create_fleet(root / "fleet")
    state = StateDirectory(root / "state")
    store = Store(state)
    os.chdir(root)  # and the engine's with it
    settings = {"root": "fleet"}  # nobody knows where it will be unpacked
    store.providers.add("vc", "vsphere", settings, {"password": "of the small vCenter"})
    store.providers.add("cloud", "openstack", settings, {"password": "of the small cloud"})
    clouds.connect = fleet_connect
    lives: list[FleetLife] = []
    engine.ensure_running = lambda state: lives or lives.append(FleetLife(state.root, fleet.root))
    (root / "shop.yaml").write_text(yaml.safe_dump(PLAN))
    command(state, "plan", "apply", str(root / "shop.yaml"))
    command(state, "plan", "start", "shop")
    end = time.monotonic() + 180
    while not settled(store, fleet):
        if time.monotonic() > end or not lives or lives[0].poll() is not None:
            raise SystemExit(f"it doesn't get there: {lives[0].said if lives else 'no engine was started'}")
        time.sleep(0.05)
    lives[0].kill()
    if not settled(store, fleet):
        raise SystemExit("a sync had begun when the engine was killed: try again")
    for record in store.migrations.all():
        print(record.machine_name, record.status, record.phase, len(record.syncs or []), record.error)
    store.close()
    forget_unused(fleet)


def forget_unused(fleet: Fleet) -> None:
    """The copies of disks that a small cloud keeps of snapshots that are gone."""
    for name in NAMES:
        world = fleet.world(name)
        there = world.read()
        kept = {s["ref"] for s in there["snapshots"].values()}
        for path in world.root.glob("snapshot-*"):
            if path.name.rpartition("-")[0] not in kept:
                path.unlink()
        for path in world.root.glob("vsnap-*"):
            if path.name.removeprefix("vsnap-") not in there["vsnaps"]:
                path.unlink()


def pack(root: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for part in ("state", "fleet"):
            packed.add(root / part, part)


if __name__ == "__main__":
    archive = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        make(Path(directory))
        pack(Path(directory), archive)
