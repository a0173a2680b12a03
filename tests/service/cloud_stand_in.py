"""A cloud of either kind with one machine, that answers at once."""

from longshore.errors import AccessDenied, NotFound
from longshore.model.inventory import Inventory
from longshore.model.machine import VOLUME, Disk, LooseVolume, Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.model.target import Choices, Flavor, Marked, Network, QuotaRoom, Subnet, Taken

NIC = Nic("4000", "Network adapter 1", "00:50:56:00:00:01", "VM Network")
MACHINE = Machine(
    *("vm-1", "web", PowerState.ON, 1, 256, (Disk("2000", "Hard disk 1", 0, 1 << 20, "[ds] a", "ds"),), (NIC,)),
    platform=Platform("vsphere"),
)
ROOM = QuotaRoom(None, None, None, None, None, None, None)


def loose_volume(name):
    disk = Disk(f"id-{name}", f"volume {name}", 0, 1 << 30, f"id-{name}", "ceph", name=name)
    loose = LooseVolume("error" if name == "broken" else "available")
    return Machine(
        f"volume:id-{name}", name, PowerState.OFF, 0, 0, (disk,), (), platform=Platform("openstack"), loose_volume=loose
    )


class Cloud:
    def __init__(self, kind, _settings, secrets, _side=None, _servers=None):
        if secrets.get("password") == "wrong":
            self.check = self._refuse
        self.kind = kind

    def proxies(self):
        return []

    def check_new_proxy(self, wanted):
        pass

    def _refuse(self):
        raise AccessDenied("The vCenter refuses this password.", advice="Check it.")

    def check(self):
        return {"version": "8"}

    def close(self):
        pass

    def machine(self, _name):
        return MACHINE

    def by_reference(self, ref):
        return self.volume(ref.removeprefix(VOLUME)) if ref.startswith(VOLUME) else self.machine(ref)

    def machines(self, wanted):
        return iter([MACHINE] if wanted.has_name(MACHINE.name) else [])

    def references(self, wanted):
        return [machine.ref for machine in self.machines(wanted)]

    def describe(self, refs):
        return (MACHINE for ref in refs if ref == MACHINE.ref)

    def tags(self, refs):
        return {MACHINE.ref: ("stage/production",)}

    def volumes(self):
        return [loose_volume(name) for name in ("archive", "broken", "under-way")]

    def volume(self, name_or_id):
        found = [volume for volume in self.volumes() if name_or_id in (volume.name, volume.disks[0].key)]
        if not found:
            raise NotFound(f"The project has no volume {name_or_id}.")
        return found[0]

    def present_volumes(self):
        return []

    def choices(self):
        return Choices(("nova",), ("nova",), (), (), ())

    def inventory(self):
        return Inventory()

    def room(self):
        return None

    def present(self):
        return []

    def marked(self, _key):
        return Marked((), ())

    def networks(self):
        return [Network("net-1", "private", False, True, (Subnet("s", "10.0.0.0/24", True),))]

    def volume_types(self):
        return ["ceph"]

    def flavors(self):
        return [Flavor("f", "small", 1, 256, 0)]

    def quota_room(self):
        return ROOM

    def taken(self, _network, _macs, _addresses):
        return Taken()
