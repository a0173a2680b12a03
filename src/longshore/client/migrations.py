"""Migrations."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from pydantic import TypeAdapter

from longshore.api.reports import Report
from longshore.api.schemas import (
    ChosenAnswer,
    Cleanup,
    Event,
    LedgerEntry,
    ListedMigration,
    Migration,
    MigrationCounts,
    NewMarks,
    ServerConsole,
)
from longshore.client.calls import Calls, of_all, part
from longshore.model.request import MigrationRequest


class Migrations(Calls):
    """Calls about migrations, by their ids or the beginnings of them."""

    def create_migration(self, machine: str, source: str, target: str, request: MigrationRequest) -> Migration:
        plain = TypeAdapter(MigrationRequest).dump_python(request, mode="json")
        body = {"machine": machine, "source": source, "target": target, "request": plain}
        return self._ask(Migration, "POST", "/v1/migrations", body)

    def migrations(
        self,
        *,
        all_projects: bool = False,
        plan: str | None = None,
        machine: str | None = None,
        status: str | None = None,
        last: int | None = None,
    ) -> list[ListedMigration]:
        """Return migrations in short, oldest first: all of them, or those that fit; or of these the `last` ones, at
        most 1000. `machine`: a name or reference."""
        wanted = {"plan": plan, "machine": machine, "status": status, "short": "true"}
        asked = of_all(all_projects) | {name: value for name, value in wanted.items() if value is not None}
        if last is not None:
            path = f"/v1/migrations?{urlencode(asked | {'newest': 'true', 'limit': str(last)})}"
            return self._ask(list[ListedMigration], "GET", path)[::-1]
        return self._all(ListedMigration, "/v1/migrations", lambda m: m.id, asked)

    def migration_counts(
        self, *, all_projects: bool = False, plan: str | None = None, machine: str | None = None
    ) -> MigrationCounts:
        """Count those that fit."""
        wanted = {"plan": plan, "machine": machine}
        asked = of_all(all_projects) | {name: value for name, value in wanted.items() if value is not None}
        return self._ask(MigrationCounts, "GET", f"/v1/migration-counts?{urlencode(asked)}")

    def migration(self, migration: str) -> Migration:
        return self._ask(Migration, "GET", f"/v1/migrations/{part(migration)}")

    def events(self, migration: str, after: int = 0) -> list[Event]:
        return self._ask(list[Event], "GET", f"/v1/migrations/{part(migration)}/events?after={after}")

    def migration_report(self, migration: str) -> Report:
        return self._ask(Report, "GET", f"/v1/migrations/{part(migration)}/report")

    def bundle(self, migration: str) -> dict[str, Any]:
        """Return all that is on record of it, as the service has written it."""
        return self._ask(dict[str, Any], "GET", f"/v1/migrations/{part(migration)}/bundle")

    def console(self, migration: str, lines: int) -> ServerConsole:
        """Return the last lines of what its server has printed until now."""
        return self._ask(ServerConsole, "GET", f"/v1/migrations/{part(migration)}/console?lines={lines}")

    def ledger(self, migration: str) -> list[LedgerEntry]:
        return self._ask(list[LedgerEntry], "GET", f"/v1/migrations/{part(migration)}/ledger")

    def resume(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{part(migration)}/resume")

    def cut_over(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{part(migration)}/cutover")

    def try_again(self, migration: str, options: Mapping[str, Any]) -> Migration:
        """Try a migration again. `options`: of its request, those that change."""
        return self._ask(Migration, "POST", f"/v1/migrations/{part(migration)}/retry", dict(options))

    def mark_source(self, migration: str, marks: Mapping[str, Any]) -> Migration:
        """Mark its source. `marks`: as a request has them."""
        body = NewMarks(**marks).model_dump(mode="json")
        return self._ask(Migration, "POST", f"/v1/migrations/{part(migration)}/source-marks", body)

    def unmark_source(self, migration: str) -> Migration:
        return self._ask(Migration, "DELETE", f"/v1/migrations/{part(migration)}/source-marks")

    def convert(self, migration: str, *, accept: Sequence[str] = (), guest_keys: Sequence[str] = ()) -> Migration:
        body = {"accept": list(accept), "guest_keys": list(guest_keys)}
        return self._ask(Migration, "POST", f"/v1/migrations/{part(migration)}/convert", body)

    def cancel(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{part(migration)}/cancel")

    def tell_chosen(self, verb: str, ids: Sequence[str]) -> list[ChosenAnswer]:
        """Tell several migrations at once. `verb`: cancel, cutover, resume or retry."""
        return self._ask(list[ChosenAnswer], "POST", f"/v1/migrations/{verb}", {"ids": list(ids)})

    def clean_up(self, migration: str) -> Cleanup:
        return self._ask(Cleanup, "POST", f"/v1/migrations/{part(migration)}/cleanup")

    def remove_migration(self, migration: str) -> None:
        self._ask(type(None), "DELETE", f"/v1/migrations/{part(migration)}")
