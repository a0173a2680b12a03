"""The workflows as the durable engine knows them, by name. Importing this module registers them."""

from dbos import DBOS

from longshore.flows.clouds import Clouds
from longshore.flows.cold import ColdMigration
from longshore.flows.journey import Journey
from longshore.store import Store

_store: Store | None = None


def use(store: Store) -> None:
    """Give the workflows of this process their store. To be called before the engine is launched."""
    global _store  # noqa: PLW0603 the engine calls workflows by name and can hand them nothing but plain values
    _store = store


@DBOS.workflow(name="cold-migration")
async def cold_migration(migration_id: str) -> None:
    if _store is None:
        raise RuntimeError("workflows.use() was not called")
    await ColdMigration(Journey(_store, Clouds(_store), migration_id)).run()
