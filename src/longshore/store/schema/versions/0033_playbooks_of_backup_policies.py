"""Playbooks of backup policies"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("backup_policies", sa.Column("before", sa.Text(), nullable=True))
    op.add_column("backup_policies", sa.Column("after", sa.Text(), nullable=True))


def downgrade() -> None:
    for name in ("after", "before"):
        op.drop_column("backup_policies", name)
