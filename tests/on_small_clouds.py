"""usage: on_small_clouds.py begin MACHINE|take URL|write MACHINE|slow PROVIDER|COMMAND…

Longshore's commands where its clouds are a small fleet: on a machine with packages, by their Python, beside tests/flows
of the same commit. `begin` queues a migration of a machine, and makes the fleet first; `take` one of the disk image
behind an address; with `write` its guest writes; `slow` sets a limit that is lower than a command would.
"""

import os
import sys
from pathlib import Path

CONFIGURATION = Path("/etc/longshore/longshore.toml")
STATE = Path("/srv/longshore")
FLEET = STATE / "fleet"
NAMES = ("app01", "app02")
WRITTEN = b"written meanwhile"
sys.path.insert(0, str(Path(__file__).parent / "flows"))


def begin(name):
    """Queue a warm migration of it, and print its id."""
    from small_fleet import Fleet

    from longshore.store import NewMigration, StateDirectory, Store

    store = Store(StateDirectory(STATE))
    if not FLEET.exists():
        fleet = Fleet.create(FLEET, NAMES)
        (FLEET / "conversions").mkdir()
        store.providers.add("vc", "vsphere", {"root": str(fleet.root)}, {"password": "x"})
        store.providers.add("cloud", "openstack", {"root": str(fleet.root)}, {"password": "x"})
    request = {"networks": {"VM Network": "private"}, "boot_timeout": 20.0, "shutdown_timeout": 5.0, "type": "warm"}
    new = NewMigration(
        machine_name=name,
        machine_ref=Fleet(FLEET).ref(name),
        source_id=store.providers.get("vc").id,
        target_id=store.providers.get("cloud").id,
        request={**request, "cutover": {"mode": "manual", "interval": 3600.0}},
    )
    print(store.migrations.add_together([new])[0].id)
    store.close()


def take(url):
    """Queue a cold migration of it, and print its id."""
    from small_fleet import Fleet

    from longshore.model.selection import EVERY
    from longshore.providers.files.settings import FilesSettings
    from longshore.providers.files.source import FilesSource
    from longshore.store import NewMigration, StateDirectory, Store

    settings = {"url": url, "network": "VM Network"}
    (machine,) = FilesSource(FilesSettings(**settings)).machines(EVERY)
    fleet = Fleet.create(FLEET, (machine.name,))
    (FLEET / "conversions").mkdir()
    (fleet.world(machine.name).root / "one-moment").touch()  # its disk is another one than the small source's
    store = Store(StateDirectory(STATE))
    new = NewMigration(
        machine_name=machine.name,
        machine_ref=machine.ref,
        source_id=store.providers.add("disk", "files", settings, {}).id,
        target_id=store.providers.add("cloud", "openstack", {"root": str(fleet.root)}, {"password": "x"}).id,
        request={"networks": {"VM Network": "private"}, "boot_timeout": 20.0},
    )
    print(store.migrations.add_together([new])[0].id)
    store.close()


def write(name):
    from small_fleet import Fleet

    Fleet(FLEET).world(name).guest_writes("2000", 4096, WRITTEN)


def slow(name):
    from longshore.model.limit import LimitOf, LimitPlace
    from longshore.store import StateDirectory, Store

    store = Store(StateDirectory(STATE))
    store.limits.put(LimitPlace(LimitOf.SOURCE, store.providers.get(name).id), None, {"bytes_per_second": 8192})
    store.close()


def main(arguments):
    if arguments[0] in (own := {"begin": begin, "take": take, "write": write, "slow": slow}):
        return own[arguments[0]](arguments[1])
    # Where what stands in for a conversion finds its place
    os.environ["SMALL_WORLD"] = str(FLEET / "conversions")
    import small_fleet

    from longshore.cli.app import main as longshore

    small_fleet.install()
    return longshore(["--config", str(CONFIGURATION), *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
