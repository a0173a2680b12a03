"""The workflows as the durable engine knows them, by name. Importing this module registers them."""

import structlog
from dbos import DBOS

from longshore.engine.job_context import Cancels
from longshore.engine.outages import Outages
from longshore.engine.worker import Flows, Workflow
from longshore.flows.clouds import Clouds
from longshore.flows.moves.cold import ColdMigration
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.dry_run import DryRun
from longshore.flows.moves.inspection import Inspection
from longshore.flows.moves.late_conversion import LateConversion
from longshore.flows.moves.migration import Migration
from longshore.flows.moves.volume_move import VolumeMove
from longshore.flows.moves.warm import WarmMigration
from longshore.flows.relays import end_quiet_relays, end_relays, hold_relays_as
from longshore.model.request import MigrationType
from longshore.store import MigrationRecord, Store

_store: Store | None = None
_cancels: Cancels | None = None


def _use(store: Store, process_id: str) -> None:
    """Give the workflows of this process their store, and what they make for others to use its holder."""
    global _store, _cancels  # noqa: PLW0603 the engine calls workflows by name and can hand them nothing but plain values
    _store = store
    _cancels = Cancels(store)
    hold_relays_as(process_id)


@DBOS.workflow(name="cold-migration")
async def cold_migration(migration_id: str) -> None:
    await ColdMigration(_context(migration_id)).run()


@DBOS.workflow(name="warm-migration")
async def warm_migration(migration_id: str) -> None:
    await WarmMigration(_context(migration_id)).run()


@DBOS.workflow(name="dry-run")
async def dry_run(migration_id: str) -> None:
    await DryRun(_context(migration_id)).run()


@DBOS.workflow(name="late-conversion")
async def late_conversion(migration_id: str) -> None:
    await LateConversion(_context(migration_id)).run()


@DBOS.workflow(name="volume-move")
async def volume_move(migration_id: str) -> None:
    await VolumeMove(_context(migration_id)).run()


@DBOS.workflow(name="inspection")
async def inspection(migration_id: str) -> None:
    await Inspection(_context(migration_id)).run()


@DBOS.workflow(name="end-unknown")
async def end_unknown(migration_id: str) -> None:
    job = _context(migration_id)
    await _KINDS[job.request.type](job).end_unknown()


_KINDS: dict[MigrationType, type[Migration]] = {
    MigrationType.COLD: ColdMigration,
    MigrationType.WARM: WarmMigration,
    MigrationType.DRY_RUN: DryRun,
    MigrationType.CONVERSION: LateConversion,
    MigrationType.VOLUME: VolumeMove,
    MigrationType.INSPECTION: Inspection,
}


_WORKFLOWS: dict[MigrationType, Workflow] = {
    MigrationType.COLD: cold_migration,
    MigrationType.WARM: warm_migration,
    MigrationType.DRY_RUN: dry_run,
    MigrationType.CONVERSION: late_conversion,
    MigrationType.VOLUME: volume_move,
    MigrationType.INSPECTION: inspection,
}


def _workflow_of(record: MigrationRecord) -> Workflow:
    return _WORKFLOWS[MigrationType(record.request.get("type", MigrationType.COLD))]


FLOWS = Flows(
    use=_use,
    of=_workflow_of,
    end_unknown=end_unknown,
    end_quiet=end_quiet_relays,
    end=end_relays,
)


def _context(migration_id: str) -> MoveContext:
    structlog.contextvars.bind_contextvars(migration_id=migration_id)
    if _store is None:
        raise RuntimeError("the engine hasn't given this process's workflows their store")
    job = MoveContext(_store, migration_id, _cancels, clouds=Clouds(_store))
    outages = Outages(job.say, job.raise_if_cancelled)
    job.clouds = Clouds(_store, outages, project_id=job.record.project_id)
    return job
