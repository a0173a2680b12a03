"""Groups of replicas, and tests of them by a clock"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_name = sa.String(length=255)


def upgrade() -> None:
    op.add_column("replicas", sa.Column("prove", _name, nullable=True))
    op.add_column("replicas", sa.Column("prove_due_at", sa.DateTime(), nullable=True))
    op.create_table(
        "replica_groups",
        sa.Column("id", _name, nullable=False),
        sa.Column("project_id", _name, nullable=False),
        sa.Column("name", _name, nullable=False),
        sa.Column("unique_name", _name, nullable=False),
        sa.Column("gates", sa.JSON(), nullable=False),
        sa.Column("run_id", _name, nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("unique_name"),
    )
    op.create_table(
        "group_members",
        sa.Column("replica_id", _name, nullable=False),
        sa.Column("group_id", _name, nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("landing_id", _name, nullable=True),
        sa.ForeignKeyConstraint(["replica_id"], ["replicas.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["group_id"], ["replica_groups.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("replica_id"),
    )
    op.create_index("ix_group_members_group_id", "group_members", ["group_id"])
    op.create_index("ix_group_members_landing_id", "group_members", ["landing_id"])


def downgrade() -> None:
    op.drop_table("group_members")
    op.drop_table("replica_groups")
    op.drop_column("replicas", "prove_due_at")
    op.drop_column("replicas", "prove")
