"""Several small machines in one vCenter and one cloud: each is a world of its own (small_clouds), found by its name."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import small_clouds
from small_clouds import LOOSE, MIB, SIZES, SmallSource, SmallTarget, World

from longshore.errors import AccessDenied, NotFound
from longshore.model.inventory import Inventory
from longshore.model.machine import VOLUME
from longshore.model.selection import EVERY
from longshore.model.target import Choices, Flavor, Network, Subnet, Taken

NAMES = ("app01", "app02", "db01")


class Fleet:
    """The machines' worlds, below one directory."""

    def __init__(self, root):
        self.root = Path(root)

    @classmethod
    def create(cls, root, names=NAMES, **disks):
        root.mkdir(parents=True)
        for name in names:
            World.create(root / name, **disks)
        (root / "names.json").write_text(json.dumps(names))
        return cls(root)

    @property
    def names(self):
        return json.loads((self.root / "names.json").read_text())

    def world(self, name):
        return World(self.root / name)

    def ref(self, name):
        return f"vm-{self.names.index(name) + 1}"

    def hold(self):
        """Have what is asked of the vCenter about several machines wait, until `go_on`."""
        (self.root / "held").touch()

    def go_on(self):
        (self.root / "held").unlink()

    def wait_while_held(self):
        while (self.root / "held").exists():
            (self.root / "asked").touch()
            time.sleep(0.02)

    @property
    def was_asked(self):
        """Tell whether somebody waits, or has waited."""
        return (self.root / "asked").exists()

    def worlds(self):
        return [self.world(name) for name in self.names]

    def of(self, ref):
        """The first one has the volume that no machine has."""
        if ref.startswith(VOLUME):
            return self.world(self.names[0])
        return self.world(self.names[int(ref.rpartition("-")[2]) - 1])

    def calls(self):
        """Return (when, machine, call) of all of them, in order of time."""
        return {name: self.world(name).calls() for name in self.names}


class FleetSource:
    """Every call about a machine goes to its own small vCenter."""

    def __init__(self, fleet):
        self._fleet = fleet

    def close(self):
        pass

    def check(self):
        return {"version": "8"}

    def machines(self, wanted=EVERY):
        found = [self.machine(name) for name in self._fleet.names]
        return iter([m for m in found if wanted.has_name(m.name) and wanted.has_folder(m.folder)])

    def describe(self, refs):
        self._fleet.wait_while_held()
        return iter([m for m in self.machines() if m.ref in refs])

    def tags(self, refs):
        return {}

    def inventory(self):
        return Inventory()

    def room(self):
        return SmallSource(self._fleet.world(self._fleet.names[0])).room()

    def volume(self, name_or_id):
        if name_or_id not in ("archive", LOOSE):
            raise NotFound(f"The small project has no volume {name_or_id}.")
        return SmallSource(self._fleet.world(self._fleet.names[0])).volume(name_or_id)

    def volumes(self):
        return [self.volume(LOOSE)]

    def by_reference(self, ref):
        return self.volume(ref.removeprefix(VOLUME)) if ref.startswith(VOLUME) else self.machine(ref)

    def machine(self, name_or_ref):
        names = self._fleet.names
        name = next((n for n in names if name_or_ref in (n, f"fleet/{n}", self._fleet.ref(n))), None)
        if name is None:
            raise NotFound(f"The small vCenter has no machine {name_or_ref!r}.")
        small = SmallSource(self._fleet.world(name)).machine(name)
        number = names.index(name)
        nic = replace(
            small.nics[0],
            mac=f"00:50:56:00:{number >> 8:02x}:{number & 255:02x}",
            addresses=(f"10.0.{number // 200}.{number % 200 + 5}",),
        )
        return replace(
            small, ref=self._fleet.ref(name), name=name, folder="fleet", host=f"esx{number % 2 + 1}", nics=(nic,)
        )

    def make_ready(self, _owner, _ref):
        pass

    def check_new_machine(self, _like):
        """There is room for it."""

    def open_disk(self, snapshot, disk_key):
        return SmallSource(self._fleet.of(snapshot.machine_ref)).open_disk(snapshot, disk_key)

    def changed(self, snapshot, disk_key, since):
        return SmallSource(self._fleet.of(snapshot.machine_ref)).changed(snapshot, disk_key, since)

    def __getattr__(self, call):
        """Some calls name their machine by its reference, others by all that is known of it."""

        def asked(about, *rest, **more):
            return getattr(SmallSource(self._fleet.of(getattr(about, "ref", about))), call)(about, *rest, **more)

        return asked


