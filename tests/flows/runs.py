"""A migration between the small clouds, run by real engines, one life of them after another."""

import sqlite3
from contextlib import closing

from lives import Life
from small_clouds import MAC, SIZES, World, expected

from longshore.flows.moves.late_conversion import request_after
from longshore.model.forms import form
from longshore.model.request import MigrationRequest
from longshore.store import StateDirectory, Store
from queued import queue_migration


class Run:
    """One migration between the small clouds, with a state directory of its own."""

    def __init__(self, directory, machine=("web", "vm-1"), files=None, vcenter=None, **request):
        """`files`: where the machine is instead; `vcenter`: settings and secrets of the one that it is at."""
        self.world = World.create(directory / "world")
        self.store = Store(StateDirectory(directory / "state"))
        settings = {"root": str(self.world.root)}
        kind, own = ("vsphere", settings) if files is None else ("files", {"url": f"file://{files}"})
        own, secrets = vcenter or (own, {"password": "x"})
        source = self.store.providers.add("small-source", kind, own, secrets)
        target = self.store.providers.add("small-target", "openstack", settings, {"password": "x"})
        self.id = queue_migration(
            self.store.migrations,
            machine_name=machine[0],
            machine_ref=machine[1],
            source_id=source.id,
            target_id=target.id,
            request={
                "networks": {"VM Network": "private"},
                "boot_timeout": 5.0,
                "shutdown_timeout": 5.0,
                **request,
            },
        ).id

    def start_engine(self):
        return Life(self.store.state.root, self.world.root)

    def engine(self):
        """Run one life of an engine."""
        life = self.start_engine()
        status = life.wait()
        print(life.said)  # which pytest shows of a test that fails
        return status, life.said

    @property
    def record(self):
        return self.store.migrations.get(self.id)

    @property
    def told(self):
        return [event.text for event in self.store.events.of(self.id)]

    def to_the_end(self, lives=3):
        for _ in range(lives):
            _, said = self.engine()
            if self.record.status.ended:
                return self.record
        raise AssertionError(f"still {self.record.status} after {lives} engines: {said}")

    def assert_moved(self):
        state = self.world.read()
        assert state["power"] == "off"
        assert not any(state[kind] for kind in ("snapshots", "vsnaps", "networks"))
        assert state["tracking"] is False
        (server,) = state["servers"].values()
        assert [p["mac"] for p in state["ports"].values()] == [MAC]
        assert set(server["volume_ids"]) == set(state["volumes"])
        assert all(volume["reserved"] is None for volume in state["volumes"].values())
        for volume, key in zip(server["volume_ids"], SIZES, strict=True):
            assert self.world.volume_file(volume).read_bytes() == expected(self.world, key)
        assert {e.state.value for e in self.store.ledger.entries(self.id)} == {"handed-over", "removed"}
        assert self.steps_kept() == 0
        for disk in self.record.disks:
            if disk.progress:
                assert (disk.state, disk.progress["eta"]) == ("done", None)
                assert disk.progress["verified"] == disk.progress["to_verify"]

    def steps_kept(self):
        """Workflows that are still known to the engine, with all their steps."""
        with closing(sqlite3.connect(self.store.state.engine_database)) as database:
            return database.execute("SELECT count(*) FROM workflow_status").fetchone()[0]

    def again(self):
        """Begin the same once more: from here on the run is that one."""
        was = self.record
        same = ("machine_name", "machine_ref", "source_id", "target_id", "request")
        self.id = queue_migration(self.store.migrations, **{name: getattr(was, name) for name in same}).id

    def convert_later(self, **beside):
        """Begin the later conversion: from here on the run is that one."""
        earlier = self.record
        if earlier.request.get("of"):  # one that came to nothing
            earlier = self.store.migrations.get(earlier.request["of"])
        self.id = queue_migration(
            self.store.migrations,
            machine_name=earlier.machine_name,
            machine_ref=earlier.machine_ref,
            source_id=earlier.source_id,
            target_id=earlier.target_id,
            request=form(MigrationRequest).dump_python(request_after(earlier, **beside), mode="json"),
        ).id
        return earlier.id

    def assert_as_before(self):
        state = self.world.read()
        assert state["power"] == "on"
        assert not any(state[kind] for kind in ("snapshots", "volumes", "vsnaps", "networks", "ports", "servers"))
        assert state["tracking"] is False
        assert {e.state.value for e in self.store.ledger.entries(self.id)} <= {"removed"}
