"""A replica between the small clouds, run in this process, or by real engines; one life of them after another.

It is paused, so that an engine does what is wanted of it and ends.
"""

import asyncio
import json
from contextlib import contextmanager

from dbos import DBOS
from lives import Life
from rounds import Killed
from small_clouds import SIZES, World

from longshore.engine.job_context import Cancels
from longshore.engine.outages import Outages
from longshore.engine.parking import Parked
from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.flows.replicas.marks import described
from longshore.flows.undo import undo
from longshore.flows.workflows import KINDS
from longshore.model.replica import PointState, Protection, Wish
from longshore.store import NewMigration, StateDirectory, Store
from longshore.store.database import Database
from longshore.store.jobs import NEVER
from longshore.store.tables import utc_now


class Protected:
    def __init__(self, directory, *, keep="last 10", schedule="daily", rpo=None, paused=True, warm=False, **request):
        self.world = World.create(directory / "world")
        self.store = Store(StateDirectory(directory / "state"))
        source, machine = self.add_source(directory)
        settings = {"root": str(self.world.root)}
        target = self.store.providers.add("small-target", "openstack", settings, {"password": "x"})
        asked = {"networks": {"VM Network": "private"}, "boot_timeout": 5.0, "shutdown_timeout": 5.0, **request}
        new = NewMigration(
            machine_name="web",
            machine_ref=machine,
            source_id=source.id,
            target_id=target.id,
            request={**asked, "type": "warm" if warm else "replica"},
            protection=None if warm else Protection(schedule, keep, rpo, utc_now()),
        )
        (record,) = self.store.migrations.add_together([new])
        self.id = record.id
        if paused and not warm:
            self.store.replicas.change(self.id, paused=True)

    def add_source(self, _directory):
        """Add the provider. Returns it, and the machine there."""
        settings = {"root": str(self.world.root)}
        return self.store.providers.add("small-source", "vsphere", settings, {"password": "x"}), "vm-1"

    def start_engine(self):
        return Life(self.store.state.root, self.world.root)

    def engine(self):
        """Run one life of an engine."""
        life = self.start_engine()
        return life.wait(), life.said

    def wish_sync(self):
        self.store.replicas.wish(self.id, Wish.SYNC)

    def sync(self, times=1):
        for _ in range(times):
            self.wish_sync()
            status, said = self.engine()
            assert status == 0, said

    def ask(self, wish, wished=None):
        """The exit status of an engine that does it."""
        self.store.replicas.wish(self.id, wish, wished)
        return self.engine()[0]

    def ask_for_failover(self):
        asked = {**self.record.request, "type": "failover", "of": self.id}
        return self.ask(Wish.FAILOVER, asked)

    def begin_landing(self, kind, point=None, **options):
        """The exit status of an engine that makes a machine of a point; None: the newest."""
        was = self.record
        asked = {**was.request, "type": kind, "of": self.id, "point": point or self.points[-1].number, **options}
        same = ("machine_name", "machine_ref", "source_id", "target_id")
        new = NewMigration(**{name: getattr(was, name) for name in same}, request=asked)
        (made,) = self.store.migrations.add_together([new])
        self.landing_id = made.id
        return self.engine()[0]

    def land(self, kind, point=None, **options):
        assert self.begin_landing(kind, point, **options) == 0
        return self.landing

    def begin_failback(self, **options):
        """Begin a failback to the machine, from what it failed over to."""
        was, failover = self.record, self.store.migrations.get(self.replica.failover_id)
        new = NewMigration(
            machine_name=was.machine_name,
            machine_ref=failover.server_id,
            source_id=was.target_id,
            target_id=was.source_id,
            request={**was.request, "type": "failback", "of": self.id, **options},
        )
        (made,) = self.store.migrations.add_together([new])
        self.failback_id = made.id

    def fail_back(self, **options):
        """The exit status of an engine that does it."""
        self.begin_failback(**options)
        return self.engine()[0]

    @property
    def failback(self):
        return self.store.migrations.get(self.failback_id)

    @property
    def landing(self):
        return self.store.migrations.get(self.landing_id)

    def clean_up(self, migration_id):
        assert undo(self.store, Clouds(self.store), migration_id) == []

    @property
    def record(self):
        return self.store.migrations.get(self.id)

    @property
    def replica(self):
        return self.store.replicas.get(self.id)

    @property
    def points(self):
        return self.store.points.usable(self.id)

    @property
    def told(self):
        return [event.text for event in self.store.events.of(self.id)]

    def held_by(self, point):
        """Return the moment of the source that all disks of a point hold, in the source's own count; None: not one
        moment."""
        held = {disk.key: (self.world.root / f"vsnap-{disk.snapshot_id}").read_bytes() for disk in point.disks}
        for moment in range(1, self.world.read()["moment"] + 1):
            if all((self.world.root / f"snapshot-{moment}-{key}").read_bytes() == held[key] for key in SIZES):
                return moment
        return None

    def assert_whole(self):
        """Every point holds one moment of all disks, and nothing else is left of any sync on either side."""
        state = self.world.read()
        points = self.points
        assert [point.state for point in self.store.points.all(self.id)] == [PointState.USABLE] * len(points)
        moments = [self.held_by(point) for point in points]
        assert None not in moments, moments
        assert moments == sorted(moments)
        snapshots = {disk.snapshot_id for point in points for disk in point.disks}
        assert set(state["vsnaps"]) == snapshots
        assert len(snapshots) == len(points) * len(SIZES)
        assert not state["snapshots"], "a snapshot is left at the source"
        assert all(volume["reserved"] is None for volume in state["volumes"].values())
        for point in points:
            self.assert_marked(state, point)

    def assert_marked(self, state, point):
        """The target alone tells what it is."""
        notes = [state["vsnaps"][disk.snapshot_id]["notes"] for disk in point.disks]
        for disk, marks in zip(point.disks, notes, strict=True):
            assert marks["longshore:replica"] == self.id
            assert marks["longshore:point"] == str(point.number)
            assert marks["longshore:disk"] == disk.key
            assert marks["longshore:root"] == disk.root_digest
            assert marks["longshore:moment"][:19] == point.moment.isoformat()[:19]
            assert all(len(text) <= 255 for pair in marks.items() for text in pair)
        machine = described(notes[0])
        assert (machine.name, machine.ref, len(machine.disks)) == ("web", point.machine["machine"]["ref"], len(SIZES))


class InThisProcess(Protected):
    """Steps are recorded in memory, as the durable engine records them, and disks are files that nobody has to serve.

    Whoever is killed raises from whatever it was about to do, and does nothing any more.
    """

    longest = 60  # seconds of one life
    unrecorded = None  # the step that is done, and of which nobody hears, since its worker dies then

    def __init__(self, directory, **how):
        super().__init__(directory, **how)
        self.steps = {}
        self.dead = False

    def engine(self):
        """One life, until nothing more is to be done; 0, or -9 when it was killed."""
        self.dead = False
        with self._at_work():
            try:
                asyncio.run(asyncio.wait_for(self._live(), self.longest))
            except Killed:
                return -9, ""
            finally:
                self.dead = False
        return 0, ""

    async def _live(self):
        """Run one job after another, the oldest first, as their moments come."""
        while todo := self._next():
            self.job_id = todo.id
            job = MoveContext(self.store, todo.record_id, todo.id, Cancels(self.store), clouds=Clouds(self.store))
            outages = Outages(job.say, job.raise_if_cancelled)
            job.clouds = Clouds(self.store, outages, project_id=job.record.project_id)
            try:
                await KINDS[todo.kind](job).run()
            except Parked as parked:
                self.store.jobs.park(todo.id, str(parked), [NEVER - utc_now()])

    def _next(self):
        queue = [one for one in self.store.queue.records() if one.due_at is None or one.due_at <= utc_now()]
        return queue[0] if queue else None

    async def _run_step(self, options, work):
        name = self.job_id, options["name"]
        if name not in self.steps:
            self._die_if_dead()
            outcome = json.loads(json.dumps(await work()))
            self._die_if_dead()  # what was done is done, and not written down
            if options["name"] == self.unrecorded:
                self.unrecorded = None
                self.kill()
            self.steps[name] = outcome
        return self.steps[name]

    def _die_if_dead(self):
        if self.dead:
            raise Killed

    def kill(self):
        self.dead = True
        raise Killed

    @contextmanager
    def _at_work(self):
        real, strike, run_step, kill = Database.session, World.strike, DBOS.run_step_async, World.kill

        @contextmanager
        def session(database, **how):
            self._die_if_dead()
            with real(database, **how) as opened:
                yield opened

        def struck(world, call, when):
            self._die_if_dead()
            strike(world, call, when)

        Database.session, World.strike, DBOS.run_step_async = session, struck, self._run_step
        World.kill = lambda _world: self.kill()
        try:
            yield
        finally:
            Database.session, World.strike, DBOS.run_step_async = real, strike, run_step
            World.kill = kill
