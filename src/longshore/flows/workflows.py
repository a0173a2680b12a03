"""The workflows as the durable engine knows them, by name. Importing this module registers them."""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from dbos import DBOS

from longshore.flows.clouds import Clouds
from longshore.flows.cold import ColdMigration
from longshore.flows.dry_run import DryRun
from longshore.flows.inspection import Inspection
from longshore.flows.journey import Cancels, Journey
from longshore.flows.late_conversion import LateConversion
from longshore.flows.migration import Migration
from longshore.flows.outages import Outages
from longshore.flows.volume_move import VolumeMove
from longshore.flows.warm import WarmMigration
from longshore.model.request import MigrationType
from longshore.store import Store

_store: Store | None = None
_cancels: Cancels | None = None


def use(store: Store) -> None:
    """Give the workflows of this process their store. To be called before the engine is launched."""
    global _store, _cancels  # noqa: PLW0603 the engine calls workflows by name and can hand them nothing but plain values
    _store = store
    _cancels = Cancels(store)


@DBOS.workflow(name="cold-migration")
async def cold_migration(migration_id: str) -> None:
    await ColdMigration(_journey(migration_id)).run()


@DBOS.workflow(name="warm-migration")
async def warm_migration(migration_id: str) -> None:
    await WarmMigration(_journey(migration_id)).run()


@DBOS.workflow(name="dry-run")
async def dry_run(migration_id: str) -> None:
    await DryRun(_journey(migration_id)).run()


@DBOS.workflow(name="late-conversion")
async def late_conversion(migration_id: str) -> None:
    await LateConversion(_journey(migration_id)).run()


@DBOS.workflow(name="volume-move")
async def volume_move(migration_id: str) -> None:
    await VolumeMove(_journey(migration_id)).run()


@DBOS.workflow(name="inspection")
async def inspection(migration_id: str) -> None:
    await Inspection(_journey(migration_id)).run()


@DBOS.workflow(name="end-unknown")
async def end_unknown(migration_id: str) -> None:
    journey = _journey(migration_id)
    await _KINDS[journey.request.type](journey).end_unknown()


_KINDS: dict[MigrationType, type[Migration]] = {
    MigrationType.COLD: ColdMigration,
    MigrationType.WARM: WarmMigration,
    MigrationType.DRY_RUN: DryRun,
    MigrationType.CONVERSION: LateConversion,
    MigrationType.VOLUME: VolumeMove,
    MigrationType.INSPECTION: Inspection,
}


OF_TYPE: dict[MigrationType, Callable[[str], Coroutine[Any, Any, None]]] = {
    MigrationType.COLD: cold_migration,
    MigrationType.WARM: warm_migration,
    MigrationType.DRY_RUN: dry_run,
    MigrationType.CONVERSION: late_conversion,
    MigrationType.VOLUME: volume_move,
    MigrationType.INSPECTION: inspection,
}


def _journey(migration_id: str) -> Journey:
    structlog.contextvars.bind_contextvars(migration_id=migration_id)
    if _store is None:
        raise RuntimeError("workflows.use() was not called")
    journey = Journey(_store, Clouds(_store), migration_id, _cancels)
    outages = Outages(journey.say, journey.go_on)
    journey.clouds = Clouds(_store, outages, project_id=journey.record.project_id)
    return journey
