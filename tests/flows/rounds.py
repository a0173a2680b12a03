"""Migrations between the small clouds by the hundred: in this process, with whatever may happen at any moment of them.

A moment is each call of a cloud, right before and right after it. What happens at which moment is drawn from a seed:

    on      an operator powers the source on, and its guest writes
    off     an operator powers it off
    write   the guest writes, if it runs
    kill    the worker dies on the spot; the next one goes on
    lost    a commit reaches the database, and its answer is lost
    away    the database doesn't answer a few times
    busy    the next calls that change something are refused, since somebody else is at work there
    stuck   so are many more, longer than that is waited for
    limits  the next calls are answered with the wish to wait (429)
    taken   somebody takes a snapshot of the machine, and keeps it
    grown   somebody makes a disk of the machine larger
    gone    somebody deletes the machine

A migration that waits after a cutover that failed is asked for another one, or cancelled, as is drawn too. One whose
syncs can only fail from now on is cancelled.

So that hundreds of rounds take a minute, no process is started: steps are recorded in memory as the durable engine
records them, a worker that is killed raises from whatever it was about to do, and disks are copied as files. Real
engines, copies and kills are what the other tests of this directory are about; here it is the order of things.
"""

import asyncio
import json
import random
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import small_clouds
from dbos import DBOS
from small_clouds import CHANGES, MARK, MIB, SIZES, World, expected
from sqlalchemy.exc import OperationalError

from longshore.blocks import CopyResult
from longshore.blocks.dirty import Dirty
from longshore.blocks.exports import Export
from longshore.blocks.manifest import Digests, digest_of, read_manifest, write_manifest
from longshore.engine import outages, undoing
from longshore.engine.job_context import Cancels
from longshore.engine.outages import Outages
from longshore.errors import Occupied, Unreachable
from longshore.flows.clouds import Clouds
from longshore.flows.moves import conversion, copying, late_conversion, look, migration
from longshore.flows.moves.context import MoveContext
from longshore.flows.replicas import former_addresses, looking
from longshore.flows.undo import undo
from longshore.flows.workflows import KINDS
from longshore.guests.report import ConversionReport, OperatingSystem
from longshore.model.extents import Extent, align, merge, split
from longshore.model.status import Status
from longshore.model.verify import Verify
from longshore.store import Store
from longshore.store.database import Database
from queued import queue_migration

AT_ONCE = {"mode": "scheduled", "at": "2026-01-01T00:00:00Z"}
WAYS = ({}, {"type": "warm", "cutover": AT_ONCE}, {"landing": "as-is"}, {"type": "warm", "cutover": AT_ONCE})
MOMENTS = 130  # of the clouds' calls, so many are drawn from: more than most runs have
CUTOVERS = 3  # that somebody asks for after one has failed
BOUND = 60.0  # seconds in which a round must have ended, whatever happens in it


class Killed(BaseException):
    """The worker is dead: nothing of it may go on."""


class Unparked(MoveContext):
    """Nothing is waited for by parking: whatever doesn't pass while it is tried again fails."""

    def parks_for(self, _error):
        return False


@dataclass
class Round:
    """One migration, and what happens to it."""

    seed: int
    directory: Path
    store: Store
    history: list[str] = field(default_factory=list)

    def __post_init__(self):
        draw = random.Random(self.seed)
        self.request = draw.choice(WAYS)
        self.events = sorted(
            (draw.randrange(MOMENTS), draw.choices(DOES, WEIGHTS)[0]) for _ in range(draw.randrange(1, 7))
        )
        if draw.random() < 0.3:  # the hand is quick: off again before anybody looks
            self.events = sorted(self.events + [(at + 1, "off") for at, does in self.events if does == "on"])
        self.plan = list(self.events)
        self.patience = draw.randrange(CUTOVERS + 1)
        self.world = World.create(self.directory / f"world-{self.seed}")
        for sign in ["one-moment", *(["keeps-bases"] if draw.random() < 0.3 else [])]:
            (self.world.root / sign).touch()
        self.moment = 0
        self.is_gone = False
        self.orders = 0
        self.lost = self.away = self.busy = self.limited = 0
        self.dead = False
        self.steps = {}
        self.lock = threading.RLock()

    # What happens

    def strike(self, call, when):
        with self.lock:
            self.die_if_dead()
            self.history.append(f"{self.moment:4} {when} {call}")
            while self.events and self.events[0][0] <= self.moment:
                self.do(self.events.pop(0)[1])
            self.moment += 1
            if when == "before" and CHANGES.match(call):
                if self.limited:
                    self.limited -= 1
                    raise Unreachable(f"The cloud asks to wait before it does {call} (HTTP 429).")
                if self.busy:
                    self.busy -= 1
                    raise Occupied(f"Something else is under way where {call} was asked for.")

    def do(self, what):
        self.history.append(f"     *** {what}")
        self.orders += 1
        if what in ("on", "off"):
            self.world.hand(what, f"order {self.orders} ".encode())
        elif what == "write":
            self.world.guest_wrote(f"order {self.orders} ".encode())
        elif what == "lost":
            self.lost += 1
        elif what == "away":
            self.away += 3
        elif what in ("busy", "stuck"):
            self.busy += 2 if what == "busy" else 15
        elif what == "limits":
            self.limited += 2
        elif what == "taken":
            with self.world.change() as state:
                state["snapshots"][SOMEBODYS] = {"ref": SOMEBODYS, "ids": dict.fromkeys(SIZES)}
        elif what == "grown" and not self.is_gone:
            (self.world.root / "sizes.json").write_text(json.dumps({"2001": SIZES["2001"] + 2 * MIB}))
        elif what == "gone":
            self.is_gone = True
            with self.world.change() as state:
                state.update(power="off", tracking=False, snapshots={}, ref=None)
        elif what == "kill":
            self.dead = True
            self.die_if_dead()

    def die_if_dead(self):
        if self.dead:
            raise Killed

    @contextmanager
    def transaction(self, real, database, **how):
        self.die_if_dead()
        if self.away:
            self.away -= 1
            raise gone("the database isn't there")
        with real(database, **how) as session:
            yield session
        if self.lost:
            self.lost -= 1
            database._work.may_be_done = True
            raise gone("the answer to a commit was lost")

    # Running it

    def run(self):
        settings = {"root": str(self.world.root)}
        source = self.store.providers.add(f"source-{self.seed}", "vsphere", settings, {"password": "x"})
        target = self.store.providers.add(f"target-{self.seed}", "openstack", settings, {"password": "x"})
        request = {"networks": {"VM Network": "private"}, "boot_timeout": 5.0, "shutdown_timeout": 5.0, **self.request}
        self.id = queue_migration(
            self.store.migrations,
            machine_name="web",
            machine_ref="vm-1",
            source_id=source.id,
            target_id=target.id,
            request=request,
        ).id
        began = time.monotonic()
        lives = 0
        while not self.record.status.ended:
            self.dead = False
            lives += 1
            assert lives <= 2 + sum(does == "kill" for _, does in self.plan), "it never ends"
            assert time.monotonic() - began < BOUND, f"it hasn't ended within {BOUND} s"
            with self.at_work():
                try:
                    asyncio.run(asyncio.wait_for(self.live(), BOUND))
                except Killed:
                    self.history.append("     the worker is dead, and the next one goes on")
        self.dead = False
        self.check()

    async def live(self):
        """Run as an engine does: each job's workflow from its beginning, with the steps that have been recorded."""
        while (todo := self.record.job) is not None:
            self.job_id = todo.id
            self.answer()
            job = Unparked(self.store, self.id, todo.id, Cancels(self.store), clouds=Clouds(self.store))
            job.clouds = Clouds(self.store, Outages(job.say, job.raise_if_cancelled))
            await KINDS[todo.kind](job).run()

    def answer(self):
        """Answer as somebody does who sees that a cutover has failed."""
        record = self.record
        if record.cancel_requested:  # of a worker that died while it took all back
            return
        if record.error_code in ("drifted", "not-found") and record.state is not None:
            self.history.append("     its syncs can only fail: it is cancelled")
            assert len(self.world.read()["volumes"]) == len(SIZES), "a copy was thrown away"
            self.store.migrations.request_cancel(self.id)
            return
        if not (record.state or {}).get("held") or record.cutover_requested:
            return
        self.check_kept()
        if self.patience:
            self.patience -= 1
            self.history.append("     another cutover is asked for")
            self.store.migrations.request_cutover(self.id)
        else:
            self.history.append("     it is cancelled")
            self.store.migrations.request_cancel(self.id)

    async def run_step(self, options, work):
        name = self.job_id, options["name"]
        if name not in self.steps:
            self.die_if_dead()
            outcome = json.loads(json.dumps(await work()))
            self.die_if_dead()  # what was done is done, and not written down
            self.steps[name] = outcome
        return self.steps[name]

    @contextmanager
    def at_work(self):
        """All that a worker does in here is this round's."""
        real, strike, run_step = Database.session, World.strike, DBOS.run_step_async
        Database.session = lambda database, **how: self.transaction(real, database, **how)
        World.strike = lambda _world, call, when: self.strike(call, when)
        DBOS.run_step_async = self.run_step
        try:
            yield
        finally:
            Database.session, World.strike, DBOS.run_step_async = real, strike, run_step

    @property
    def record(self):
        return self.store.migrations.get(self.id)

    @property
    def happened(self):
        return {line.strip(" *") for line in self.history if "***" in line}

    def told(self):
        """All that is to be known of it."""
        events = [f"{e.phase}: {e.text}" for e in self.store.events.of(self.id)] if hasattr(self, "id") else []
        parts = [f"round {self.seed}, {self.request}: {self.plan}", *self.history, *events]
        return "\n".join(parts)

    def forget(self):
        shutil.rmtree(self.world.root)

    # What must be true in the end

    def check(self):
        state, record = self.world.read(), self.record
        assert self.world.violations == [], self.world.violations
        if "taken" in self.happened and not self.is_gone:
            assert SOMEBODYS in state["snapshots"], "somebody else's snapshot was removed"
            with self.world.change() as after:
                del after["snapshots"][SOMEBODYS]
            with self.at_work():  # tracking couldn't be switched off while it was there
                undo(self.store, Clouds(self.store), self.id)
            state = self.world.read()
        assert not any(state[kind] for kind in ("snapshots", "vsnaps", "networks")), "something is left over"
        assert state["tracking"] is False, "changes are still tracked"
        left = {entry.state.value for entry in self.store.ledger.entries(self.id)}
        if record.status is Status.DONE:
            assert left <= {"handed-over", "removed"}, left
            self.check_moved(state)
        else:
            assert left <= {"removed"}, left
            assert self.happened & ENDING or state["starts"] > 1, (
                f"nobody had powered the source on, and it failed: {record.error}"
            )
            assert not any(state[kind] for kind in ("servers", "volumes", "ports")), "something is left over"
            assert self.is_gone or state["power"] == "on" or state["last_hand"] == "off", "the source was left off"

    def check_kept(self):
        """Check after a cutover that failed: what was copied is there, and nothing that stands in its way."""
        state = self.world.read()
        assert len(state["volumes"]) == len(SIZES), "a copy was thrown away"
        if not self.happened & REFUSING:  # what can't be removed is told, and goes when the next try begins
            assert not any(state[kind] for kind in ("servers", "ports", "vsnaps")), "something stands in the way"
        assert self.is_gone or state["power"] == "on" or state["last_hand"] == "off", "the source was left off"

    def check_moved(self, state):
        """One machine, with all that the source has written until it was looked at for the last time."""
        (server,) = state["servers"].values()
        assert set(server["volume_ids"]) == set(state["volumes"]), "there are volumes that no server has"
        assert all(volume["reserved"] is None for volume in state["volumes"].values())
        looked = int((self.world.root / "looked").read_text())
        unseen = state["starts"] > looked
        assert state["power"] == "off" or unseen, "the machine runs on both sides, and that was to be seen"
        converted = self.request.get("landing") != "as-is"
        for volume, key in zip(server["volume_ids"], SIZES, strict=True):
            until = f"before-start-{looked + 1}-{key}" if unseen else f"source-{key}"
            wanted = expected(self.world, key, converted=converted, held=until)
            assert self.world.volume_file(volume).read_bytes() == wanted, "a write is missing"


