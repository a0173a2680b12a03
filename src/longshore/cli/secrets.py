"""longshore secrets …: what keeps the secrets in the database."""

from __future__ import annotations

from argparse import Namespace

from longshore.cli.command import Command


class RotateSecrets(Command):
    """Seal what is secret in the database with a new key. Nothing has to be stopped for it; the old key is forgotten.

    That is passwords, user data, first-boot scripts and keys of guests. What is in Barbican is under keys of its own,
    which its operator changes.
    """

    examples = ("longshore secrets rotate",)

    def take_action(self, _args: Namespace) -> None:
        from longshore.store import Outside, StateDirectory, Store

        store = Store(StateDirectory.configured(self.app.configured()))
        try:
            count = store.providers.change_key()
            elsewhere = store.provider_ledger.count(Outside.SECRET)
        finally:
            store.close()
        self.say(f"{count} secret(s) are sealed with a new key, in {store.state.key_file}.")
        if elsewhere:
            self.say(
                f"{elsewhere} more are in Barbican, under keys of its own: its operator changes those. To have a new "
                "password there, remove the provider and add it again."
            )
        self.say("Back it up, apart from the database. Older backups of the database need the key of their time.")
