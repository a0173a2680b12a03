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
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from longshore.blocks.exports import Export
from longshore.engine.steps import step
from longshore.errors import Cancelled, Conflict, LongshoreError, NotFound
from longshore.flows.backups.beforehand import refuse_shortage
from longshore.flows.backups.freezing import freezer
from longshore.flows.backups.kept_snapshots import drop_earlier
from longshore.flows.backups.looking_up import is_volume
from longshore.flows.backups.resembling import resembling
from longshore.flows.flow import Flow
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.copying import Copied, copier
from longshore.flows.moves.migration import CopyTotals, figures_of
from longshore.flows.moves.source_side import (
    Off,
    Still,
    check_files,
    drop_if_possible,
    take_snapshot,
    take_still,
    track_changes,
    with_tags,
    without_texts,
)
from longshore.flows.moves.told_changes import Told, asker, read_changes
from longshore.flows.undo import undo
from longshore.model.changes import Changed, Changes
from longshore.model.extents import align
from longshore.model.forms import form
from longshore.model.machine import Disk, Machine, PowerState, Snapshot
from longshore.model.point import Consistency
from longshore.model.request import Verify
from longshore.model.target import Owner, Volume
from longshore.store import EntryState, ThingKind
from longshore.store.backup_policies import kept_filter
from longshore.vault.disks import NewDisk, damage_beside, told_damage
from longshore.vault.errors import Damaged, VaultFull, WriterLost, full_vault
from longshore.vault.exports import serve_new_disk
from longshore.vault.geometry import BLOCK, Top
from longshore.vault.points import DamagedPoint, Point, folder_of, has_point, new_name, own_points
from longshore.vault.vault import Vault
from longshore.vault.writers import beat, finish, leave, register

_WRITER = "writer"
_SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class Basis:
    """What the new point begins as."""

    point: str  # its name
    tops: dict[str, dict[str, Any]]  # of its disks that still have their size, by key
    change_ids: dict[str, str]


@dataclass(frozen=True, slots=True)
class Registered:
    """As a writer of the vault, with what it is based on."""

    basis: Basis | None
    known: list[dict[str, Any]]  # tops of disks whose blocks those without a basis needn't store again


