"""Reads the same disks through a proxy and through VDDK's plugin, in turn: MiB a second, and what a sync pays for it.

    .venv/bin/python bench/proxy_reads.py [--runs 5] [--mib 512] [--small]

The vCenter is the lab's, in a process of its own. Of the proxy's way all is Longshore's own, but for the guest: the
relay's program, nbdkit, TLS over this machine's loopback. Of the other way nbdkit's vddk plugin is real, and VMware's
library is the lab's stand-in (lab/disklib), which reads files of this machine: it has no network, no TLS, and none of
NFC's limits. VMware documents of these how much memory an ESXi host has for all (48 MiB), and no rate; so none is
pretended here, and four disks at once tell nothing of the proxy's advantage there. The ratio says what our way costs
beside the least that VDDK's can cost. Kept in results/proxy_reads.json.

Attaching and detaching is timed around the whole of it, as a sync has it: rank the proxies, write the ledger, one
call, wait until the disk is served. The stand-in's own part of that is nothing; a real vCenter takes 1 s to a minute.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from outcome import SMALL, about_machine, keep, need, now, parser

from longshore.flows import relays
from longshore.flows.clouds import Clouds
from longshore.model.machine import Snapshot
from longshore.model.target import Owner
from longshore.providers.vsphere.certificate import fetch_fingerprint
from longshore.providers.vsphere.proxy_credentials import make_credentials
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.store import NewMigration, StateDirectory, Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "lab"))

MIB = 1 << 20
PROXY, VDDK = "through a proxy", "through VDDK's plugin"
AT_ONCE = (1, 4)  # disks
FIRST_KEY = 2000  # of a machine's disks
PLUGIN = "nbdkit-vddk-plugin.so"
# nbdkit knows plugins by the names of those that are installed, and Debian 12 has no vddk
NBDKIT = """#!/bin/sh
for word; do shift; [ "$word" = vddk ] && word={plugin}; set -- "$@" "$word"; done
exec {nbdkit} "$@"
"""


@dataclass(frozen=True)
class Place:
    """A vCenter with a proxy that runs, and providers that read its machines, each in its own way."""

    served: Any
    root: Path
    store: Store
    providers: dict[str, str]  # by the way

    def add_machine(self, name: str, image: str, disks: int) -> tuple[str, str]:
        """Return its reference, and the migration that reads it."""
        described = [{"datastore": "datastore1", "image": image}] * disks
        ref = self.served.sidedoor.add_machine("paper00001", name, disks=described, nics=[])
        with self.source(PROXY) as source:
            source.set_change_tracking(ref, True)
        ids = {"source_id": self.providers[PROXY], "target_id": self.providers[PROXY]}
        new = NewMigration(name, ref, request={}, **ids)
        return ref, self.store.migrations.add_together([new])[0].id

    @contextmanager
    def source(self, way: str) -> Iterator[Any]:
        with Clouds(self.store).source(self.providers[way]) as source:
            yield source


@contextmanager
def opened(library: Path | None) -> Iterator[Place]:
    """Serve while the context is open."""
    from vcenter.paper import paper_vcenter

    with tempfile.TemporaryDirectory(prefix="longshore-bench-") as directory, ExitStack() as stack:
        root = Path(directory) / "lab"
        served = stack.enter_context(paper_vcenter(root))
        door = served.sidedoor
        door.add_paper_machines(1, prefix="paper")
        like = {"disks": [{"datastore": "datastore1", "capacity": 1 << 30}], "controllers": 2}
        door.add_machine("paper00001", "proxy", **like)
        door.start_proxy("proxy")
        stack.callback(door.stop_proxy, "proxy")
        store = Store(StateDirectory(Path(directory) / "state"))
        stack.callback(store.close)
        stack.callback(relays.end_relays, store)
        relays.hold_relays_as("bench")
        there = VsphereSettings(served.host, served.user, served.port, fetch_fingerprint(served.host, served.port))
        said = {name: asdict(there)[name] for name in ("host", "username", "port", "fingerprint")}
        secrets = {"password": served.password}
        through_proxy = {**said, "transport": "proxy", "proxies": ["proxy"]}
        key = {"proxy_key": make_credentials().secret}
        providers = {PROXY: store.providers.add("proxy", "vsphere", through_proxy, secrets | key).id}
        if library is not None:
            libdir = install(library, root)
            through_vddk = {**said, "vddk_libdir": str(libdir)}
            providers[VDDK] = store.providers.add("vddk", "vsphere", through_vddk, secrets).id
        yield Place(served, root, store, providers)


def install(library: Path, root: Path) -> Path:
    """Put the library where the vCenter writes its tables, and the plugin where nbdkit is called. Return the first."""
    (root / "run" / "disklib" / "lib64").mkdir()
    shutil.copy(library / "lib64" / "libvixDiskLib.so.8", root / "run" / "disklib" / "lib64")
    programs = root / "bin"
    programs.mkdir()
    wrapper = programs / "nbdkit"
    wrapper.write_text(NBDKIT.format(plugin=library / PLUGIN, nbdkit=shutil.which("nbdkit")))
    wrapper.chmod(0o755)
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    return root / "run" / "disklib"


def found_library() -> Path | None:
    """Return where the lab's stand-in of the library was built, here or in a lab."""
    lab = Path(os.environ.get("LONGSHORE_LAB", "/var/lib/longshore-lab"))
    places = (HERE.parent / "build" / "disklib", lab / "cache" / "disklib")
    return next((place for place in places if (place / PLUGIN).exists()), None)


