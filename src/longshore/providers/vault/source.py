"""A vault as a source of machines: what `longshore.providers.contract.Source` asks for.

Each point is a machine that is off, by the point's name. Restoring one is moving it from here. Each of its disks is a
volume, too, that no machine has.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from longshore.blocks.exports import Export
from longshore.errors import Conflict, NotFound
from longshore.model.machine import (
    VOLUME,
    AsOf,
    LooseVolume,
    Machine,
    PowerState,
    ServerSettings,
    Snapshot,
    SnapshotDisk,
)
from longshore.model.point import Consistency
from longshore.model.recorded_machine import read_machine
from longshore.model.selection import EVERY, MachineFilter
from longshore.model.target import Owner
from longshore.model.vault_refs import disk_ref, key_of, point_of
from longshore.providers.contract import KeptSecrets, VaultAccess
from longshore.providers.never_runs import NeverRuns
from longshore.providers.vault.settings import VaultSettings
from longshore.vault.errors import Damaged
from longshore.vault.exports import serve_disk
from longshore.vault.makers import User
from longshore.vault.points import Point, folder_in, newest_points, point_names, points, read_point
from longshore.vault.sealing import remember
from longshore.vault.store import REGION, Store
from longshore.vault.vault import Use, Vault, store_at


class VaultSource(NeverRuns, VaultAccess):
    """Holds nothing open between calls. May be used from several threads."""

    def __init__(
        self,
        settings: VaultSettings,
        pass_phrase: str | None,
        secret_key: str | None = None,
        kept: KeptSecrets | None = None,
        stretched: str | None = None,
    ) -> None:
        """Keep what opens the vault. `kept`: what opens it is a secret there, not the pass phrase. `stretched`: what
        the pass phrase gives."""
        self._settings = settings
        self._store = store_of(settings, secret_key)
        self._pass_phrase = pass_phrase.rstrip("\r\n") if pass_phrase else None
        self._open_secret = kept.open if kept else None
        self._user: User | None = None
        if self._pass_phrase and stretched:
            remember(self._pass_phrase, stretched)

    def __repr__(self) -> str:
        return f"VaultSource({self._settings.directory or self._settings.url})"

    def open_for(self, user: User) -> None:
        self._user = user

    def open_vault(self, use: Use) -> Vault:
        if use == "prune" and self._user is not None:
            self._user.refuse_unless_owner("prunes it")
        return replace(Vault.open(self._store, use, self._pass_phrase, self._open_secret), user=self._user)

    def stretched(self) -> str | None:
        """Return what its pass phrase gives, so that whoever has both opens it at once; None without a pass phrase.

        Raises as `open_vault` does.
        """
        return self.open_vault("read").stretched(self._pass_phrase) if self._pass_phrase else None

    def open_store(self) -> Store:
        if self._user is not None:
            self._user.refuse_unless_owner("touches what is stored")
        return self._store

    def check(self) -> dict[str, str]:
        """Return what is there. Raises as `open_vault` does."""
        vault = self.open_vault("read")
        encrypted = "yes" if vault.encrypted else "no"
        return {"name": str(vault.store), "encrypted": encrypted, "points": str(len(point_names(vault)))}

    def machines(self, wanted: MachineFilter = EVERY) -> Iterator[Machine]:
        if wanted.tag is not None or wanted.cluster is not None or wanted.power not in (None, PowerState.OFF):
            return
        for point in points(self.open_vault("read")):
            try:
                machine = machine_of(point)
            except Damaged:  # `longshore backup list` shows it
                continue
            if wanted.has_name(machine.name) and wanted.has_folder(machine.folder):
                yield machine

    def describe(self, refs: Sequence[str]) -> Iterator[Machine]:
        vault = self.open_vault("read")
        for ref in refs:
            try:
                yield machine_of(read_point(vault, ref))
            except (NotFound, Damaged):
                continue

    def machine(self, word: str) -> Machine:
        """Return the machine by its point's name, or the part of it that is behind the slash; by its own name the
        newest one."""
        return machine_of(find_point(self.open_vault("read"), word))

    def by_reference(self, ref: str) -> Machine:
        point, _, key = ref.removeprefix(VOLUME).rpartition("/") if ref.startswith(VOLUME) else (ref, "", "")
        found = read_point(self.open_vault("read"), point)
        return volume_of(found, key) if key else machine_of(found)

    def volume(self, name_or_id: str) -> Machine:
        """Return a disk of a point: POINT/KEY. Raises NotFound, Conflict, Damaged."""
        word, _, key = name_or_id.rpartition("/")
        return volume_of(find_point(self.open_vault("read"), word), key)

    def tags(self, refs: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the tags as they were then: a point has its machine's with it."""
        return {machine.ref: machine.tags for machine in self.describe(refs) if machine.tags}

    def snapshot(self, machine_ref: str, name: str, owner: Owner, *, quiesce: bool) -> Snapshot:
        """Describe the point: nothing is made, since a point never changes."""
        found, only = read_point(self.open_vault("read"), point_of(machine_ref)).disks, key_of(machine_ref)
        disks = tuple(SnapshotDisk(key, key, top.size, None) for key, top in found.items() if only in (None, key))
        return Snapshot(machine_ref, machine_ref, name, disks)

    @contextmanager
    def open_disk(self, snapshot: Snapshot, disk_key: str) -> Iterator[Export]:
        vault = self.open_vault("read")
        point = read_point(vault, point_of(snapshot.machine_ref))
        with serve_disk(vault, point.top(disk_key), called=point.called(disk_key)) as export:
            yield export


