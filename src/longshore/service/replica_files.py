"""Replicas and their groups as a file has them: told, and applied as a whole or not at all."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query

from longshore.api.replicas import Applied, NewReplica
from longshore.engine import embedded
from longshore.errors import Conflict, NotFound
from longshore.flows.replicas.moments import next_audit
from longshore.model.concern import Concern
from longshore.model.replica import Stage
from longshore.planning import replicafile
from longshore.planning.replicafile import OF_REPLICAS, Written, WrittenGroup, WrittenReplica, text_of_seconds
from longshore.service.groups import refuse_commands
from longshore.service.new_replicas import first_time, new_replica, protection_of, tests_of
from longshore.service.parts import DryRun, TheCaller, TheClouds, TheStore, judged_router
from longshore.service.queued import added
from longshore.service.shapes import Names, provider_names, shaped
from longshore.store import GroupRecord, MigrationRecord, NewMigration, ReplicaRecord, Store
from longshore.store.rows import filled
from longshore.store.texts import in_options

router = judged_router("/v1")


@dataclass(frozen=True, slots=True)
class _There:
    """A replica of the caller's project, whose source is known."""

    replica: ReplicaRecord
    record: MigrationRecord

    @property
    def id(self) -> str:
        return self.replica.id

    @property
    def path(self) -> str:
        """Return the path of the replica's machine at the source, or its name."""
        return (self.record.places or {}).get("path") or self.record.machine_name

    @property
    def names(self) -> set[str]:
        """Return the names that the replica's machine goes by."""
        return {self.record.machine_name, self.record.machine_ref, self.path}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A group as the file has it, its members by their ids."""

    group: WrittenGroup
    members: Mapping[str, int]
    before: GroupRecord | None

    @property
    def differs(self) -> bool:
        was = {one.replica_id: one.tier for one in self.before.members} if self.before else None
        return self.before is None or was != self.members or self.before.gates != self.group.gates


@router.get("/replica-file")
def export(store: TheStore, replica: Annotated[list[str] | None, Query()] = None) -> dict[str, Any]:
    """Return replicas and groups as a file has them: those that are named, and groups of which all replicas are among
    them; or all of the project.
    """
    there = _all(store)
    wanted = there
    if replica is not None:
        ids = dict.fromkeys(store.replicas.get(word).id for word in replica)
        wanted = [one for one in there if one.id in ids]
        for id_ in ids.keys() - {one.id for one in wanted}:
            raise Conflict(f"Replica {id_} was adopted, or is being deleted: there is nothing of it to keep in a file.")
    names = provider_names(store)
    called = {one.id: _called(one, there) for one in wanted}
    words = _words(wanted, called, names)
    groups = [group for group in _groups(store) if group.members]
    groups = [group for group in groups if {member.replica_id for member in group.members} <= called.keys()]
    return replicafile.plain(
        Written(
            tuple(_written(one, called[one.id], names) for one in wanted),
            tuple(
                WrittenGroup(one.name, {words[m.replica_id]: m.tier for m in one.members}, dict(one.gates))
                for one in groups
            ),
        )
    )


@router.put("/replica-file")
def apply(
    body: dict[str, Any], store: TheStore, clouds: TheClouds, caller: TheCaller, *, dry_run: DryRun = False
) -> list[Applied]:
    """Make replicas and groups as the body says, which is what a file has: those that aren't there are made, others are
    changed. What isn't named stays as it is; a group that is named has the replicas that it says, and no others.

    All of it is looked at first: where one can't be, nothing is changed. The same again changes nothing. What a dry run
    would make has no id.
    """
    wanted = replicafile.from_plain(body)
    refuse_commands(caller, [gate for group in wanted.groups for gate in group.gates.values()])
    there = _all(store)
    new: dict[str, tuple[NewMigration, list[Concern]]] = {}
    changes: dict[str, dict[str, Any]] = {}
    known: dict[str, set[str]] = {}  # by a word for replicas: their ids
    names = provider_names(store)
    for one in there:
        source = names[one.record.source_id]
        for word in {one.id, *one.names, *(f"{source}:{name}" for name in one.names)}:
            known.setdefault(word, set()).add(one.id)
    meant: dict[str, set[str]] = {}  # by a word of the file itself, which is what its groups mean first of all
    ids = []
    for entry in wanted.replicas:
        found = _find(store, there, entry)
        if found is not None:
            changes[found.id] = _differing(store, found, entry)
        else:
            new_one, said = new_replica(store, clouds, caller, _new(entry))
            new[new_one.id] = new_one, said
        ids.append(found.id if found else new_one.id)
        if ids[-1] in ids[:-1]:
            raise Conflict(f"{entry.machine} is asked for twice: the replica has another name in the same file, too.")
        for word in (entry.machine, f"{entry.source}:{entry.machine}"):
            meant.setdefault(word, set()).add(ids[-1])
    groups = [_resolved(group, {**known, **meant}, _groups(store)) for group in wanted.groups]
    for number, group in enumerate(groups):
        _refuse(store, group, _groups(store))
        for other in groups[:number]:
            if group.members.keys() & other.members.keys():
                raise Conflict(f"Groups {other.group.name} and {group.group.name} have a replica in common.")
    applied = [
        Applied(
            kind="replica", name=entry.machine, id="" if dry_run and id_ in new else id_, what=_what(id_, new, changes)
        )
        for entry, id_ in zip(wanted.replicas, ids, strict=True)
    ]
    if new and dry_run:
        store.migrations.add_together([one for one, _ in new.values()], dry_run=True)
    if dry_run:
        return applied + [_foreseen(group) for group in groups]
    if new:
        added(store, [one for one, _ in new.values()], {id_: said for id_, (_, said) in new.items()})
    for id_, fields in changes.items():
        if fields:
            store.replicas.change(id_, **fields)
    made = [_put(store, group) for group in groups]
    if any(changes.values()):
        embedded.ensure_running(store.state)
    return applied + made


# Parts


def _all(store: Store) -> list[_There]:
    """Return the project's replicas that a file may have, oldest first.

    Those that are adopted have no source, and what is being deleted is none any more.
    """
    listed = [one for one in store.replicas.all() if one.stage is not Stage.ADOPTED]
    records = {record.id: record for record in store.migrations.several([one.id for one in listed])}
    there = [_There(one, records[one.id]) for one in listed if one.id in records]
    own = [one for one in there if one.record.project_id == store.scope.project_id]
    return [one for one in own if not one.record.status.ended and not one.record.cancel_requested]


def _groups(store: Store) -> list[GroupRecord]:
    return [group for group in store.groups.all() if group.project_id == store.scope.project_id]


def _called(one: _There, there: Sequence[_There]) -> str:
    """Return what tells a replica from the others of its source: the name, path or reference of its machine."""
    source = one.record.source_id
    others = [other for other in there if other.id != one.id and other.record.source_id == source]
    named = [other.record.machine_name for other in others]
    if one.record.machine_name not in named:
        return one.record.machine_name
    return one.record.machine_ref if one.path in [other.path for other in others] else one.path


def _words(wanted: Sequence[_There], called: Mapping[str, str], names: Names) -> dict[str, str]:
    """Return the words by which groups call these replicas, by id.

    The source stands before the machine where machines of two replicas are called alike.
    """
    count = Counter(called.values())
    return {
        one.id: called[one.id] if count[called[one.id]] == 1 else f"{names[one.record.source_id]}:{called[one.id]}"
        for one in wanted
    }


def _written(one: _There, called: str, names: Names) -> WrittenReplica:
    return filled(
        WrittenReplica,
        one.replica,
        machine=called,
        source=names[one.record.source_id],
        target=names[one.record.target_id],
        rpo=text_of_seconds(one.replica.rpo),
        options=_options(one.record.request),
    )


def _new(entry: WrittenReplica) -> NewReplica:
    return shaped(NewReplica, entry, webhook=None, seed=None)


def _find(store: Store, there: Sequence[_There], entry: WrittenReplica) -> _There | None:
    """Return the replica that an entry is about, if there is one.

    Raises NotFound for a provider, Conflict when several are meant.
    """
    between = store.providers.get(entry.source).id, store.providers.get(entry.target).id
    found = [one for one in there if (one.record.source_id, one.record.target_id) == between]
    found = [one for one in found if entry.machine in one.names]
    if len(found) > 1:
        raise Conflict(
            f"Several replicas from {entry.source} to {entry.target} are of a machine called {entry.machine}.",
            advice="Name its inventory path or its reference.",
        )
    return found[0] if found else None


def _differing(store: Store, there: _There, entry: WrittenReplica) -> dict[str, Any]:
    """Return what has to be changed of a replica that is there. Raises Conflict where that can't be."""

    def opened(mark: str) -> str:
        return store.migrations.text(there.id, mark)

    asked = in_options(_options(entry.request.to_json()), opened)
    has = in_options(_options(there.record.request), opened)
    if others := [name for name in asked if asked[name] != has[name]]:
        raise Conflict(
            f"The replica of {there.record.machine_name} is there with another {', '.join(others)}: of one that is "
            "there that can't be changed.",
            advice=f"Leave that as it is (longshore replica export {there.id}), or delete the replica first.",
        )
    was, now = there.replica, datetime.now(UTC)
    new = protection_of(entry.schedule, entry.retention, entry.rpo, entry.audit)
    fields: dict[str, Any] = {}
    if new.schedule != was.schedule:
        fields |= {"schedule": new.schedule, "due_at": first_time(new, there.id)}
    fields |= {name: getattr(new, name) for name in ("retention", "rpo") if getattr(new, name) != getattr(was, name)}
    if entry.prove != was.prove:
        fields |= tests_of(entry.prove, there.id)
    if entry.audit != was.audit:
        fields |= {"audit": new.audit, "audit_due_at": next_audit(new.audit, there.id, now)}
    return fields