class FleetTarget:
    """A target of a fleet: what is made is made in the world of the machine it is called after, and found in whichever
    holds it."""

    def __init__(self, fleet):
        self._fleet = fleet

    def close(self):
        pass

    def check(self):
        return {"project": "small"}

    def present(self):
        return []

    def present_volumes(self):
        return self._any().present_volumes()

    def networks(self):
        return [
            Network("net-1", "private", False, True, (Subnet("s", "10.0.0.0/24", True),)),
            Network("net-2", "other", False, True, (Subnet("o", "10.9.0.0/24", True),)),
        ]

    def flavors(self):
        if (self._fleet.root / "no-flavors").exists():
            return []
        return [Flavor("f", "small", 1, 256, 0), Flavor("g", "large", 4, 8192, 0)]

    def create_flavor(self, name, cpus, memory_mib, flavor_id):
        if (self._fleet.root / "member").exists():
            raise AccessDenied(f"The cloud didn't let us make flavor {name}.")
        return Flavor(flavor_id, name, cpus, memory_mib, 0)

    def delete_flavor(self, flavor_id):
        raise AccessDenied(f"The cloud didn't let us delete flavor {flavor_id}.")

    def volume_types(self):
        return ["ceph", "gold"]

    def choices(self):
        return Choices(("nova",), ("nova",), (), (), ())

    def quota_room(self):
        return self._any().quota_room()

    def taken(self, network, macs, addresses):
        found = [t.taken(network, macs, addresses) for t in self._all()]
        return Taken(frozenset().union(*(f.macs for f in found)), frozenset())

    def make_ready(self, _owner):
        pass

    def _all(self):
        return [SmallTarget(self._fleet.world(name)) for name in self._fleet.names]

    def _any(self):
        return self._all()[0]

    def __getattr__(self, call):
        if call in ("create_volume", "create_port", "create_server"):

            def make(request, owner):
                names = self._fleet.names
                name = next((n for n in names if request.name.startswith(n)), names[0])
                return getattr(SmallTarget(self._fleet.world(name)), call)(request, owner)

            return make
        if call.startswith("find_"):

            def find(owner):
                worlds = (world for world in self._fleet.worlds() if world.mentions(owner.tag))
                return next((found for world in worlds if (found := getattr(SmallTarget(world), call)(owner))), None)

            return find
        return lambda id_, *rest: getattr(SmallTarget(self._holding(id_)), call)(id_, *rest)

    def _holding(self, id_):
        for world in self._fleet.worlds():
            if world.volume_file(id_).exists() or world.mentions(id_):
                return world
        raise NotFound(f"There is no {id_}.")


def fleet_connect(kind, settings, secrets, side=None, servers=None):
    if kind == "files":  # which need no stand-in
        return small_clouds.small_connect(kind, settings, secrets, side, servers)
    fleet = Fleet(settings["root"])
    return FleetSource(fleet) if kind == "vsphere" else FleetTarget(fleet)


def one_small_disk(put=dict.__setitem__, take=dict.__delitem__):
    """Each machine has just one disk of 2 MiB: there are hundreds of them."""
    put(SIZES, "2000", 2 * MIB)
    take(SIZES, "2001")


def install():
    small_clouds.install()
    if (Path(os.environ["SMALL_WORLD"]) / "one-small-disk").exists():
        one_small_disk()
    from longshore.flows import clouds

    clouds.connect = fleet_connect
