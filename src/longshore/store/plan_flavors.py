"""The ledger of flavors that are made for plans: each is written down before it exists, under the id that it will have.

They are the plan's and not a migration's: its machines share them. With the plan they are the user's, and struck out
when it is forgotten. An entry without a plan is of one that never came to be.
"""

import uuid
from dataclasses import asdict, dataclass
from datetime import timedelta

from sqlalchemy import delete, select

from longshore.store.database import persistent, through_outages
from longshore.store.part import StorePart
from longshore.store.tables import PlanFlavorRow, PlanRow, utc_now

_ABANDONED = timedelta(minutes=15)  # so long after it was written whoever was making the plan is done, or dead


@dataclass(frozen=True, slots=True)
class PlanFlavor:
    id: str  # at the target, too: whatever becomes of the request that makes it, it can be found again
    plan_id: str
    provider_id: str
    name: str


@through_outages
class PlanFlavors(StorePart):
    def intend(self, plan_id: str, provider_id: str, name: str) -> PlanFlavor:
        """Write down that it is about to be made."""
        flavor = PlanFlavor(str(uuid.uuid4()), plan_id, provider_id, name)
        self._write(flavor)
        return flavor

    @persistent
    def _write(self, flavor: PlanFlavor) -> None:
        with self._database.session() as session:
            if session.get(PlanFlavorRow, flavor.id) is None:
                session.add(PlanFlavorRow(**asdict(flavor)))

    def gone(self, flavor: PlanFlavor) -> None:
        with self._database.session() as session:
            session.execute(delete(PlanFlavorRow).where(PlanFlavorRow.id == flavor.id))

    def of_plan(self, plan_id: str) -> list[PlanFlavor]:
        with self._database.session() as session:
            query = select(PlanFlavorRow).where(PlanFlavorRow.plan_id == plan_id).order_by(PlanFlavorRow.name)
            return [_flavor(row) for row in session.scalars(query)]

    def abandoned(self) -> list[PlanFlavor]:
        """Return the flavors of plans that were never kept, as when a process dies while it makes one."""
        with self._database.session() as session:
            query = select(PlanFlavorRow).where(
                PlanFlavorRow.plan_id.not_in(select(PlanRow.id)),
                PlanFlavorRow.written_at < utc_now() - _ABANDONED,
            )
            return [_flavor(row) for row in session.scalars(query)]


def _flavor(row: PlanFlavorRow) -> PlanFlavor:
    return PlanFlavor(row.id, row.plan_id, row.provider_id, row.name)