DOES = ("on", "off", "write", "kill", "lost", "away", "busy", "stuck", "limits", "taken", "grown", "gone")
WEIGHTS = (8, 4, 4, 6, 4, 2, 3, 2, 2, 2, 1, 1)
ENDING = {"stuck", "grown", "gone"}  # what a migration may fail by though nobody has powered its source on
REFUSING = {"busy", "stuck", "limits"}
SOMEBODYS = "somebody's own"


def gone(why):
    """Return the error that SQLAlchemy raises when a PostgreSQL's connection broke."""
    return OperationalError("COMMIT", None, psycopg.OperationalError(f"server closed the connection: {why}"))


def in_this_process(monkeypatch):
    """Small clouds whose disks are files that nobody has to serve, and nothing that waits."""
    small_clouds.install(monkeypatch.setattr)
    monkeypatch.setattr(copying, "run_copy", copy_files)
    monkeypatch.setattr(conversion, "convert", convert_files)
    monkeypatch.setattr(conversion, "finish_as_is", finish_files)
    monkeypatch.setattr(former_addresses, "put_back", put_back_files)
    monkeypatch.setattr(look, "look_into", look_into_files)
    monkeypatch.setattr(look, "check_as_found", check_files)
    for module in (migration, late_conversion, looking):
        monkeypatch.setattr(module, "ensure_confinement", lambda *_, **__: None)
    monkeypatch.setattr(small_clouds, "serve_nbdkit", serve_file)
    monkeypatch.setattr(copying, "serve_nbdkit", serve_nowhere)
    monkeypatch.setattr(outages, "_PAUSES", (0.01, 0.02))
    monkeypatch.setattr(outages, "OCCUPIED", 0.1)
    monkeypatch.setattr(undoing, "_PAUSE", 0.0)
    monkeypatch.setattr(undoing, "_APPEARS_WITHIN", 0.0)
    monkeypatch.setattr("longshore.store.database._PAUSES", (0.001, 0.002))


