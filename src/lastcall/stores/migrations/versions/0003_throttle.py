"""Counting attempts, and finding the browsers in which a user has signed in."""

import sqlalchemy as sa
from alembic import op

from lastcall.stores.columns import TEXT

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table and the index."""
    op.create_table(
        "throttle",
        sa.Column("limit", TEXT, nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("free_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("limit", "slot", name=op.f("pk_throttle")),
    )
    op.create_index(op.f("ix_sign_ins_device_hash"), "sign_ins", ["device_hash"])
