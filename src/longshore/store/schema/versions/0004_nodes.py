"""Machines that serve together, as their servers say that they stand."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("database", sa.String(length=255), nullable=False),
        sa.Column("database_since", sa.DateTime(), nullable=False),
        sa.Column("has_address", sa.Boolean(), nullable=False),
        sa.Column("address_since", sa.DateTime(), nullable=False),
        sa.Column("certificates", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
