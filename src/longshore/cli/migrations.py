"""longshore migrate, and longshore migration …"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from longshore.cli.command import Command, Lister, ShowOne
from longshore.cli.progress import watch
from longshore.cli.words import duration, moment, size
from longshore.errors import LongshoreError
from longshore.model.request import LandingMode, MigrationRequest, MigrationType, Verify

if TYPE_CHECKING:
    from longshore.service.schemas import Migration
from longshore.store import Status


class Migrate(ShowOne):
    """Move one machine: shut down, copied, verified, converted, booted on the target and seen on its console."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("machine", help="name, inventory path or reference of the machine")
        parser.add_argument("--from", dest="source", required=True, metavar="PROVIDER", help="where it is")
        parser.add_argument("--to", dest="target", required=True, metavar="PROVIDER", help="where it goes")
        parser.add_argument(
            "--network",
            action="append",
            default=[],
            type=_mapping,
            metavar="SOURCE=TARGET",
            help="source network and target network (name or id); once for each network of the machine",
        )
        parser.add_argument(
            "--storage",
            action="append",
            default=[],
            type=_mapping,
            metavar="DATASTORE=TYPE",
            help="datastore and volume type; without, the target's default type",
        )
        parser.add_argument("--flavor", help="default: the smallest that fits")
        parser.add_argument("--name", dest="server_name", help="of the server (default: as the machine is called)")
        parser.add_argument("--type", choices=[t.value for t in MigrationType], default=MigrationType.COLD.value)
        parser.add_argument(
            "--security-group",
            action="append",
            metavar="GROUP",
            help="may be repeated (default: the project's default)",
        )
        parser.add_argument("--availability-zone", metavar="ZONE")
        parser.add_argument("--key-name", metavar="NAME", help="key pair of the server")
        parser.add_argument(
            "--skip-conversion",
            action="store_true",
            help="the guest boots on virtio hardware as it is: don't change it",
        )
        parser.add_argument(
            "--verify",
            choices=[v.value for v in Verify],
            default=Verify.FULL.value,
            help="what is read back from the target and compared (default: %(default)s)",
        )
        parser.add_argument("--limit", type=_rate, metavar="RATE", help="bytes per second and disk: 50M, 1G")
        parser.add_argument("--shutdown-timeout", type=float, default=600.0, metavar="SECONDS")
        parser.add_argument(
            "--force-power-off", action="store_true", help="cut the power of a guest that doesn't shut down in time"
        )
        parser.add_argument(
            "--boot-mark", metavar="REGEX", help="what the console shows once the guest is up (default: a login prompt)"
        )
        parser.add_argument("--boot-timeout", type=float, default=900.0, metavar="SECONDS")
        _with_wait(parser)
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        request = MigrationRequest(
            networks=dict(args.network),
            storage=dict(args.storage),
            flavor=args.flavor,
            type=MigrationType(args.type),
            landing=LandingMode.UNCHANGED if args.skip_conversion else LandingMode.CONVERT,
            verify=Verify(args.verify),
            server_name=args.server_name,
            security_groups=tuple(args.security_group) if args.security_group else None,
            availability_zone=args.availability_zone,
            key_name=args.key_name,
            shutdown_timeout=args.shutdown_timeout,
            force_power_off=args.force_power_off,
            boot_timeout=args.boot_timeout,
            boot_mark=args.boot_mark,
            rate_limit=args.limit,
        )
        return _follow(self, self.client.create_migration(args.machine, args.source, args.target, request), args)


class ListMigrations(Lister):
    """List migrations, oldest first."""

    def take_action(self, _args: Namespace) -> tuple[Any, Any]:
        rows = [
            (m.id, m.machine_name, m.source, m.target, _status(m), m.phase, moment(m.created_at))
            for m in self.client.migrations()
        ]
        return ("ID", "Machine", "From", "To", "Status", "Phase", "Created"), rows


class ShowMigration(ShowOne):
    """Show a migration: where it is, how far its disks are, what came of it."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_id(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _fields(self, self.client.migration(args.migration))


class MigrationEvents(Lister):
    """List what happened in a migration."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_id(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        events = self.client.events(args.migration)
        return ("At", "Level", "Phase", "What"), [(moment(e.at), e.level, e.phase, e.text) for e in events]


class MigrationLedger(Lister):
    """List everything a migration made on either side, and what became of it."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_id(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        entries = self.client.ledger(args.migration)
        return ("Kind", "Step", "Id", "State", "Note"), [(e.kind, e.step, e.ref, e.state, e.note) for e in entries]


class WaitForMigration(ShowOne):
    """Watch a migration until it has ended."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_id(super().get_parser(prog_name))
        parser.add_argument("--plain", action="store_true", help="lines instead of bars")
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        args.wait = True
        return _follow(self, self.client.migration(args.migration), args)


class ResumeMigration(ShowOne):
    """Go on with a migration that was broken off, from the last checkpoint of its copies."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_id(super().get_parser(prog_name))
        _with_wait(parser)
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _follow(self, self.client.resume(args.migration), args)


class CancelMigration(ShowOne):
    """Stop a migration, take back everything it made, and power the source on again if it was on."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_id(super().get_parser(prog_name))
        _with_wait(parser)
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _follow(self, self.client.cancel(args.migration), args, cancelling=True)


