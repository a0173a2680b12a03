"""Checks of plans are jobs: what they have found hangs on a job's record. Those that there are go, as after a day."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("plan_check_parts")
    op.drop_table("plan_checks")
    op.create_table(
        "plan_check_parts",
        sa.Column("check_id", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("concerns", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["check_id"], ["migrations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("check_id", "number"),
    )
