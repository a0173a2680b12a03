"""Keys of vaults in Barbican"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("keeper_id", "key_id"):
        op.add_column("provider_ledger", sa.Column(name, sa.String(length=255), nullable=True))


def downgrade() -> None:
    for name in ("key_id", "keeper_id"):
        op.drop_column("provider_ledger", name)
