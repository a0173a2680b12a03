"""The workflows as the durable engine knows them, by name. Importing this module registers them."""

from contextlib import closing

import structlog
from dbos import DBOS

from longshore.engine.job_context import Cancels
from longshore.engine.outages import Outages
from longshore.engine.parking import Parked, park_by, tell
from longshore.engine.worker import Flows, Workflow
from longshore.flows.backups.backing_up import Backup
from longshore.flows.backups.by_policy import ByPolicy
from longshore.flows.backups.copying import CopyingVault
from longshore.flows.backups.deciding import Deciding
from longshore.flows.backups.in_place import InPlaceRestore
from longshore.flows.backups.keeping import Pruning, Verification
from longshore.flows.clouds import Clouds
from longshore.flows.flow import Flow
from longshore.flows.moves.cold import ColdMigration
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.dry_run import DryRun
from longshore.flows.moves.inspection import Inspection
from longshore.flows.moves.late_conversion import LateConversion
from longshore.flows.moves.marking import SourceMarking
from longshore.flows.moves.volume_move import VolumeMove
from longshore.flows.moves.warm import WarmBegin, WarmSync
from longshore.flows.relays import end_quiet_relays, end_relays, hold_relays_as
from longshore.flows.replicas.alerting import watch
from longshore.flows.replicas.cleaning_up import CleaningUp
from longshore.flows.replicas.conducting import Conducting
from longshore.flows.replicas.failing_back import Failback
from longshore.flows.replicas.landing import PointLanding
from longshore.flows.replicas.looking import PointLook
from longshore.flows.replicas.replicating import Replicating
from longshore.flows.replicas.returning import Returning
from longshore.model.job import JobKind
from longshore.providers.registry import PROVIDERS
from longshore.state import StateDirectory
from longshore.store import Store

_store: Store | None = None
_cancels: Cancels | None = None


def _get_ready(state: StateDirectory) -> None:
    """Clouds' libraries are loaded when a cloud is opened; with these here, the first step needn't wait for that."""
    if not state.is_begun:
        return
    with closing(Store(state)) as store:
        kinds = {provider.kind for provider in store.providers.all()}
    for known in PROVIDERS:
        if known.kind in kinds:
            known.settings()


def _use(store: Store, process_id: str) -> None:
    """Give the workflows of this process their store, and what they make for others to use its holder."""
    global _store, _cancels  # noqa: PLW0603 the engine calls workflows by name and can hand them nothing but plain values
    _store = store
    _cancels = Cancels(store)
    hold_relays_as(process_id)


@DBOS.workflow(name="cold-migration")
async def cold_migration(job_id: str) -> None:
    await _run(ColdMigration, job_id)


@DBOS.workflow(name="warm-begin")
async def warm_begin(job_id: str) -> None:
    await _run(WarmBegin, job_id)


@DBOS.workflow(name="warm-sync")
async def warm_sync(job_id: str) -> None:
    await _run(WarmSync, job_id)


@DBOS.workflow(name="dry-run")
async def dry_run(job_id: str) -> None:
    await _run(DryRun, job_id)


@DBOS.workflow(name="late-conversion")
async def late_conversion(job_id: str) -> None:
    await _run(LateConversion, job_id)


@DBOS.workflow(name="mark")
async def mark(job_id: str) -> None:
    await _run(SourceMarking, job_id)


@DBOS.workflow(name="volume-move")
async def volume_move(job_id: str) -> None:
    await _run(VolumeMove, job_id)


@DBOS.workflow(name="inspection")
async def inspection(job_id: str) -> None:
    await _run(Inspection, job_id)


@DBOS.workflow(name="replica")
async def replica(job_id: str) -> None:
    await _run(Replicating, job_id)


@DBOS.workflow(name="landing")
async def landing(job_id: str) -> None:
    await _run(PointLanding, job_id)


@DBOS.workflow(name="look")
async def look(job_id: str) -> None:
    await _run(PointLook, job_id)


@DBOS.workflow(name="clean-up")
async def clean_up(job_id: str) -> None:
    await _run(CleaningUp, job_id)


@DBOS.workflow(name="group")
async def group(job_id: str) -> None:
    await _run(Conducting, job_id)


@DBOS.workflow(name="failback")
async def failback(job_id: str) -> None:
    await _run(Failback, job_id)


@DBOS.workflow(name="return")
async def return_(job_id: str) -> None:
    await _run(Returning, job_id)


