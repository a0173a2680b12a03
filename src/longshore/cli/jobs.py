"""longshore job …: what is done, of all kinds. A migration is a job that moves something, and has commands beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.cli.migrations import (
    CancelMigration,
    CountMigrations,
    ListMigrations,
    MigrationEvents,
    ResumeMigration,
    ShowMigration,
    WaitForMigration,
)
from longshore.model.request import MigrationType

if TYPE_CHECKING:
    from longshore.api.schemas import ListedMigration, MigrationCounts


class ListJobs(ListMigrations):
    """List jobs of all kinds, oldest first: migrations, backups, verifications, prunes, failovers and all others.

    A replica and a policy of backups stand there once, with what is done for them now.
    """

    examples = (
        "longshore job list --status failed",
        "longshore job list --machine web01 --limit 10",
        "longshore job list --for nightly -f csv",
    )

    types = tuple(MigrationType)
    nothing = "There is none."

    def listed(self, **wanted: Any) -> list[ListedMigration]:
        return self.client.jobs(**wanted)


class CountJobs(CountMigrations):
    """Count jobs of all kinds by how they stand."""

    examples = ("longshore job count",)

    called = "Jobs"
    types = tuple(MigrationType)

    def counts(self, **wanted: Any) -> MigrationCounts:
        return self.client.job_counts(**wanted)


class ShowJob(ShowMigration):
    """Show a job: where it is, and what came of it."""

    examples = ("longshore job show 1f6e0c52",)

    called = "job"


class JobEvents(MigrationEvents):
    """List what happened in a job."""

    examples = ("longshore job events 1f6e0c52",)

    called = "job"


class WaitForJob(WaitForMigration):
    """Watch a job until it has ended."""

    examples = ("longshore job wait 1f6e0c52",)

    called = "job"


class ResumeJob(ResumeMigration):
    """Go on with a job that is parked or was broken off."""

    examples = ("longshore job resume 1f6e0c52",)

    called = "job"


class CancelJob(CancelMigration):
    """Stop a job, and take back what it made."""

    examples = ("longshore job cancel 1f6e0c52",)

    called = "job"
