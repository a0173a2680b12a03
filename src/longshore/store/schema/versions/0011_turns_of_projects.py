"""Turns of projects in the queue, and finding those that have begun among thousands that wait"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id"),
    )
    op.drop_index("ix_migrations_status", "migrations")
    op.create_index("ix_migrations_status", "migrations", ["status", "worker_id"])


def downgrade() -> None:
    op.drop_index("ix_migrations_status", "migrations")
    op.create_index("ix_migrations_status", "migrations", ["status"])
    op.drop_table("turns")
