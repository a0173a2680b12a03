"""Plans in a vault, for another installation to import: each a document, sealed as those of points are.

A plan that is kept again is another object of the same folder, and none is changed. What is in one may be a stranger's,
who has written into the vault: whoever reads it judges it as if they had been handed it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from longshore.errors import InvalidInput, NotFound
from longshore.vault import names
from longshore.vault.errors import Damaged
from longshore.vault.vault import Vault

_FORMAT = "longshore plan 1"


@dataclass(frozen=True, slots=True)
class KeptPlan:
    id: str  # the plan's own, in the installation that has kept it
    kept_at: datetime
    plan: dict[str, Any]  # as its file has it, without texts that may be secret
    machines: dict[str, str]  # how far each machine was that had been started
    left_out: tuple[str, ...]  # options whose texts may be secret, as places in the file

    @property
    def name(self) -> str:
        """Return the plan's name; empty where it doesn't say one."""
        said = self.plan.get("name")
        return said if isinstance(said, str) else ""


def keep_plan(vault: Vault, kept: KeptPlan) -> None:
    """Write a plan's document. Raises AccessDenied for a vault that another project shares."""
    _refuse_others(vault)
    place = f"{names.PLANS}/{kept.id}/{names.stamp(kept.kept_at)}.plan"
    told = {"format": _FORMAT, "plan": kept.plan, "machines": kept.machines, "left_out": list(kept.left_out)}
    data = vault.keys.write_document(place, {**told, "kept_at": kept.kept_at.isoformat()})
    if len(data) > names.most_bytes(place):
        raise InvalidInput("The plan is too large to be kept in a vault.", advice="Make several plans of it.")
    vault.store.create(place, data)


def kept_plans(vault: Vault) -> Iterator[KeptPlan | Damaged]:
    """Yield the newest document of each plan, by the plans' ids; for one that can't be read why that is. Raises
    AccessDenied as `keep_plan` does."""
    _refuse_others(vault)
    newest: dict[str, str] = {}
    for place in vault.store.names(names.PLANS):
        if (id_ := names.id_in(names.PLANS, place)) is not None:
            newest[id_] = max(newest.get(id_, ""), place)
    for id_, place in sorted(newest.items()):
        try:
            yield _read(vault, id_, place)
        except NotFound:  # it went meanwhile
            continue
        except Damaged as error:
            yield error


def _read(vault: Vault, id_: str, place: str) -> KeptPlan:
    told = vault.keys.read_document(place, vault.store.read(place))
    try:
        kept_at = datetime.fromisoformat(told["kept_at"])
        plan, machines, left_out = told["plan"], told["machines"], told["left_out"]
        sound = told["format"] == _FORMAT and kept_at.tzinfo is not None and isinstance(plan, dict)
        sound = sound and isinstance(machines, dict) and all(isinstance(one, str) for one in machines.values())
        sound = sound and isinstance(left_out, list) and all(isinstance(one, str) for one in left_out)
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise Damaged(f"{place} has no plan.")
    return KeptPlan(id_, kept_at, plan, machines, tuple(left_out))


def _refuse_others(vault: Vault) -> None:
    if vault.user is not None:
        vault.user.refuse_unless_owner("has plans in it")
