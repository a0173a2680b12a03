"""A group of replicas, each of a machine of a small world of its own, with two tiers: db, then app and web."""

from protected import InThisProcess
from small_clouds import World

from longshore.flows.replicas.conducting import RunState
from longshore.model.group import Gate
from longshore.model.replica import Protection, Wish
from longshore.model.request import MigrationType
from longshore.planning.group_runs import RunProgress
from longshore.store import GroupRun, NewMigration, StateDirectory, Store
from longshore.store.jobs import NEVER
from longshore.store.tables import utc_now

TIERS = {"web": 2, "app": 2, "db": 1}  # in the order in which they are made


class ProtectedGroup(InThisProcess):
    """`kill_at`: a step's name of the run, its number, and before or after it."""

    def __init__(self, directory, *, gates=None):
        self.steps, self.dead, self.kill_at, self.counted = {}, False, None, 0
        self.store = Store(StateDirectory(directory / "state"))
        self.worlds, self.ids = {}, {}
        for name in TIERS:
            self.worlds[name] = world = World.create(directory / f"world-{name}")
            (world.root / "one-moment").touch()
            settings = {"root": str(world.root)}
            source = self.store.providers.add(f"source-{name}", "vsphere", settings, {"password": "x"})
            target = self.store.providers.add(f"target-{name}", "openstack", settings, {"password": "x"})
            asked = {"networks": {"VM Network": "private"}, "boot_timeout": 5.0, "shutdown_timeout": 5.0}
            new = NewMigration(
                machine_name=name,
                machine_ref="vm-1",
                source_id=source.id,
                target_id=target.id,
                request={**asked, "type": "replica"},
                protection=Protection("daily", "last 10", None, utc_now()),
            )
            (record,) = self.store.migrations.add_together([new])
            self.ids[name] = record.id
            self.store.replicas.change(record.id, paused=True)
            self.store.replicas.wish(record.id, Wish.SYNC)
        assert self.engine()[0] == 0
        members = {self.ids[name]: tier for name, tier in TIERS.items()}
        self.group_id = self.store.groups.add("shop", members, gates or {}).id

    @property
    def group(self):
        return self.store.groups.get(self.group_id)

    @property
    def run(self):
        return self.store.migrations.get(self.run_id)

    def replica(self, name):
        return self.store.replicas.get(self.ids[name])

    def landing(self, name):
        (member,) = [one for one in self.group.members if one.machine_name == name]
        return self.store.migrations.get(member.landing_id) if member.landing_id else None

    @property
    def stages(self):
        return {name: self.replica(name).stage.value for name in TIERS}

    @property
    def told(self):
        return [event.text for event in self.store.events.of(self.run_id)]

    def power(self, name):
        return self.worlds[name].read()["power"]

    def servers(self):
        return {name: len(world.read()["servers"]) for name, world in self.worlds.items()}

    def fail(self, name, call):
        world = self.worlds[name]
        world.plan_fault(call, world.calls().count(call) + 1, "before", "error")

    def kill(self):
        super().kill()

    def begin(self, kind, *, planned=False, stays=0.0):
        """Begin a run as the service does it. Returns the exit status of an engine."""
        group, landings, wishes = self.group, {}, {}
        there = {}
        for member in group.members:
            record = self.store.migrations.get(member.replica_id)
            request = {**record.request, "type": kind, "of": record.id, "isolated": kind == "test-failover"}
            replica = self.store.replicas.get(record.id)
            if replica.failover_id:
                there[record.id] = replica.failover_id
                continue
            if planned:
                wishes[record.id] = request
                continue
            same = ("machine_name", "machine_ref", "source_id", "target_id")
            point = self.store.points.usable(record.id)[-1].number
            fields = {name: getattr(record, name) for name in same}
            landings[record.id] = NewMigration(**fields, request={**request, "point": point}, due_at=NEVER)
        progress = RunProgress(shuts_down=len(group.tiers)) if planned else RunProgress()
        types = {"test-failover": MigrationType.GROUP_TEST, "failover": MigrationType.GROUP_FAILOVER}
        first = self.store.migrations.get(group.members[0].replica_id)
        run = NewMigration(
            machine_name="shop",
            machine_ref=f"group:{group.id}",
            source_id=first.source_id,
            target_id=first.target_id,
            request={"type": types[kind].value},
            run=GroupRun(group.id, {**there, **{replica: one.id for replica, one in landings.items()}}),
            state=RunState(group.tiers, wishes=wishes, stays=stays, progress=progress).kept(),
        )
        self.run_id = self.store.migrations.add_together([run, *landings.values()])[0].id
        return self.engine()[0]

    def wish_all(self, wish):
        for replica_id in self.ids.values():
            self.store.replicas.wish(replica_id, wish)
        assert self.engine()[0] == 0

    async def _run_step(self, options, work):
        of_run = self.kill_at is not None and self.store.jobs.get(self.job_id).record_id == self.run_id
        if not of_run or options["name"] != self.kill_at[0] or (self.job_id, options["name"]) in self.steps:
            return await super()._run_step(options, work)
        self.counted += 1
        if self.counted != self.kill_at[1]:
            return await super()._run_step(options, work)
        when, self.kill_at = self.kill_at[2], None
        if when == "after":
            await work()
        self.kill()

    def assert_nothing_left(self):
        for name, world in self.worlds.items():
            state = world.read()
            assert not any(state[kind] for kind in ("servers", "ports", "networks")), name
            assert len(state["volumes"]) == 2, name
            assert world.violations == [], name


PAUSE = Gate(pause=3600.0)
COMMAND = Gate(command=("check-db", "--now"))
