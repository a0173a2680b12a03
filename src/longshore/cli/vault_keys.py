"""longshore vault key …: what opens an encrypted vault."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from longshore.cli.command import Command, Lister, ShowOne
from longshore.cli.given_files import key_in
from longshore.errors import InvalidInput
from longshore.web.words import moment

if TYPE_CHECKING:
    from longshore.api.backups import VaultKey


class ListVaultKeys(Lister):
    """List the keys of an encrypted vault: each is a pass phrase, or a recovery key, that opens it."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_vault(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        rows = [_values(key) for key in self.client.vault_keys(args.vault)]
        return ("ID", "Name", "Made at", "Opens it here"), rows


class AddVaultKey(ShowOne):
    """Have one more pass phrase open an encrypted vault, or a recovery key that is made for it.

    A recovery key is written to a file that isn't there yet, and kept nowhere else: put it where neither the vault nor
    this machine is. To have the vault opened here by a new pass phrase, add that and then say: longshore provider set
    vault NAME --pass-phrase-file FILE.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_vault(super().get_parser(prog_name))
        parser.add_argument("name", help="what it is for: recovery, 2027 …")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--pass-phrase-file", type=Path, metavar="FILE", help="that has the pass phrase")
        which.add_argument("--recovery-file", type=Path, metavar="FILE", help="that the recovery key is written to")
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        if args.pass_phrase_file:
            made = self.client.add_vault_key(args.vault, args.name, key_in(args.pass_phrase_file))
        else:
            with _new_file(args.recovery_file) as file:
                made = self.client.add_vault_key(args.vault, args.name, None)
                file.write(f"{made.recovery_key}\n")
        return ("id", "name", "made_at", "opens"), _values(made)


class RemoveVaultKey(Command):
    """Have a key open its vault no longer. Not the one by which it is opened here.

    Whoever has copied the vault before can still open that copy with it.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_vault(super().get_parser(prog_name))
        parser.add_argument("key", help="its id, or what it is for")
        return parser

    def take_action(self, args: Namespace) -> None:
        self.client.remove_vault_key(args.vault, args.key)


def _with_vault(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("vault", help="its name")
    return parser


def _values(key: VaultKey) -> tuple[Any, ...]:
    return key.id, key.name, moment(key.made_at), key.opens


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """That its owner alone may read. There before a key is made, so that none is lost; gone if none was made.

    Raises InvalidInput.
    """
    try:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
    except OSError as error:
        raise InvalidInput(f"{path} can't be made: {error.strerror}.") from None
    with file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise
