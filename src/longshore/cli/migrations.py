"""longshore migration …: what becomes of migrations once they are asked for."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from longshore.cli.arguments import cutover_time, with_accept, with_cutover_time, with_guest_key
from longshore.cli.command import Command, Delete, Lister, ShowOne
from longshore.cli.given_files import key_in
from longshore.cli.progress import reworded, sentence, watch, with_level
from longshore.cli.providers import with_all_projects
from longshore.cli.source_marks import marks_of, with_source_marks
from longshore.cli.try_options import changes, with_changes
from longshore.errors import LongshoreError
from longshore.model.durations import duration
from longshore.model.request import MOVES, MigrationRequest, MigrationType
from longshore.model.status import Status
from longshore.wording.figures import moment, size
from longshore.wording.forecasts import why_queued
from longshore.wording.guest import guest_rows
from longshore.wording.progress import moves, status_of

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as ArgumentGroup

    from longshore.api.schemas import DiskProgress, ListedMigration, Migration, MigrationCounts


class ListMigrations(Lister):
    """List migrations, oldest first: machines and volumes that move. What else is done is in `job list`."""

    examples: ClassVar[tuple[str, ...]] = (
        "longshore migration list",
        "longshore migration list --plan weekend --status failed --status parked --long",
        "longshore migration list --limit 20",
        "longshore migration list --limit 20 --marker 1f6e0c52-0000-0000-0000-000000000000",
    )

    types: Sequence[MigrationType] = MOVES
    nothing = "There is none. Move a machine: longshore migrate --help; or a plan's: longshore plan start --help."

    def add_options(self, parser: ArgumentParser) -> None:
        _with_filters(parser, self.types)
        parser.add_argument(
            "--status",
            action="append",
            choices=[status.value for status in Status],
            help="only those that stand so, or so (may be given more than once)",
        )
        parser.add_argument("--limit", type=int, metavar="N", help="only the newest ones of these, at most 1000")
        parser.add_argument(
            "--marker", metavar="ID", help="only those that are older than this one: the first of the list before"
        )
        parser.add_argument("--long", action="store_true", help="with plan, wave, begin, end and error")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        columns: tuple[str, ...] = ("ID", "Machine", "Type", "From", "To", "Status", "Phase", "Created")
        columns += ("Plan", "Wave", "Started", "Finished", "Error") if args.long else ()
        columns += ("Project",) if args.all_projects else ()
        rows = [
            (
                m.id,
                m.machine_name,
                m.type.value,
                m.source,
                m.target,
                status_of(m),
                m.phase,
                moment(m.created_at),
                *((m.plan, m.wave, moment(m.started_at), moment(m.finished_at), m.error) if args.long else ()),
                *((m.project_id,) if args.all_projects else ()),
            )
            for m in self.listed(limit=args.limit, marker=args.marker, status=args.status, **_wanted(args))
        ]
        return columns, rows

    def listed(self, **wanted: Any) -> list[ListedMigration]:
        return self.client.migrations(**wanted)


class CountMigrations(Lister):
    """Count migrations by how they stand."""

    examples = ("longshore migration count --plan weekend",)

    called = "Migrations"
    types: Sequence[MigrationType] = ListMigrations.types

    def add_options(self, parser: ArgumentParser) -> None:
        _with_filters(parser, self.types)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        found = self.counts(**_wanted(args))
        return ("Status", self.called), [*found.statuses.items(), ("all", found.total)]

    def counts(self, **wanted: Any) -> MigrationCounts:
        return self.client.migration_counts(**wanted)


def _with_filters(parser: ArgumentParser, types: Sequence[MigrationType]) -> None:
    with_all_projects(parser)
    parser.add_argument("--plan", metavar="PLAN", help="only those of this plan")
    parser.add_argument("--machine", metavar="MACHINE", help="only those of this machine: its name or reference")
    parser.add_argument("--name", metavar="PART", help="only those whose machine's name has this in it")
    parser.add_argument("--type", choices=[kind.value for kind in types], help="only those of this type")
    parser.add_argument("--provider", metavar="PROVIDER", help="only those from or to this provider")
    parser.add_argument(
        "--for",
        dest="of",
        metavar="POLICY",
        help="only what was done for this policy of backups or, by its id, replica",
    )


def _wanted(args: Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in ("all_projects", "plan", "machine", "name", "type", "provider", "of")}


class ShowMigration(ShowOne):
    """Show a migration: where it is, how far its disks are, what came of it."""

    examples = ("longshore migration show 1f6e0c52",)

    called = "migration"

    def add_options(self, parser: ArgumentParser) -> None:
        with_id(parser, self.called)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _fields(self, self.client.migration(args.migration))


class MigrationEvents(Lister):
    """List what happened in a migration."""

    examples = ("longshore migration events 1f6e0c52",)

    called = "migration"

    def add_options(self, parser: ArgumentParser) -> None:
        with_id(parser, self.called)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        events = [reworded(event, self.as_typed) for event in self.client.events(args.migration)]
        if self.for_people and not args.columns:  # whose terminal has no more room than for what happened
            return ("At (UTC)", "Phase", "What"), [(f"{e.at:%m-%d %H:%M:%S}", e.phase, with_level(e)) for e in events]
        return ("At", "Level", "Phase", "What"), [(moment(e.at), e.level, e.phase, e.text) for e in events]


def with_id(parser: ArgumentParser, called: str = "migration") -> None:
    parser.add_argument("migration", metavar=called, help="its id, or the beginning of it")


def with_wait(parser: ArgumentParser | ArgumentGroup) -> None:
    parser.add_argument("--wait", action="store_true", help="watch until it has ended; the exit code tells how")
    parser.add_argument("--plain", action="store_true", help="lines instead of bars")


class MigrationLedger(Lister):
    """List everything a migration made on either side, and what became of it."""

    examples = ("longshore migration ledger 1f6e0c52",)
    options = (with_id,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        entries = self.client.ledger(args.migration)
        return ("Kind", "Step", "Id", "State", "Note"), [(e.kind, e.step, e.ref, e.state, e.note) for e in entries]


class ShowConsole(Command):
    """Show what the server that a migration has made prints on its console, as the target has it now."""

    examples = ("longshore migration console 1f6e0c52 --lines 50",)
    options = (with_id,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--lines", type=int, default=200, metavar="N", help="the last ones, at most 1000")

    def take_action(self, args: Namespace) -> None:
        from longshore.wording.consoles import emptiness_of, power_of  # which other commands of migrations needn't load

        found = self.client.console(args.migration, args.lines)
        for said in filter(None, (power_of(found), emptiness_of(found))):
            print(said, file=sys.stderr)  # apart from what the server has printed
        if found.text:
            print(found.text)


class WaitForMigration(ShowOne):
    """Watch a migration until it has ended."""

    examples = ("longshore migration wait 1f6e0c52",)

    called = "migration"

    def add_options(self, parser: ArgumentParser) -> None:
        with_id(parser, self.called)
        parser.add_argument("--plain", action="store_true", help="lines instead of bars")

    def show(self, args: Namespace) -> dict[str, Any]:
        args.wait = True
        return follow(self, self.client.migration(args.migration), args)


class ResumeMigration(ShowOne):
    """Go on with a migration that is parked or was broken off, from the last checkpoint of its copies."""

    examples = ("longshore migration resume 1f6e0c52",)

    called = "migration"

    def add_options(self, parser: ArgumentParser) -> None:
        with_id(parser, self.called)
        with_wait(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        resumed = self.client.resume(args.migration)
        if resumed.waits_for_cutover:
            self.say(f"{resumed.machine_name} is to be cut over: longshore migration cutover {resumed.id}.")
        return follow(self, resumed, args)


class CutOver(ShowOne):
    """Stop the machine of a warm migration, copy its last changes and boot it on the target: now, or at a time."""

    examples = (
        "longshore migration cutover 1f6e0c52 --wait",
        "longshore migration cutover 1f6e0c52 --at 2026-12-05T22:00 --until 2026-12-06T02:00",
        "longshore migration cutover 1f6e0c52 --take-back",
    )
    options = (with_id, with_cutover_time, with_wait)

    def show(self, args: Namespace) -> dict[str, Any]:
        time = cutover_time(args)
        if args.take_back:
            return _fields(self, self.client.take_cutover_back(args.migration))
        return follow(self, self.client.cut_over(args.migration, time), args)


class RetryMigration(ShowOne):
    """Try again what failed once the machine was copied: what has changed since is copied, and it is booted once more.

    Options that aren't given stay as they were; networks, subnets, concerns and keys are added to those it had.
    """

    examples = (
        "longshore migration retry 1f6e0c52",
        'longshore migration retry 1f6e0c52 --flavor m1.large --boot-mark "login:"',
    )
    options = (with_id, with_changes, with_wait)

    def show(self, args: Namespace) -> dict[str, Any]:
        return follow(self, self.client.try_again(args.migration, changes(args)), args)


class MarkSource(ShowOne):
    """Mark the machine of a migration that is done at its source, so that nobody starts it a second time.

    The marks that are given are those that it has afterwards: others that Longshore made are taken away.
    """

    examples = ("longshore migration mark-source 1f6e0c52 --mark-source note --mark-source suffix=-moved",)
    options = (with_id, with_source_marks)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _fields(self, self.client.mark_source(args.migration, marks_of(args)))


class UnmarkSource(ShowOne):
    """Take away all marks that Longshore has made on the machine of a migration at its source, or was still to make."""

    examples = ("longshore migration unmark-source 1f6e0c52",)
    options = (with_id,)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _fields(self, self.client.unmark_source(args.migration))


class ConvertMigration(ShowOne):
    """Convert a machine that landed as it was: its server is stopped, converted and made anew on virtio hardware.

    Its disks are looked into before that, in a snapshot: what can't be converted is refused, and goes on running.
    """

    examples = ("longshore migration convert 1f6e0c52 --wait",)
    options = (with_id, with_accept, with_guest_key, with_wait)

    def show(self, args: Namespace) -> dict[str, Any]:
        keys = [key_in(path) for path in args.guest_key]
        return follow(self, self.client.convert(args.migration, accept=args.accept, guest_keys=keys), args)


class CancelMigration(ShowOne):
    """Stop a migration, take back everything it made, and power the source on again if it was on."""

    examples = ("longshore migration cancel 1f6e0c52 --wait",)

    called = "migration"

    def add_options(self, parser: ArgumentParser) -> None:
        with_id(parser, self.called)
        with_wait(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        return follow(self, self.client.cancel(args.migration), args, cancelling=True)


class CleanUpMigration(Command):
    """Try once more to remove what an ended migration left behind."""

    examples = ("longshore migration cleanup 1f6e0c52",)
    options = (with_id,)

    def take_action(self, args: Namespace) -> int:
        left = self.client.clean_up(args.migration).left
        for said in left:
            print(said, file=sys.stderr)
        return 1 if left else 0


class DeleteMigration(Delete):
    """Forget migrations that have ended, with their logs and digests. What was moved stays as it is.

    Save its report before, if you want to keep the evidence: longshore migration report ID > FILE.
    """

    examples = ("longshore migration delete 1f6e0c52", "longshore migration delete 1f6e0c52 7a90b3de --if-exists")
    kind = "migration"
    named = "its id, or the beginning of it"

    def delete(self, name: str, args: Namespace) -> None:
        self.client.remove_migration(name)


def follow(command: ShowOne, migration: Migration, args: Namespace, *, cancelling: bool = False) -> dict[str, Any]:
    """Watch it when asked to. Raises when it didn't end as the command meant it to."""
    if not args.wait:
        command.say(f"{_called(migration).capitalize()} {migration.id} goes on in the background.")
        command.say(f"Watch it: longshore {_called(migration)} wait {migration.id}")
        return _fields(command, migration)
    return _fields(command, watched(command, migration, plain=args.plain, cancelling=cancelling))


