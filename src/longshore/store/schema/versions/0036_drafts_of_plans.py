"""Plans that are drafts yet: proposed, and neither kept nor started"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("plans", sa.Column("draft", sa.String(255), nullable=True))


def downgrade() -> None:
    op.drop_column("plans", "draft")