def _options(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of a request that a file may have."""
    return {name: value for name, value in request.items() if name in OF_REPLICAS}


def _resolved(group: WrittenGroup, known: Mapping[str, set[str]], groups: Sequence[GroupRecord]) -> _Wanted:
    """Return a group with the ids of its members, and what there is of it. Raises NotFound, Conflict."""
    members = {}
    for word, tier in group.members.items():
        found = known.get(word, set())
        if not found:
            raise NotFound(
                f"Group {group.name}: there is no replica {word}.", advice="Have it among the replicas, too."
            )
        if len(found) > 1:
            raise Conflict(
                f"Group {group.name}: several replicas are meant by {word}.", advice="Say whose: SOURCE:MACHINE."
            )
        (id_,) = found
        if id_ in members:
            raise Conflict(f"Group {group.name}: {word} is in it twice.")
        members[id_] = tier
    return _Wanted(group, members, next((one for one in groups if one.name == group.name), None))


def _refuse(store: Store, wanted: _Wanted, groups: Sequence[GroupRecord]) -> None:
    """Raise Conflict for a group that couldn't be made or changed."""
    if not wanted.differs:
        return
    before = wanted.before
    run = store.migrations.several([before.run_id]) if before and before.run_id else []
    if run and not run[0].status.ended:
        raise Conflict(f"A run of group {wanted.group.name} is under way ({run[0].id}).", advice="Wait for its end.")
    for other in groups:
        if before is not None and other.id == before.id:
            continue
        for member in other.members:
            if member.replica_id in wanted.members:
                raise Conflict(
                    f"The replica of {member.machine_name} is in group {other.name}.",
                    advice="Take it out of that first.",
                )


def _foreseen(wanted: _Wanted) -> Applied:
    before = wanted.before
    what: Any = "made" if before is None else "changed" if wanted.differs else "as it was"
    return Applied(kind="group", name=wanted.group.name, id=before.id if before else "", what=what)


def _put(store: Store, wanted: _Wanted) -> Applied:
    group, before = wanted.group, wanted.before
    if before is None:
        made = store.groups.add(group.name, wanted.members, group.gates)
        return _foreseen(wanted).model_copy(update={"id": made.id})
    if wanted.differs:
        gone = dict.fromkeys(one.replica_id for one in before.members)
        store.groups.change(before.id, {**gone, **wanted.members}, {**dict.fromkeys(before.gates), **group.gates})
    return _foreseen(wanted)


def _what(id_: str, new: Mapping[str, object], changes: Mapping[str, Mapping[str, Any]]) -> Any:
    return "made" if id_ in new else "changed" if changes[id_] else "as it was"
