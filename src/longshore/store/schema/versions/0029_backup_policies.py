"""Policies of backups"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_name = sa.String(length=255)


def upgrade() -> None:
    op.create_table(
        "backup_policies",
        sa.Column("id", _name, nullable=False),
        sa.Column("project_id", _name, nullable=False),
        sa.Column("name", _name, nullable=False),
        sa.Column("unique_name", _name, nullable=False),
        sa.Column("machines", sa.JSON(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=True),
        sa.Column("schedule", _name, nullable=False),
        sa.Column("retention", _name, nullable=False),
        sa.Column("verify", _name, nullable=True),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("verify_due_at", sa.DateTime(), nullable=True),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("asked", sa.Boolean(), nullable=False),
        sa.Column("run", sa.JSON(), nullable=True),
        sa.Column("verification", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["migrations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("unique_name"),
    )


def downgrade() -> None:
    op.drop_table("backup_policies")
