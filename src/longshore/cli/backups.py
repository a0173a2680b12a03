"""longshore backup …, longshore restore …: machines into a vault, and out of it again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from longshore.cli.arguments import (
    asked_hold,
    with_accept,
    with_hold_name,
    with_snapshot_playbooks,
    with_until,
    with_verify_and_rate,
)
from longshore.cli.command import Delete, Lister, ShowOne
from longshore.cli.concerns import concern_table
from longshore.cli.given_files import playbook_of
from longshore.cli.migrate import asked_of, with_restore
from longshore.cli.migrations import follow, with_wait
from longshore.cli.points import hold_in_words
from longshore.errors import InvalidInput
from longshore.model.request import BackupRequest, MachineWork, MigrationType, Verify
from longshore.wording.figures import moment, size

if TYPE_CHECKING:
    from longshore.api.backups import NewBackup, VaultPoint, VaultPointDetails


class CreateBackup(ShowOne):
    """Back a machine up: one moment of all its disks, to a point in a vault. It goes on as it was.

    The first backup reads all of it, later ones what has changed where its source can tell, else all of it again; what
    is the same is never stored twice. Change tracking is switched on at the source, and stays on.
    """

    examples = (
        "longshore backup create web01 --from vc --vault offsite --wait",
        "longshore backup create db01 --from vc --vault offsite --rate-limit 100M",
    )

    def add_options(self, parser: ArgumentParser) -> None:
        _with_backup(parser, playbooks=not self.is_plugin)
        with_wait(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        return follow(self, self.client.back_up(_asked(args)), args)


class CheckBackup(Lister):
    """List everything that stands against a backup, or might: nothing is made.

    Of a server in OpenStack also whether its project's quota has room for the snapshots that are read, now and beside
    those of the next backup, and for temporary volumes where snapshots can't be read by themselves.
    """

    examples = ("longshore backup check web01 --from vc --vault offsite",)

    def add_options(self, parser: ArgumentParser) -> None:
        _with_backup(parser, playbooks=not self.is_plugin)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return concern_table(self, args, self.client.check_backup(_asked(args)))


def _with_backup(parser: ArgumentParser, *, playbooks: bool) -> None:
    parser.add_argument(
        "machine", help="name, inventory path or reference of the machine; volume:NAME for a volume that none has"
    )
    parser.add_argument("--source", "--from", dest="source", required=True, metavar="PROVIDER", help="where it is")
    parser.add_argument("--vault", required=True, help="where it goes")
    parser.add_argument("--quiesce", action="store_true", help="freeze its file systems for the moment, or fail")
    with_verify_and_rate(parser)
    with_snapshot_playbooks(parser, allowed=playbooks)
    with_accept(parser)


def _asked(args: Namespace) -> NewBackup:
    from longshore.api.backups import NewBackup

    request = BackupRequest(
        quiesce=args.quiesce,
        verify=Verify(args.verify),
        rate_limit=args.rate_limit,
        accept=tuple(args.accept),
        before=playbook_of(args.before),
        after=playbook_of(args.after),
    )
    return NewBackup(machine=args.machine, source=args.source, vault=args.vault, request=request)


class ListBackups(Lister):
    """List the points in a vault, oldest first."""

    examples = ("longshore backup list --vault offsite", "longshore backup list --vault offsite --machine web01")

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--vault", required=True, help="the vault's name")
        parser.add_argument("--machine", metavar="NAME", help="only its points")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        found = self.client.vault_points(args.vault)
        fitting = [point for point in found if args.machine in (None, point.machine_name)]
        return ("Point", "Machine", "Moment", "Consistency", "Size", "Disks", "Held", "Proved"), [
            self._row(point) for point in fitting
        ]

    def _row(self, point: VaultPoint) -> tuple[Any, ...]:
        return (
            point.name,
            point.machine_name,
            moment(point.moment),
            "damaged" if point.damaged else point.consistency,
            self.size_of(point.size),
            len(point.disks),
            hold_in_words(point.hold),
            _trial_in_words(point),
        )


def _with_restore_id(parser: ArgumentParser) -> None:
    parser.add_argument("restore", help="its id")
    with_wait(parser)


def with_point(parser: ArgumentParser) -> None:
    parser.add_argument(
        "point", help="its name, the part of that behind the slash, or its machine's name for the newest one"
    )
    parser.add_argument("--vault", required=True, help="the vault's name")


class ShowBackup(ShowOne):
    """Show a point, with its machine as it was then."""

    examples = ("longshore backup show web01 --vault offsite",)
    options = (with_point,)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _details(self, self.client.vault_point(args.vault, args.point))


class DeleteBackup(Delete):
    """Delete points, any that aren't held: no other one needs them. What only they name goes when the vault is pruned.

    In a vault that locks they can be had back, and take their room, until their lock ends.
    """

    examples = ("longshore backup delete 420f7c1e/20261127T010000Z-5d1e --vault offsite",)
    kind = "point"
    named = "its whole name"
    for_good = "These points are deleted for good"

    def with_place(self, parser: ArgumentParser) -> None:
        parser.add_argument("--vault", required=True, help="the vault's name")

    def find_place(self, args: Namespace) -> None:
        self.client.provider(args.vault)

    def delete(self, name: str, args: Namespace) -> None:
        deleted = self.client.delete_vault_point(args.vault, name)
        for sentence in deleted.left:
            self.say(f"{sentence} The machine's next backup into this vault tries again.")
        until = deleted.kept_until
        if until is not None:
            self.say(
                f"The vault is locked: what the point needs can't be deleted before {until:%Y-%m-%d %H:%M} UTC. A prune"
                " after that frees its room; until then longshore vault recover has it back."
            )


class HoldBackup(ShowOne):
    """Keep a point, whatever the retention says, until it is released or a time has passed.

    It is written in the vault: other installations that use it heed it, too.
    """

    examples = ("longshore backup hold web01 --vault offsite --name before-upgrade --until 2026-12-31T22:00",)
    options = (with_point, with_hold_name, with_until)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _details(self, self.client.tell_vault_point(args.vault, args.point, "hold", asked_hold(args)))


class ReleaseBackup(ShowOne):
    """Leave a point in a vault to the retention again."""

    examples = ("longshore backup release web01 --vault offsite --name before-upgrade",)
    options = (with_point, with_hold_name)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _details(self, self.client.tell_vault_point(args.vault, args.point, "release", asked_hold(args)))


class CreateRestore(ShowOne):
    """Make a machine of a point: copied, verified, made ready for its new hardware, booted, seen on its console.

    It lands as a machine of its source would, with the same mappings and options. Its server is left running if the
    machine ran when it was backed up. With --dry-run it is tried, and removed again.
    """

    examples = (
        'longshore restore create web01 --vault offsite --target cloud --network "VM Network=private" --wait',
        "longshore restore create web01 --vault offsite --target cloud --dry-run --isolated --wait",
    )
    options = (with_point,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only try it, beside whatever runs")
        parser.add_argument("--isolated", action="store_true", help="dry run: on networks of its own that lead nowhere")
        parser.add_argument(
            "--in-place",
            action="store_true",
            help="in the place of the server that was backed up, with its ports: that is shut down once all is copied, "
            "and stays, off, as the way back",
        )
        with_restore(parser)
        with_wait(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        if args.dry_run and args.in_place:
            raise InvalidInput("A dry run takes nobody's place.", advice="Leave --dry-run or --in-place out.")
        whole: MachineWork = MigrationType.IN_PLACE if args.in_place else MigrationType.COLD
        kind: MachineWork = MigrationType.DRY_RUN if args.dry_run else whole
        request = replace(asked_of(args), type=kind, isolated=args.isolated)
        return follow(self, self.client.restore(args.vault, args.point, args.target, request), args)


class CommitRestore(ShowOne):
    """Keep what was restored in place. It can't be undone any more; the server that it was before stays, off."""

    examples: ClassVar[tuple[str, ...]] = ("longshore restore commit 5f0c1a77",)
    options = (_with_restore_id,)
    verb = "commit"

    def show(self, args: Namespace) -> dict[str, Any]:
        return follow(self, self.client.tell_restore(args.restore, self.verb), args)


class UndoRestore(CommitRestore):
    """Undo a restore in place: the server that it was before has its ports again, and runs if it did.

    The new server goes, with all that it has written.
    """

    examples = ("longshore restore undo 5f0c1a77",)
    verb = "undo"


def _trial_in_words(point: VaultPoint, *, whole: bool = False) -> str:
    trial = point.trial
    if trial is None:
        return ""
    if trial.error is None:
        return f"{moment(trial.at)}" + (f", shown by {trial.shown_by}" if whole else "")
    return f"failed {moment(trial.at)}" + (f": {trial.error}" if whole else "")


def _details(command: ShowOne, point: VaultPointDetails) -> dict[str, Any]:
    fields = point.model_dump(mode="json")
    if command.for_people:
        disks = {disk["key"]: disk for disk in point.machine["disks"]}
        fields["machine"] = f"{point.machine['cpus']} CPU(s), {point.machine['memory_mib']} MiB of memory"
        fields["disks"] = "\n".join(f"{disks[key]['label']}: {size(disks[key]['size'])}" for key in point.disks)
        fields["size"] = size(point.size)
        fields["hold"] = hold_in_words(point.hold)
        fields["trial"] = _trial_in_words(point, whole=True)
    return fields
