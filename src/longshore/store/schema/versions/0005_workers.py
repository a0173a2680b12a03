"""Workers, and which of them has a migration"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("flow_version", sa.String(length=255), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "installation", sa.Column("id", sa.String(length=255), nullable=False), sa.PrimaryKeyConstraint("id")
    )
    op.add_column("migrations", sa.Column("worker_id", sa.String(length=255), nullable=True))
    op.add_column("migrations", sa.Column("flow_version", sa.String(length=255), nullable=True))


def downgrade() -> None:
    op.drop_column("migrations", "flow_version")
    op.drop_column("migrations", "worker_id")
    op.drop_table("installation")
    op.drop_table("workers")
