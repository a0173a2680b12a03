"""Plans as they were last applied."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from longshore.errors import ChangedMeanwhile, Conflict
from longshore.model.status import Status
from longshore.store.changes import tell_workers
from longshore.store.database import Database, persistent, through_outages
from longshore.store.named import unique_name
from longshore.store.part import NamedPart
from longshore.store.quota import refuse_large_plan, refuse_more_plans
from longshore.store.secrets import SecretsError
from longshore.store.tables import MigrationRow, PlanFlavorRow, PlanRow, utc_now
from longshore.store.texts import Texts, in_plan


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
                return _record(there)
            refuse_more_plans(session, self._scope)
            unique = self._unique(session, name)
            row = PlanRow(
                id=id_,
                project_id=self._scope.project_id,
                name=name,
                unique_name=unique,
                draft=draft,
            )
            row.content = self._kept(session, row.id, content)
            session.add(row)
            session.flush()
            return _record(row)

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
            if row.content == content and (self._database.may_be_done or version in (None, _record(row).version)):
                return _record(row)
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
            return _record(row)

    def keep(self, name: str) -> PlanRecord:
        """Make a plan of a draft. Raises NotFound."""
        with self._database.session() as session:
            row = self._find(session, name)
            row.draft = None
            session.flush()
            return _record(row)

    def all(self) -> list[PlanRecord]:
        with self._database.session() as session:
            query = select(PlanRow).where(self._visible()).order_by(PlanRow.name, PlanRow.id)
            return [_record(row) for row in session.scalars(query)]

    def names(self) -> dict[str, str]:
        """Return the names of the plans that the scope sees, by id."""
        with self._database.session() as session:
            rows = session.execute(select(PlanRow.id, PlanRow.name).where(self._visible()))
            return {row.id: row.name for row in rows}

    def get(self, name_or_id: str) -> PlanRecord:
        """Return a plan. Raises NotFound, or Conflict when several others are called so."""
        with self._database.session() as session:
            return _record(self._find(session, name_or_id))

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
        self._remove(self.get(name_or_id).id)

    @persistent
    def _remove(self, id_: str) -> None:
        with self._database.session() as session:
            row = session.get(PlanRow, id_)
            if row is None:  # by an earlier try, or somebody else a moment ago
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

    def _unique(self, session: Session, name: str) -> str:
        """Return the unique name of a plan. Raises Conflict when the name is taken."""
        unique = unique_name(self._scope, name)
        if session.scalar(select(PlanRow.id).where(PlanRow.unique_name == unique)):
            raise Conflict(f"A plan named {name} is there already.", advice="Choose another name or delete it.")
        return unique


def _revision(row: PlanRow, version: str) -> int:
    """Return the revision in a version of this plan; 0, which none has, for another plan's version."""
    id_, _, number = version.rpartition("-")
    return int(number) if id_ == row.id and number.isascii() and number.isdecimal() and len(number) < 10 else 0


def _record(row: PlanRow) -> PlanRecord:
    return PlanRecord(
        row.id, row.project_id, row.name, row.content, row.created_at, row.changed_at, row.revision, row.draft
    )
