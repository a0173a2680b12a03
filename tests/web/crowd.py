"""A store in the middle of a large move: a plan of 1,000 machines, of which 30 wait for their cutover, 40 younger ones
are copied, 300 are queued, and 25 have failed, 20 of them before a later try that is done."""

from datetime import timedelta

from longshore.model.machine import Disk
from longshore.planning import planfile
from longshore.store import NewMigration
from longshore.store.tables import utc_now

GIB = 1 << 30
BEGUN = timedelta(hours=5)  # ago


def crowd(store, machines=1000):
    """Fill a store that has the providers vc and cloud, and return the plan's record. Each machine has 40 GiB."""
    vc, cloud = store.providers.get("vc"), store.providers.get("cloud")
    plan = {
        "name": "datacentre",
        "source": "vc",
        "target": "cloud",
        "mappings": {"networks": {"VM Network": "private"}},
        "defaults": {"type": "warm"},
        "machines": [
            {"machine": f"srv-{n:04d}", "ref": f"vm-{n}", "wave": 1 + n // 250} for n in range(1, machines + 1)
        ],
    }
    record = store.plans.add("datacentre", planfile.plain(planfile.from_plain(plan)))

    def begun(numbers, **fields):
        made = store.migrations.add_together(
            [
                NewMigration(
                    machine_name=f"srv-{n:04d}",
                    machine_ref=f"vm-{n}",
                    source_id=vc.id,
                    target_id=cloud.id,
                    request={"type": "warm", "networks": {"VM Network": "private"}},
                    plan_id=record.id,
                    wave=1 + n // 250,
                    disks=(Disk("2000", "Hard disk 1", 0, 40 * GIB, "[ds] a", "ds"),),
                )
                for n in numbers
            ]
        )
        for one in made:
            store.migrations.update(one.id, **fields)
        return [one.id for one in made]

    ago = utc_now() - BEGUN
    sync = {"number": 0, "bytes_changed": None, "bytes_written": GIB, "seconds": 60.0, "final": False, "at": "x"}
    for id_ in begun(range(1, 31), status="running", phase="waiting", started_at=ago, syncs=[sync]):
        store.disks.update(id_, "2000", state="done")
    failed = {"status": "failed", "phase": "rolled-back", "error": "The host doesn't answer."}
    begun(range(31, 56), started_at=ago, finished_at=utc_now(), **failed)
    for id_ in begun(range(31, 51), status="done", phase="done", started_at=ago, finished_at=utc_now()):
        store.disks.update(id_, "2000", state="done")
    for n, id_ in enumerate(begun(range(60, 100), status="running", phase="copying", started_at=ago), start=60):
        told = {"done": n * GIB // 4, "total": 40 * GIB, "verified": 0, "to_verify": 0, "rate": 30 << 20, "eta": 3000.0}
        store.disks.update(id_, "2000", state="copying", progress=told)
    begun(range(100, 400))
    return record
