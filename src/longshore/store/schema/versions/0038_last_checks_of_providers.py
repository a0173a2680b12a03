"""What the last check of a provider came to"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("providers", sa.Column("last_check", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("providers", "last_check")