class File(Export):
    fileno = last_words = None

    def check(self):
        pass


@contextmanager
def serve_file(_plugin, parameters, **_how):
    yield File("disk", parameters["file"])


@contextmanager
def serve_nowhere(_plugin, parameters, **_how):
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.truncate(int(parameters["size"]))
        yield File("nowhere", file.name)


async def copy_files(request, _tell, *, exports):
    """Copy what has changed, or differs, or all of it: a block at a time, so that a worker may die in between."""
    source, target = Path(request.source_uri), Path(request.target_uri)
    data = source.read_bytes()
    base, dirty = None, None
    if request.base_manifest:
        base, root = read_manifest(request.base_manifest)
        dirty = Dirty(request.base_manifest, root, "another", same=False)
    extents = request.changes if request.changes is not None else [Extent(0, len(data))]
    if dirty is not None and request.changes is not None:
        extents = list(merge(sorted([*extents, *dirty.earlier])))
    if base is not None and request.changes is None:
        extents = [one for one in blocks_of(data) if digest_of(data[one.offset : one.end]) != base.get(number(one))]
    digests = base.copy() if base is not None else Digests(len(data), MIB)
    copied = write_blocks(source, target, data, extents, digests)
    wrong = []
    if request.verify is Verify.FULL:
        held = target.read_bytes()
        wrong = [one for one in blocks_of(data) if digest_of(held[one.offset : one.end]) != digests.get(number(one))]
        write_blocks(source, target, data, wrong, digests)
    root = None
    if request.manifest is not None:
        root = digests.root()
        write_manifest(request.manifest, digests, source="here", root=root)
    if dirty is not None:
        dirty.settle(request.manifest, [])
    return CopyResult(copied, copied, 0, 0, 0, copied, request.verify, tuple(wrong), 0.01, root)


def write_blocks(source, target, data, extents, digests):
    for extent in extents:
        for offset in range(extent.offset, extent.end, MIB):
            World(source.parent).strike("copy", "before")
            block = data[offset : min(offset + MIB, extent.end)]
            with target.open("r+b") as file:
                file.seek(offset)
                file.write(block)
    held = target.read_bytes()
    for one in align(merge(extents), MIB, len(data)):
        for block in split([one], MIB):
            digests.set(number(block), digest_of(held[block.offset : block.end]))
    return sum(extent.length for extent in extents)


def blocks_of(data):
    return list(split([Extent(0, len(data))], MIB))


def number(block):
    return block.offset // MIB


async def look_into_files(disks, _directory, _on_message, *, nics, keys=(), adapters=()):
    world = World(Path(disks[0]).parent)
    world.strike("look", "before")
    assert all(Path(disk).stat().st_size for disk in disks)
    world.strike("look", "after")
    return small_clouds.found_by(world)


async def check_files(disks, _directory, _on_message, *, signature, **_known):
    small_clouds.as_found(World(Path(disks[0]).parent), "check", signature)


async def put_back_files(disks, _directory, _on_message, *, keys=()):
    world = World(Path(disks[0]).parent)
    world.strike("put_back", "before")
    (world.root / "put-back").write_text("".join(f"{Path(disk).name}\n" for disk in disks))
    world.strike("put_back", "after")
    return ["The guest has the network configuration again that it had before: /etc/network/interfaces."]


async def finish_files(
    disks, _directory, _on_message, *, new_addresses, keep_former, addresses_only, signature="", **_known
):
    new = {"new_addresses": new_addresses, "keep_former": keep_former, "addresses_only": addresses_only}
    small_clouds.note_new_addresses(World(Path(disks[0]).parent), **new)
    return small_clouds.as_found(World(Path(disks[0]).parent), "finish", signature)


async def convert_files(
    disks, _directory, _on_message, *, nics, first_boot, addresses=(), keys=(), system=None, **_new
):
    world = World(Path(disks[0]).parent)
    world.strike("convert", "before")
    with Path(disks[0]).open("r+b") as disk:
        disk.seek(MIB)
        there = disk.read(len(MARK))
        disk.seek(MIB)
        disk.write(b"converted twice" if any(there) else MARK)
    world.strike("convert", "after")
    looked = OperatingSystem("/dev/sda1", "linux", "debian", "12", "Debian 12", "x86_64", "deb", "web", {})
    return ConversionReport(system or looked, (), (), (), 0.1, "")
