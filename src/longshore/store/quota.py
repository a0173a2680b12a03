"""Quotas of a server's projects: so large that they are in nobody's way, and no project is in the way of others.

They are checked in the transaction that adds, and no other one that adds runs beside it: so two at once don't have more
together.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from longshore.errors import Conflict, InvalidInput
from longshore.store.part import Scope
from longshore.store.tables import ChannelRow, LimitRow, MigrationRow, PlanRow, ProviderRow

_OPERATOR = "The server's operator may allow more."


def refuse_more_migrations(session: Session, scope: Scope, more: int, unfinished: ColumnElement[bool]) -> None:
    """Raise Conflict when `more` migrations would be too many for the project.

    `unfinished`: the condition for those counted.
    """
    if scope.quotas is None or not more:
        return
    most = scope.quotas.migrations
    own = MigrationRow.project_id == scope.project_id
    there = session.scalar(select(func.count()).select_from(MigrationRow).where(own, unfinished)) or 0
    if there + more > most:
        raise Conflict(
            f"The project may have {most} migrations that haven't ended: it has {there}, and {more} are asked for.",
            advice=f"Let some end, or cancel them, and ask again. {_OPERATOR}",
            code="over-quota",
        )


def refuse_large_plan(scope: Scope, content: Mapping[str, Any]) -> None:
    """Raise InvalidInput for a plan that is too large. `content`: as its file has it."""
    if scope.quotas is None:
        return
    entries = sum(len(content.get(name) or ()) for name in ("machines", "volumes"))
    if entries > scope.quotas.plan_machines:
        raise InvalidInput(
            f"A plan may have {scope.quotas.plan_machines} machines and volumes; this one has {entries}.",
            advice=f"Make several plans of it. {_OPERATOR}",
            code="over-quota",
        )
    size = len(json.dumps(content, ensure_ascii=False).encode())
    if size > scope.quotas.plan_bytes:
        raise InvalidInput(
            f"A plan may have {scope.quotas.plan_bytes} bytes; this one has {size}.",
            advice=f"Make several plans of it. {_OPERATOR}",
            code="over-quota",
        )


def refuse_more(
    session: Session, scope: Scope, rows: type[PlanRow] | type[ProviderRow] | type[LimitRow] | type[ChannelRow]
) -> None:
    """Raise Conflict when the project has as many of these as it may."""
    if scope.quotas is None:
        return
    called = rows.__tablename__
    most = getattr(scope.quotas, called)
    there = session.scalar(select(func.count()).select_from(rows).where(rows.project_id == scope.project_id)) or 0
    if there >= most:
        raise Conflict(
            f"The project has {there} {called}, and may have {most}.",
            advice=f"Remove one that isn't needed. {_OPERATOR}",
            code="over-quota",
        )
