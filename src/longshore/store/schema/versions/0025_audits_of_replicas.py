"""Audits of replicas, points that one has made suspect, and what of a replica was told outside"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("replicas", sa.Column("audit", sa.String(length=255), nullable=True))
    op.add_column("replicas", sa.Column("audit_due_at", sa.DateTime(), nullable=True))
    op.add_column("replicas", sa.Column("audited_at", sa.DateTime(), nullable=True))
    op.add_column("replicas", sa.Column("audited_point", sa.Integer(), nullable=True))
    op.add_column("replicas", sa.Column("audits", sa.JSON(), nullable=True))
    op.add_column("replicas", sa.Column("webhook", sa.String(length=255), nullable=True))
    op.add_column("replicas", sa.Column("alerted", sa.JSON(), nullable=True))
    op.add_column("points", sa.Column("suspect", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("points", "suspect")
    for name in ("alerted", "webhook", "audits", "audited_point", "audited_at", "audit_due_at", "audit"):
        op.drop_column("replicas", name)
