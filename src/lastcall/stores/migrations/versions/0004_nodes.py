"""The processes that serve, where timelines began, and which key an event is about."""

import sqlalchemy as sa
from alembic import op

from lastcall.stores.columns import TEXT

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table, the column and the index."""
    op.create_table(
        "nodes",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("acked_epoch", TEXT, nullable=True),
        sa.Column("acked_timeline_number", sa.Integer(), nullable=True),
        sa.Column("acked_timeline_name", TEXT, nullable=True),
        sa.Column("acked_seq", sa.BigInteger(), nullable=True),
        sa.Column("lease", sa.Integer(), nullable=False),
        sa.Column("verifiers", sa.Integer(), nullable=False),
        sa.Column("about", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
    )
    op.add_column("events", sa.Column("key_id", TEXT, nullable=True))
    op.create_index(
        "ix_events_timeline_opened",
        "events",
        ["epoch", "seq"],
        sqlite_where=sa.text("kind = 'timeline_opened'"),
        postgresql_where=sa.text("kind = 'timeline_opened'"),
    )