def _called(one: Migration) -> str:
    """Say whose commands are for it: a migration's, or those of any job."""
    return "migration" if one.type.moves else "job"


def watched(command: ShowOne, migration: Migration, *, plain: bool, cancelling: bool = False) -> Migration:
    """Watch a migration, and return it as it is when it has ended. Raises when that isn't how the command meant it to
    end."""
    called = _called(migration)
    it = f"{called.capitalize()} {migration.id}"
    try:
        migration = watch(command.client, migration.id, plain=plain, as_typed=command.as_typed)
    except KeyboardInterrupt:
        command.say(f"\n{it} goes on in the background.")
        command.say(f"Come back with: longshore {called} wait {migration.id}")
        raise
    if migration.cutover_failed:
        raise LongshoreError(
            f"{it} waits, with all that was copied: {migration.error}",
            advice=f"Once that is mended: longshore migration retry {migration.id} --wait. To give it up: longshore "
            f"migration cancel {migration.id}.",
            code=migration.error_code or "error",
        )
    if migration.error and not (cancelling and migration.error_code == "cancelled"):
        raise LongshoreError(f"{it} {migration.status}: {migration.error}", code=migration.error_code or "error")
    if cancelling and migration.status in (Status.DONE, Status.REHEARSED):
        raise LongshoreError(f"The cancel came too late: {called} {migration.id} is done.", code="too-late-to-cancel")
    if migration.interrupted and migration.stranded:
        raise LongshoreError(f"{it} is stranded: {migration.stranded}", code="stranded")
    if migration.interrupted:
        raise LongshoreError(
            f"{it} was broken off: the process that ran it has ended.",
            advice=f"Go on with: longshore {called} resume {migration.id} --wait.",
            code="interrupted",
        )
    return migration


