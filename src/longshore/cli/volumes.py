"""longshore volume …, longshore restore volumes: volumes that no server has."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.arguments import with_accept, with_mapping, with_verify_and_rate
from longshore.cli.backups import with_point
from longshore.cli.command import Lister
from longshore.cli.migrations import with_wait
from longshore.cli.plan_watch import WatchedMachine, watch_together
from longshore.errors import InvalidInput, LongshoreError
from longshore.model.request import MigrationRequest, MigrationType, Verify
from longshore.model.status import Status
from longshore.wording.figures import size

if TYPE_CHECKING:
    from longshore.api.schemas import Migration

_THERE = "volume-there-already"
# What keeps a volume from being moved at all
_UNMOVABLE = ("volume-state", "volumes-encrypted", "volume-attached")
_BAD = ("failed", "cancelled", "interrupted")

_Row = tuple[str, str, str, str | None, str | None]
_Meant = tuple[str, str, "Callable[[], Migration]"]  # what tells it from others, how it is called, and its beginning


class ListVolumes(Lister):
    """List the volumes of a provider that no server has."""

    examples = ("longshore volume list cloud",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the provider's name")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        rows = []
        for volume in self.client.volumes(args.provider):
            (disk,), loose = volume.disks, volume.loose_volume
            known = volume.name, disk.key, loose.status, self.size_of(disk.size), disk.storage, loose.bootable
            rows.append((*known, volume.server_settings.availability_zone))
        return ("Name", "ID", "Status", "Size", "Type", "Bootable", "Zone"), rows


class _Moves(Lister):
    """Volumes that are made on a target, each by a migration of its own."""

    def _move(self, meant: Iterable[_Meant], args: Namespace, *, named: bool) -> tuple[Any, Any]:
        """Move volumes. `named`: each was asked for by its name, so that one that can't be moved is a failure."""
        rows: dict[str, _Row] = {}
        begun: list[str] = []
        for key, name, begin in meant:
            try:
                migration = begin()
            except LongshoreError as refusal:
                rows[key] = (name, _refused(refusal, named=named), str(refusal), None, None)
            else:
                begun.append(migration.id)
                rows[migration.id] = (migration.machine_name, "begun", "", migration.id, None)
        if begun and args.wait:
            rows |= {migration.id: _row(migration) for migration in self._watched(begun, plain=args.plain)}
        elif begun:
            self.say(f"{len(begun)} volume(s) move in the background. See: longshore migration list")
        if failed := [row[0] for row in rows.values() if row[1] in _BAD]:
            self.fault = f"{len(failed)} volume(s) didn't arrive: {', '.join(failed[:5])}."
        return ("Volume", "Result", "What", "Migration", "New volume"), list(rows.values())

    def _watched(self, ids: list[str], *, plain: bool) -> list[Migration]:
        found: list[Migration] = []

        def asked() -> list[WatchedMachine]:
            found[:] = [self.client.migration(id_) for id_ in ids]
            return [WatchedMachine.alone(one) for one in found]

        try:
            watch_together(asked, "Volumes", plain=plain)
        except KeyboardInterrupt:
            self.say("\nThey go on in the background. See: longshore migration list")
            raise
        return found


