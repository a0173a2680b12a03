"""Everything belongs to a project, and providers may be shared with others"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("migrations", sa.Column("project_id", sa.String(length=255), nullable=False, server_default=""))
    op.create_index("ix_migrations_project_id", "migrations", ["project_id"])
    for table in ("providers", "plans"):
        # A name is now one project's. SQLite can't take a column's UNIQUE away: the column is kept for both together.
        op.execute(f"ALTER TABLE {table} RENAME COLUMN name TO unique_name")
        op.add_column(table, sa.Column("name", sa.String(length=255), nullable=False, server_default=""))
        op.add_column(table, sa.Column("project_id", sa.String(length=255), nullable=False, server_default=""))
        op.execute(f"UPDATE {table} SET name = unique_name, unique_name = '/' || unique_name")  # noqa: S608
    op.create_table(
        "provider_shares",
        sa.Column("provider_id", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("provider_id", "project_id"),
    )


def downgrade() -> None:
    op.drop_table("provider_shares")
    for table in ("providers", "plans"):
        op.execute(f"UPDATE {table} SET unique_name = name")  # noqa: S608
        op.drop_column(table, "name")
        op.drop_column(table, "project_id")
        op.execute(f"ALTER TABLE {table} RENAME COLUMN unique_name TO name")
    op.drop_index("ix_migrations_project_id")
    op.drop_column("migrations", "project_id")
