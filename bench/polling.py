"""A hundred clients that look at a plan of a thousand machines again and again: how long each look takes.

    .venv/bin/python bench/polling.py [CLIENTS [MACHINES]] [--small]

A server process with the real application, on PostgreSQL as in production and on SQLite; only who asks is not looked up
in Keystone. Every client opens a connection of its own each round and asks in turn, a round every
--every seconds: the versions of the API (which costs nothing, and so is what everything else is measured by), a
migration, a page of a hundred migrations, the plan, and all of the plan's migrations. Meanwhile the machines' progress
changes, as it does while they are copied. Kept in results/polling.json.
"""

import asyncio
import multiprocessing
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from control_plane import processor_seconds
from outcome import about_machine, keep, need_postgresql, now, parser

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "service")]
MOVING = 100  # machines that are being copied
SECONDS = 30.0
ALONE = 20  # looks of a kind, for their processor time


def fill(store, machines):
    """A plan whose machines are all asked for, a tenth of them under way. Ids of the migrations."""
    from longshore.model.machine import Disk
    from longshore.model.status import Status
    from longshore.planning import planfile
    from longshore.store import NewMigration, Scope

    anns = store.scoped(Scope("project-a"))
    source = anns.providers.add("vc", "vsphere", {}, {}).id
    target = anns.providers.add("cloud", "openstack", {}, {}).id
    entries = [{"machine": f"/dc/vm/app/web{n}", "ref": f"vm-{n}"} for n in range(machines)]
    whole = {"name": "big", "source": "vc", "target": "cloud", "machines": entries}
    plan = anns.plans.add("big", planfile.plain(planfile.from_plain(whole)))
    disks = tuple(Disk(f"200{n}", f"Hard disk {n + 1}", n, 1 << 34, f"[ds] web-{n}", "ds") for n in range(2))
    request = {"networks": {"VM Network": "private"}}
    records = anns.migrations.add_together(
        [
            NewMigration(
                f"web{n}",
                f"vm-{n}",
                source,
                target,
                request,
                plan_id=plan.id,
                wave=1,
                places={"path": f"app/web{n}", "host": f"esx{n % 20}", "datastores": ["ds"]},
                disks=disks,
            )
            for n in range(machines)
        ]
    )
    for record in records[:MOVING]:
        store.migrations.update(record.id, status=Status.RUNNING, phase="copying")
    return [record.id for record in records]


def serve(root, url, pipe):
    import uvicorn
    from tokens import access

    from longshore.service import create_app
    from longshore.store import StateDirectory, Store

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the log of who asked for what
    store = Store(StateDirectory(root, url))
    server = uvicorn.Server(uvicorn.Config(create_app(store, access=access()), access_log=False, log_config=None))
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    pipe.send(listening.getsockname()[1])
    server.run(sockets=[listening])


def move(root, url, ids, stop):
    """As copies do, two of each machine's disks and several times a second, in one process for all of them."""
    from longshore.store import StateDirectory, Store

    store = Store(StateDirectory(root, url))
    done = 0
    while not stop.wait(0.02):
        done += 1 << 20
        progress = {"done": done, "total": 1 << 34, "rate": 1e8, "eta": 60.0, "verified": 0, "to_verify": 1 << 34}
        store.disks.update(random.choice(ids), "2000", state="copying", progress=progress)
    store.close()


def looks_at(migration):
    return {
        "versions": "/",
        "migration show": f"/v1/migrations/{migration}",
        "migration list, a page of 100": "/v1/migrations?limit=100",
        "plan show": "/v1/plans/big",
        "plan watch, all its migrations": "/v1/plans/big/migrations",
    }


class Connection:
    """HTTP/1.1, kept open: a client that costs next to nothing itself."""

    def __init__(self, port):
        self._port = port

    async def open(self):
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)

    async def get(self, path):
        """Seconds until the answer's last byte, and how many bytes it has."""
        began = time.perf_counter()
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-Auth-Token: ann\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200"), head
        length = int(head.partition("content-length: ")[2].partition("\r")[0])
        await self._reader.readexactly(length)
        return time.perf_counter() - began, length

    def close(self):
        self._writer.close()


