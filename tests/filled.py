"""A state directory with something of everything, as it would be in the middle of a day's work."""

import subprocess
import uuid
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from longshore.engine.version import FLOW_VERSION
from longshore.model.backup_policy import LastRun, MachineBackup, PointTrial, Proof, SecondCopy, Stand
from longshore.model.channel import ChannelKind, Message, Occasion
from longshore.model.forms import form
from longshore.model.group import Gate
from longshore.model.limit import LimitOf, LimitPlace
from longshore.model.machine import Disk, Machine, PowerState
from longshore.model.platform import Platform
from longshore.model.point import Consistency
from longshore.model.replica import PointDisk, Protection, Stage
from longshore.model.selection import MachineFilter
from longshore.model.target import Owner
from longshore.planning import planfile
from longshore.store import NewMigration
from longshore.store.backup_policies import NewBackupPolicy
from longshore.store.channels import NewChannel
from longshore.store.ledger import EntryState, ThingKind
from longshore.store.tables import JobRow, NodeRow, WorkerRow, utc_now
from longshore.store.workers import Leases, WorkerRecord
from longshore.vault.directory import Directory
from longshore.vault.keys import add_key, new_recovery_key
from longshore.vault.vault import Vault
from point_in_vault import with_point

GIB = 1 << 30
BAD_NAME = '"><img src=x onerror=alert(1)>\u202e{{7*7}}'
BAD_FILE = '"><img src=x onerror=alert(1)>\n.conf'
SEEN_UP = "The console shows a login prompt."
COPIED = {
    "bytes_read": 2 << 30,
    "bytes_written": 1 << 30,
    "bytes_verified": 2 << 30,
    "bytes_zeroed": 0,
    "copy_seconds": 10.0,
}
COPIED["rate"] = COPIED["bytes_read"] // 10
COLD = (  # seconds since it began, phase, what was said
    (0, "preparing", "Looking at web01 and at what the target has."),
    (1, "making-volumes", "Making 2 volume(s) on the target."),
    (4, "shutting-down", "Shutting web01 down."),
    (16, "copying", "Copying 2 disk(s) at once."),
    (59, "safeguarding", "Taking snapshots of the volumes before the guest is changed."),
    (61, "converting", "Making the guest ready for its new hardware."),
    (81, "booting", "Making the server on flavor m1.small."),
    (84, "checking", "Waiting for the guest to show that it is up."),
    (99, "handing-over", "Removing the rollback points."),
    (100, "done", "Done."),
)


def fill(store):
    """The ids of what is in it, by names."""
    vc, cloud = store.providers.get("vc"), store.providers.get("cloud")
    plan = {
        "name": "shop",
        "source": "vc",
        "target": "cloud",
        "description": "The shop's machines",
        "mappings": {"networks": {"VM Network": "private"}},
        "defaults": {"type": "warm"},
        "machines": [{"machine": name, "ref": f"vm-{n}"} for n, name in enumerate(("app01", "app02", "db01"), start=1)],
    }
    record = store.plans.add("shop", planfile.plain(planfile.from_plain(plan)))
    ids = backups(store, vc)

    def migration(name, ref, type_="warm", *, of_plan=True, **fields):
        disks = (
            Disk("2000", "Hard disk 1", 0, 40 * GIB, "[ds] a", "ds"),
            Disk("2001", "Hard disk 2", 1, GIB, "", "ds"),
        )
        new = NewMigration(
            machine_name=name,
            machine_ref=ref,
            source_id=vc.id,
            target_id=cloud.id,
            request={"type": type_, "networks": {"VM Network": "private"}},
            plan_id=record.id if of_plan else None,
            wave=1,
            disks=disks,
        )
        (made,) = store.migrations.add_together([new])
        ids[name] = made.id
        store.migrations.update(made.id, **fields)
        return made.id

    begun = utc_now() - timedelta(hours=2)
    waiting = migration("app01", "vm-1", status="running", phase="waiting", started_at=begun)
    store.migrations.update(
        waiting,
        syncs=[
            {"number": 0, "bytes_changed": None, "bytes_written": 9 * GIB, "seconds": 412.0, "final": False, "at": "x"},
            {
                "number": 1,
                "bytes_changed": 80 << 20,
                "bytes_written": 64 << 20,
                "seconds": 9.5,
                "final": False,
                "at": "x",
            },
        ],
    )
    copying = migration("app02", "vm-2", status="running", phase="copying", started_at=begun)
    progress = {"done": 12 * GIB, "total": 40 * GIB, "verified": 0, "to_verify": 0, "rate": 120 << 20, "eta": 239.0}
    store.disks.update(copying, "2000", state="copying", progress=progress)
    failed = migration("db01", "vm-3", status="failed", phase="copying", started_at=begun, finished_at=utc_now())
    store.migrations.update(
        failed,
        error='The quota of project "small" has no room for 41 GiB of volumes. Ask for more, or remove some.',
        error_code="quota-exceeded",
    )
    for phase, text in (
        ("preparing", "Looking at db01."),
        ("making-volumes", "Making 2 volumes."),
        ("copying", "Seed."),
    ):
        store.events.enter(failed, phase, text)
    store.events.say(failed, None, "The quota has no room.", "error")
    done = migration("web01", "vm-9", "cold", of_plan=False, status="done", phase="done", started_at=begun)
    store.migrations.update(
        done,
        finished_at=utc_now(),
        source_off_at=begun,
        target_up_at=begun + timedelta(seconds=95),
        server_id="5f0c2c8e-0000-4000-8000-000000000001",
        result={"proof": SEEN_UP, **COPIED},
    )
    for seconds, phase, text in COLD:
        store.events._tell(done, phase, text, "information", begun + timedelta(seconds=seconds), enters=True)
    migration(BAD_NAME, "vm-66", "cold", of_plan=False, status="cancelled", phase="cancelled")
    ids["replica"] = replica(store, vc, cloud, "mail01", "vm-20", minutes=(600, 420, 240, 90, 75))
    ids["fresh"] = replica(store, vc, cloud, "files01", "vm-21", minutes=(700, 460, 340, 200, 100, 12))
    store.groups.add("rack", {ids["replica"]: 1, ids["fresh"]: 2}, {1: Gate(pause=120.0)})
    ids["channel"] = channel(store)
    return ids


