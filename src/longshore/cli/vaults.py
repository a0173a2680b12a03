"""longshore vault …: where backups go."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from longshore.border.texts import some
from longshore.cli.arguments import with_mapping
from longshore.cli.command import Create, Lister, ShowOne
from longshore.cli.given_files import text_of
from longshore.cli.migrations import follow, with_wait
from longshore.errors import LongshoreError, NotFound
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from longshore.api.backups import MachineInVault

_NAMED = 3  # objects in a sentence


class CreateVault(Create):
    """Make a vault in a directory, local or mounted from a file server, or in a bucket of an S3 server, and add it.

    Encrypted, it can be read with its pass phrase alone: keep that elsewhere, too. Or what opens it is a secret that is
    made in Barbican, in the project of an OpenStack that is added here: add a recovery key then, for when that cloud is
    gone. Whether it is encrypted can't be changed later. One that is there already is added with: longshore provider
    add vault.
    """

    examples = (
        "longshore vault create offsite /mnt/backups/offsite --pass-phrase-file phrase.txt",
        "longshore vault create away s3://bucket/one --endpoint https://s3.example --pass-phrase-file phrase.txt",
    )

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what you call it")
        parser.add_argument("place", help="a directory that is empty or not there yet, or s3://BUCKET/PREFIX")
        key = parser.add_mutually_exclusive_group()
        key.add_argument("--pass-phrase-file", type=Path, metavar="FILE", help="to encrypt it with")
        key.add_argument(
            "--barbican", metavar="PROVIDER", help="to encrypt it with a secret in the key manager of this OpenStack"
        )
        group = parser.add_argument_group("in a bucket")
        group.add_argument("--endpoint", metavar="URL", help="of its S3 server, as https://HOST:PORT (else Amazon's)")
        group.add_argument("--region", help="of the bucket (else us-east-1)")
        group.add_argument("--access-key", metavar="ID", help="that may get, put, delete and list objects there")
        group.add_argument("--secret-key-file", type=Path, metavar="FILE", help="the secret key that belongs to it")
        group.add_argument(
            "--ca-file", type=Path, metavar="FILE", help="PEM, with the authority of the server's certificate"
        )
        group.add_argument(
            "--lock",
            type=int,
            metavar="DAYS",
            help="object lock's retention in days: until then nobody can delete what is in the vault, whatever "
            "credentials they have. It can't be changed later, and only a bucket with object lock has it",
        )

    def existing(self, args: Namespace) -> dict[str, Any]:
        found = next((vault for vault in self.client.vaults() if vault.name == args.name), None)
        if found is None:
            raise NotFound(f"There is no vault named {args.name}.")
        return found.model_dump(mode="json")

    def make(self, args: Namespace) -> dict[str, Any]:
        phrase = text_of(args.pass_phrase_file) if args.pass_phrase_file else None
        where = {"url": args.place} if args.place.startswith("s3:") else {"directory": str(Path(args.place).absolute())}
        for name in ("endpoint", "region", "access_key", "barbican"):
            if (value := getattr(args, name)) is not None:
                where[name] = value
        if args.ca_file is not None:
            where["ca_file"] = str(args.ca_file.absolute())
        key = text_of(args.secret_key_file) if args.secret_key_file else None
        return self.client.create_vault(args.name, where, phrase, key, lock=args.lock).model_dump(mode="json")


class ListVaults(Lister):
    """List vaults, by name."""

    examples = ("longshore vault list",)
    nothing = "There is none. Make one: longshore vault create --help."

    def take_action(self, _args: Namespace) -> tuple[Any, Any]:
        return ("ID", "Name", "Place"), [(v.id, v.name, v.directory or v.url) for v in self.client.vaults()]


def with_vault(parser: ArgumentParser) -> None:
    parser.add_argument("vault", help="its name")


class ShowUsage(ShowOne):
    """Show how much a vault holds, how fast it grows and when it is full, when it was verified and pruned last, and how
    many points each machine has in it.

    Growth is what was stored in the last 30 days and is there still. What a prune would free is said by: longshore
    vault prune --dry-run.
    """

    examples = ("longshore vault usage offsite",)
    options = (with_vault,)

    def show(self, args: Namespace) -> dict[str, Any]:
        found = self.client.vault_usage(args.vault)
        fields = found.model_dump(mode="json")
        if self.for_people:
            fields |= {name: self.size_of(fields[name]) for name in ("stored", "free", "per_day")}
            fields["machines"] = "\n".join(_machine(one) for one in found.machines)
        return fields


def _machine(one: MachineInVault) -> str:
    points = "1 point" if one.points == 1 else f"{one.points} points"
    return f"{one.machine or '(unreadable)'}: {points}, the newest of {moment(one.newest) or '(unreadable)'}"


class CheckVault(ShowOne):
    """Open a vault, read the documents and maps of its points, and see that the packs are there, and its lock stands.

    What is in the packs is read by: longshore vault verify.
    """

    examples = ("longshore vault check offsite",)
    options = (with_vault,)

    def show(self, args: Namespace) -> dict[str, Any]:
        found = self.client.check_vault(args.vault)
        if found.passed_over:
            self.say(
                f"{len(found.passed_over)} file(s) or object(s) in it are none of the vault's, and are passed over: "
                f"{some(found.passed_over, _NAMED)}."
            )
        if found.keeps_deleted:
            self.say(
                "Its bucket keeps versions of what is deleted: without a lifecycle rule that ends them, it only grows."
            )
        if found.faults:
            raise LongshoreError("\n".join(found.faults), code="vault-damaged")
        fields = {"name": found.vault.name, "encrypted": found.encrypted, "points": found.points}
        if found.lock is not None:
            until = found.lock.until.isoformat(timespec="seconds") if found.lock.until else None
            fields |= {"lock_days": found.lock.days, "locked_until": until, "locked_short": found.lock.short}
            if found.lock.short:
                self.say(
                    f"{found.lock.short} object(s) are locked for less than {found.lock.days:g} days:"
                    " longshore vault prune renews their lock."
                )
        return fields


class RecoverVault(ShowOne):
    """Bring back all that the lock of a vault has kept, whoever has deleted it or written it again.

    What policies and prunes have removed since, and keys that were removed, come back, too: policies and prunes remove
    theirs again.
    """

    examples = ("longshore vault recover safe",)
    options = (with_vault,)

    def show(self, args: Namespace) -> dict[str, Any]:
        found = self.client.recover_vault(args.vault)
        return {"points": len(found.points), "packs": found.packs, "others": "\n".join(found.others)}


class CopyVault(ShowOne):
    """Copy the points of a vault that another one hasn't got into that, oldest first.

    What is the same as in the point before isn't read again, every block is compared with its digest, and a point is
    there when all of it is. A copy that was broken off is gone on with by the next one.
    """

    examples = ("longshore vault copy offsite away --wait",)
    options = (with_vault,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("to", help="the other vault's name")
        parser.add_argument("--in-clear", action="store_true", help="from an encrypted vault into one that isn't")
        with_wait(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        return follow(self, self.client.copy_vault(args.vault, args.to, in_clear=args.in_clear), args)


class ImportVault(Lister):
    """Have the policies of backups again that have made a vault's points, as after the loss of the database.

    Each is made as its newest point tells of it, and judges its old points again. It is paused, since the installation
    that had it may be at work still: longshore backup policy resume. Points need no import.
    """

    examples = ("longshore vault import offsite --source vcenter=vc",)
    options = (with_vault,)

    def add_options(self, parser: ArgumentParser) -> None:
        with_mapping(
            parser,
            "--source",
            "NAME=PROVIDER",
            "a provider of the policies, and what it is called here, if that is new",
        )
        parser.add_argument("--resume", action="store_true", help="don't pause them")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        imported = self.client.import_vault(args.vault, dict(args.source), paused=not args.resume)
        if not imported:
            self.say("No policy has made points of this vault.")
        for one in imported:
            if one.outcome.value == "made" and one.playbooks:
                self.say(f"Policy {one.name} runs playbooks of this machine; look at them: {', '.join(one.playbooks)}.")
        if refused := sum(one.outcome.value == "refused" for one in imported):
            self.fault = f"{refused} of its policies couldn't be made here."
        rows = [(one.id, one.name or "", one.points, one.outcome.value, one.error or "") for one in imported]
        return ("ID", "Name", "Points", "Outcome", "Problem"), rows


class VerifyVault(ShowOne):
    """Read all that a vault's points name, and compare it with its digests. It fails when anything differs."""

    examples: ClassVar[tuple[str, ...]] = ("longshore vault verify offsite --wait",)
    options = (with_vault, with_wait)

    verb = "verify"

    def show(self, args: Namespace) -> dict[str, Any]:
        return follow(self, self.client.keep_vault(args.vault, self.verb), args)


class PruneVault(VerifyVault):
    """Free what no point of a vault names: it is condemned, and removed by a prune a day later.

    Backups may go on meanwhile.
    """

    examples = ("longshore vault prune offsite --wait", "longshore vault prune offsite --dry-run")

    verb = "prune"

    def add_options(self, parser: ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--dry-run", action="store_true", help="say what it would remove, and remove nothing")

    def show(self, args: Namespace) -> dict[str, Any]:
        if args.dry_run:
            fields = self.client.prunable(args.vault).model_dump()
            return fields | {"freed": self.size_of(fields["freed"])}
        return super().show(args)
