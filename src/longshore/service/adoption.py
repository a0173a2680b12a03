"""Replicas whose database is gone: found at their target by its marks, and made records of."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

from longshore.api.replicas import FoundReplica, NewAdoption
from longshore.errors import AccessDenied, Conflict, InvalidInput, NotFound
from longshore.flows.clouds import Clouds
from longshore.flows.replicas.found import find_replicas
from longshore.flows.replicas.marks import REPLICA
from longshore.model.adoption import FoundReplica as Found
from longshore.model.replica import Protection
from longshore.model.request import MigrationRequest, MigrationType
from longshore.planning.validation import check_request
from longshore.service.parts import TheCaller, TheClouds, TheStore, judged_router
from longshore.service.queued import added
from longshore.service.remote import refuse_unsafe
from longshore.service.shapes import shaped
from longshore.store import NewMigration, ProviderRecord, Store

router = judged_router("/v1")
_RESTS = Protection(schedule="daily", retention="last 1000, zone UTC")  # until there is a source again


@router.get("/providers/{provider}/replicas")
def found(provider: str, store: TheStore, clouds: TheClouds) -> list[FoundReplica]:
    """List the replicas that the marks of volumes and snapshots there tell of, whether they are known here or not.
    Changes nothing.
    """
    return [_shown(one, store.replicas.objection(one)) for one in _find(store, clouds, _own(store, provider))]


@router.post("/replicas/adopt", status_code=202)
def adopt(body: NewAdoption, store: TheStore, clouds: TheClouds, caller: TheCaller) -> list[FoundReplica]:
    """Make records of replicas that are found there, whose points can then be tested and failed over to.

    No source is asked. Those that are named are adopted together or not at all; else all that can be.
    """
    if body.request.before is not None or body.request.after is not None:
        raise InvalidInput("Nobody is there to see what playbooks do when a point becomes a machine: leave them out.")
    request = replace(body.request, type=MigrationType.REPLICA, of=None, point=None, isolated=False, keep=False)
    refuse_unsafe(caller, asdict(request))
    check_request(request, within=("request",))
    target = _own(store, body.target)
    listed = _find(store, clouds, target)
    wanted = [_named(listed, word) for word in body.machines] or listed
    objections = {one.id: store.replicas.objection(one) for one in wanted}
    if body.machines:
        for one in wanted:
            if said := objections[one.id]:
                raise Conflict(f"The replica {one.id} of {one.machine_name} can't be adopted. {said}")
    taken = [one for one in wanted if objections[one.id] is None]
    _take(store, target, taken, request)
    return [_shown(one, objections[one.id], adopted=objections[one.id] is None) for one in wanted]


def _take(store: Store, target: ProviderRecord, taken: Sequence[Found], request: MigrationRequest) -> None:
    new = [
        NewMigration(
            machine_name=one.machine_name,
            machine_ref=one.machine_ref,
            source_id=target.id,  # nothing else of it is known
            target_id=target.id,
            request=request.to_json(),
            disks=one.disks,
            protection=_RESTS,
            found=one,
            id=one.id,
        )
        for one in taken
    ]
    if not new:
        return
    added(store, new)
    for one in taken:
        text = f"Adopted from {target.name}, with {len(one.points)} point(s). Its source isn't known."
        store.events.say(one.id, None, text)
        for sentence in one.refused:
            store.events.say(one.id, None, sentence, "warning")


def _own(store: Store, name: str) -> ProviderRecord:
    """Return a provider that is the caller's own, since only its owner may know of what is there and take it.

    Raises NotFound, or AccessDenied for a provider that is shared with the caller.
    """
    provider = store.providers.get(name)
    if not store.providers.is_own(provider):
        raise AccessDenied(
            f"{name} is shared with your project: what is there may be others'.",
            advice="Ask those whose provider it is to adopt it.",
        )
    return provider


def _find(store: Store, clouds: Clouds, target: ProviderRecord) -> list[Found]:
    with clouds.target(target.id) as cloud:
        return find_replicas(cloud.marked(REPLICA), datetime.now(UTC))


def _named(listed: Sequence[Found], word: str) -> Found:
    """Return the replica that a word names: by its id, the beginning of it, or its machine's name or reference.

    Raises NotFound, Conflict.
    """
    for fits in (
        [one for one in listed if one.id == word],
        [one for one in listed if word in (one.machine_name, one.machine_ref)],
        [one for one in listed if word and one.id.startswith(word)],
    ):
        if len(fits) > 1:
            ids = ", ".join(one.id for one in fits)
            raise Conflict(f"Several replicas are of a machine {word}: {ids}.", advice="Name the one by its id.")
        if fits:
            return fits[0]
    raise NotFound(
        f"No replica of a machine {word} is there.", advice="See what is: longshore replica adopt --target … --list."
    )


def _shown(one: Found, objection: str | None, *, adopted: bool = False) -> FoundReplica:
    return shaped(
        FoundReplica,
        one,
        disks=len(one.volumes),
        size=sum(disk.size for disk in one.disks),
        points=len(one.points),
        newest=one.points[-1].moment if one.points else None,
        adopted=adopted,
        objection=objection,
        refused=list(one.refused),
    )
