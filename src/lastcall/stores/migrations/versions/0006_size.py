"""Indexes for searching users, on PostgreSQL, and for counting reports of sessions."""

import sqlalchemy as sa
from alembic import op

from lastcall.stores.columns import TRIGRAMS

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a function and the indexes. Who writes users or records waits meanwhile."""
    reports = sa.text("type = 'session.report'")
    op.create_index(
        "ix_audit_reports",
        "audit",
        ["account_id", "at"],
        sqlite_where=reports,
        postgresql_where=reports,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(TRIGRAMS)
        op.execute("CREATE INDEX ix_users_search ON users USING gin (lastcall_trigrams(search))")
