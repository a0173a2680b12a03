"""Machines made of replicas' points: what is asked for them, and which point is meant."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from longshore.api.groups import GroupLanding
from longshore.api.replicas import NewLanding
from longshore.errors import Conflict, InvalidInput
from longshore.flows.replicas.points import newest
from longshore.model.forms import form
from longshore.model.quantities import parse_duration, write_duration
from longshore.model.request import LandingMode, MachineWork, MigrationRequest
from longshore.planning.validation import check_request, refuse_pointless
from longshore.store import NewMigration, PointRecord, ReplicaRecord, Store
from longshore.store.tables import without_zone

_LONGEST_STAY = timedelta(days=7)


def usable_point(store: Store, found: ReplicaRecord, number: int | None, at: datetime | None = None) -> PointRecord:
    """Return the point of this number, or the newest usable one, of no later moment than `at` (UTC without a zone).

    Raises NotFound, Conflict.
    """
    if number is not None:
        return store.points.get(found.id, number)
    usable = store.points.usable(found.id)
    last = newest([point for point in usable if at is None or without_zone(point.moment) <= at], datetime.now(UTC))
    if last is not None:
        return last
    if usable and at is not None:
        raise Conflict(f"The replica of {found.machine_name} has no usable point of {at:%Y-%m-%d %H:%M} UTC or before.")
    raise Conflict(f"The replica of {found.machine_name} has no usable point yet.", advice="Wait for a sync.")


def landing_request(
    store: Store, found: ReplicaRecord, body: NewLanding | GroupLanding, kind: MachineWork, number: int | None
) -> MigrationRequest:
    """Return the request for a landing: as its replica says, but for what `body` does. Raises InvalidInput."""
    asked = form(MigrationRequest).validate_python(store.migrations.get(found.id).request)
    networks = {**asked.networks, **body.networks}
    request = replace(asked, type=kind, of=found.id, point=number, networks=networks)
    without_marks = replace(request, user_data=None, first_boot=(), guest_keys=(), landing=LandingMode.AUTO)
    check_request(without_marks)
    refuse_pointless(request)
    return request


def stays_for(text: str | None) -> float | None:
    """Return for how many seconds a test stays; None: nothing was said. Raises InvalidInput."""
    if text is None:
        return None
    if (length := parse_duration(text)) > _LONGEST_STAY:
        raise InvalidInput(f"A test is cleaned up after {write_duration(_LONGEST_STAY)} at the latest.")
    return length.total_seconds()


def new_landing(store: Store, found: ReplicaRecord, request: MigrationRequest) -> NewMigration:
    record = store.migrations.get(found.id)
    return NewMigration(
        machine_name=record.machine_name,
        machine_ref=record.machine_ref,
        source_id=record.source_id,
        target_id=record.target_id,
        request=request.to_json(),
        places=record.places,
    )
