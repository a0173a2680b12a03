"""Replicas, and their points"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_name = sa.String(length=255)


def upgrade() -> None:
    op.create_table(
        "replicas",
        sa.Column("id", _name, nullable=False),
        sa.Column("schedule", _name, nullable=False),
        sa.Column("retention", _name, nullable=False),
        sa.Column("rpo", sa.BigInteger(), nullable=True),
        sa.Column("stage", _name, nullable=False),
        sa.Column("wish", _name, nullable=True),
        sa.Column("wished", sa.JSON(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("paused_until", sa.DateTime(), nullable=True),
        sa.Column("due_at", sa.DateTime(), nullable=True),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_code", _name, nullable=True),
        sa.Column("failover_id", _name, nullable=True),
        sa.ForeignKeyConstraint(["id"], ["migrations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "points",
        sa.Column("replica_id", _name, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", _name, nullable=False),
        sa.Column("moment", sa.DateTime(), nullable=False),
        sa.Column("usable_at", sa.DateTime(), nullable=True),
        sa.Column("consistency", _name, nullable=True),
        sa.Column("changed", sa.BigInteger(), nullable=True),
        sa.Column("written", sa.BigInteger(), nullable=True),
        sa.Column("disks", sa.JSON(), nullable=True),
        sa.Column("machine", sa.JSON(), nullable=True),
        sa.Column("holds", sa.JSON(), nullable=True),
        sa.Column("proved_at", sa.DateTime(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["replica_id"], ["replicas.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("replica_id", "number"),
    )


def downgrade() -> None:
    op.drop_table("points")
    op.drop_table("replicas")
