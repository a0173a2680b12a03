"""Lists of jobs: of all kinds, or only of migrations."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Query, Response

from longshore.api.schemas import ListedMigration, Migration, MigrationCounts
from longshore.engine.stranded import crew_of
from longshore.errors import InvalidInput, NotFound
from longshore.model.request import MOVES, MigrationType
from longshore.model.status import Status
from longshore.service.migrations_shown import LISTED, MIGRATIONS, listed, shown
from longshore.service.paging import ThePage, unknown_marker
from longshore.service.parts import TheStore, judged_router
from longshore.service.shared_reads import TheReads, answered
from longshore.store import JobFilter, MigrationRecord, Store

router = judged_router("/v1")
_Up = Literal["requested", "machine", "state", "type"]
_Down = Literal["-requested", "-machine", "-state", "-type"]


@dataclass(frozen=True, slots=True)
class _About:
    """Filters of a list of jobs. None: whatever it is."""

    status: Annotated[tuple[Status, ...], Query(description="How they stand; as often as there are some.")] = ()
    machine: Annotated[str | None, Query(description="A name or reference.")] = None
    name: Annotated[str | None, Query(description="A part of the machine's name, or its reference.")] = None
    plan: str | None = None
    provider: Annotated[str | None, Query(description="On either side.")] = None
    of: Annotated[str | None, Query(description="What they are for: a policy, or a replica's id.")] = None
    type: Annotated[tuple[MigrationType, ...], Query(description="What kinds of job; as often as there are some.")] = ()
    last: Annotated[bool, Query(description="Only the last try of each machine.")] = False
    astray: Annotated[bool, Query(description="Only what was broken off, or what no living worker can take.")] = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """A list of jobs that is asked for."""

    store: TheStore
    page: ThePage
    reads: TheReads
    about: Annotated[_About, Depends(_About)]
    newest: Annotated[bool, Query(description="Newest first.")] = False
    sort: Annotated[
        _Up | _Down | None,
        Query(description="By what instead of by its request; -NAME: the other way round."),
    ] = None
    short: Annotated[bool, Query(description="Of each what a list has; by its id it is there as a whole.")] = False


TheAbout = Annotated[_About, Depends(_About)]
TheAsked = Annotated[_Asked, Depends(_Asked)]


@router.get("/migrations", response_model=list[Migration] | list[ListedMigration])
async def migrations(asked: TheAsked) -> Response:
    """List migrations, oldest first: machines and volumes that move, dry runs included. Backups, verifications and
    all others are in `/v1/jobs`."""
    return await _list(asked, _moves(asked.about))


@router.get("/jobs", response_model=list[Migration] | list[ListedMigration])
async def jobs(asked: TheAsked) -> Response:
    """List jobs of all kinds, oldest first: migrations, backups, verifications, prunes, failovers and all others. A
    replica and a policy of backups stand there once, with what is done for them now."""
    return await _list(asked, asked.about.type or None)


@router.get("/jobs/{job}")
def job(job: str, store: TheStore) -> Migration:
    """Show a job of any kind, by its id or the beginning of it."""
    return shown(store, [store.migrations.get(job)])[0]


@router.get("/migration-counts")
def migration_counts(store: TheStore, about: TheAbout) -> MigrationCounts:
    """Count migrations by how they stand, of those that a list with the same question has."""
    return _counts(store, about, _moves(about))


@router.get("/job-counts")
def job_counts(store: TheStore, about: TheAbout) -> MigrationCounts:
    """Count jobs of all kinds by how they stand, of those that a list with the same question has."""
    return _counts(store, about, about.type or None)


def _moves(about: _About) -> Collection[MigrationType]:
    if other := next((kind for kind in about.type if not kind.moves), None):
        types = ", ".join(MOVES)
        raise InvalidInput(f"{other} is no type of migration.", advice=f"Take {types}, or ask /v1/jobs.")
    return about.type or MOVES


def _filter(store: Store, about: _About, types: Collection[MigrationType] | None) -> JobFilter:
    """Return what the store is asked for. Raises NotFound for a plan, provider or policy that isn't there."""
    crew = crew_of(store) if about.astray else None
    return JobFilter(
        statuses=about.status,
        machine=about.machine,
        named=about.name,
        plan_id=store.plans.get(about.plan).id if about.plan is not None else None,
        provider_id=store.providers.get(about.provider).id if about.provider is not None else None,
        of=_worked_for(store, about.of) if about.of is not None else None,
        types=types,
        last=about.last,
        broken_off=crew is not None and not crew.running,
        asking=[one for one in store.queue.asked_of_crew() if crew.stranded(one)] if crew is not None else None,
    )


def _worked_for(store: Store, name_or_id: str) -> str:
    """Return the id of a policy of this name or id, or of a record of this id. Raises NotFound."""
    try:
        return store.backup_policies.id_of(name_or_id)
    except NotFound:
        return store.migrations.get(name_or_id).id


async def _list(asked: _Asked, types: Collection[MigrationType] | None) -> Response:
    store, page = asked.store, asked.page

    def read() -> tuple[bytes, str | None]:
        records, following = _page_of(asked, types)
        if asked.short:
            return LISTED.dump_json(listed(store, records)), following
        return MIGRATIONS.dump_json(shown(store, records)), following

    what = "jobs", types, page.limit, page.marker, asked.about, asked.newest, asked.sort, asked.short, store.scope
    body, following = await asked.reads.read(what, read, store.scope.project_id)
    answer = answered(body)
    if following is not None:
        page.goes_on_after(following, answer)
    return answer


def _page_of(asked: _Asked, types: Collection[MigrationType] | None) -> tuple[list[MigrationRecord], str | None]:
    """Return the records of a page, and the marker of the page after it, if there is one."""
    page, fitting = asked.page, _filter(asked.store, asked.about, types)
    sort = asked.sort or ("-requested" if asked.newest else "requested")
    order, backwards = sort.removeprefix("-"), sort.startswith("-")
    try:
        records = asked.store.migrations.page(
            page.limit + 1, page.marker, fitting=fitting, order=order, backwards=backwards
        )
    except NotFound:
        raise unknown_marker(page.marker or "") from None
    if len(records) <= page.limit:
        return records, None
    records = records[: page.limit]
    return records, records[-1].id


def _counts(store: Store, about: _About, types: Collection[MigrationType] | None) -> MigrationCounts:
    found = store.migrations.counts(_filter(store, about, types))
    return MigrationCounts(total=sum(found.values()), statuses={status.value: n for status, n in found.items()})
