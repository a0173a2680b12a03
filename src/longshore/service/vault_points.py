"""The points in a vault: shown, deleted, held whatever rules say."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from longshore.api.backups import DeletedPoint, LastTrial, VaultPoint, VaultPointDetails
from longshore.api.replicas import NewHold
from longshore.errors import Conflict
from longshore.flows.backups.kept_snapshots import drop_of_point
from longshore.model.forms import form
from longshore.model.machine import Machine
from longshore.model.point import Hold
from longshore.providers.vault.source import find_point, machine_of, shown_machine
from longshore.service.held import asked_hold
from longshore.service.parts import TheClouds, TheStore, TheVault, judged_router
from longshore.store import Store
from longshore.store.backup_policies import Trial
from longshore.store.tables import with_zone
from longshore.vault.errors import Damaged
from longshore.vault.holds import delete_point, hold_of, hold_point, holds, release_point
from longshore.vault.points import DamagedPoint, Point, folder_in, point_names, read_point, read_points
from longshore.vault.vault import Vault as OpenVault

router = judged_router("/v1")


@router.get("/vaults/{vault}/points")
def vault_points(vault: TheVault, store: TheStore, clouds: TheClouds) -> list[VaultPoint]:
    """List a vault's points, oldest first."""
    with clouds.vault(vault.id, "read") as opened:
        held, trials = holds(opened), store.backup_policies.trials(vault.id)
        return [VaultPoint(**each) for each in told_together(read_points(opened, point_names(opened)), held, trials)]


@router.get("/vaults/{vault}/points/{point:path}")
def vault_point(vault: TheVault, point: str, store: TheStore, clouds: TheClouds) -> VaultPointDetails:
    """Show a point, with its machine as it was then: by its name, the part of that behind the slash, or, for the newest
    one, its machine's name.
    """
    with clouds.vault(vault.id, "read") as opened:
        return details(store, vault.id, opened, find_point(opened, point))


@router.delete("/vaults/{vault}/points/{point:path}")
def delete_vault_point(vault: TheVault, point: str, store: TheStore, clouds: TheClouds) -> DeletedPoint:
    """Delete a point, by its whole name. No other point needs it; its blocks go when the vault is pruned, in a vault
    that locks once they are locked no more. The snapshot that its backup has kept at the source goes, too. Raises
    Conflict while it is held, or being restored.
    """
    with clouds.vault(vault.id, "write") as opened:
        found = _readable(opened, point)
        _refuse_in_use(store, vault.id, point)
        kept_until = delete_point(opened, point)
    return DeletedPoint(kept_until=kept_until, left=drop_of_point(store, clouds, vault.id, found) if found else [])


@router.post("/vaults/{vault}/points/{point:path}/hold")
def hold(vault: TheVault, point: str, body: NewHold, store: TheStore, clouds: TheClouds) -> VaultPointDetails:
    """Hold a point: no retention deletes it until then, or until it is released, and nobody does by hand; other
    installations that use the vault heed it, too. Raises Conflict when it is held already.
    """
    wanted = asked_hold(body)
    with clouds.vault(vault.id, "write") as opened:
        found = find_point(opened, point)
        hold_point(opened, found.name, wanted)
        return details(store, vault.id, opened, found)


@router.post("/vaults/{vault}/points/{point:path}/release")
def release(vault: TheVault, point: str, body: NewHold, store: TheStore, clouds: TheClouds) -> VaultPointDetails:
    """End the hold of this name; whether the point stays is up to the retention again. Raises NotFound when nothing of
    that name holds it.
    """
    with clouds.vault(vault.id, "write") as opened:
        found = find_point(opened, point)
        release_point(opened, found.name, body.name)
        return details(store, vault.id, opened, found)


def _readable(vault: OpenVault, point: str) -> Point | None:
    """Return a point; None for one that is there and damaged. Raises NotFound."""
    try:
        return read_point(vault, point)
    except Damaged:
        return None


def details(store: Store, vault_id: str, vault: OpenVault, point: Point) -> VaultPointDetails:
    trial = store.backup_policies.trials(vault_id).get(point.name)
    return VaultPointDetails(
        **told(point, hold_of(vault, point.name), trial),
        machine=form(Machine).dump_python(shown_machine(point), mode="json"),
    )


def told_together(
    found: Iterable[Point | DamagedPoint], held: Mapping[str, Hold], trials: Mapping[str, Trial]
) -> list[dict[str, Any]]:
    """Return the points in their order. One that can't be read has the name that its machine's other points give."""
    found = list(found)
    machines = {folder_in(point.name): point.machine_name for point in found if isinstance(point, Point)}

    def one(point: Point | DamagedPoint) -> dict[str, Any]:
        beside = held.get(point.name), trials.get(point.name)
        try:
            if isinstance(point, Point):
                return told(point, *beside)
            why = point.why
        except Damaged as error:
            why = str(error)
        name = machines.get(folder_in(point.name), "")
        return _told_damaged(point, name, why) | _beside(*beside)

    return [one(point) for point in found]


def _told_damaged(point: Point | DamagedPoint, machine_name: str, why: str) -> dict[str, Any]:
    nothing = {"machine_uuid": "", "consistency": "", "size": 0, "disks": []}
    return {"name": point.name, "machine_name": machine_name, "moment": point.moment, **nothing, "damaged": why}


def told(point: Point, hold: Hold | None, trial: Trial | None) -> dict[str, Any]:
    machine = machine_of(point)
    return {
        "name": point.name,
        "machine_name": machine.name,
        "machine_uuid": machine.instance_uuid or machine.uuid,
        "moment": point.moment,
        "consistency": point.content.get("consistency", ""),
        "size": sum(top.size for top in point.disks.values()),
        "disks": list(point.disks),
        **_beside(hold, trial),
        "damaged": None,
    }


def _beside(hold: Hold | None, trial: Trial | None) -> dict[str, Any]:
    """Return what isn't said by the point itself: its hold and its last trial."""
    return {
        "hold": asdict(hold) if hold else None,
        "trial": LastTrial(
            migration=trial.migration_id, at=with_zone(trial.at), shown_by=trial.shown_by, error=trial.error
        )
        if trial
        else None,
    }


def _refuse_in_use(store: Store, vault_id: str, point: str) -> None:
    """Raise Conflict while a machine or a volume is being made of the point."""
    users = store.backup_policies.points_in_use(vault_id).get(point)
    if users:
        raise Conflict(f"The point {point} is in use by {users[0]}.", advice="Wait for its end.")
