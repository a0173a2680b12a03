"""Alembic's entry: always run with a connection handed over by longshore.store.database."""

from alembic import context

from longshore.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
