"""The audit log, searching users, and counting sign-ins of nobody."""

import unicodedata

import sqlalchemy as sa
from alembic import op

from lastcall.stores.columns import NUMBER, TEXT

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table and the columns; fold what users are searched by."""
    op.create_table(
        "audit",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("account_id", TEXT, nullable=True),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("actor_kind", TEXT, nullable=False),
        sa.Column("actor_id", TEXT, nullable=True),
        sa.Column("actor_name", TEXT, nullable=True),
        sa.Column("target_kind", TEXT, nullable=True),
        sa.Column("target_id", TEXT, nullable=True),
        sa.Column("target_name", TEXT, nullable=True),
        sa.Column("session_id", TEXT, nullable=True),
        sa.Column("device", TEXT, nullable=True),
        sa.Column("place", TEXT, nullable=True),
        sa.Column("ip", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_account_id"), "audit", ["account_id", "number"])
    op.create_index(op.f("ix_audit_user_id"), "audit", ["user_id", "number"])
    op.add_column(
        "installation",
        sa.Column("unknown_sign_ins", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.add_column("users", sa.Column("search", TEXT, nullable=False, server_default=""))
    op.create_index(op.f("ix_users_account_id"), "users", ["account_id", "id"])
    users = sa.table(
        "users",
        *(sa.column(name, TEXT) for name in ("id", "email", "name", "external_id", "search")),
    )
    db = op.get_bind()
    for user in db.execute(sa.select(users)).mappings().all():
        words = "\n".join(user[name] for name in ("email", "name", "external_id") if user[name])
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", words).casefold())
        db.execute(sa.update(users).where(users.c.id == user["id"]).values(search=folded))
