"""Policies of backups come back from a vault: its points say which policy has made them, and what it asks for."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from longshore.api.backup_policies import ImportedPolicy, ImportOutcome, NewBackupPolicy, VaultImport
from longshore.errors import Conflict, InvalidInput, LongshoreError, NotFound
from longshore.flows.clouds import Clouds
from longshore.model.shape_faults import in_words
from longshore.service.backup_policies import add
from longshore.service.caller import Caller
from longshore.service.parts import TheCaller, TheClouds, TheStore, TheVault, judged_router
from longshore.store import Store
from longshore.store.part import WHOLE
from longshore.vault.points import Point, own_points

router = judged_router("/v1")


@router.post("/vaults/{vault}/import")
def import_vault(
    vault: TheVault, body: VaultImport, store: TheStore, clouds: TheClouds, caller: TheCaller
) -> list[ImportedPolicy]:
    """Import the policies that have made points of the vault, and aren't here. Each is made as its newest point tells
    of it, with its id: so it judges the points that it has made. Each is made by itself: one that can't be stands in no
    other's way.
    """
    newest: dict[str, Point] = {}
    made: Counter[str] = Counter()
    with clouds.vault(vault.id, "read") as opened:
        for point in own_points(opened):  # another project's policy would be made as one's own
            id_ = point.content.get("policy")
            if isinstance(id_, str):
                made[id_] += 1
                if id_ not in newest or _age(newest[id_]) < _age(point):
                    newest[id_] = point
    return [
        _imported(id_, _rules_in(point), vault.name, made[id_], body, store, clouds, caller)
        for id_, point in sorted(newest.items())
    ]


def _age(point: Point) -> tuple[bool, datetime]:
    """Return the key that sorts points by their age: those of a moment to come, of a clock that was wrong, first."""
    return point.moment <= datetime.now(UTC), point.moment


def _rules_in(point: Point) -> dict[str, Any] | None:
    rules = point.content.get("rules")
    return rules if isinstance(rules, dict) else None


def _imported(  # noqa: PLR0917
    id_: str,
    rules: dict[str, Any] | None,
    vault: str,
    made: int,
    body: VaultImport,
    store: Store,
    clouds: Clouds,
    caller: Caller,
) -> ImportedPolicy:
    name = str(rules.get("name")) if rules else None
    playbooks = [str(rules[when]) for when in ("before", "after") if rules and rules.get(when)]
    known: dict[str, Any] = {"id": id_, "name": name, "points": made, "playbooks": playbooks}
    try:
        store.backup_policies.get(id_)
        return ImportedPolicy(**known, outcome=ImportOutcome.THERE, error=None)
    except NotFound:
        pass
    try:
        _refuse_known(store, id_)
        add(_wanted(rules, vault, body), store, clouds, caller, id_, paused=body.paused, missing=True)
    except LongshoreError as error:
        return ImportedPolicy(**known, outcome=ImportOutcome.REFUSED, error=str(error))
    return ImportedPolicy(**known, outcome=ImportOutcome.MADE, error=None)


def _refuse_known(store: Store, id_: str) -> None:
    if store.migrations.several([id_]):
        raise Conflict(
            "It was here, and was deleted.", advice=f"To have it again: longshore migration delete {id_}, then import."
        )
    if store.migrations.scoped(WHOLE).several([id_]):
        raise Conflict("Another project has it.")


def _wanted(rules: dict[str, Any] | None, vault: str, body: VaultImport) -> NewBackupPolicy:
    """Return the policy that is to be made of the rules in a vault's points. Raises InvalidInput.

    A policy whose second vault this one was goes on with it as its only one: what was its first is gone, or is imported
    by itself.
    """
    if rules is None:
        raise InvalidInput(
            "Its points don't say what it asks for.", advice="Make a new one: longshore backup policy create."
        )
    here = {name: body.sources.get(str(rules.get(name)), rules.get(name)) for name in ("source", "copy_to", "prove_on")}
    if here["copy_to"] == vault:
        here["copy_to"] = None
    try:
        return NewBackupPolicy(**{**rules, **here, "vault": vault})
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InvalidInput(f"What its points say of it can't be meant: {where}: {in_words(fault)}.") from None
