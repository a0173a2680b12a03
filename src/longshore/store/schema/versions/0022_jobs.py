"""Jobs: short pieces of work, apart from the migrations that they are done for"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_ENDED = ("done", "failed", "cancelled")
_name = sa.String(length=255)

_MIGRATIONS = sa.table(
    "migrations",
    sa.column("id", _name),
    sa.column("project_id", _name),
    sa.column("source_id", _name),
    sa.column("target_id", _name),
    sa.column("machine_ref", _name),
    sa.column("request", sa.JSON),
    sa.column("status", _name),
    sa.column("cancel_requested", sa.Boolean),
    sa.column("created_at", sa.DateTime),
    sa.column("started_at", sa.DateTime),
    sa.column("plan_id", _name),
    sa.column("wave", sa.Integer),
    sa.column("places", sa.JSON),
    sa.column("worker_id", _name),
    sa.column("flow_version", _name),
)


def upgrade() -> None:
    jobs = op.create_table(
        "jobs",
        sa.Column("id", _name, nullable=False),
        sa.Column("record_id", _name, nullable=False),
        sa.Column("kind", _name, nullable=False),
        sa.Column("project_id", _name, nullable=False),
        sa.Column("source_id", _name, nullable=False),
        sa.Column("target_id", _name, nullable=False),
        sa.Column("machine_ref", _name, nullable=False),
        sa.Column("plan_id", _name, nullable=True),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("host", _name, nullable=False),
        sa.Column("datastores", sa.JSON(), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("status", _name, nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=True),
        sa.Column("taken_at", sa.DateTime(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("parked", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("worker_id", _name, nullable=True),
        sa.Column("flow_version", _name, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_jobs_queue", "jobs", ["status", "worker_id"])
    op.create_index("ix_jobs_record_id", "jobs", ["record_id"])
    op.add_column("migrations", sa.Column("state", sa.JSON(), nullable=True))
    connection = op.get_bind()
    unfinished = sa.select(_MIGRATIONS).where(_MIGRATIONS.c.status.not_in(_ENDED))
    rows = [_job(row) for row in connection.execute(unfinished)]
    if rows:
        op.bulk_insert(jobs, rows)
    op.drop_index("ix_migrations_status", "migrations")
    op.create_index("ix_migrations_status", "migrations", ["status"])
    op.drop_column("migrations", "worker_id")
    op.drop_column("migrations", "flow_version")


def _job(row: sa.Row[Any]) -> dict[str, object]:
    """Its one job, of the id that its workflow has.

    A warm migration that isn't begun yet is begun in today's way. One that is, anybody may take over: what its workflow
    has come to is read from the steps of that.
    """
    kind = (row.request or {}).get("type", "cold")
    begun = row.worker_id is not None or row.status != "queued"
    places = row.places or {}
    return {
        "id": row.id,
        "record_id": row.id,
        "kind": "begin" if kind == "warm" and not begun else kind,
        "project_id": row.project_id,
        "source_id": row.source_id,
        "target_id": row.target_id,
        "machine_ref": row.machine_ref,
        "plan_id": row.plan_id,
        "wave": row.wave,
        "host": places.get("host") or "",
        "datastores": places.get("datastores") or [],
        "asked_at": row.created_at,
        "status": "running" if begun else "queued",
        "cancel_requested": row.cancel_requested,
        "due_at": None,
        "taken_at": row.started_at,
        "ended_at": None,
        "parked": 0,
        "reason": None,
        "worker_id": row.worker_id,
        "flow_version": None if kind == "warm" else row.flow_version,
    }


def downgrade() -> None:
    op.add_column("migrations", sa.Column("flow_version", _name, nullable=True))
    op.add_column("migrations", sa.Column("worker_id", _name, nullable=True))
    op.drop_index("ix_migrations_status", "migrations")
    op.create_index("ix_migrations_status", "migrations", ["status", "worker_id"])
    op.drop_column("migrations", "state")
    op.drop_table("jobs")