class Backup(Flow):
    async def _forward(self) -> dict[str, Any]:
        job = self._job
        await step("start", type(None), self._start)
        machine = await step("prepare", Machine, self._look_at)
        await step("track-changes", type(None), partial(_track, job, machine))
        name = await step("name", str, partial(self._name, machine))
        registered = await step("writer", Registered, partial(self._register, machine))
        basis = registered.basis
        moment = await step("moment", datetime, partial(self._begin_moment, machine))
        off = await step("off", list[Off], partial(self._look_whether_off, machine))
        still = await step("snapshot", Still, self._snapshot_taker(machine, off))
        moment = still.asked_at or moment
        told = await self._ask_changes(machine, still.snapshot, basis)
        copies = await self._copy_all(machine, still.snapshot, registered, told)
        tops = await self._side_by_side(
            [step(f"map-{disk.key}", dict[str, Any], partial(self._finish_disk, disk, basis)) for disk in machine.disks]
        )
        consistency = machine.as_of.consistency if machine.as_of else _consistency(still)
        disks = {disk.key: top for disk, top in zip(machine.disks, tops, strict=True)}
        content = partial(self._content, machine, still.snapshot, consistency, copies)
        await step("point", type(None), partial(self._write_point, name, moment, disks, content))
        await step("drop-base", type(None), self._drop_earlier)
        if not still.snapshot.is_base:
            await step("drop-snapshot", type(None), partial(drop_if_possible, job, _SNAPSHOT, still.snapshot))
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
        """Of the point to come. Raises Conflict for one of a moment that is past, when the vault has it."""
        with self._vault() as vault:
            folder = folder_of(vault, identity_of(machine))
            if machine.as_of is None:
                return new_name(folder, datetime.now(UTC))
            moment = machine.as_of.moment
            for point in own_points(vault, folder):
                if point.moment == moment:
                    raise Conflict(f"The vault has {machine.name} as of {moment} already: {point.name}.")
            return new_name(folder, moment)

    def _register(self, machine: Machine) -> Registered:
        """In the vault, before anything is added to it."""
        job = self._job
        job.raise_if_cancelled()
        with self._vault() as vault:
            found = _newest(job, vault, machine)
            others = resembling(vault, machine, folder_of(vault, identity_of(machine)), found.tops if found else ())
            entry = job.store.ledger.intend(Owner(job.id, _WRITER), job.record.target_id, ThingKind.VAULT_WRITER, None)
            tops = tuple(Top.of(top) for top in found.tops.values()) if found else ()
            register(vault, job.id, (*tops, *(top for point in others for top in point.disks.values())))
            job.store.ledger.settle(entry.id, EntryState.MADE, ref=job.id)
            if found is not None and not has_point(vault, found.point):  # it has just been deleted
                leave(vault, job.id)
                register(vault, job.id, ())
                return Registered(None, [])
            there = [point for point in others if has_point(vault, point.name)]
        return Registered(found, [top.told() for point in there for top in point.disks.values()])

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

    def _snapshot_taker(self, machine: Machine, off: list[Off]) -> Callable[[], Still | Awaitable[Still]]:
        """Between the user's playbooks, where something may be at work that they freeze."""
        job, take = self._job, partial(self._take_snapshot, machine, off)
        if job.request.before is None and job.request.after is None:
            return take
        if off or machine.as_of is not None or is_volume(machine):

            def take_as_it_is() -> Still:
                job.say("Nothing of it is at work: no playbook is run for its snapshot.")
                return take()

            return take_as_it_is
        return freezer(job, machine, _SNAPSHOT, take)

    def _take_snapshot(self, machine: Machine, off: list[Off]) -> Still:
        job = self._job
        if off:
            return take_still(job, _SNAPSHOT, machine.disks, off[0])
        if is_volume(machine):
            return Still(
                take_snapshot(job, _SNAPSHOT, machine.disks, quiesce=False, first=False), self._is_loose(machine)
            )
        return Still(take_snapshot(job, _SNAPSHOT, machine.disks, quiesce=job.request.quiesce), off=False)

    def _is_loose(self, volume: Machine) -> bool:
        """Whether no machine has got it meanwhile, which writes."""
        try:
            with self._job.clouds.source(self._job.record.source_id) as source:
                source.by_reference(volume.ref)
        except Conflict:
            return False
        return True

    async def _ask_changes(self, machine: Machine, snapshot: Snapshot, basis: Basis | None) -> dict[str, Told]:
        """By disk; those of which nothing is known before aren't in it."""
        job = self._job
        job.begin_together()
        known = [disk for disk in machine.disks if basis and disk.key in basis.tops and disk.key in basis.change_ids]
        asked = [
            step(
                f"changed-{disk.key}",
                Told,
                asker(job, disk, snapshot, basis.change_ids[disk.key] if basis else None, "backup"),
            )
            for disk in known
        ]
        return dict(zip((disk.key for disk in known), await self._side_by_side(asked), strict=True))

    async def _copy_all(
        self, machine: Machine, snapshot: Snapshot, registered: Registered, told: dict[str, Told]
    ) -> list[Copied]:
        job = self._job
        what = "what has changed of" if told else "all of"
        text = f"Copying {what} {len(machine.disks)} disk(s) into the vault."
        await step("copying", type(None), partial(job.phase, "copying", text))
        job.begin_together()
        return await self._side_by_side(
            [
                step(f"copy-{disk.key}", Copied, self._copier(disk, snapshot, registered, told.get(disk.key)))
                for disk in machine.disks
            ]
        )

    def _copier(
        self, disk: Disk, snapshot: Snapshot, registered: Registered, told: Told | None
    ) -> Callable[[], Awaitable[Copied]]:
        job = self._job
        some = told is not None and told.file is not None
        # What is left as it was isn't read back: verifying the vault does that
        verify = Verify.WRITTEN if some and job.request.verify is Verify.FULL else job.request.verify
        changes: Callable[[], Changes] | None = None
        if told is not None:
            changes = partial(self._changes, disk, told)

        volume = Volume(f"{job.id}/{disk.key}", disk.label, disk.size)
        into = partial(self._open_new, disk, registered)
        based = _base_of(disk, registered.basis).entry is not None
        copied = copier(
            job,
            disk,
            snapshot,
            volume,
            name="copy",
            base=None,
            changes=changes,
            verify=verify,
            into=into,
            stops=not based,
        )
        anew = copier(
            job,
            disk,
            snapshot,
            volume,
            name="copy-anew",
            base=None,
            changes=None,
            verify=job.request.verify,
            into=into,
        )

        async def on_base() -> Copied | None:
            """None: what it is based on is damaged, so all of it has to be copied."""
            try:
                done = await copied()
                # The upper nodes of the base's map are read for that alone: found out while all can still be copied
                await asyncio.to_thread(self._finish_disk, disk, registered.basis)
            except LongshoreError as error:
                if await asyncio.to_thread(self._leave_base, disk, error):
                    return None
                if not job.parks_for(error):
                    job.stop()  # no sense in going on with the other disks
                raise
            return done

        async def copy() -> Copied:
            try:
                if not based:
                    return await copied()
                done = None if self._begins_anew(disk) else await on_base()
                return done or await anew()
            except LongshoreError as error:
                raise await asyncio.to_thread(self._explained, error) from error

        return copy

    def _leave_base(self, disk: Disk, error: LongshoreError) -> bool:
        """Whether a copy failed since what the disk is based on is damaged: then it is copied anew, without that."""
        journal = self._journal(disk)
        damage = str(error) if isinstance(error, Damaged) else told_damage(journal)
        if damage is None:
            return False
        self._job.say(f"{damage} {disk.label} is read from the source anew, without the point before.", "warning")
        self._anew(disk).touch()
        for path in (journal, damage_beside(journal)):
            path.unlink(missing_ok=True)
        return True

    def _begins_anew(self, disk: Disk) -> bool:
        return self._anew(disk).exists()

    def _anew(self, disk: Disk) -> Path:
        """Is there once the disk's base was found damaged."""
        return self._journal(disk).with_suffix(".anew")

    def _base(self, disk: Disk, basis: Basis | None) -> Top:
        return Top(disk.size, None) if self._begins_anew(disk) else _base_of(disk, basis)

    def _changes(self, disk: Disk, told: Told) -> Changes:
        """Widened to whole blocks where the rest of each would have to be asked of a vault that answers late."""
        changes = read_changes(self._job, disk, told)
        with self._vault() as vault:
            if isinstance(changes, Changed) and vault.store.far:
                return Changed(tuple(align(changes.extents, BLOCK, disk.size)))
        return changes

    def _explained(self, error: LongshoreError) -> LongshoreError:
        """A copy whose vault is full, or has given its writer up, fails to write: that is why."""
        if error.code == Cancelled.code:
            return error
        try:
            with self._vault() as vault:
                if error.code == VaultFull.code:
                    return full_vault(vault.store)
                beat(vault, self._job.id)
        except WriterLost as lost:
            return lost
        except LongshoreError:
            return error
        return error

    def _open_new(self, disk: Disk, registered: Registered, exports: ExitStack) -> Export:
        job = self._job
        base = self._base(disk, registered.basis)
        if base.entry is not None and (damage := told_damage(self._journal(disk))) is not None:
            raise Damaged(damage)  # by an earlier try: a further one finds the same
        known = [Top.of(top) for top in registered.known] if base.entry is None else []
        with self._vault() as vault:
            beat(vault, job.id)  # one that the vault has given up isn't tried again
            return exports.enter_context(serve_new_disk(vault, base, self._journal(disk), job.id, known))

    def _finish_disk(self, disk: Disk, basis: Basis | None) -> dict[str, Any]:
        """The top of its map, stored."""
        self._job.raise_if_cancelled()
        with self._vault() as vault:
            beat(vault, self._job.id)
            new = NewDisk(vault, self._base(disk, basis), self._journal(disk))
            try:
                return new.finish().told()
            finally:
                new.close()

    def _journal(self, disk: Disk) -> Path:
        directory: Path = self._job.store.state.migration(self._job.id)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return directory / f"{disk.key}.journal"

    def _content(
        self, machine: Machine, snapshot: Snapshot, consistency: Consistency, copies: list[Copied], vault: Vault
    ) -> dict[str, Any]:
        """What the point says beside its disks: all that a restore needs, and what the next backup goes by."""
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
            "policy": job.request.of,
            "rules": _rules(job),
            "keeps_snapshot": snapshot.is_base,
            "copies": [asdict(copy) for copy in copies],
        }

    def _write_point(
        self, name: str, moment: datetime, tops: dict[str, dict[str, Any]], content: Callable[[Vault], dict[str, Any]]
    ) -> None:
        job = self._job
        job.raise_if_cancelled()
        disks = {key: Top.of(top) for key, top in tops.items()}
        with self._vault() as vault:
            finish(vault, job.id, Point(name, moment, disks, content(vault)))
        job.say(f"The point {name} is in the vault.")

    def _drop_earlier(self) -> None:
        """The snapshots that earlier points needed go: their successor has its own."""
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
        for sentence in undo(job.store, job.clouds, job.id, lambda entry: entry.kind in gone):
            job.say(sentence, "warning")
        for pattern in ("*.journal", "*.damaged", "*.anew"):
            for path in job.store.state.migration(job.id).glob(pattern):
                path.unlink()
        self._done(result)

    def _vault(self) -> Any:
        return self._job.clouds.vault(self._job.record.target_id, "write")


