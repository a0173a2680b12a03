"""A machine of the small cloud that is backed up into a real vault, and restored: real copies between real servers.

Steps are recorded in memory, as the durable engine records them; whoever is killed raises, and does nothing any more.
"""

import secrets

from protected import InThisProcess
from small_clouds import SIZES, World

from longshore.model.status import Status
from longshore.store import NewMigration, StateDirectory, Store
from longshore.vault.directory import Directory
from longshore.vault.disks import PointDisk
from longshore.vault.points import points
from longshore.vault.vault import Vault
from s3_server import SECRET


class BackedUp(InThisProcess):
    longest = 300

    def __init__(self, directory, phrase=None, s3=None, lock=None):
        """Make a vault. `lock`: seconds; then the bucket of this S3 server is one of its own."""
        self.steps, self.dead = {}, False
        self.world = World.create(directory / "world")
        name = secrets.token_hex(4)
        self.url = f"s3://vaults/{name}" if lock is None else f"s3://{name}/v"
        if lock is not None:
            s3.make_bucket(name, locks=True)
        self.vault = Vault.create(s3.store(self.url) if s3 else Directory(directory / "vault"), phrase, lock=lock)
        self.store = Store(StateDirectory(directory / "state"))
        settings = {"root": str(self.world.root)}
        self.source = self.store.providers.add("small-source", "vsphere", settings, {"password": "x"})
        self.target = self.store.providers.add("small-target", "openstack", settings, {"password": "x"})
        where = {name: told for name, told in self.vault.store.told().items() if name != "secret_key"}
        kept = {"pass_phrase": phrase} if phrase else {}
        kept |= {"secret_key": f"{SECRET}\n"} if s3 else {}
        self.place = self.store.providers.add("small-vault", "vault", where, kept)

    def begin(self, source, ref, target, **request):
        new = NewMigration("web", ref, source.id, target.id, request)
        self.id = self.store.migrations.add_together([new])[0].id
        return self.engine()[0]

    def back_up(self, **request):
        assert self.begin(self.source, "vm-1", self.place, type="backup", **request) == 0
        assert self.record.status is Status.DONE, self.record.error
        return self.record.result

    def keep(self, kind):
        """Run a verification or prune."""
        self.begin(self.place, self.vault.id, self.place, type=kind)
        return self.record

    def restore(self, point, **request):
        asked = {"networks": {"VM Network": "private"}, "boot_timeout": 5.0, "power": "on", **request}
        self.begin(self.place, point, self.target, type="cold", **asked)
        return self.record

    @property
    def record(self):
        return self.store.migrations.get(self.id)

    @property
    def told(self):
        return [event.text for event in self.store.events.of(self.id)]

    @property
    def points(self):
        return list(points(self.vault))

    def stored(self):
        """Return the bytes of all packs."""
        return sum(map(self.vault.store.size, self.vault.store.names("packs")))

    def held(self, point):
        return {key: PointDisk(self.vault, top).read(0, top.size) for key, top in point.disks.items()}

    def at(self, moment):
        """Return what the machine's disks held at a snapshot, by the source's own count."""
        return {key: (self.world.root / f"snapshot-{moment}-{key}").read_bytes() for key in SIZES}

    def assert_nothing_is_left(self, *, snapshots=0):
        state = self.world.read()
        assert len(state["snapshots"]) == snapshots
        if not self.vault.store.lists_late:  # else a prune takes them away, once they were quiet for the grace
            assert not list(self.vault.store.names("writers"))
        left = (one.suffix for one in self.store.state.migration(self.id).glob("*"))
        assert not {".journal", ".damaged", ".anew"} & set(left)
