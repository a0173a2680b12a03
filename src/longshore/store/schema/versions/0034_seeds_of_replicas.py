"""Replicas whose volumes are written from a point in a vault first"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("replicas", sa.Column("seed", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("replicas", "seed")
