"""Plans as they were last applied, the flavors that are made for them, and what their checks find."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from longshore.errors import ChangedMeanwhile, Conflict
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.store.changes import tell_workers
from longshore.store.database import Database, persistent, through_outages
from longshore.store.jobs import forget_answers
from longshore.store.part import NamedPart, StorePart
from longshore.store.quota import refuse_large_plan, refuse_more
from longshore.store.rows import filled, new_row
from longshore.store.secrets import SecretsError
from longshore.store.tables import MigrationRow, PlanCheckPartRow, PlanFlavorRow, PlanRow, utc_now
from longshore.store.texts import Texts, in_plan

_ABANDONED = timedelta(minutes=15)  # so long after it was written whoever was making the plan is done, or dead
_CHECK_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlanRecord:
    id: str
    project_id: str
    name: str
    content: dict[str, Any]  # the plan as its file has it, with marks in the place of texts
    created_at: datetime
    changed_at: datetime
    revision: int
    draft: str | None

    @property
    def version(self) -> str:
        """Return a word for this state of the plan, which no other state or plan of its name ever has."""
        return f"{self.id}-{self.revision}"


@dataclass(frozen=True, slots=True)
class PlanFlavor:
    id: str  # at the target, too: whatever becomes of the request that makes it, it can be found again
    plan_id: str
    provider_id: str
    name: str


@through_outages
class Plans(NamedPart[PlanRow]):
    _rows = PlanRow

    def __init__(self, database: Database, texts: Texts) -> None:
        super().__init__(database)
        self._texts = texts

    def add(
        self,
        name: str,
        content: dict[str, Any],
        *,
        plan_id: str | None = None,
        draft: str | None = None,
        dry_run: bool = False,
    ) -> PlanRecord:
        """Add a plan, under an id that was chosen before, if one was; in a dry run it is only answered.

        Raises Conflict when the name is taken or the project has as many as it may, InvalidInput for the mark of a text
        that isn't the plan's or a plan that is too large.
        """
        refuse_large_plan(self._scope, content)
        return self._add(plan_id or str(uuid.uuid4()), name, content, draft, dry_run=dry_run)

    @persistent
    def _add(self, id_: str, name: str, content: dict[str, Any], draft: str | None, *, dry_run: bool) -> PlanRecord:
        with self._database.alone(dry_run=dry_run) as session:
            if (there := session.get(PlanRow, id_)) is not None:
                return filled(PlanRecord, there)
            refuse_more(session, self._scope, PlanRow)
            row = PlanRow(
                id=id_,
                project_id=self._scope.project_id,
                name=name,
                unique_name=self._unique(session, name),
                draft=draft,
                content=self._kept(session, id_, content),
            )
            session.add(row)
            session.flush()
            return filled(PlanRecord, row)

    def replace(
        self,
        name: str,
        content: dict[str, Any],
        version: str | None = None,
        *,
        called: str | None = None,
        dry_run: bool = False,
    ) -> PlanRecord:
        """Replace the content of a plan; its migrations stay its own. Nothing happens when it says the same already, or
        in a dry run.

        `version`: the version that the plan must still have; `called`: its name from now on. Raises NotFound,
        InvalidInput, ChangedMeanwhile, Conflict.
        """
        refuse_large_plan(self._scope, content)
        with self._database.alone(dry_run=dry_run) as session:
            row = self._find(session, name)
            content = self._kept(session, row.id, content)
            if row.content == content and (
                self._database.may_be_done or version in (None, filled(PlanRecord, row).version)
            ):
                return filled(PlanRecord, row)
            seen = PlanRow.revision == (row.revision if version is None else _revision(row, version))
            called = called or row.name
            unique = row.unique_name if called == row.name else self._unique(session, called)
            new = {
                "name": called,
                "unique_name": unique,
                "content": content,
                "revision": PlanRow.revision + 1,
                "changed_at": utc_now(),
            }
            done = session.execute(update(PlanRow).where(PlanRow.id == row.id, seen).values(new).returning(PlanRow.id))
            if done.first() is None:
                raise ChangedMeanwhile(
                    f"The plan {row.name} was changed meanwhile.", advice="Read it again, and change that."
                )
            session.refresh(row)
            self._texts.of(session, row.id).forget(but=content)
            tell_workers(session)  # of its limits
            return filled(PlanRecord, row)

    def keep(self, name: str) -> PlanRecord:
        """Make a plan of a draft. Raises NotFound."""
        with self._database.session() as session:
            row = self._find(session, name)
            row.draft = None
            session.flush()
            return filled(PlanRecord, row)

    def all(self) -> list[PlanRecord]:
        with self._database.session() as session:
            return [filled(PlanRecord, row) for row in session.scalars(self._listed())]

    def names(self) -> dict[str, str]:
        """Return the names of the plans that the scope sees, by id."""
        with self._database.session() as session:
            rows = session.execute(select(PlanRow.id, PlanRow.name).where(self._visible()))
            return {row.id: row.name for row in rows}

    def get(self, name_or_id: str) -> PlanRecord:
        """Return a plan. Raises NotFound, or Conflict when several others are called so."""
        with self._database.session() as session:
            return filled(PlanRecord, self._find(session, name_or_id))

    def with_texts(self, name_or_id: str) -> dict[str, Any]:
        """Return a plan's content with the texts themselves: to look at them, and for its migrations, never to be
        shown.

        Raises NotFound.
        """
        try:
            return self._with_texts(name_or_id)
        except SecretsError:  # the key may have been changed between reading the texts and the key
            return self._with_texts(name_or_id)

    def _with_texts(self, name_or_id: str) -> dict[str, Any]:
        with self._database.session() as session:
            row = self._find(session, name_or_id)
            return in_plan(row.content, self._texts.of(session, row.id).opened)

    def remove(self, name_or_id: str) -> None:
        """Remove a plan. Its ended migrations stay, and belong to no plan any more; flavors that were made for it stay,
        too, as the target's own.

        Raises NotFound, or Conflict while one of its migrations hasn't ended.
        """
        with self._database.session() as session:
            if (row := self._find_to_remove(session, name_or_id)) is None:
                return
            own = session.scalars(select(MigrationRow).where(MigrationRow.plan_id == row.id)).all()
            if not all(Status(m.status).ended for m in own):
                raise Conflict(
                    f"Plan {row.name} has migrations under way.",
                    advice=f"Cancel them: longshore plan cancel {row.name}.",
                )
            for migration in own:
                migration.plan_id = None
            self._texts.of(session, row.id).forget()
            session.execute(delete(PlanFlavorRow).where(PlanFlavorRow.plan_id == row.id))
            session.delete(row)

    def _kept(self, session: Session, plan_id: str, content: dict[str, Any]) -> dict[str, Any]:
        return in_plan(content, self._texts.of(session, plan_id).kept)


@through_outages
class PlanFlavors(StorePart):
    """The ledger of flavors that are made for plans: each is written down before it exists, under the id that it will
    have.

    They are the plan's and not a migration's: its machines share them. With the plan they are the user's, and struck
    out when it is forgotten. An entry without a plan is of one that never came to be.
    """

    def intend(self, plan_id: str, provider_id: str, name: str) -> PlanFlavor:
        """Write down that it is about to be made."""
        flavor = PlanFlavor(str(uuid.uuid4()), plan_id, provider_id, name)
        self._write(flavor)
        return flavor

    @persistent
    def _write(self, flavor: PlanFlavor) -> None:
        with self._database.session() as session:
            if session.get(PlanFlavorRow, flavor.id) is None:
                session.add(new_row(PlanFlavorRow, flavor))

    def gone(self, flavor: PlanFlavor) -> None:
        with self._database.session() as session:
            session.execute(delete(PlanFlavorRow).where(PlanFlavorRow.id == flavor.id))

    def of_plan(self, plan_id: str) -> list[PlanFlavor]:
        with self._database.session() as session:
            query = select(PlanFlavorRow).where(PlanFlavorRow.plan_id == plan_id).order_by(PlanFlavorRow.name)
            return [filled(PlanFlavor, row) for row in session.scalars(query)]

    def abandoned(self) -> list[PlanFlavor]:
        """Return the flavors of plans that were never kept, as when a process dies while it makes one."""
        with self._database.session() as session:
            query = select(PlanFlavorRow).where(
                PlanFlavorRow.plan_id.not_in(select(PlanRow.id)),
                PlanFlavorRow.written_at < utc_now() - _ABANDONED,
            )
            return [filled(PlanFlavor, row) for row in session.scalars(query)]


@through_outages
class PlanChecks(StorePart):
    """Findings of checks of plans, told in parts. How far a check is stands in the record of its job."""

    def parts(self, check_id: str, after: int) -> list[tuple[int, list[dict[str, Any]]]]:
        """Return the number and the concerns of each part after this one, in order."""
        with self._database.session() as session:
            of_it = PlanCheckPartRow.check_id == check_id, PlanCheckPartRow.number > after
            query = select(PlanCheckPartRow).where(*of_it).order_by(PlanCheckPartRow.number)
            return [(row.number, row.concerns) for row in session.scalars(query)]

    def add_part(self, check_id: str, number: int, concerns: Sequence[dict[str, Any]]) -> None:
        """Add a part of a check's findings. One that was told before stays: others have read it."""
        with self._database.session() as session:
            if session.get(PlanCheckPartRow, (check_id, number)) is None:
                session.add(PlanCheckPartRow(check_id=check_id, number=number, concerns=list(concerns)))

    def forget_old(self) -> None:
        """Forget the checks that have ended more than a day ago."""
        with self._database.session() as session:
            old = MigrationRow.finished_at < utc_now() - _CHECK_KEPT
            forget_answers(session, MigrationRow.type == MigrationType.PLAN_CHECK.value, old)


def _revision(row: PlanRow, version: str) -> int:
    """Return the revision in a version of this plan; 0, which none has, for another plan's version."""
    id_, _, number = version.rpartition("-")
    return int(number) if id_ == row.id and number.isascii() and number.isdecimal() and len(number) < 10 else 0
