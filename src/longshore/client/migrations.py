"""Migrations."""

from collections.abc import Mapping, Sequence
from typing import Any

from longshore.api.reports import Report
from longshore.api.schemas import (
    ChosenAnswer,
    Cleanup,
    CutoverTime,
    Event,
    LedgerEntry,
    ListedMigration,
    Migration,
    MigrationCounts,
    NewMarks,
    ServerConsole,
)
from longshore.client.calls import PAGE, Calls, part
from longshore.model.request import MigrationRequest


class MigrationCalls(Calls):
    """Calls about migrations, by their ids or the beginnings of them."""

    def create_migration(self, machine: str, source: str, target: str, request: MigrationRequest) -> Migration:
        plain = request.to_json()
        body = {"machine": machine, "source": source, "target": target, "request": plain}
        return self._ask(Migration, "POST", "/v1/migrations", body)

    def migrations(
        self, *, limit: int | None = None, marker: str | None = None, **wanted: Any
    ) -> list[ListedMigration]:
        """Return migrations in short, oldest first: all of them, or those that fit; or of these the newest `limit`, at
        most 1000. `marker`: the id of one of them, of which only older ones are wanted.

        `wanted`: all_projects, plan, machine (a name or reference), name (a part of one), status (one or several),
        type, provider (on either side), of (what they are for: a policy or, by its id, a replica). None: any.
        """
        return self._listed("/v1/migrations", limit, marker, wanted)

    def jobs(self, *, limit: int | None = None, marker: str | None = None, **wanted: Any) -> list[ListedMigration]:
        """Return jobs of all kinds, as `migrations` does."""
        return self._listed("/v1/jobs", limit, marker, wanted)

    def migration_counts(self, **wanted: Any) -> MigrationCounts:
        """Count the migrations that fit: `wanted` as `migrations` has it."""
        return self._ask(MigrationCounts, "GET", "/v1/migration-counts", **wanted)

    def job_counts(self, **wanted: Any) -> MigrationCounts:
        """Count jobs of all kinds, as `migration_counts` does."""
        return self._ask(MigrationCounts, "GET", "/v1/job-counts", **wanted)

    def _listed(
        self, path: str, limit: int | None, marker: str | None, wanted: Mapping[str, Any]
    ) -> list[ListedMigration]:
        if limit is None and marker is None:
            return self._all(ListedMigration, path, lambda m: m.id, short=True, **wanted)
        asked = {**wanted, "newest": True, "limit": PAGE if limit is None else limit, "marker": marker, "short": True}
        return self._ask(list[ListedMigration], "GET", path, **asked)[::-1]

    def migration(self, migration: str) -> Migration:
        return self._ask(Migration, "GET", f"/v1/migrations/{part(migration)}")

    def events(self, migration: str, after: int = 0) -> list[Event]:
        return self._ask(list[Event], "GET", f"/v1/migrations/{part(migration)}/events", after=after)

    def migration_report(self, migration: str) -> Report:
        return self._ask(Report, "GET", f"/v1/migrations/{part(migration)}/report")

    def bundle(self, migration: str) -> dict[str, Any]:
        """Return all that is on record of it, as the service has written it."""
        return self._ask(dict[str, Any], "GET", f"/v1/migrations/{part(migration)}/bundle")

    def console(self, migration: str, lines: int) -> ServerConsole:
        """Return the last lines of what its server has printed until now."""
        return self._ask(ServerConsole, "GET", f"/v1/migrations/{part(migration)}/console", lines=lines)

    def ledger(self, migration: str) -> list[LedgerEntry]:
        return self._ask(list[LedgerEntry], "GET", f"/v1/migrations/{part(migration)}/ledger")

    def resume(self, migration: str) -> Migration:
        return self._ask(Migration, "POST", f"/v1/migrations/{part(migration)}/resume")

    def cut_over(self, migration: str, time: CutoverTime | None = None) -> Migration:
        """Cut a migration over, now or at a time."""
        body = time.model_dump(mode="json") if time is not None else None
        return self._ask(Migration, "POST", f"/v1/migrations/{part(migration)}/cutover", body)

    def take_cutover_back(self, migration: str) -> Migration:
        return self._ask(Migration, "DELETE", f"/v1/migrations/{part(migration)}/cutover")

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
