"""A backup: one moment of all disks of a machine, to a point in a vault.

    look at the machine → have its changes tracked → say in the vault that a backup is under way
      → snapshot, between the user's playbooks → ask what has changed since the point before → copy and verify
      → the map of each disk → the point → drop the snapshots

The point before is the newest one of the same machine that the vault has: the disks of the new one begin as its disks,
so what is the same isn't stored again, whatever was read. What its document says of change ids and of the snapshot that
was kept at the source tells what has to be read; where anything of that is in doubt, all is read and compared.

Until the point is written there is none. A backup that fails leaves blocks that nobody names; pruning removes them.
"""

import asyncio
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from longshore.errors import Conflict, NotFound
from longshore.flows.backups.beforehand import refuse_shortage
from longshore.flows.backups.freezing import take_frozen
from longshore.flows.backups.keeping import damaged_disks
from longshore.flows.backups.kept_snapshots import drop_earlier
from longshore.flows.backups.looking_up import is_volume
from longshore.flows.backups.resembling import resembling
from longshore.flows.backups.vault_copy import DiskIntoVault
from longshore.flows.flow import Flow
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.copying import Copied
from longshore.flows.moves.migration import CopyTotals, figures_of
from longshore.flows.moves.source_side import (
    Off,
    Still,
    check_files,
    drop_if_possible,
    find_source,
    take_snapshot,
    take_still,
    track_changes,
    with_tags,
    without_texts,
)
from longshore.flows.moves.told_changes import Told, ask_source
from longshore.model.forms import form
from longshore.model.machine import Disk, Machine, PowerState, Snapshot
from longshore.model.point import Consistency
from longshore.model.request import Verify
from longshore.model.target import Owner, Volume
from longshore.store import EntryState, ThingKind
from longshore.store.rows import in_json
from longshore.vault.geometry import Top
from longshore.vault.points import DamagedPoint, Point, folder_of, has_point, new_name, newest_points, own_points
from longshore.vault.vault import Vault
from longshore.vault.writers import finish, leave, register

_WRITER = "writer"
_SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class Basis:
    """The earlier point whose blocks the new one begins with."""

    point: str  # its name
    tops: dict[str, dict[str, Any]]  # of its disks that still have their size, by key
    change_ids: dict[str, str]


@dataclass(frozen=True, slots=True)
class RegisteredWriter:
    """The result of registering as a writer of the vault: what the new point is based on."""

    basis: Basis | None
    known: list[dict[str, Any]]  # tops of disks whose blocks those without a basis needn't store again


