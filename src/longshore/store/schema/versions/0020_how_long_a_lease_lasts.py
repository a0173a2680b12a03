"""How long a worker's sign of life counts, for those who measure it themselves"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("lease_seconds", sa.Double(), nullable=False, server_default="20"))


def downgrade() -> None:
    op.drop_column("workers", "lease_seconds")
