"""Proofs of backups by a clock"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_name = sa.String(length=255)


def upgrade() -> None:
    op.add_column("backup_policies", sa.Column("prove", _name, nullable=True))
    op.add_column("backup_policies", sa.Column("prove_on", _name, nullable=True))
    op.add_column("backup_policies", sa.Column("prove_networks", sa.JSON(), nullable=True))
    op.add_column("backup_policies", sa.Column("prove_due_at", sa.DateTime(), nullable=True))
    op.add_column("backup_policies", sa.Column("proof", sa.JSON(), nullable=True))


def downgrade() -> None:
    for name in ("proof", "prove_due_at", "prove_networks", "prove_on", "prove"):
        op.drop_column("backup_policies", name)
