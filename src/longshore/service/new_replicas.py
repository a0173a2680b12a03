"""A request to protect a machine, looked at beforehand."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from longshore.api.replicas import NewReplica, NewSeed
from longshore.errors import InvalidInput
from longshore.flows.clouds import Clouds, vault_record
from longshore.flows.replicas.moments import next_audit, next_test
from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.quantities import parse_duration
from longshore.model.replica import Protection, Seed
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.schedule import Continuous
from longshore.planning.replica_checks import WantedProtection, seed_concerns
from longshore.planning.retention import parse_retention, write_retention
from longshore.planning.schedules import next_time, parse_calendar, parse_schedule
from longshore.planning.validation import refuse_unreadable
from longshore.service.beforehand import look_beforehand
from longshore.service.caller import Caller
from longshore.service.refusals import said_of
from longshore.store import NewMigration, Store
from longshore.store.tables import utc_now, without_zone

NEVER = "never"


def new_replica(store: Store, clouds: Clouds, caller: Caller, body: NewReplica) -> tuple[NewMigration, list[Concern]]:
    """Return the replica that is to be added, and the concerns about it. Nothing is made yet.

    Raises LongshoreError for all that stands against it.
    """
    replica_id = str(uuid.uuid4())
    protection, request, wanted = _asked(body)
    protection = replace(protection, **tests_of(body.prove, replica_id))
    found = look_beforehand(store, clouds, caller, body.machine, body.source, body.target, request, wanted)
    new, said = found.new(id=replica_id), found.said
    if body.seed is not None:
        seed, of_seed = _seed(store, clouds, body.seed, found.machine)
        said += of_seed
        # The first sync may be no audit: it needn't read everything
        protection = replace(
            protection, seed=seed, audit_due_at=next_audit(protection.audit, replica_id, datetime.now(UTC))
        )
    return replace(new, protection=protection), said


def weigh_new_replica(store: Store, clouds: Clouds, caller: Caller, body: NewReplica) -> list[Concern]:
    """Return all that stands against a replica, or might.

    Raises LongshoreError for what can't be looked at, or meant.
    """
    _protection, request, wanted = _asked(body)
    tests_of(body.prove, "")
    found = look_beforehand(store, clouds, caller, body.machine, body.source, body.target, request, wanted)
    of_seed = _seed(store, clouds, body.seed, found.machine)[1] if body.seed is not None else []
    return [*found.all_concerns, *of_seed]


def _asked(body: NewReplica) -> tuple[Protection, MigrationRequest, WantedProtection]:
    """Return the protection and the request that a body asks for. Raises InvalidInput."""
    if body.request.before is not None or body.request.after is not None:
        raise InvalidInput("Nobody is there to see what playbooks do when a replica is copied: leave them out.")
    if body.seed is not None:
        with said_of("seed"):
            refuse_unreadable(vault=body.seed.vault, point=body.seed.point)
    protection = protection_of(body.schedule, body.retention, body.rpo, body.audit)
    request = replace(body.request, type=MigrationType.REPLICA, of=None, point=None, isolated=False, keep=False)
    rpo = timedelta(seconds=protection.rpo) if protection.rpo else None
    return (
        protection,
        request,
        WantedProtection(parse_schedule(protection.schedule, rpo), parse_retention(protection.retention)),
    )


def _seed(store: Store, clouds: Clouds, asked: NewSeed, machine: Machine) -> tuple[Seed, list[Concern]]:
    """Return the point that a replica is to be seeded from, and the concerns about it.

    Raises NotFound, InvalidInput, Conflict.
    """
    from longshore.flows.backups.backing_up import identity_of  # which replicas without a seed needn't load
    from longshore.flows.replicas.seeding import fitting
    from longshore.providers.vault.source import find_point
    from longshore.vault.points import folder_of

    with said_of("seed"):
        vault_id = vault_record(store, asked.vault).id
        with clouds.vault(vault_id, "read") as vault:
            point = find_point(vault, asked.point)
            own = folder_of(vault, identity_of(machine))
        if point.name.partition("/")[0] != own:
            raise InvalidInput(
                f"The point {point.name} isn't {machine.name}'s: that would be of another machine.",
                advice=f"Its points: longshore backup list --vault {asked.vault} --machine {machine.name}.",
            )
        fits = fitting(point, machine)
        if not fits:
            raise InvalidInput(f"No disk of {machine.name} is in the point {point.name} in its size.")
    return Seed(vault_id, point.name), list(seed_concerns(machine, fits))


def protection_of(schedule: str, retention: str, rpo: str | None, audit: str | None) -> Protection:
    """Return the protection that these texts say. Raises InvalidInput."""
    audit = None if audit == NEVER else audit
    with said_of("audit"):
        if audit is not None:
            parse_calendar(audit)
    with said_of("rpo"):
        objective = parse_duration(rpo) if rpo else None
    with said_of("schedule"):
        parse_schedule(schedule, objective)
    with said_of("retention"):
        kept = write_retention(parse_retention(retention))
    seconds = int(objective.total_seconds()) if objective else None
    return Protection(schedule, kept, seconds, utc_now(), audit=audit)


def tests_of(prove: str | None, replica_id: str) -> dict[str, Any]:
    """Return the clock by which a replica's points are tried, and when that is first, by column.

    Raises InvalidInput.
    """
    prove = None if prove == NEVER else prove
    with said_of("prove"):
        return {"prove": prove, "prove_due_at": next_test(prove, replica_id, datetime.now(UTC))}


def first_time(protection: Protection, replica_id: str) -> datetime:
    """Return when a replica that is there is due first by another schedule, in UTC without a zone."""
    now = datetime.now(UTC)
    schedule = parse_schedule(protection.schedule, timedelta(seconds=protection.rpo) if protection.rpo else None)
    return without_zone(now) if isinstance(schedule, Continuous) else without_zone(next_time(schedule, now, replica_id))