@DBOS.workflow(name="backup")
async def backup(job_id: str) -> None:
    await _run(Backup, job_id)


@DBOS.workflow(name="backup-policy")
async def backup_policy(job_id: str) -> None:
    await _run(ByPolicy, job_id)


@DBOS.workflow(name="verification")
async def verification(job_id: str) -> None:
    await _run(Verification, job_id)


@DBOS.workflow(name="vault-copy")
async def vault_copy(job_id: str) -> None:
    await _run(CopyingVault, job_id)


@DBOS.workflow(name="prune")
async def prune(job_id: str) -> None:
    await _run(Pruning, job_id)


@DBOS.workflow(name="in-place")
async def in_place(job_id: str) -> None:
    await _run(InPlaceRestore, job_id)


@DBOS.workflow(name="decision")
async def decision(job_id: str) -> None:
    await _run(Deciding, job_id)


@DBOS.workflow(name="end-unknown")
async def end_unknown(job_id: str) -> None:
    job = _context(job_id)
    await KINDS[job.kind](job).end_unknown()


KINDS: dict[JobKind, type[Flow]] = {
    JobKind.COLD: ColdMigration,
    JobKind.BEGIN: WarmBegin,
    JobKind.SYNC: WarmSync,
    JobKind.CUTOVER: WarmSync,
    JobKind.DRY_RUN: DryRun,
    JobKind.CONVERSION: LateConversion,
    JobKind.MARK: SourceMarking,
    JobKind.VOLUME: VolumeMove,
    JobKind.INSPECTION: Inspection,
    JobKind.REPLICA: Replicating,
    JobKind.LANDING: PointLanding,
    JobKind.LOOK: PointLook,
    JobKind.CLEAN_UP: CleaningUp,
    JobKind.GROUP: Conducting,
    JobKind.FAILBACK: Failback,
    JobKind.RETURN: Returning,
    JobKind.BACKUP: Backup,
    JobKind.BACKUP_POLICY: ByPolicy,
    JobKind.VERIFICATION: Verification,
    JobKind.PRUNE: Pruning,
    JobKind.VAULT_COPY: CopyingVault,
    JobKind.IN_PLACE: InPlaceRestore,
    JobKind.DECISION: Deciding,
}


_WORKFLOWS: dict[JobKind, Workflow] = {
    JobKind.COLD: cold_migration,
    JobKind.BEGIN: warm_begin,
    JobKind.SYNC: warm_sync,
    JobKind.CUTOVER: warm_sync,
    JobKind.DRY_RUN: dry_run,
    JobKind.CONVERSION: late_conversion,
    JobKind.MARK: mark,
    JobKind.VOLUME: volume_move,
    JobKind.INSPECTION: inspection,
    JobKind.REPLICA: replica,
    JobKind.LANDING: landing,
    JobKind.LOOK: look,
    JobKind.CLEAN_UP: clean_up,
    JobKind.GROUP: group,
    JobKind.FAILBACK: failback,
    JobKind.RETURN: return_,
    JobKind.BACKUP: backup,
    JobKind.BACKUP_POLICY: backup_policy,
    JobKind.VERIFICATION: verification,
    JobKind.PRUNE: prune,
    JobKind.VAULT_COPY: vault_copy,
    JobKind.IN_PLACE: in_place,
    JobKind.DECISION: decision,
}


def _watch() -> None:
    if _store is not None:
        watch(_store)


FLOWS = Flows(
    get_ready=_get_ready,
    use=_use,
    of=_WORKFLOWS.__getitem__,
    end_unknown=end_unknown,
    look_after=(end_quiet_relays, _watch),
    end=end_relays,
)


async def _run(flow: type[Flow], job_id: str) -> None:
    job = _context(job_id)
    park_by(job.parks_for)
    try:
        await flow(job).run()
    except Parked as parked:
        tell(job_id, parked.error)
        raise


def _context(job_id: str) -> MoveContext:
    if _store is None:
        raise RuntimeError("the engine hasn't given this process's workflows their store")
    record = _store.jobs.get(job_id)
    structlog.contextvars.bind_contextvars(migration_id=record.record_id)
    project_id = _store.migrations.get(record.record_id).project_id
    clouds = Clouds(_store, project_id=project_id)
    job = MoveContext(_store, record.record_id, job_id, _cancels, clouds=clouds, kind=record.kind)
    outages = Outages(job.say, job.raise_if_cancelled, tried_before=bool(record.times_parked))
    job.clouds = Clouds(_store, outages, project_id=project_id)
    return job