class MigrateVolumes(_Moves):
    """Move volumes that no server has: a snapshot of each is copied and verified; the original stays as it is.

    A volume that was moved before is left: the same command may be run again at any time. A server's volumes go with
    their server (longshore migrate).
    """

    examples = (
        "longshore volume migrate data-1 data-2 --from cloud --to other",
        "longshore volume migrate --from images --to cloud --file disks/data.qcow2",
    )

    def add_options(self, parser: ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("volumes", nargs="*", metavar="VOLUME", help="name or id")
        parser.add_argument("--all", action="store_true", help="all that no server has")
        parser.add_argument("--match", metavar="PATTERN", help="those of them that are called so: 'db-*'")
        parser.add_argument(
            "--file", metavar="FILE", help="all volumes of OS-Migrate's detached_volumes.yml, as it wants them to be"
        )
        parser.add_argument("--from", dest="source", required=True, metavar="PROVIDER", help="where they are")
        parser.add_argument("--to", dest="target", required=True, metavar="PROVIDER", help="where they go")
        _with_landing(parser)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        meant = [
            (asked, name, partial(self.client.create_migration, asked, args.source, args.target, own))
            for asked, name, own in self._meant(args, _asked_of(args))
        ]
        return self._move(meant, args, named=bool(args.volumes or args.file))

    def _meant(self, args: Namespace, request: MigrationRequest) -> list[tuple[str, str, MigrationRequest]]:
        """Return what to ask for, how it is called, and with which request. Raises InvalidInput."""
        ways = bool(args.volumes) + bool(args.all) + bool(args.match) + bool(args.file)
        if ways != 1:
            raise InvalidInput(
                "Which volumes?", advice="Name them, or say --all, or --match PATTERN, or --file FILE: one of these."
            )
        if args.volumes:
            return [(name, name, request) for name in dict.fromkeys(args.volumes)]
        if args.file:
            return list(self._described(args, request))
        loose = self.client.volumes(args.source)
        fitting = [v for v in loose if not args.match or fnmatchcase(v.name, args.match)]
        return [(v.disks[0].key, v.name, request) for v in fitting]

    def _described(self, args: Namespace, request: MigrationRequest) -> Iterator[tuple[str, str, MigrationRequest]]:
        """Yield the volumes that a file describes. What the command line says counts more than what the file says."""
        from longshore.tenancy import read_detached_volumes, wanted

        described = read_detached_volumes(Path(args.file))  # before a cloud is asked
        loose = {v.disks[0].key: v for v in self.client.volumes(args.source)}
        for one in described:
            asked = wanted(one, loose)
            for note in asked.notes:
                self.say(note)
            yield (
                asked.meant,
                asked.name,
                replace(
                    request,
                    storage=asked.storage | request.storage,
                    availability_zone=request.availability_zone or asked.zone,
                    volume=asked.wishes,
                ),
            )


class RestoreVolumes(_Moves):
    """Make volumes of a point's disks, and no machine: each is copied and verified.

    A disk of which the target has such a volume already is left, unless --accept volume-there-already is said.
    """

    examples = ("longshore restore volumes web01 --vault offsite --target cloud --disk 2",)

    def add_options(self, parser: ArgumentParser) -> None:
        super().add_options(parser)
        with_point(parser)
        parser.add_argument(
            "--disk",
            action="append",
            type=int,
            default=[],
            metavar="N",
            help="only this one; the first is 1 (may be repeated)",
        )
        parser.add_argument("--target", required=True, metavar="PROVIDER", help="where they go")
        _with_landing(parser)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        point = self.client.vault_point(args.vault, args.point)
        request = _asked_of(args)
        meant = [
            (
                str(number),
                f"disk {number}",
                partial(self.client.restore, args.vault, point.name, args.target, request, number),
            )
            for number in dict.fromkeys(args.disk or range(1, len(point.disks) + 1))
        ]
        return self._move(meant, args, named=True)


def _with_landing(parser: ArgumentParser) -> None:
    """Add options that say how volumes land: see `_asked_of`."""
    with_mapping(
        parser,
        "--storage",
        "TYPE=TYPE",
        "volume type there and here; without, the one of the same name, else the target's default type",
    )
    parser.add_argument("--availability-zone", metavar="ZONE", help="default: the one of the same name, if any")
    with_accept(parser)
    with_verify_and_rate(parser)
    with_wait(parser)


def _asked_of(args: Namespace) -> MigrationRequest:
    return MigrationRequest(
        type=MigrationType.VOLUME,
        storage=dict(args.storage),
        availability_zone=args.availability_zone,
        accept=tuple(args.accept),
        verify=Verify(args.verify),
        rate_limit=args.rate_limit,
    )


def _refused(refusal: LongshoreError, *, named: bool) -> str:
    """Return the word for a refusal: a volume that can't be moved is a failure only if it was asked for by its name."""
    if refusal.code == _THERE:
        return "there already"
    return "skipped" if refusal.code in _UNMOVABLE and not named else "failed"


def _row(migration: Migration) -> _Row:
    result = migration.result or {}
    status = "interrupted" if migration.interrupted else migration.status.value
    moved = migration.status is Status.DONE
    what = f"{size(result['bytes_verified'])} verified" if moved else migration.error or migration.phase
    return (migration.machine_name, "moved" if moved else status, what, migration.id, result.get("volume_id"))
