"""Jobs for the workers of three nodes, asked for on one of them.

    node_jobs.py CONFIGURATION FLEETS prepare | NUMBER [RATE]

`prepare` names a provider that limits are set for. Else it asks for NUMBER machines to be moved, with RATE bytes per
second each, says so by a line, waits until all have ended, and writes a line of JSON: what became of them, when another
worker was first seen to have one (seconds since the epoch), and what is not as it should be on the clouds.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "flows"), str(TESTS)]

from small_clouds import SIZES, expected  # noqa: E402
from small_fleet import Fleet  # noqa: E402

from longshore.configuration import read_configuration  # noqa: E402
from longshore.store import NewMigration, Scope, StateDirectory, Store  # noqa: E402

RATE = 256 << 10  # bytes per second: a job takes some twenty seconds
WITHIN = 600.0  # seconds that nothing of them ends


def main(configuration, fleets, what, rate=RATE):
    store = Store(StateDirectory.configured(read_configuration(Path(configuration))))
    store.database.patience = WITHIN
    own = store.scoped(Scope("project-tok-a", everything=True))
    if what == "prepare":
        own.providers.add("vc", "vsphere", {}, {"password": "x"})
        return
    run = str(time.time_ns())
    names = [f"app{n:02}" for n in range(int(what))]
    fleet = Fleet.create(Path(fleets) / f"fleet{run}", names)
    settings = {"root": str(fleet.root)}
    source = own.providers.add(f"vc{run}", "vsphere", settings, {"password": "x"}).id
    target = own.providers.add(f"cloud{run}", "openstack", settings, {"password": "x"}).id
    plan = own.plans.add(f"run{run}", {"limits": {"at_once": 1_000_000}})
    request = {
        "networks": {"VM Network": "private"},
        "boot_timeout": 60.0,
        "shutdown_timeout": 5.0,
        "rate_limit": int(rate),
    }
    new = [NewMigration(name, fleet.ref(name), source, target, request, plan_id=plan.id) for name in names]
    own.migrations.add_together(new)
    print("asked", flush=True)
    has, taken_over, ended, since = {}, [], 0, time.monotonic()
    while True:
        for job in store.queue.records():
            if job.worker_id and has.setdefault(job.id, job.worker_id) != job.worker_id:
                has[job.id] = job.worker_id
                taken_over.append(time.time())
        records = [record for record in store.migrations.all() if record.plan_id == plan.id]
        before, ended = ended, sum(record.status.ended for record in records)
        since = time.monotonic() if ended > before else since
        if ended == len(records) or time.monotonic() > since + WITHIN:
            break
        time.sleep(0.3)
    wrong = [fault for record in records for fault in faults(fleet.world(record.machine_name))]
    print(
        json.dumps(
            {
                "taken_over": taken_over,
                "statuses": Counter(str(record.status) for record in records),
                "wrong": wrong,
                "why": [(record.machine_name, record.error) for record in records if record.error],
            }
        )
    )


def faults(world):
    """Yield what was made twice, is left, differs, or was changed by a worker after another one had."""
    state, callers = world.read(), world.callers()
    made = {kind: len(state[kind]) for kind in ("servers", "ports", "volumes", "snapshots", "vsnaps")}
    if made != {"servers": 1, "ports": 1, "volumes": 2, "snapshots": 0, "vsnaps": 0}:
        yield made
    if len(callers) != len(set(callers)):
        yield {"callers": callers}
    for server in state["servers"].values():
        for volume, key in zip(server["volume_ids"], SIZES, strict=True):
            if world.volume_file(volume).read_bytes() != expected(world, key):
                yield {"differs": key}


main(*sys.argv[1:])
