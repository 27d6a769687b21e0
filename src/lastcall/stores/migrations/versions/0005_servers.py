"""What the log's last event was written on, and whether its timeline is settled."""

import sqlalchemy as sa
from alembic import op

from lastcall.stores.columns import TEXT

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; leave room on PostgreSQL's pages, so that a refresh moves no index."""
    op.add_column("log", sa.Column("server", TEXT, nullable=True))
    op.add_column(
        "log", sa.Column("settled", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE sessions SET (fillfactor = 70)")
        for table in ("log", "nodes", "throttle", "installation"):
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 50)")