class Backup(Flow):
    async def _forward(self) -> dict[str, Any]:
        job = self._job
        await job.step("start", self._start)
        machine = await job.step("prepare", self._look_at)
        await job.step("track-changes", _track, job, machine)
        name = await job.step("name", self._name, machine)
        registered = await job.step("writer", self._register, machine)
        basis = registered.basis
        moment = await job.step("moment", self._begin_moment, machine)
        off = await job.step("off", self._look_whether_off, machine)
        still = await job.step("snapshot", self._take_snapshot, machine, off)
        moment = still.asked_at or moment
        told = await self._ask_changes(machine, still.snapshot, basis)
        parts = [self._part(disk, still.snapshot, registered, told.get(disk.key)) for disk in machine.disks]
        what = "what has changed of" if told else "all of"
        await job.step("copying", job.phase, "copying", f"Copying {what} {len(parts)} disk(s) into the vault.")
        job.begin_together()
        copies = await self._side_by_side([job.step(f"copy-{part.disk.key}", part.run) for part in parts])
        tops = await self._side_by_side([job.step(f"map-{part.disk.key}", part.finish) for part in parts])
        consistency = machine.as_of.consistency if machine.as_of else _consistency(still)
        disks = {disk.key: top for disk, top in zip(machine.disks, tops, strict=True)}
        await job.step("point", self._write_point, name, moment, disks, machine, still.snapshot, consistency, copies)
        await job.step("drop-base", self._drop_earlier)
        if not still.snapshot.is_base:
            await job.step("drop-snapshot", drop_if_possible, job, _SNAPSHOT, still.snapshot)
        return {
            "point": name,
            "moment": moment.isoformat(),
            "consistency": consistency.value,
            "base": basis.point if basis else None,
            "keeps_snapshot": still.snapshot.is_base,
            **figures_of(CopyTotals().plus(copies), copies),
        }

    def _look_at(self) -> Machine:
        job = self._job
        job.raise_if_cancelled()
        job.phase("preparing", f"Looking at {job.record.machine_name}.")
        with job.clouds.source(job.record.source_id) as source:
            machine = with_tags(job, source, without_texts(job, source.by_reference(job.record.machine_ref)))
            refuse_shortage(job, machine, source.room())
            if not is_volume(machine):
                check_files(job, source, machine.ref)
            source.make_ready(Owner(job.id, "read"), machine.ref)
        job.store.disks.keep(job.id, machine.disks)
        return machine

    def _name(self, machine: Machine) -> str:
        """Return the name of the point to come. Raise Conflict when the source is a backup itself whose moment the
        vault has."""
        with self._vault() as vault:
            folder = folder_of(vault, identity_of(machine))
            if machine.as_of is None:
                return new_name(folder, datetime.now(UTC))
            moment = machine.as_of.moment
            for point in own_points(vault, folder):
                if point.moment == moment:
                    raise Conflict(f"The vault has {machine.name} as of {moment} already: {point.name}.")
            return new_name(folder, moment)

    def _register(self, machine: Machine) -> RegisteredWriter:
        """Register as a writer of the vault, which nothing may be added to before, and return what the new point is
        based on."""
        job = self._job
        job.raise_if_cancelled()
        with self._vault() as vault:
            found = _newest(job, vault, machine)
            others = resembling(vault, machine, folder_of(vault, identity_of(machine)), found.tops if found else ())
            entry = job.store.ledger.intend(Owner(job.id, _WRITER), job.record.target_id, ThingKind.VAULT_WRITER, None)
            tops = tuple(Top.of(top) for top in found.tops.values()) if found else ()
            bases = set(register(vault, job.id, (*tops, *(top for point in others for top in point.disks.values()))))
            job.store.ledger.settle(entry.id, EntryState.MADE, ref=job.id)
            # An earlier run of this step may have registered with what was the newest point then. That may be any one
            # by now, or none: what isn't named there may be pruned, so nothing begins with it
            if found is not None and not (bases.issuperset(tops) and has_point(vault, found.point)):
                leave(vault, job.id)
                register(vault, job.id, ())
                return RegisteredWriter(None, [])
            held = [point for point in others if bases.issuperset(point.disks.values())]
            there = [point for point in held if has_point(vault, point.name)]
        return RegisteredWriter(found, [top.told() for point in there for top in point.disks.values()])

    def _begin_moment(self, machine: Machine) -> datetime:
        self._job.raise_if_cancelled()
        self._job.phase("snapshot", "Taking one snapshot of all disks.")
        return machine.as_of.moment if machine.as_of else datetime.now(UTC)

    def _look_whether_off(self, machine: Machine) -> list[Off]:
        if is_volume(machine):
            return []
        with self._job.clouds.source(self._job.record.source_id) as source:
            started = source.last_start(machine.ref)
            return [Off(started)] if source.power_state(machine.ref) is PowerState.OFF else []

    async def _take_snapshot(self, machine: Machine, off: list[Off]) -> Still:
        """Take the snapshot between the user's playbooks, where something may be at work that they freeze."""
        job, take = self._job, partial(self._take_at_once, machine, off)
        if job.copy_request.before is not None or job.copy_request.after is not None:
            if not (off or machine.as_of is not None or is_volume(machine)):
                return await take_frozen(job, machine, _SNAPSHOT, take)
            text = "Nothing of it is at work: no playbook is run for its snapshot."
            await asyncio.to_thread(job.say, text)
        return await asyncio.to_thread(take)

    def _take_at_once(self, machine: Machine, off: list[Off]) -> Still:
        job = self._job
        find_source(job, machine)
        if off:
            return take_still(job, _SNAPSHOT, machine.disks, off[0])
        if is_volume(machine):
            return Still(
                take_snapshot(job, _SNAPSHOT, machine.disks, quiesce=False, first=False), self._is_loose(machine)
            )
        return Still(take_snapshot(job, _SNAPSHOT, machine.disks, quiesce=job.copy_request.quiesce), off=False)

    def _is_loose(self, volume: Machine) -> bool:
        """Tell whether the volume still has no machine, which might write to it."""
        try:
            with self._job.clouds.source(self._job.record.source_id) as source:
                source.by_reference(volume.ref)
        except Conflict:
            return False
        return True

    async def _ask_changes(self, machine: Machine, snapshot: Snapshot, basis: Basis | None) -> dict[str, Told]:
        """Return by disk what the source says has changed. Disks of which the basis knows nothing aren't in it."""
        job, ids = self._job, {}
        if basis is not None:
            ids = {key: since for key, since in basis.change_ids.items() if key in basis.tops}
        job.begin_together()
        known = [disk for disk in machine.disks if disk.key in ids]
        asked = [
            job.step(f"changed-{disk.key}", ask_source, job, disk, snapshot, ids[disk.key], "backup") for disk in known
        ]
        return dict(zip((disk.key for disk in known), await self._side_by_side(asked), strict=True))

    def _part(self, disk: Disk, snapshot: Snapshot, registered: RegisteredWriter, told: Told | None) -> DiskIntoVault:
        job = self._job
        some = told is not None and told.file is not None
        return DiskIntoVault(
            job=job,
            disk=disk,
            snapshot=snapshot,
            volume=Volume(f"{job.id}/{disk.key}", disk.label, disk.size),
            name="copy",
            # What is left as it was isn't read back: verifying the vault does that
            verify=Verify.WRITTEN if some and job.copy_request.verify is Verify.FULL else job.copy_request.verify,
            told=told,
            before=_base_of(disk, registered.basis),
            known=tuple(Top.of(top) for top in registered.known),
        )

    def _content(
        self, vault: Vault, machine: Machine, snapshot: Snapshot, consistency: Consistency, copies: list[Copied]
    ) -> dict[str, Any]:
        """Return what the point says beside its disks: all that a restore needs, and what the next backup goes by.

        User data may hold secrets, so a vault in clear gets none.
        """
        job = self._job
        settings = machine.server_settings
        if settings.user_data is not None:  # which may hold secrets: in a vault in clear it isn't kept
            text = job.text(settings.user_data) if vault.encrypted else None
            machine = replace(machine, server_settings=replace(settings, user_data=text))
        return {
            "machine": form(Machine).dump_python(machine, mode="json"),
            "consistency": consistency.value,
            "power": machine.power.value,
            "change_ids": {disk.key: disk.change_id for disk in snapshot.disks},
            "backup": job.id,
            "policy": job.record.of or None,
            "rules": _rules(job),
            "keeps_snapshot": snapshot.is_base,
            "copies": [asdict(copy) for copy in copies],
        }

    def _write_point(  # noqa: PLR0917
        self,
        name: str,
        moment: datetime,
        tops: dict[str, dict[str, Any]],
        machine: Machine,
        snapshot: Snapshot,
        consistency: Consistency,
        copies: list[Copied],
    ) -> None:
        job = self._job
        job.raise_if_cancelled()
        disks = {key: Top.of(top) for key, top in tops.items()}
        with self._vault() as vault:
            content = self._content(vault, machine, snapshot, consistency, copies)
            finish(vault, job.id, Point(name, moment, disks, content))
        job.say(f"The point {name} is in the vault.")

    def _drop_earlier(self) -> None:
        """Remove the snapshots that earlier points needed: their successor has its own."""
        job = self._job
        for sentence in drop_earlier(job.store, job.clouds, job.record):
            job.say(sentence, "warning")

    def _hand_over(self, result: dict[str, Any]) -> None:
        job = self._job
        gone = set(ThingKind) - {ThingKind.RELAY, ThingKind.CHANGE_TRACKING}
        if result["keeps_snapshot"]:
            gone -= {ThingKind.SOURCE_SNAPSHOT}
            again = f"longshore migration cleanup {job.id}"
            job.say(
                f"A snapshot stays at the source: the next backup asks what has changed since. To remove it: {again}."
            )
        job.settle(ThingKind.CHANGE_TRACKING, EntryState.HANDED_OVER)
        self._remove_made(gone)
        self._remove_files()
        self._done(result)

    def _take_back(self) -> list[str]:
        self._remove_files()
        return super()._take_back()

    def _remove_files(self) -> None:
        """Remove what the copies of disks have noted of how far they had come."""
        for pattern in ("*.journal", "*.damaged", "*.anew"):
            for path in self._job.store.state.migration(self._job.id).glob(pattern):
                path.unlink(missing_ok=True)

    def _vault(self) -> Any:
        return self._job.clouds.vault(self._job.record.target_id, "write")


