"""longshore secrets …: what keeps the secrets of providers."""

from __future__ import annotations

from argparse import Namespace

from longshore.cli.command import Command


class RotateSecrets(Command):
    """Seal the secrets of all providers with a new key. Nothing has to be stopped for it; the old key is forgotten."""

    def take_action(self, _args: Namespace) -> None:
        from longshore.store import StateDirectory, Store

        store = Store(StateDirectory.configured(self.app.configured()))
        try:
            count = store.providers.change_key()
        finally:
            store.close()
        self.say(f"{count} secret(s) are sealed with a new key, in {store.state.key_file}.")
        self.say("Back it up, apart from the database. Older backups of the database need the key of their time.")