class CleanUpMigration(Command):
    """Try once more to remove what an ended migration left behind."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_id(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> int:
        left = self.client.clean_up(args.migration).left
        for sentence in left:
            print(sentence, file=sys.stderr)
        return 1 if left else 0


class DeleteMigration(Command):
    """Forget a migration that has ended. What was moved stays as it is."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_id(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> None:
        self.client.remove_migration(args.migration)


def _with_id(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("migration", help="its id, or the beginning of it")
    return parser


def _with_wait(parser: ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="watch until it has ended; the exit code tells how")
    parser.add_argument("--plain", action="store_true", help="lines instead of bars")


def _mapping(text: str) -> tuple[str, str]:
    source, found, target = text.partition("=")
    if not found or not source.strip() or not target.strip():
        raise ArgumentTypeError(f'"{text}" isn\'t SOURCE=TARGET')
    return source.strip(), target.strip()


def _rate(text: str) -> int:
    factors = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, factor = (text[:-1], factors[text[-1].upper()]) if text[-1:].upper() in factors else (text, 1)
    try:
        rate = int(float(number) * factor)
    except (ValueError, OverflowError):
        rate = 0
    if rate <= 0:
        raise ArgumentTypeError(f'"{text}" isn\'t a rate: give bytes per second such as 800K, 50M or 1G')
    return rate


def _follow(command: ShowOne, migration: Migration, args: Namespace, *, cancelling: bool = False) -> tuple[Any, Any]:
    """Watch it when asked to. Raises when it didn't end as the command meant it to."""
    if not args.wait:
        print(f"Migration {migration.id} goes on in the background.", file=sys.stderr)
        print(f"Watch it: longshore migration wait {migration.id}", file=sys.stderr)
        return _fields(command, migration)
    try:
        migration = watch(command.client, migration.id, plain=args.plain)
    except KeyboardInterrupt:
        print(f"\nMigration {migration.id} goes on in the background.", file=sys.stderr)
        print(f"Come back with: longshore migration wait {migration.id}", file=sys.stderr)
        raise
    if migration.error and not (cancelling and migration.error_code == "cancelled"):
        raise LongshoreError(
            f"Migration {migration.id} {migration.status}: {migration.error}", code=migration.error_code or "error"
        )
    if cancelling and migration.status is Status.DONE:
        raise LongshoreError(f"The cancel came too late: migration {migration.id} is done.", code="too-late-to-cancel")
    if migration.interrupted:
        raise LongshoreError(
            f"Migration {migration.id} was broken off: the process that ran it has ended.",
            advice=f"Go on with: longshore migration resume {migration.id} --wait.",
            code="interrupted",
        )
    return _fields(command, migration)


def _status(migration: Migration) -> str:
    return "interrupted" if migration.interrupted else migration.status.value


def _downtime(migration: Migration) -> float | None:
    """Seconds since the source was seen off, until the target was seen up or until now."""
    if migration.source_off_at is None or (migration.status.ended and migration.target_up_at is None):
        return None
    until = migration.target_up_at or datetime.now(UTC).replace(tzinfo=None)
    return round((until - migration.source_off_at).total_seconds(), 1)


def _fields(command: ShowOne, m: Migration) -> tuple[Any, Any]:
    readable = command.formatter.__class__.__name__ == "TableFormatter"
    downtime = _downtime(m)
    fields: dict[str, Any] = {
        "id": m.id,
        "machine": m.machine_name,
        "from": m.source,
        "to": m.target,
        "status": _status(m),
        "phase": m.phase,
        "created_at": moment(m.created_at),
        "finished_at": moment(m.finished_at),
        "downtime_seconds": downtime,
        "server_id": m.server_id,
        "error": m.error,
        "error_code": m.error_code,
        "disks": [d.model_dump() for d in m.disks],
        "result": m.result,
    }
    if readable:
        del fields["downtime_seconds"]
        fields["downtime"] = duration(downtime) if downtime is not None else None
        fields["disks"] = "\n".join(_disk_line(d.label, d.size, d.state, d.root_digest) for d in m.disks)
        fields["result"] = _summary(m.result) if m.result else None
        fields = {name: value for name, value in fields.items() if value not in (None, "")}
    return tuple(fields), tuple(fields.values())


def _disk_line(label: str, total: int, state: str, digest: str | None) -> str:
    return f"{label}, {size(total)}: {state}" + (f", digest {digest[:16]}…" if digest else "")


def _summary(result: dict[str, Any]) -> str:
    lines = [
        f"{size(result['bytes_read'])} read, {size(result['bytes_written'])} written, "
        f"{size(result['bytes_verified'])} verified",
    ]
    if result["rate"]:
        lines.append(f"copied in {duration(result['copy_seconds'])}, {size(result['rate'])}/s")
    lines.extend(f"{p['mac']} {' '.join(p['addresses'])}" for p in result["ports"])
    return "\n".join(lines)