async def alone(port, ids, server, looks=ALONE):
    """Processor milliseconds of the server for each look, one after another: whatever else the machine does."""
    connection, spent = Connection(port), {}
    await connection.open()
    for name, path in looks_at(ids[0]).items():
        await connection.get(path)
        before = processor_seconds(server)
        for _ in range(looks):
            await connection.get(path)
        spent[name] = round((processor_seconds(server) - before) * 1000 / looks, 1)
    connection.close()
    return spent


async def poll(port, clients, ids, every, seconds):
    took, sizes = defaultdict(list), {}
    end = time.monotonic() + seconds

    async def client():
        connection = Connection(port)
        await asyncio.sleep(random.uniform(0, every))
        while time.monotonic() < end:
            again = time.monotonic() + every
            await connection.open()  # an idle one isn't kept for longer than 5 s
            looks = looks_at(random.choice(ids))
            for name in random.sample(list(looks), len(looks)):
                seconds, sizes[name] = await connection.get(looks[name])
                took[name].append(seconds)
            connection.close()
            await asyncio.sleep(max(0.0, again - time.monotonic()))

    await asyncio.gather(*[client() for _ in range(clients)])
    return took, sizes


def measure(database, cluster, clients, machines, every, seconds=SECONDS, looks=ALONE):
    from longshore.store import StateDirectory, Store

    url = cluster.database() if cluster else None
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "state"
        store = Store(StateDirectory(root, url))
        ids = fill(store, machines)
        ours, theirs = spawn.Pipe()
        server = spawn.Process(target=serve, args=(root, url, theirs))
        stop = spawn.Event()
        mover = spawn.Process(target=move, args=(root, url, ids[:MOVING], stop))
        server.start()
        mover.start()
        port = ours.recv()
        spent = asyncio.run(alone(port, ids, server, looks))
        before, began = processor_seconds(server), time.monotonic()
        took, sizes = asyncio.run(poll(port, clients, ids, every, seconds))
        busy = (processor_seconds(server) - before) / (time.monotonic() - began)
        stop.set()
        mover.join()
        server.terminate()
        server.join()
        store.close()
    base = took["versions"]
    return {
        "database": database,
        "every_seconds": every,
        "server_processors_busy": round(busy, 2),
        "looks": {
            name: {
                "count": len(seconds),
                "server_processor_ms_alone": spent[name],
                "bytes": sizes[name],
                "p50_ms": round(statistics.median(seconds) * 1000, 1),
                "p99_ms": round(statistics.quantiles(seconds, n=100)[98] * 1000, 1),
                "p50_to_versions": round(statistics.median(seconds) / statistics.median(base), 1),
            }
            for name, seconds in sorted(took.items(), key=lambda each: sizes[each[0]])
        },
    }


def main():
    asked = parser(__doc__)
    asked.add_argument("clients", type=int, nargs="?", default=100)
    asked.add_argument("machines", type=int, nargs="?", default=1000)
    asked.add_argument("--every", type=float, default=10.0, help="seconds from one round of a client to its next")
    args = asked.parse_args()
    need_postgresql()
    from postgresql import Cluster

    about, cluster = about_machine(), Cluster()
    try:
        if args.small:
            print(measure("PostgreSQL", cluster, 2, 20, 0.5, seconds=1.0, looks=2))
            return
        found = [
            measure("PostgreSQL", cluster, args.clients, args.machines, args.every),
            measure("SQLite", None, args.clients, args.machines, args.every),
        ]
    finally:
        cluster.remove()
    asked_of = {"clients": args.clients, "machines": args.machines}
    keep("polling", {"at": now(), "machine": about, **asked_of, "cases": found})


if __name__ == "__main__":
    main()
