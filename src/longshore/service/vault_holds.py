"""Points in vaults that are to stay, whatever rules say."""

from longshore.api.backups import VaultPointDetails
from longshore.api.replicas import NewHold
from longshore.flows.clouds import vault_record
from longshore.providers.vault.source import find_point
from longshore.service.held import asked_hold
from longshore.service.parts import TheClouds, TheStore, judged_router
from longshore.service.vault_points import details
from longshore.vault.holds import hold_point, release_point

router = judged_router("/v1")


@router.post("/vaults/{vault}/points/{point:path}/hold")
def hold(vault: str, point: str, body: NewHold, store: TheStore, clouds: TheClouds) -> VaultPointDetails:
    """Hold a point: no retention deletes it until then, or until it is released, and nobody does by hand; other
    installations that use the vault heed it, too. Raises Conflict when it is held already.
    """
    record, wanted = vault_record(store, vault), asked_hold(body)
    with clouds.vault(record.id, "write") as opened:
        found = find_point(opened, point)
        hold_point(opened, found.name, wanted)
        return details(store, record.id, opened, found)


@router.post("/vaults/{vault}/points/{point:path}/release")
def release(vault: str, point: str, body: NewHold, store: TheStore, clouds: TheClouds) -> VaultPointDetails:
    """End the hold of this name; whether the point stays is up to the retention again. Raises NotFound when nothing of
    that name holds it.
    """
    record = vault_record(store, vault)
    with clouds.vault(record.id, "write") as opened:
        found = find_point(opened, point)
        release_point(opened, found.name, body.name)
        return details(store, record.id, opened, found)
