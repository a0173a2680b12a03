"""The failback of a replica"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("replicas", sa.Column("failback_id", sa.String(length=255), nullable=True))


def downgrade() -> None:
    op.drop_column("replicas", "failback_id")