def _track(job: MoveContext, machine: Machine) -> None:
    """Have the source track changes, unless it does or can't. It stays on: that is what makes the next backup short."""
    if machine.can_begin_tracking and not is_volume(machine):
        track_changes(job, stays=True)


def _newest(job: MoveContext, vault: Vault, machine: Machine) -> Basis | None:
    """Return the machine's newest point in the vault that can be read, as a basis; None if there is none.

    A point whose moment is still to come was written by a clock that was wrong: as the newest one it would be the basis
    of each backup until then.
    """
    damaged: list[DamagedPoint] = []
    of_machine = own_points(vault, folder_of(vault, identity_of(machine)), damaged.append)
    found = next(iter(newest_points(of_machine).values()), None)
    for one in damaged:
        job.say(f"{one.why} The backup begins without it.", "warning")
    if found is None or found.moment > datetime.now(UTC):
        return None
    hurt = damaged_disks(job, found)
    tops = {}
    for disk in machine.disks:
        top = found.disks.get(disk.key)
        if top is not None and disk.key in hurt:
            why = f"A verification has found {disk.label} of the point {found.name} damaged."
            job.say(f"{why} {disk.label} is read from the source anew, without the point before.", "warning")
        elif top is not None and top.size == disk.size:
            tops[disk.key] = top.told()
    return Basis(found.name, tops, found.change_ids(machine.ref, machine.source_uuid))


