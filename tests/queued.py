"""Migrations that tests queue without a plan, a page or a command."""

from longshore.store import NewMigration


def queue_migration(migrations, **fields):
    """Queue one migration, a new one of these fields, and return its record."""
    return migrations.add_together([NewMigration(**fields)])[0]
