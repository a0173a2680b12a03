"""What is kept: providers and their secrets, migrations, events and the ledger of things made outside."""

from longshore.store.ledger import Entry, EntryState, Kind, Ledger
from longshore.store.migrations import DiskRecord, EventRecord, MigrationRecord, Migrations, Status
from longshore.store.providers import ProviderRecord, Providers
from longshore.store.state import StateDirectory
from longshore.store.store import Store

__all__ = [
    "DiskRecord",
    "Entry",
    "EntryState",
    "EventRecord",
    "Kind",
    "Ledger",
    "MigrationRecord",
    "Migrations",
    "ProviderRecord",
    "Providers",
    "StateDirectory",
    "Status",
    "Store",
]
