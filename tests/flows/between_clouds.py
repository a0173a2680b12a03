"""A server of one small OpenStack that a replica in a second one protects."""

from protected import InThisProcess
from small_clouds import World

from longshore.model.replica import Stage


class BetweenClouds(InThisProcess):
    def __init__(self, directory, *, local=False, ports_of_nova=False, **request):
        self._server = {"local": local, "ports_of_nova": ports_of_nova}
        super().__init__(directory, **{"networks": {"private": "private"}, "boot_timeout": 0.5, **request})

    def add_source(self, directory):
        self.first = World.create(directory / "first", loose=False)
        server = self.first.add_server(**self._server)
        for world, other in ((self.first, self.world), (self.world, self.first)):
            (world.root / "one-moment").touch()  # what its consoles show doesn't hang on the vSphere machine's disks
            with world.change() as state:
                state.update(power="off", twin=str(other.root))
        settings = {"root": str(self.first.root)}
        return self.store.providers.add("first", "openstack", settings, {"password": "x"}), server

    def fail_over(self):
        self.sync()
        self.ask_for_failover()
        assert self.replica.stage is Stage.FAILED_OVER, self.told
        self.server_id = self.store.migrations.get(self.replica.failover_id).server_id
        self.world.server_writes(self.server_id, 0, 4096, b"written in the second cloud")

    def fail_back(self, **options):
        return super().fail_back(new_server=True, **options)

    def begin_failback(self, **options):
        networks = {"networks": {}}
        super().begin_failback(**{**networks, **options})

    @property
    def came_from(self):
        return self.record.machine_ref

    def has(self, world, ref):
        return world.read()["servers"][ref]

    def port_of(self, ref):
        """Return a server's MAC and addresses."""
        (port,) = (port for port in self.first.read()["ports"].values() if port["device"] == ref)
        return port["mac"], tuple(port["addresses"])

    @property
    def violations(self):
        return [*self.first.violations, *self.world.violations]
