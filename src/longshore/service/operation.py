"""The operator's view of an installation: its workers, every project's jobs, and what is left outside."""

from collections import Counter
from dataclasses import asdict
from importlib.metadata import version

from longshore.api.operation import LeftOver, Operation, QueuedJob, Worker
from longshore.engine.stranded import crew_of
from longshore.engine.version import FLOW_VERSION
from longshore.model.status import Status
from longshore.service.paging import ThePage
from longshore.service.parts import TheStore, judged_router
from longshore.service.shapes import provider_names, shaped
from longshore.store import WHOLE, QueueRecord

router = judged_router("/v1")
DOING = ("waits", "moves", "cutover", "parked")


@router.get("/operation")
def operation(store: TheStore) -> Operation:
    """Return how the whole installation stands, whatever project things are of."""
    crew, records = crew_of(store), store.queue.records()
    workers = crew.workers if crew.running else []
    doing = Counter(doing_of(record) for record in records)
    redundancy = store.database.redundancy()
    return Operation(
        version=version("longshore"),
        flow_version=FLOW_VERSION,
        database=store.database.engine.dialect.name,
        database_primary=redundancy.primary,
        database_servers=redundancy.servers,
        database_standbys=redundancy.standbys,
        database_waits=redundancy.waits,
        workers=len(workers),
        capacity=sum(worker.capacity for worker in workers),
        queue={name: doing[name] for name in DOING},
        stranded=sum(crew.stranded(record) is not None for record in records),
        left=store.operation.left_count(),
        kept=store.operation.kept_bytes(),
        oldest=store.operation.waits_since(),
    )


@router.get("/operation/workers")
def workers(store: TheStore) -> list[Worker]:
    """List the workers, oldest first; with those that are taken for dead, as long as nobody has taken what they had."""
    return [shaped(Worker, lease.worker, lease, lease_ends_in=lease.ends_in) for lease in store.operation.workers()]


@router.get("/operation/queue")
def queue(store: TheStore, page: ThePage, worker: str | None = None, *, stranded: bool = False) -> list[QueuedJob]:
    """List the jobs that wait for a worker or that one has, in the order of their turns; or of these what this worker
    has, or what no living one can take. What is on record of each is in `/v1/jobs`."""
    crew = crew_of(store)
    records = [one for one in store.queue.records() if worker is None or one.worker_id == worker]
    if stranded:
        records = [one for one in records if crew.stranded(one)]
    shown = page.of(records, lambda one: one.id)
    details, names = store.operation.details([one.id for one in shown]), provider_names(store.scoped(WHOLE))
    return [
        shaped(
            QueuedJob,
            one,
            more,
            migration=one.record_id,
            source=names[one.source_id],
            target=names[one.target_id],
            worker=one.worker_id,
            reason=more.reason if one.status is Status.PARKED else None,
            stranded=crew.why(one),
        )
        for one in shown
        if (more := details.get(one.id)) is not None
    ]


@router.get("/operation/left-overs")
def left_overs(store: TheStore) -> list[LeftOver]:
    """List what is outside, or may be, of migrations of all projects that have ended, newest first."""
    return [LeftOver(**asdict(one)) for one in store.operation.left()]


def doing_of(record: QueueRecord) -> str:
    """Return the state of a job, as one of DOING."""
    if record.begun:
        return "moves"
    if record.status is Status.PARKED:
        return "parked"
    return "waits" if record.due_at is None else "cutover"
