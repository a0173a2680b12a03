"""When the moments of jobs were chosen, by the clock of who chose them; why failovers failed"""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("chosen_at", sa.Double(), nullable=False, server_default="0"))
    op.add_column("replicas", sa.Column("failover_error", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("replicas", "failover_error")
    op.drop_column("jobs", "chosen_at")