def _rules(job: MoveContext) -> dict[str, Any] | None:
    """Return the rules of the policy that wants this backup, so that another installation can go on with it; None
    without a policy."""
    if not job.record.of:
        return None
    try:
        policy = job.store.backup_policies.get(job.record.of)
    except NotFound:  # it has just been deleted
        return None
    same = ("name", "schedule", "retention", "verify", "prove", "prove_networks", "before", "after")
    return {
        **{name: getattr(policy, name) for name in same},
        "source": job.store.providers.get(policy.source_id).name,
        "machines": list(policy.machines),
        "filter": in_json(policy.wanted),
        "copy_to": job.store.providers.get(policy.copy_to).name if policy.copy_to else None,
        "prove_on": job.store.providers.get(policy.prove_on).name if policy.prove_on else None,
    }


def _base_of(disk: Disk, basis: Basis | None) -> Top:
    if basis is None or disk.key not in basis.tops:
        return Top(disk.size, None)
    return Top.of(basis.tops[disk.key])


def identity_of(machine: Machine) -> str:
    """Return a text that stands for this machine and is the same in whatever installation looks at it."""
    of_backup = machine.as_of.of if machine.as_of else ""
    return f"{machine.platform}\n{machine.instance_uuid or machine.uuid or of_backup or machine.ref}"


def _consistency(still: Still) -> Consistency:
    if still.off:
        return Consistency.OFF
    if still.frozen:
        return Consistency.APPLICATION
    return Consistency.FILE_SYSTEMS if still.snapshot.quiesced else Consistency.CRASH
