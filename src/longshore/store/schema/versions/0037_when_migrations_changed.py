"""When migrations and their disks last changed: who watches many asks for what has changed since"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

TABLES = ("migrations", "migration_disks")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("touched_at", sa.Double(), nullable=False, server_default="0"))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "touched_at")