def _fields(command: ShowOne, m: Migration) -> dict[str, Any]:
    off = m.downtime_seconds
    fields: dict[str, Any] = {
        "id": m.id,
        "machine": m.machine_name,
        "type": m.type.value,
        "from": m.source,
        "to": m.target,
        "plan": m.plan,
        "wave": m.wave,
        "status": status_of(m),
        "phase": m.phase,
        "stranded": m.stranded,
        "parked": m.parked,
        "queued_behind": m.queued_behind.model_dump(exclude_none=True) if m.queued_behind else None,
        "due_at": moment(m.due_at),
        "cutover_at": moment(m.request.cutover.at) if isinstance(m.request, MigrationRequest) else None,
        "created_at": moment(m.created_at),
        "finished_at": moment(m.finished_at),
        "downtime_seconds": off,
        "downtime_note": m.downtime_note,
        "server_id": m.server_id,
        "syncs": m.syncs,
        "error": m.error,
        "error_code": m.error_code,
        "disks": [d.model_dump() for d in m.disks],
        "result": m.result,
    }
    if command.for_people:
        del fields["downtime_seconds"]
        fields["queued_behind"] = why_queued(m.queued_behind)
        fields["downtime"] = duration(off) if off is not None else None
        fields["syncs"] = "\n".join(sync_line(sync) for sync in m.syncs)
        fields["disks"] = "\n".join(_disk_line(m, d) for d in m.disks)
        fields["result"] = _summary(m.result) if m.result else None
        fields["guest"] = "\n".join(f"{what}: {said}" for what, said in guest_rows((m.result or {}).get("guest")))
    return fields


def _disk_line(m: Migration, disk: DiskProgress) -> str:
    if moves(m, disk):
        return f"{sentence(disk)}: {disk.state}"
    digest = f", digest {disk.root_digest[:16]}…" if disk.root_digest else ""
    return f"{disk.label}, {size(disk.size)}: {disk.state}{digest}"


def sync_line(sync: dict[str, Any]) -> str:
    changed = sync["bytes_changed"]
    what = "all" if sync["number"] == 0 else "compared" if changed is None else f"{size(changed)} changed"
    last = ", the machine off" if sync["final"] else ""
    return f"{sync['at'][:19]} {what}, {size(sync['bytes_written'])} written in {duration(sync['seconds'])}{last}"


def _summary(result: dict[str, Any]) -> str:
    lines = []
    if "bytes_stored" in result:  # of a vault's copy
        told = f"{size(result['bytes_read'])} read, {size(result['bytes_stored'])} stored"
        lines.append(f"{result['points']} point(s) copied, {told}")
    elif "faults" in result:  # of a verification
        lines.append(f"{result['blocks']} blocks of {result['points']} point(s) read and compared")
    elif "bytes_read" in result:  # a later conversion copies nothing
        lines.append(
            f"{size(result['bytes_read'])} read, {size(result['bytes_written'])} written, "
            f"{size(result['bytes_verified'])} verified"
        )
        if result["rate"]:
            lines.append(f"copied in {duration(result['copy_seconds'])}, {size(result['rate'])}/s")
    if result.get("proof"):
        lines.append(f"seen up by {result['proof']}")
    lines.extend(f"{p['mac']} {' '.join(p['addresses'])}" for p in result.get("ports", ()))
    return "\n".join(lines)
