"""A vault's points, copied into another vault: all of them, or those of a policy that its rules keep there.

    which points aren't there yet → say in both vaults that somebody is at work
      → each point, oldest first: its disks, its document → of a whole vault, the plans kept in it → leave both

Each point's document is written when all of it is there, and by the same name behind the slash: so a copy that is done
again copies what is missing. What a disk has in common with the point of the machine that was copied before is neither
read nor written again.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from longshore.errors import AccessDenied, NotFound
from longshore.flows.backups.backing_up import identity_of
from longshore.flows.backups.keeping import damaged_disks
from longshore.flows.backups.retention import decide_of_policy, suspects_of
from longshore.flows.flow import Flow
from longshore.model.target import Owner
from longshore.providers.vault.source import recorded_machine
from longshore.store import EntryState, ThingKind
from longshore.vault.copies import Before, CopiedDisk, copy_disk
from longshore.vault.errors import Damaged
from longshore.vault.holds import deleted_and_kept, holds
from longshore.vault.kept_plans import keep_plan, kept_plans
from longshore.vault.points import Point, folder_in, folder_of, has_point, points, read_point
from longshore.vault.vault import Vault
from longshore.vault.writers import bases_of, beat, finish, register

_WRITER, _READER = "writer", "reader"
_OF_ITS_SOURCE = ("backup", "keeps_snapshot")  # what a point says of the machine's own cloud: the first one's business


class PointCopy(NamedTuple):
    """Names of one point in both vaults, and of the one before it that both will have by then."""

    source: str
    target: str
    before: tuple[str, str] | None


class ChosenPoints(NamedTuple):
    wanted: list[PointCopy]
    damaged: list[str]  # sentences about points that can't be read


class Done(NamedTuple):
    read: int  # bytes
    stored: int
    damaged: str | None = None  # why it isn't copied


class CopyingVault(Flow):
    async def _forward(self) -> dict[str, Any]:
        await self._job.step("start", self._start)
        wanted, damaged = await self._job.step("choose", self._choose)
        await self._job.step("register", self._register, wanted)
        own = {one.target for one in wanted}
        read = stored = copied = 0
        for number, one in enumerate(wanted, start=1):
            done = await self._job.step(f"point-{number}", self._copy_point, one, number, len(wanted), own)
            damaged = damaged + [each.damaged for each in done if each.damaged is not None]
            copied += sum(each.damaged is None for each in done)
            read, stored = read + sum(each.read for each in done), stored + sum(each.stored for each in done)
        plans = 0 if self._job.record.of else await self._job.step("plans", self._copy_plans)
        result = {"points": copied, "plans": plans, "bytes_read": read, "bytes_stored": stored, "damaged": damaged}
        if damaged:
            await self._job.step("tell-damaged", self._tell, result)
        return result

    def _tell(self, result: dict[str, Any]) -> None:
        """Keep the result, then raise Damaged: all points but the damaged ones are copied."""
        damaged = result["damaged"]
        self._job.store.migrations.update(self._job.id, result=result)
        raise Damaged(
            f"{len(damaged)} point(s) are damaged, and aren't copied; all others are. The first: {damaged[0]}",
            advice="See which: longshore vault verify. One is deleted by its name: longshore backup delete.",
        )

    def _choose(self) -> ChosenPoints:
        """Return the points that the other vault hasn't got, those of each machine oldest first."""
        job = self._job
        job.raise_if_cancelled()
        job.phase("choosing", "Looking for points that the other vault hasn't got.")
        wanted: list[PointCopy] = []
        damaged: list[str] = []
        last: dict[tuple[str, str | None], tuple[str, str]] = {}  # nobody's copy begins as another project's point
        with self._both() as (source, target):
            unread: dict[str, str] = {}
            there = {one.name: one for one in points(target, damaged=lambda one: unread.update({one.name: one.why}))}
            deleted, left = deleted_and_kept(target), 0
            for point, name in self._chosen(source, target, there, damaged):
                folder = folder_in(point.name), point.maker
                if name in unread:  # nothing is written over it
                    damaged.append(f"In the other vault: {unread[name]} Once it is deleted there, it is copied again.")
                    continue
                if name in deleted:
                    left += 1
                    continue
                if name not in there and not has_point(target, name):
                    wanted.append(PointCopy(point.name, name, last.get(folder)))
                last[folder] = point.name, name
        job.say(f"{len(wanted)} point(s) are to be copied.")
        if left:
            job.say(f"{left} point(s) were deleted in the other vault. They aren't copied: its lock keeps them.")
        for sentence in damaged:
            job.say(sentence, "error")
        return ChosenPoints(wanted, damaged)

    def _chosen(
        self, source: Vault, target: Vault, there: dict[str, Point], damaged: list[str]
    ) -> list[tuple[Point, str]]:
        """Return the points, oldest first, each with its name in the other vault. `there`: those that it has, by name.
        Add a sentence to `damaged` for each point that can't be read."""
        found = []
        for point in points(source, damaged=lambda one: damaged.append(one.why)):
            try:
                folder = folder_of(target, identity_of(recorded_machine(point)))
            except Damaged as error:
                damaged.append(str(error))
                continue
            found.append((point, f"{folder}/{point.name.rpartition('/')[2]}"))
        if not self._job.record.of:
            return found
        policy = self._job.store.backup_policies.get(self._job.record.of)
        suspect = suspects_of(policy, self._job.record.source_id)
        good = [(point, name) for point, name in found if point.name not in suspect]
        # What it would delete there at once isn't copied: as if all were there, its rules say what is to be
        would_be = there | {name: replace(point, name=name) for point, name in good}
        in_use = self._job.store.backup_policies.points_in_use(self._job.record.target_id)
        decisions = decide_of_policy(policy, would_be.values(), in_use, holds(target), datetime.now(UTC))
        kept = {one.point.id for decision in decisions.values() for one in decision.kept}
        return [(point, name) for point, name in good if name in kept]

    def _copy_plans(self) -> int:
        """Copy the plans that are kept in the one vault and not in the other, or older there; return how many.

        Of a vault that another project shares none are: nobody but its owner reads them.
        """
        job, copied = self._job, 0
        job.raise_if_cancelled()
        with self._both() as (source, target), suppress(AccessDenied):
            there = {one.id: one.kept_at for one in kept_plans(target) if not isinstance(one, Damaged)}
            for one in kept_plans(source):
                if isinstance(one, Damaged):
                    job.say(f"A plan isn't copied: {one}", "warning")
                elif one.id not in there or there[one.id] < one.kept_at:
                    keep_plan(target, one)
                    copied += 1
        if copied:
            job.say(f"{copied} kept plan(s) are copied, too.")
        return copied

    def _register(self, wanted: list[PointCopy]) -> None:
        """Register as a writer in both vaults: what is read stays until it is copied, and what is written isn't pruned
        meanwhile."""
        job = self._job
        job.raise_if_cancelled()
        with self._both() as (source, target):
            of_source = [one.source for one in wanted] + [one.before[0] for one in wanted if one.before]
            of_target = [one.before[1] for one in wanted if one.before]
            for vault, provider, name, read in (
                (source, job.record.source_id, _READER, of_source),
                (target, job.record.target_id, _WRITER, of_target),
            ):
                entry = job.store.ledger.intend(Owner(job.id, name), provider, ThingKind.VAULT_WRITER, None)
                tops = (top for point in _found(vault, read) for top in point.disks.values())
                register(vault, job.id, tuple(dict.fromkeys(tops)))  # a disk that stays as it was is in many points
                job.store.ledger.settle(entry.id, EntryState.MADE, ref=job.id)

    def _copy_point(self, one: PointCopy, number: int, of: int, own: set[str]) -> list[Done]:
        """Copy one point, and return the figures: none when it was deleted meanwhile.

        `own`: the names of all points that this job brings into the other vault. One that is damaged doesn't keep
        others from being copied. A second run finds the point in the other vault, and does nothing.
        """
        job = self._job
        job.raise_if_cancelled()
        job.phase("copying", f"Copying point {number} of {of}, {one.source}.")
        with self._both() as (source, target):
            beat(source, job.id)
            beat(target, job.id)
            if has_point(target, one.target):  # by an earlier try of this step
                return [Done(0, 0)]
            if not (found := _found(source, [one.source])):
                job.say(f"The point {one.source} was deleted meanwhile.", "warning")
                return []
            (point,) = found
            before = self._before(source, target, one, own)
            try:
                copied = self._copy_disks(source, target, point, number, before)
                disks = {key: disk.top for key, disk in copied.items()}
                content = _content(source, target, point)
                finish(target, job.id, replace(point, name=one.target, disks=disks, content=content))
            except Damaged as error:
                self._remove_journals()
                job.say(str(error), "error")
                return [Done(0, 0, str(error))]
            self._remove_journals()
        return [Done(sum(disk.read for disk in copied.values()), sum(disk.stored for disk in copied.values()))]

    def _copy_disks(
        self, source: Vault, target: Vault, point: Point, number: int, before: dict[str, Before]
    ) -> dict[str, CopiedDisk]:
        """Return the copies by disk. Where the point before is damaged, on either side, all of this one is copied.

        Raise Damaged when this point is.
        """
        go_on = partial(self._go_on, source, target)

        def copied(before: dict[str, Before]) -> dict[str, CopiedDisk]:
            return {
                key: copy_disk(
                    source, target, top, before.get(key), self._journal(number, key), go_on, called=point.called(key)
                )
                for key, top in point.disks.items()
            }

        try:
            return copied(before)
        except Damaged as error:
            if not before:
                raise
            self._job.say(f"{error} Now all of {point.name} is copied, without the point before.", "warning")
        self._remove_journals()
        return copied({})

    def _before(self, source: Vault, target: Vault, one: PointCopy, own: set[str]) -> dict[str, Before]:
        """Return by disk what the point before has in both vaults. It is empty, and all is copied, when that point is
        gone in one of them, or may be pruned from the other one: it is neither what this job has said that it is based
        on, nor its own work."""
        if one.before is None:
            return {}
        theirs, ours = _found(source, one.before[:1]), _found(target, one.before[1:])
        if not theirs or not ours:
            return {}
        if ours[0].name not in own and not set(ours[0].disks.values()) <= set(bases_of(target, self._job.id)):
            return {}
        there = theirs[0].disks.keys() & ours[0].disks.keys()
        if there & (hurt := damaged_disks(self._job, ours[0])):
            why = f"A verification has found the point {ours[0].name} damaged."
            self._job.say(f"{why} Now all of {one.source} is copied, without the point before.", "warning")
        return {key: Before(theirs[0].disks[key], ours[0].disks[key]) for key in there - hurt}

    def _go_on(self, source: Vault, target: Vault) -> None:
        self._job.raise_if_cancelled()
        beat(source, self._job.id)
        beat(target, self._job.id)

    def _journal(self, number: int, key: str) -> Path:
        directory: Path = self._job.store.state.migration(self._job.id)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return directory / f"{number}-{key}.journal"

    @contextmanager
    def _both(self) -> Iterator[tuple[Vault, Vault]]:
        clouds, record = self._job.clouds, self._job.record
        with clouds.vault(record.source_id, "write") as source, clouds.vault(record.target_id, "write") as target:
            yield source, target

    def _take_back(self) -> list[str]:
        """Take back all but points that are copied: each is whole, and the next copy goes on after them."""
        self._remove_journals()
        return super()._take_back()

    def _remove_journals(self) -> None:
        for path in self._job.store.state.migration(self._job.id).glob("*.journal"):
            path.unlink()

    def _hand_over(self, result: dict[str, Any]) -> None:
        self._remove_journals()  # one that was killed behind its point's end has left its own
        super()._hand_over(result)


def _found(vault: Vault, names: Any) -> list[Point]:
    """Return the points of these names, without those that are gone or can't be read."""
    found = []
    for name in names:
        with suppress(NotFound, Damaged):
            found.append(read_point(vault, name))
    return found


def _content(source: Vault, target: Vault, point: Point) -> dict[str, Any]:
    content = {name: said for name, said in point.content.items() if name not in _OF_ITS_SOURCE}
    if not target.encrypted:  # where user data, which may hold secrets, isn't kept
        machine = content["machine"]
        settings = machine.get("server_settings")
        if settings:
            content["machine"] = machine | {"server_settings": settings | {"user_data": None}}
    return content | {"copied_from": {"vault": source.id, "point": point.name}}
