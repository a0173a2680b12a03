"""longshore backup policy …: what is backed up by a clock, and how long that is kept."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.arguments import rules_of, with_mapping, with_snapshot_playbooks
from longshore.cli.command import Create, Delete, Lister, ShowOne
from longshore.cli.concerns import concern_table
from longshore.cli.given_files import playbook_of
from longshore.errors import InvalidInput
from longshore.model.machine import PowerState
from longshore.model.selection import MachineFilter
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.api.backup_policies import BackupPolicy, BackupPolicyDetails, KeptPoint, PointTrial, PolicyBackup


_NEVER = "never"


class CreateBackupPolicy(Create):
    """Have machines of a source backed up to a vault on a schedule, and their points kept by rules.

    A run backs up all machines that are named, or that the filter finds then. One that fails stops no other one. After
    each backup the machine's points that no rule keeps are deleted; the newest good one never is. A run that was missed
    is made up for once.
    """

    examples = (
        'longshore backup policy create nightly --from vc --vault offsite --schedule "daily 01:00" --keep daily=14',
    )

    def add_options(self, parser: ArgumentParser) -> None:
        _with_policy(parser, "what you call it")
        parser.add_argument(
            "--source", "--from", dest="source", required=True, metavar="PROVIDER", help="where the machines are"
        )
        parser.add_argument("--vault", required=True, help="where their points go")
        _with_machines(parser)
        _with_rules(parser, required=True)
        with_snapshot_playbooks(parser, allowed=not self.is_plugin)

    def existing(self, args: Namespace) -> dict[str, Any]:
        return _fields(self, self.client.backup_policy(args.policy))

    def make(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.backup_policies import NewBackupPolicy

        asked = _asked(args, playbook_of)
        if not asked.keys() & {"machines", "filter"}:
            raise InvalidInput("Say which machines: --machine NAME, or a filter; --name '*' means all of the source.")
        policy = NewBackupPolicy(name=args.policy, source=args.source, vault=args.vault, **asked)
        return _fields(self, self.client.create_backup_policy(policy))


class ListBackupPolicies(Lister):
    """List policies of backups, by name."""

    examples = ("longshore backup policy list",)
    nothing = "There is none. Make one: longshore backup policy create --help."

    def take_action(self, _args: Namespace) -> tuple[Any, Any]:
        rows = [
            (
                policy.id,
                policy.name,
                policy.source,
                policy.vault,
                policy.schedule,
                "paused" if policy.paused else moment(policy.due_at),
                _run_in_words(policy),
            )
            for policy in self.client.backup_policies()
        ]
        return ("ID", "Name", "Source", "Vault", "Schedule", "Next run", "Last run"), rows


def _with_policy(parser: ArgumentParser, what: str = "its name or id") -> None:
    parser.add_argument("policy", help=what)


def _with_machines(parser: ArgumentParser) -> None:
    which = parser.add_argument_group("which machines: named, or found by a filter at each run")
    which.add_argument(
        "--machine", action="append", default=[], metavar="NAME", help="name, path or reference (may be repeated)"
    )
    which.add_argument("--folder", metavar="PATH", help="machines in this folder and below")
    which.add_argument("--cluster", metavar="NAME", help="machines of this cluster")
    which.add_argument("--tag", metavar="TAG", help="machines with this tag: NAME or CATEGORY/NAME")
    which.add_argument("--power", choices=[state.value for state in PowerState], help="machines that are so")
    which.add_argument("--name", metavar="PATTERN", help="machines that are called so: 'web-*'")


class ShowBackupPolicy(ShowOne):
    """Show a policy: what its last run, verification and proof came to, and why each of its points stays."""

    examples = ("longshore backup policy show nightly",)
    options = (_with_policy,)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _fields(self, self.client.backup_policy(args.policy))


class SetBackupPolicy(ShowOne):
    """Change a policy. A run under way goes on as it was begun."""

    examples = (
        'longshore backup policy set nightly --keep "daily=30,weekly=8"',
        "longshore backup policy set nightly --copy-to away",
    )
    options = (_with_policy, _with_machines)

    def add_options(self, parser: ArgumentParser) -> None:
        _with_rules(parser, required=False)
        with_snapshot_playbooks(parser, allowed=not self.is_plugin, end="; never: none any more")

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.backup_policies import BackupPolicyChange

        change = BackupPolicyChange(**_asked(args, _playbook_or_none))
        return _fields(self, self.client.change_backup_policy(args.policy, change))


class DeleteBackupPolicy(Delete):
    """Delete policies. Their points stay, and backups under way go on."""

    examples = ("longshore backup policy delete nightly",)
    kind = "policy"

    def delete(self, name: str, args: Namespace) -> None:
        self.client.delete_backup_policy(name)


class CheckBackupPolicy(Lister):
    """List everything that stands against a run of a policy now, or might: nothing is made.

    Of each machine, and whether the quota of its project has room for all of them, one after another.
    """

    examples = ("longshore backup policy check nightly",)
    options = (_with_policy,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return concern_table(self, args, self.client.check_backup_policy(args.policy))


class RunBackupPolicy(ShowOne):
    """Back up a policy's machines now, whatever its schedule says, and even while it is paused.

    It returns at once; what comes of it is said by: longshore backup policy show.
    """

    examples = ("longshore backup policy run nightly",)
    options = (_with_policy,)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _fields(self, self.client.run_backup_policy(args.policy))


class PauseBackupPolicy(ShowOne):
    """Have a policy run, verify and prove nothing by its clocks until it is resumed. A run under way goes on."""

    examples = ("longshore backup policy pause nightly",)
    options = (_with_policy,)

    paused = True

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.backup_policies import BackupPolicyChange

        change = BackupPolicyChange(paused=self.paused)
        return _fields(self, self.client.change_backup_policy(args.policy, change))


class ResumeBackupPolicy(PauseBackupPolicy):
    """Have a paused policy go by its clocks again. What was due meanwhile is made up for once, at once."""

    examples = ("longshore backup policy resume nightly",)

    paused = False


def _with_rules(parser: ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--schedule",
        required=required,
        metavar="SCHEDULE",
        help='"daily 02:00 Europe/Berlin", "every 6h", "cron 0 2 * * 1-5 UTC", …',
    )
    parser.add_argument(
        "--keep", required=required, metavar="RULES", help="which points stay: last=7,daily=14,zone=Europe/Berlin"
    )
    parser.add_argument(
        "--verify",
        metavar="SCHEDULE",
        help='when all that the vault holds is read and compared: "weekly sunday 03:00 Europe/Berlin"; never: not at '
        "all (default of a new one)",
    )
    parser.add_argument(
        "--copy-to",
        metavar="VAULT",
        help="a second vault, to which its points are copied after each run, and where the same rules keep them; "
        "never: to none (default of a new one)",
    )
    parser.add_argument(
        "--prove",
        metavar="SCHEDULE",
        help="when the newest good point of each machine is restored, booted on networks that lead nowhere, seen up "
        'and taken away again: "weekly saturday 03:00 Europe/Berlin"; never: not at all (default of a new one)',
    )
    parser.add_argument("--prove-on", metavar="CLOUD", help="the provider on which they are proved")
    with_mapping(
        parser,
        "--network",
        "SOURCE=TARGET",
        "proof: a network of the machines, and the cloud's one that is copied for it (may be repeated)",
    )


def _asked(args: Namespace, playbook: Callable[[Path | None], str | None]) -> dict[str, Any]:
    """Return what is said of a policy, as its fields are called."""
    power = PowerState(args.power) if args.power else None
    asked = {
        "machines": args.machine or None,
        "filter": MachineFilter(args.folder, args.cluster, args.tag, power, args.name) or None,
        "schedule": args.schedule,
        "retention": rules_of(args),
        "verify": args.verify,
        "copy_to": args.copy_to,
        "prove": args.prove,
        "prove_on": args.prove_on,
        "prove_networks": dict(args.network) or None,
        "before": playbook(args.before),
        "after": playbook(args.after),
    }
    return {name: value for name, value in asked.items() if value is not None}


def _playbook_or_none(path: Path | None) -> str | None:
    return _NEVER if path == Path(_NEVER) else playbook_of(path)


def _fields(command: ShowOne, policy: BackupPolicy) -> dict[str, Any]:
    fields = policy.model_dump(mode="json")
    if command.for_people:
        fields["machines"] = ", ".join(policy.machines)
        said = fields["filter"] or {}
        fields["filter"] = ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)
        fields["due_at"], fields["verify_due_at"] = moment(policy.due_at), moment(policy.verify_due_at)
        fields["prove_networks"] = ", ".join(f"{source}={target}" for source, target in policy.prove_networks.items())
        fields["run"] = _run_in_lines(policy)
        fields["copied"] = _copy_in_words(policy)
        fields["verification"] = _verification_in_words(policy)
        fields["prove_due_at"], fields["proof"] = moment(policy.prove_due_at), _proof_in_lines(policy)
        if "points" in fields:
            fields["points"] = _points_in_lines(policy)  # type: ignore[arg-type]
    return fields


def _run_in_words(policy: BackupPolicy) -> str:
    run = policy.run
    if run is None:
        return ""
    good = sum(one.state == "done" for one in run.backups)
    ended = f"ended {moment(run.ended_at)}" if run.ended_at else "under way"
    return f"{ended}: {run.error or f'{good} of {len(run.backups)} backed up'}"


def _run_in_lines(policy: BackupPolicy) -> str:
    backups = policy.run.backups if policy.run else []
    return "\n".join([_run_in_words(policy), *(_backup_in_words(one) for one in backups)])


def _backup_in_words(one: PolicyBackup) -> str:
    said = [f"{one.machine_name}: {one.state.value}"]
    if one.point:
        said.append(f"point {one.point}")
    if one.deleted:
        said.append(f"{len(one.deleted)} old point(s) deleted")
    if one.error:
        said.append(one.error)
    return ", ".join(said)


def _copy_in_words(policy: BackupPolicy) -> str:
    found = policy.copied
    if found is None:
        return ""
    said = [f"{found.state.value}, begun {moment(found.begun_at)}"]
    if found.state == "done":
        said.append(f"{found.points} point(s) copied")
    if found.deleted:
        said.append(f"{len(found.deleted)} old point(s) deleted")
    if found.error:
        said.append(found.error)
    return ", ".join(said)


def _verification_in_words(policy: BackupPolicy) -> str:
    found = policy.verification
    if found is None:
        return ""
    return ", ".join([f"{found.state.value}, begun {moment(found.begun_at)}", *([found.error] if found.error else [])])


def _proof_in_lines(policy: BackupPolicy) -> str:
    proof = policy.proof
    if proof is None:
        return ""
    good = sum(one.state == "done" for one in proof.trials)
    ended = f"ended {moment(proof.ended_at)}" if proof.ended_at else "under way"
    first = f"{ended}: {proof.error or f'{good} of {len(proof.trials)} seen up'}"
    return "\n".join([first, *(_trial_in_words(one) for one in proof.trials)])


def _trial_in_words(one: PointTrial) -> str:
    said = [f"{one.machine_name}: {one.state.value}, point {one.point}"]
    if one.shown_by:
        said.append(f"shown by {one.shown_by}")
    parts = [f"{part} {seconds:g} s" for part, seconds in one.seconds.items() if part != "all"]
    if parts:
        said.append(f"{one.seconds['all']:g} s ({', '.join(parts)})")
    if one.error:
        said.append(one.error)
    return ", ".join(said)


def _points_in_lines(policy: BackupPolicyDetails) -> str:
    return "\n".join(_point_in_words(point) for point in policy.points)


def _point_in_words(point: KeptPoint) -> str:
    why = "; ".join(point.reasons) or "no rule keeps it: it goes after the next backup"
    doubt = " (damaged)" if point.suspect else ""
    return f"{point.machine_name} {moment(point.moment)}{doubt}: {why}"
