"""What it costs to know, decide and remember: many migrations at once, between clouds that cost nothing.

    .venv/bin/python bench/control_plane.py [MIGRATIONS] [--small]

Workers, queue, durable workflows, ledger, events and database are the real ones, each worker a process of its own;
the clouds answer at once, and a copy or a conversion only takes its time, telling its progress as a real one does. So
what is measured is the control plane alone: how much longer than its copy a migration took, and the processor time of
workers and database. Kept in results/control_plane.json.
"""

import asyncio
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from outcome import about_machine, keep, need_postgresql, now, parser

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
COPY_SECONDS, SMALL_COPY_SECONDS = 10.0, 0.5
PROGRESS_EVERY = 0.1  # seconds, as a copy tells it


def stand_in(copy_seconds):
    """Clouds, copies and conversions that cost nothing, in this process."""
    from longshore.blocks import CopyResult
    from longshore.blocks.request import CopyProgress, Phase
    from longshore.flows import clouds
    from longshore.flows.moves import conversion, copying, look
    from longshore.guests.report import ConversionReport, OperatingSystem
    from longshore.model.guest import FoundSystem, GuestFindings
    from longshore.model.hardware import BootDrivers
    from longshore.model.machine import Disk, Machine, Nic, PowerState, Snapshot, SnapshotDisk
    from longshore.model.platform import Platform
    from longshore.model.target import (
        Flavor,
        Network,
        Port,
        QuotaRoom,
        Server,
        Subnet,
        Taken,
        Volume,
        VolumeSnapshot,
    )
    from longshore.providers.contract import Source, Target

    off = set()  # machines: each is moved by one process

    class Nowhere:
        uri = "nbd://nowhere"
        maximum_read = None

        def check(self):
            """No server of it can die."""

    class Cloud(Source, Target):
        """Both sides, with none of the optional roles. What isn't written here answers nothing, at once."""

        def by_reference(self, ref):
            number = int(ref.partition("-")[2])
            disk = Disk("2000", "Hard disk 1", 0, 1 << 30, f"[ds] {ref}", "ds")
            mac = f"00:50:56:00:{number >> 8:02x}:{number & 255:02x}"
            nic = Nic("4000", "Network adapter 1", mac, "VM Network", addresses=(), pci_slot=192)
            return Machine(ref, ref, PowerState.ON, 1, 256, (disk,), (nic,), platform=Platform("vsphere"))

        machine = by_reference

        def make_ready(self, _owner, _machine_ref=None):
            """A source and a target each have one of this name."""

        def shut_down(self, ref):
            off.add(ref)

        power_off = shut_down

        def power_on(self, ref):
            off.discard(ref)

        def power_state(self, ref):
            return PowerState.OFF if ref in off else PowerState.ON

        def wait_powered_off(self, _ref, _timeout):
            return True

        def snapshot(self, ref, name, owner, *, quiesce):
            return Snapshot(f"snapshot-{ref}", ref, name, (SnapshotDisk("2000", "2000", 1 << 30, None),))

        def networks(self):
            return [Network("n", "private", False, True, (Subnet("s", "10.0.0.0/16", True),))]

        def volume_types(self):
            return ["ceph"]

        def flavors(self):
            return [Flavor("f", "small", 1, 256, 0)]

        def quota_room(self):
            return QuotaRoom(None, None, None, None, None, None, None)

        def present(self):
            return []

        def taken(self, _network, _macs, _addresses):
            return Taken()

        def create_volume(self, request, owner):
            return Volume(f"volume-{owner.tag[-60:]}", request.name, request.size)

        def create_port(self, request, owner):
            return Port(f"port-{owner.tag[-60:]}", request.mac, (), request.network_id)

        def snapshot_volume(self, volume_id, owner):
            return VolumeSnapshot(f"snapshot-{volume_id}", volume_id)

        def create_server(self, request, owner):
            return Server(f"server-{owner.tag[-60:]}", request.name, "ACTIVE")

        def console(self, _id):
            return "login: "

        @contextmanager
        def open_disk(self, _snapshot, _key):
            yield Nowhere()

        open_volume = open_disk

    async def copy(request, on_progress, *, exports=()):
        began = time.monotonic()
        while (gone := time.monotonic() - began) < copy_seconds:
            done = int(gone / copy_seconds * (1 << 30))
            values = {name: 0 for name in CopyProgress._fields} | {"phase": Phase.COPY, "done": done, "copied": done}
            on_progress(CopyProgress(**values))
            await asyncio.sleep(PROGRESS_EVERY)
        return CopyResult(1 << 30, 1 << 30, 0, 0, 0, 1 << 30, request.verify, (), copy_seconds, "0" * 64)

    async def look_into(*_asked, **_options):
        system = FoundSystem("/dev/sda1", "linux", "debian", "12", "Debian 12", "x86_64", package_format="deb")
        drivers = BootDrivers(inspected=True, family="linux", boot=("ahci",), later=("ahci",), network=("vmxnet3",))
        return GuestFindings(inspected=True, systems=(system,), drivers=drivers)

    async def convert(*_asked, **_options):
        system = OperatingSystem("/dev/sda1", "linux", "debian", "12", "Debian 12", "x86_64", "deb", "web", {})
        return ConversionReport(system, (), (), (), 0.1, "")

    clouds.connect = lambda *_args, **_kwargs: Cloud()
    copying.run_copy = copy
    look.look_into = look_into
    conversion.convert = convert


