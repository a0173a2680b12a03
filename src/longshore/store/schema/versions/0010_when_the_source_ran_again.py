"""When a source that was shut down was powered on again"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("migrations", sa.Column("source_on_at", sa.DateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("migrations", "source_on_at")
