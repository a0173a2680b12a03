"""One opened state directory: providers, plans, migrations and the ledger over one database."""

import fcntl
import os

from longshore.store.database import Database
from longshore.store.ledger import Ledger
from longshore.store.migrations import Migrations
from longshore.store.plans import Plans
from longshore.store.providers import Providers
from longshore.store.secrets import SecretBox
from longshore.store.state import StateDirectory


class Store:
    def __init__(self, state: StateDirectory) -> None:
        self.state = state
        state.create()
        # Two commands started at the same moment in a new directory must not both make the tables.
        lock = os.open(state.root / "schema.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            previous = os.umask(0o077)
            try:
                self.database = Database(state.database_url)
            finally:
                os.umask(previous)
        finally:
            os.close(lock)
        self.providers = Providers(self.database, SecretBox(state.key_file))
        self.migrations = Migrations(self.database)
        self.plans = Plans(self.database)
        self.ledger = Ledger(self.database)

    def close(self) -> None:
        self.database.close()