def channel(store):
    """A channel whose receiver was away when it was to be told last. Returns its id."""
    address = {"address": "https://hooks.example.org/secret"}
    new = NewChannel("oncall", ChannelKind.WEBHOOK, tuple(Occasion), 1800.0, None, 0.0, None, address)
    id_ = store.channels.add(new).id
    said = Message(Occasion.FAILED, "cold", "1", BAD_NAME, f"The cold of {BAD_NAME} has failed.")
    store.channels.note(id_, {"failed/1": said}, utc_now())
    store.channels.missed(store.channels.claim(id_, "a process"), "It didn't answer in time.")
    return id_


def workers_and_left_overs(store):
    """Two workers, one of them dead, and something that a failed migration has left."""
    for name in ("w-alive", "w-dead"):
        Leases(store.database, WorkerRecord(name, "node1", 7, FLOW_VERSION, 4, ("north",)), 20.0).take()
    ids = {m.machine_name: m.id for m in store.migrations.all()}
    with store.database.session() as session:
        session.execute(update(WorkerRow).where(WorkerRow.id == "w-dead").values(lease_until=1.0))
        session.execute(update(JobRow).where(JobRow.record_id == ids["app02"]).values(worker_id="w-alive"))
    cloud = store.providers.get("cloud").id
    entry = store.ledger.intend(Owner(ids["db01"], "volume-1"), cloud, ThingKind.VOLUME)
    store.ledger.settle(entry.id, EntryState.LEFT, ref="vol-77", note="Cinder says it is in use.")


def nodes(store):
    """Three machines that serve together: node2 has the primary, node3 is away, and node1's Patroni needs a certificate
    soon."""
    now = datetime.now(UTC)
    soon, later = now + timedelta(days=9), now + timedelta(days=800)
    for number, database in enumerate(("standby", "primary", "standby"), 1):
        store.nodes.say(
            f"node{number}",
            address=f"192.0.2.1{number}",
            host=f"node{number}",
            version="1.2.3",
            started_at=now - timedelta(days=3),
            database=database,
            has_address=number == 1,
            certificates={"server": later, "patroni": soon if number == 1 else later},
        )
    with store.database.session() as session:
        session.execute(update(NodeRow).where(NodeRow.name == "node3").values(seen_at=NodeRow.seen_at - 3600))


def limit(store):
    """The id of one that is set."""
    place = LimitPlace(LimitOf.HOST, store.providers.get("vc").id, "esx1")
    return store.limits.put(place, None, {"at_once": 2, "bytes_per_second": 50 << 20}).limit.id


def encrypted_vault(store):
    """Make a vault called safe. Returns the id of a key that opens it besides."""
    place = store.state.root.parent / "safe"
    vault = Vault.create(Directory(place), "a phrase")
    store.providers.add("safe", "vault", {"directory": str(place)}, {"pass_phrase": "a phrase"})
    return add_key(vault, new_recovery_key(), "emergency").id


def backups(store, vc):
    """A vault with points of two machines, and a policy that has run: one of its machines couldn't be read."""
    place = store.state.root.parent / "vault"
    vault = Vault.create(Directory(place), None)
    record = store.providers.add("offsite", "vault", {"directory": str(place)}, {})
    policy, now = str(uuid.uuid4()), datetime.now(UTC)
    new = NewMigration(
        machine_name="nightly",
        machine_ref=f"policy:{policy}",
        source_id=vc.id,
        target_id=record.id,
        request={"type": "backup-policy"},
        policy=NewBackupPolicy(
            name="nightly",
            machines=(),
            wanted=MachineFilter(name="app*"),
            schedule="daily 02:00 UTC",
            retention="last 2, zone UTC",
            verify=None,
            due_at=utc_now() + timedelta(hours=9),
            verify_due_at=None,
        ),
        id=policy,
    )
    store.migrations.add_together([new])
    with_point(vault, place.parent, BAD_NAME, now - timedelta(days=30))
    made = [with_point(vault, place.parent, "app01", now - timedelta(days=age), policy=policy) for age in (3, 2)]
    disk = file_system(place.parent)
    made.append(with_point(vault, place.parent, "app01", now - timedelta(days=1), disk, policy=policy))
    error = "The host doesn't answer."
    asked = {"type": "backup", "of": policy}
    first, second = store.migrations.add_together(
        [NewMigration(name, f"vm-{n}", vc.id, record.id, asked) for n, name in enumerate(("app01", "app09"), start=1)]
    )
    store.migrations.update(first.id, status="done", phase="done", finished_at=utc_now(), result={"point": made[-1]})
    store.migrations.update(second.id, status="failed", phase="copying", finished_at=utc_now(), error=error)
    begun = [
        MachineBackup("app01", "vm-1", first.id, Stand.DONE, point=made[-1]),
        MachineBackup("app09", "vm-2", second.id, Stand.FAILED, error=error),
    ]
    trial = PointTrial("app01", made[-1], first.id, Stand.DONE, shown_by="console", seconds={"copy": 20.0, "all": 61.5})
    failed = PointTrial("app09", made[0], second.id, Stand.FAILED, error="The quota is short.")
    copy = SecondCopy(first.id, now, Stand.FAILED, error="The second vault is full.")
    for part in (LastRun(now, tuple(begun), now), copy, Proof(now, (trial, failed), now)):
        store.backup_policies.begin(policy, part)
    return {"point": made[-1], "policy": policy}


def file_system(directory):
    """A small one of a guest, with a name that a page would rather not have."""
    root, image = directory / "guest", directory / "guest.ext4"
    (root / "etc").mkdir(parents=True)
    (root / "etc/hostname").write_text("app01\n")
    (root / "etc/fstab").write_text("")
    (root / "etc" / BAD_FILE).write_text("x")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, image, "1M"], check=True, capture_output=True)
    return image.read_bytes()


def names_of_backups(store):
    """Return the names of backups as pages' addresses have them."""
    (point,) = [m.result["point"] for m in store.migrations.all() if m.result and "point" in m.result]
    return {"vault": "offsite", "policy": "nightly", "point": point}


def replica(store, vc, cloud, name, ref, minutes):
    """Add a replica with points so many minutes old."""
    new = NewMigration(
        machine_name=name,
        machine_ref=ref,
        source_id=vc.id,
        target_id=cloud.id,
        request={"type": "replica", "networks": {"VM Network": "private"}},
        protection=Protection("every 15m", "last 24, zone UTC", 3600, utc_now() + timedelta(minutes=4)),
    )
    (made,) = store.migrations.add_together([new])
    store.migrations.update(
        made.id, status="running", phase="waiting", created_at=utc_now() - timedelta(minutes=max(minutes) + 5)
    )
    disk = Disk("2000", "Hard disk 1", 0, 1 << 20, f"[ds] {name}/{name}.vmdk", "ds")
    machine = Machine(ref, name, PowerState.ON, 1, 256, (disk,), (), platform=Platform("vsphere"))
    for number, age in enumerate(minutes, start=1):
        moment = datetime.now(UTC) - timedelta(minutes=age)
        store.points.begin(made.id, number, moment, goes_on=False)
        sync = {"number": number - 1, "bytes_changed": 10 << 20, "bytes_written": 8 << 20, "seconds": 60}
        store.points.complete(
            made.id,
            number,
            usable_at=moment + timedelta(minutes=1),
            consistency=Consistency.CRASH,
            disks=[PointDisk("2000", "Hard disk 1", 1 << 20, "v", f"s-{number}", "ab" * 32)],
            machine={"machine": form(Machine).dump_python(machine, mode="json")},
            sync={"at": moment.isoformat(), "bytes_read": 1, "bytes_verified": 1, "final": False, **sync},
            state={},
        )
    store.replicas.update(made.id, stage=Stage.PROTECTED.value)
    return made.id
