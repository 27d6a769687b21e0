"""Alembic's entry: runs the migrations on the connection that `lastcall.stores.opening` passes."""

from alembic import context

from lastcall.stores.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