def store_of(settings: VaultSettings, secret_key: str | None) -> Store:
    if settings.directory:
        return store_at({"directory": settings.directory})
    told = {name: getattr(settings, name) or "" for name in ("url", "endpoint", "access_key", "ca_file")}
    return store_at({**told, "region": settings.region or REGION, "secret_key": (secret_key or "").strip()})


def recorded_machine(point: Point) -> Machine:
    """Return the machine as its source told of it. Raises Damaged."""
    try:
        return read_machine(point.content["machine"])
    except (KeyError, ValueError):
        raise Damaged(f"The point {point.name} doesn't say what its machine is.") from None


def machine_of(point: Point) -> Machine:
    """Return the machine as it was then, without what was only so of its place. Raises Damaged."""
    return replace(
        recorded_machine(point).read_elsewhere(),
        ref=point.name,
        as_of=AsOf(point.moment, consistency_of(point), folder_in(point.name)),
        power=PowerState.OFF,
        connection="",
        host="",
        encrypted=False,
        snapshots=(),
        consolidation_needed=False,
        change_tracking=False,
    )


def consistency_of(point: Point) -> Consistency:
    """Return the point's consistency: the least where nothing that is known is said of it."""
    try:
        return Consistency(point.content["consistency"])
    except (KeyError, TypeError, ValueError):
        return Consistency.CRASH


def volume_of(point: Point, key: str) -> Machine:
    """Return one of its disks, as a volume that no machine has. Raises NotFound, Damaged."""
    machine, recorded = machine_of(point), recorded_machine(point)
    size = point.top(key).size
    disk = next((disk for disk in machine.disks if disk.key == key), None)
    if disk is None:
        raise Damaged(f"The point {point.name} doesn't say what its disk {key} is.")
    if recorded.ref.startswith(VOLUME):  # it was one already
        return replace(
            recorded,
            ref=disk_ref(point.name, key),
            disks=(replace(disk, size=size, encrypted=False),),
            loose_volume=replace(recorded.loose_volume, status="available"),
        )
    name = disk.name or f"{machine.name}-{disk.position}"
    return replace(
        machine,
        ref=disk_ref(point.name, key),
        name=name,
        annotation=f"{disk.label} of {machine.name} as of {point.moment:%Y-%m-%d %H:%M:%S} UTC",
        disks=(replace(disk, name=name, size=size, encrypted=False),),
        nics=(),
        server_settings=ServerSettings(),
        loose_volume=LooseVolume("available", bootable=disk.position == 0),
    )


def shown_machine(point: Point) -> Machine:
    """Return the machine as `machine_of` does, without what may be secret: user data. Raises Damaged."""
    machine = machine_of(point)
    return replace(machine, server_settings=replace(machine.server_settings, user_data=None))


def find_point(vault: Vault, word: str) -> Point:
    """Find a point by its name, or the part behind the slash; by its machine's name the newest one. Raises NotFound,
    Conflict when machines share the name, Damaged."""
    names = point_names(vault)
    if word in names:
        return read_point(vault, word)
    if found := [name for name in names if word == name.rpartition("/")[2]]:
        if len(found) > 1:
            raise Conflict(f"Several points in the vault are called {word}.", advice=f"Name one: {', '.join(found)}.")
        return read_point(vault, found[0])
    newest = newest_points(point for point in points(vault) if point.machine_name == word)
    if not newest:
        raise NotFound(f"There is no point {word} in the vault.", advice="See: longshore backup list.")
    if len(newest) > 1:
        raise Conflict(
            f"Several machines in the vault are called {word}.",
            advice=f"Name the point, one of these or an older one: {', '.join(p.name for p in newest.values())}.",
        )
    return newest.popitem()[1]
