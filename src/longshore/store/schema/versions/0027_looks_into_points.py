"""What the disks of replicas' points have told"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "looks",
        sa.Column("replica_id", sa.String(length=255), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=True),
        sa.Column("point", sa.Integer(), nullable=True),
        sa.Column("looked_at", sa.DateTime(), nullable=True),
        sa.Column("machine", sa.JSON(), nullable=True),
        sa.Column("findings", sa.JSON(), nullable=True),
        sa.Column("cannot_land", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["replica_id"], ["replicas.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("replica_id"),
    )


def downgrade() -> None:
    op.drop_table("looks")
