"""Warm migrations, and migrations that belong to a plan"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in a batch: on SQLite that makes the table anew, and dropping the old one takes its disks and events along
    op.add_column("migrations", sa.Column("cutover_requested", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("migrations", sa.Column("syncs", sa.JSON(), nullable=True))
    op.add_column("migrations", sa.Column("plan_id", sa.String(length=255), nullable=True))
    op.add_column("migrations", sa.Column("wave", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_migrations_plan_id", "migrations", ["plan_id"])
    # What was asked of the guest has another name now
    migrations = sa.table("migrations", sa.column("id", sa.String), sa.column("request", sa.JSON))
    connection = op.get_bind()
    for row in connection.execute(sa.select(migrations.c.id, migrations.c.request)).all():
        request = dict(row.request)
        if (conversion := request.pop("conversion", None)) is not None:
            request["landing"] = "unchanged" if conversion == "skip" else "convert"
            connection.execute(migrations.update().where(migrations.c.id == row.id).values(request=request))


def downgrade() -> None:
    op.drop_index("ix_migrations_plan_id")
    for column in ("wave", "plan_id", "syncs", "cutover_requested"):
        op.drop_column("migrations", column)