def seconds_to_read(source: Any, snapshot: Snapshot, disks: int) -> float:
    """Read so many disks at once, from their first byte to their last."""
    with ExitStack() as stack:
        keys = [str(FIRST_KEY + number) for number in range(disks)]
        exports = [stack.enter_context(source.open_disk(snapshot, key)) for key in keys]
        started = time.perf_counter()
        copies = [
            subprocess.Popen(["nbdcopy", "--connections=4", "--requests=16", export.uri, "null:"]) for export in exports
        ]
        if any([copy.wait() for copy in copies]):
            raise SystemExit("A disk couldn't be read.")
        return time.perf_counter() - started


def read_in_turn(place: Place, runs: int, mib: int) -> list[dict[str, Any]]:
    """Return the rates of each way, MiB a second, with one disk and with four."""
    image = place.root / "cache" / "guests" / "noise.raw"
    with image.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
    ref, job = place.add_machine("read", image.name, max(AT_ONCE))
    cases = []
    with ExitStack() as stack:
        sources = {way: stack.enter_context(place.source(way)) for way in place.providers}
        snapshot = sources[PROXY].snapshot(ref, "bench", Owner(job, "read"), quiesce=False)
        for disks in AT_ONCE:
            rates: dict[str, list[float]] = {way: [] for way in sources}
            for _ in range(runs):
                for way in random.sample(list(sources), len(sources)):
                    seconds = seconds_to_read(sources[way], snapshot, disks)
                    rates[way].append(round(disks * mib / seconds, 1))
            cases.append({"disks": disks, "mib_per_s": rates})
        sources[PROXY].remove_snapshot(ref, snapshot.ref)
    return cases


def syncs(place: Place, runs: int) -> dict[str, list[float]]:
    """Return what attaching and detaching two small disks took in each sync, seconds."""
    image = place.root / "cache" / "guests" / "small.raw"
    image.write_bytes(bytes(4 * MIB))
    ref, job = place.add_machine("synced", image.name, 2)
    took: dict[str, list[float]] = {"attach": [], "detach": []}
    with place.source(PROXY) as source:
        for number in range(runs):
            snapshot = source.snapshot(ref, "bench", Owner(job, f"sync-{number}"), quiesce=False)
            started = time.perf_counter()
            with source.open_disk(snapshot, str(FIRST_KEY)):
                took["attach"].append(round(time.perf_counter() - started, 3))
                started = time.perf_counter()
            took["detach"].append(round(time.perf_counter() - started, 3))
            source.remove_snapshot(ref, snapshot.ref)
    return took


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("--runs", type=int, default=5)
    asked.add_argument("--mib", type=int, default=512, help="size of each disk")
    args = asked.parse_args()
    need("nbdkit", "nbdcopy", "qemu-img")
    runs, mib = (1, 8) if SMALL else (args.runs, args.mib)
    library = found_library()
    if library is None and not SMALL:
        raise SystemExit("This bench needs the stand-in of VMware's library: lab/disklib/build build/disklib")
    with opened(library) as place:
        figures = {"cases": read_in_turn(place, runs, mib), "syncs": syncs(place, 2 * runs)}
    for case in figures["cases"]:
        told = [f"{way} {median(rates):.0f} MiB/s" for way, rates in case["mib_per_s"].items()]
        print(f"{case['disks']} at once: {', '.join(told)}")
    print(", ".join(f"{what} {median(seconds):.2f} s" for what, seconds in figures["syncs"].items()))
    if not SMALL:
        keep("proxy_reads", {"at": now(), "machine": about_machine(), "mib": mib, **figures})


if __name__ == "__main__":
    main()
