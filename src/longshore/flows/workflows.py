"""The workflows as the durable engine knows them, by name. Importing this module registers them."""

from contextlib import closing
from datetime import UTC, datetime
from functools import cache

import structlog
from dbos import DBOS

from longshore.engine.job_context import Cancels
from longshore.engine.outages import Outages
from longshore.engine.parking import Parked, tell
from longshore.engine.worker import Flows, Workflow
from longshore.flows.backups.backing_up import Backup
from longshore.flows.backups.by_policy import ByPolicy
from longshore.flows.backups.copying import CopyingVault
from longshore.flows.backups.deciding import Deciding
from longshore.flows.backups.in_place import InPlaceRestore
from longshore.flows.backups.keeping import Pruning, VerifyingVault
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
from longshore.flows.new_proxies import MakingProxy
from longshore.flows.plans.checking import CheckingPlan
from longshore.flows.relays import end_quiet_relays, end_relays, hold_relays_as
from longshore.flows.replicas.conducting import Conducting
from longshore.flows.replicas.failing_back import Failback
from longshore.flows.replicas.landing import CleaningUp, PointLanding
from longshore.flows.replicas.looking import PointLook
from longshore.flows.replicas.replicating import Replicating
from longshore.flows.replicas.returning import Returning
from longshore.flows.telling.watching import note, watch
from longshore.flows.tenant_resources import CarryingResources
from longshore.model.job import JobKind
from longshore.providers.registry import PROVIDERS
from longshore.state import StateDirectory
from longshore.store import Store

_store: Store | None = None
_cancels: Cancels | None = None


def _get_ready(state: StateDirectory) -> None:
    """Load the libraries of those clouds that providers name, so that the first step needn't wait for that."""
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
    JobKind.VERIFICATION: VerifyingVault,
    JobKind.PRUNE: Pruning,
    JobKind.VAULT_COPY: CopyingVault,
    JobKind.IN_PLACE: InPlaceRestore,
    JobKind.DECISION: Deciding,
    JobKind.PLAN_CHECK: CheckingPlan,
    JobKind.PROXY: MakingProxy,
    JobKind.TENANT: CarryingResources,
}


# A job goes on under the name that it was begun by: they stay, as long as the order of steps does
_NAMES = {
    JobKind.COLD: "cold-migration",
    JobKind.BEGIN: "warm-begin",
    JobKind.SYNC: "warm-sync",
    JobKind.CUTOVER: "warm-sync",  # which a sync becomes while it is at work
    JobKind.CONVERSION: "late-conversion",
    JobKind.VOLUME: "volume-move",
}


@cache
def _workflow(name: str, flow: type[Flow]) -> Workflow:
    @DBOS.workflow(name=name)
    async def run(job_id: str) -> None:
        job = _context(job_id)
        try:
            await flow(job).run()
        except Parked as parked:
            tell(job_id, parked.error)
            raise

    return run


@DBOS.workflow(name="end-unknown")
async def _end_unknown(job_id: str) -> None:
    job = _context(job_id)
    await KINDS[job.kind](job).end_unknown()


_WORKFLOWS = {kind: _workflow(_NAMES.get(kind, kind.value), flow) for kind, flow in KINDS.items()}


def _watch() -> None:
    if _store is not None:
        watch(_store)


def _end(store: Store) -> None:
    """Let go of what this process keeps. What has ended last is noted before, so that another one tells it."""
    note(store, datetime.now(UTC))
    end_relays(store)


FLOWS = Flows(
    get_ready=_get_ready,
    use=_use,
    of=_WORKFLOWS.__getitem__,
    end_unknown=_end_unknown,
    look_after=(end_quiet_relays, _watch),
    end=_end,
)


def _context(job_id: str) -> MoveContext:
    if _store is None:
        raise RuntimeError("the engine hasn't given this process's workflows their store")
    record = _store.jobs.get(job_id)
    structlog.contextvars.bind_contextvars(migration_id=record.record_id)
    project_id = _store.migrations.get(record.record_id).project_id
    clouds = Clouds(_store, project_id=project_id)
    job = MoveContext(_store, record.record_id, job_id, _cancels, clouds=clouds, kind=record.kind)
    if not record.kind.awaited:  # whoever waits for an answer hears at once which cloud doesn't
        outages = Outages(job.say, job.raise_if_cancelled, tried_before=bool(record.times_parked))
        job.clouds = Clouds(_store, outages, project_id=project_id)
    return job
