"""Second copies of what policies back up"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("backup_policies", sa.Column("copy_to", sa.String(length=255), nullable=True))
    op.add_column("backup_policies", sa.Column("copy", sa.JSON(), nullable=True))


def downgrade() -> None:
    for name in ("copy", "copy_to"):
        op.drop_column("backup_policies", name)