def _track(job: MoveContext, machine: Machine) -> None:
    """It stays on: that is what makes the next backup short."""
    if not machine.never_runs and not is_volume(machine) and machine.can_track_changes and not machine.change_tracking:
        track_changes(job, stays=True)


def _newest(job: MoveContext, vault: Vault, machine: Machine) -> Basis | None:
    """Of the same machine, without those that can't be read.

    A point whose moment is still to come was written by a clock that was wrong: as the newest one it would be the basis
    of each backup until then.
    """
    now = datetime.now(UTC)
    damaged: list[DamagedPoint] = []
    of_machine = own_points(vault, folder_of(vault, identity_of(machine)), damaged.append)
    there = [point for point in of_machine if point.moment <= now]
    for one in damaged:
        job.say(f"{one.why} The backup begins without it.", "warning")
    if not there:
        return None
    found = max(there, key=lambda point: point.moment)
    sizes = {disk.key: disk.size for disk in machine.disks}
    tops = {key: top.told() for key, top in found.disks.items() if sizes.get(key) == top.size}
    ids = {key: id_ for key, id_ in (found.content.get("change_ids") or {}).items() if id_ is not None}
    return Basis(found.name, tops, ids)


def _rules(job: MoveContext) -> dict[str, Any] | None:
    """What the policy that wants this backup asks for, so that another installation can go on with it; None without."""
    if job.request.of is None:
        return None
    try:
        policy = job.store.backup_policies.get(job.request.of)
    except NotFound:  # it has just been deleted
        return None
    return {
        "name": policy.name,
        "source": job.store.providers.get(policy.source_id).name,
        "machines": list(policy.machines),
        "filter": kept_filter(policy.wanted),
        "schedule": policy.schedule,
        "retention": policy.retention,
        "verify": policy.verify,
        "copy_to": job.store.providers.get(policy.copy_to).name if policy.copy_to else None,
        "prove": policy.prove,
        "prove_on": job.store.providers.get(policy.prove_on).name if policy.prove_on else None,
        "prove_networks": policy.prove_networks,
        "before": policy.before,
        "after": policy.after,
    }


def _base_of(disk: Disk, basis: Basis | None) -> Top:
    if basis is None or disk.key not in basis.tops:
        return Top(disk.size, None)
    return Top.of(basis.tops[disk.key])


def identity_of(machine: Machine) -> str:
    """Which machine it is, whatever installation looks at it."""
    of_backup = machine.as_of.of if machine.as_of else ""
    return f"{machine.platform}\n{machine.instance_uuid or machine.uuid or of_backup or machine.ref}"


def _consistency(still: Still) -> Consistency:
    if still.off:
        return Consistency.OFF
    if still.frozen:
        return Consistency.APPLICATION
    return Consistency.FILE_SYSTEMS if still.snapshot.quiesced else Consistency.CRASH