def worker(state, url, at_once, copy_seconds, log):
    with Path(log).open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    stand_in(copy_seconds)
    from longshore.configuration import read_configuration
    from longshore.engine import worker_process
    from longshore.flows.workflows import FLOWS

    worker_process.serve(read_configuration(state=state, database_url=url, at_once=at_once), FLOWS)


def processor_seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def peak_mib(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def measure(name, migrations, workers, cluster, copy_seconds=COPY_SECONDS):
    from longshore.store import NewMigration, StateDirectory, Store

    print(f"{name}: {migrations} migrations, {workers} worker(s)", file=sys.stderr)
    url = cluster.database() if cluster else None
    with tempfile.TemporaryDirectory() as directory:
        state = StateDirectory(Path(directory) / "state", url)
        store = Store(state)
        source = store.providers.add("vc", "vsphere", {}, {}).id
        target = store.providers.add("cloud", "openstack", {}, {}).id
        plan = store.plans.add("all", {"limits": {"at_once": migrations}})
        request = {"networks": {"VM Network": "private"}}
        spawn = multiprocessing.get_context("spawn")
        processes = []
        for number in range(workers):
            log = Path(directory) / f"{number}.log"
            at_once = migrations if workers == 1 else -(-migrations // workers)
            arguments = (state.root, url, at_once, copy_seconds, log)
            processes.append(spawn.Process(target=worker, args=arguments))
            processes[-1].start()
        while len(store.workers.all()) < workers:
            time.sleep(0.1)
        time.sleep(copy_seconds / 2)  # until they have imported everything
        database = cluster.processor_seconds() if cluster else 0.0
        before = sum(map(processor_seconds, processes))
        began = time.monotonic()
        new = [NewMigration(f"m{n}", f"vm-{n}", source, target, request, plan_id=plan.id) for n in range(migrations)]
        store.migrations.add_together(new)
        while store.queue.records():
            if not all(process.is_alive() for process in processes) or time.monotonic() - began > 300:
                raise SystemExit("\n".join(p.read_text() for p in Path(directory).glob("*.log")))
            time.sleep(0.5)
        wall = time.monotonic() - began
        database = cluster.processor_seconds() - database if cluster else 0.0
        spent = sum(map(processor_seconds, processes)) - before
        peak = max(map(peak_mib, processes))
        records = store.migrations.all()
        if {str(r.status) for r in records} != {"done"}:
            told = [p.read_text()[-5000:] for p in [*Path(directory).glob("*.log")]]
            raise SystemExit("\n".join([*{r.error or str(r.status) for r in records}, *told]))
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        store.close()
    waited = [(r.started_at - r.created_at).total_seconds() for r in records]
    took = [(r.finished_at - r.started_at).total_seconds() - copy_seconds for r in records]
    return {
        "case": name,
        "migrations": migrations,
        "workers": workers,
        "wall_seconds": round(wall, 1),
        "begun_after_seconds": {"median": round(statistics.median(waited), 2), "worst": round(max(waited), 2)},
        "longer_than_its_copy_seconds": {"median": round(statistics.median(took), 2), "worst": round(max(took), 2)},
        "worker_processor_ms_per_migration": round(spent * 1000 / migrations),
        "database_processor_ms_per_migration": round(database * 1000 / migrations),
        "peak_mib": peak,
    }


def main():
    asked = parser(__doc__)
    asked.add_argument("migrations", type=int, nargs="?", default=200)
    args = asked.parse_args()
    need_postgresql()
    from postgresql import Cluster

    about, cluster = about_machine(), Cluster()
    try:
        if args.small:
            print(measure("PostgreSQL", 3, 1, cluster, SMALL_COPY_SECONDS))
            return
        found = [
            measure("SQLite", args.migrations, 1, None),
            measure("PostgreSQL", args.migrations, 1, cluster),
            measure("PostgreSQL", args.migrations, 3, cluster),
        ]
    finally:
        cluster.remove()
    keep("control_plane", {"at": now(), "machine": about, "copy_seconds": COPY_SECONDS, "cases": found})


if __name__ == "__main__":
    main()
