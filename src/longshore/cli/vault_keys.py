"""longshore vault key …: what opens an encrypted vault."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.command import Command, Lister, ShowOne
from longshore.cli.fetched_files import new_file
from longshore.cli.given_files import key_in
from longshore.cli.vaults import with_vault
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from longshore.api.backups import VaultKey


class ListVaultKeys(Lister):
    """List the keys of an encrypted vault: each is a pass phrase, or a recovery key, that opens it.

    Of one whose pass phrase is kept in Barbican it says which secret that is there, and at whose Keystone.
    """

    examples = ("longshore vault key list offsite",)
    options = (with_vault,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        rows = [_values(key) for key in self.client.vault_keys(args.vault)]
        return ("ID", "Name", "Made at", "Opens it here", "In Barbican"), rows


class AddVaultKey(ShowOne):
    """Have one more pass phrase open an encrypted vault, a recovery key that is made for it, or a secret in Barbican.

    A recovery key is written to a file that isn't there yet, and kept nowhere else: put it where neither the vault nor
    this machine is. A secret in Barbican is made there, in the project of an OpenStack that is added here: whoever may
    read it opens the vault. To have the vault opened here by what is new, add it and then say: longshore provider set
    NAME --pass-phrase-file FILE, or --barbican PROVIDER.
    """

    examples = ("longshore vault key add offsite 2027 --pass-phrase-file new.txt",)
    options = (with_vault,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what it is for: recovery, 2027 …")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--pass-phrase-file", type=Path, metavar="FILE", help="that has the pass phrase")
        which.add_argument("--recovery-file", type=Path, metavar="FILE", help="that the recovery key is written to")
        which.add_argument(
            "--barbican", metavar="PROVIDER", help="the OpenStack in whose key manager it is made and kept"
        )

    def show(self, args: Namespace) -> dict[str, Any]:
        if args.barbican:
            made = self.client.add_vault_key(args.vault, args.name, None, args.barbican)
        elif args.pass_phrase_file:
            made = self.client.add_vault_key(args.vault, args.name, key_in(args.pass_phrase_file))
        else:
            # There before a key is made, so that none is lost; gone if none was made
            with new_file(args.recovery_file) as write:
                made = self.client.add_vault_key(args.vault, args.name, None)
                write(f"{made.recovery_key}\n".encode())
        return dict(zip(("id", "name", "made_at", "opens", "in_barbican"), _values(made), strict=True))


class DeleteVaultKey(Command):
    """Have a key open its vault no longer. Not the one by which it is opened here.

    Whoever has copied the vault before can still open that copy with it. The secret that was made for it in Barbican is
    removed there, too.
    """

    examples = ("longshore vault key delete offsite 2026",)
    options = (with_vault,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", help="its id, or what it is for")
        secret = parser.add_mutually_exclusive_group()
        secret.add_argument(
            "--barbican", metavar="PROVIDER", help="by which its secret is removed, if another has made it"
        )
        secret.add_argument("--keep-secret", action="store_true", help="leave its secret in Barbican")

    def take_action(self, args: Namespace) -> None:
        self.client.remove_vault_key(args.vault, args.key, barbican=args.barbican, keep_secret=args.keep_secret)


def _values(key: VaultKey) -> tuple[Any, ...]:
    kept = f"{key.kept.secret} at {key.kept.auth_url}" if key.kept else ""
    return key.id, key.name, moment(key.made_at), key.opens, kept
