"""The tables, for every database. Times are microseconds since 1970 in UTC; JSON is text.

No index holds a column that a refresh writes. The migrations build the same thing, which a test
checks; `sessions` keeps what a refresh needs, and `sign_ins` the raw evidence of its beginning.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("cell", Text, nullable=False),
    Column("secret_check", LargeBinary, nullable=False),
    Column("issuer", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("unknown_sign_ins", BigInteger, nullable=False, server_default="0"),
)

log = Table(
    "log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Text, nullable=False),
    Column("timeline_number", Integer, nullable=False),
    Column("timeline_name", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", Text, nullable=False),
    Column("timeline_number", Integer, nullable=False),
    Column("timeline_name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("account_id", Text),
    Column("user_id", Text),
    Column("session_id", Text),
    Column("spared", Text),
    Column("reason", Text),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text),
    Column("actor_name", Text),
    Column("ended", BigInteger, nullable=False),
    Column("key_id", Text),
)
Index(
    "ix_events_user_ended",
    events.c.user_id,
    events.c.seq,
    sqlite_where=events.c.kind == "user_ended",
    postgresql_where=events.c.kind == "user_ended",
)
Index(
    "ix_events_account_ended",
    events.c.account_id,
    events.c.seq,
    sqlite_where=events.c.kind == "account_ended",
    postgresql_where=events.c.kind == "account_ended",
)
Index(
    "ix_events_timeline_opened",
    events.c.epoch,
    events.c.seq,
    sqlite_where=events.c.kind == "timeline_opened",
    postgresql_where=events.c.kind == "timeline_opened",
)

# Of the processes that serve now, not of anybody's data.
nodes = Table(
    "nodes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("beat", BigInteger, nullable=False),
    Column("acked_epoch", Text),
    Column("acked_timeline_number", Integer),
    Column("acked_timeline_name", Text),
    Column("acked_seq", BigInteger),
    Column("lease", Integer, nullable=False),
    Column("verifiers", Integer, nullable=False),
    Column("about", Text, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_seq", BigInteger, nullable=False),
    Column("ended_spared", Text),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("email", Text),
    Column("email_key", Text, unique=True),
    Column("external_id", Text),
    Column("name", Text),
    Column("role", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("password_hash", Text),
    Column("password_changed_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_seq", BigInteger, nullable=False),
    Column("ended_spared", Text),
    Column("stale_seq", BigInteger, nullable=False),
    Column("search", Text, nullable=False, server_default=""),
    UniqueConstraint("account_id", "external_id"),
)
Index("ix_users_account_id", users.c.account_id, users.c.id)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("account_id", Text, nullable=False),
    Column("begun_epoch", Text, nullable=False),
    Column("begun_timeline_number", Integer, nullable=False),
    Column("begun_timeline_name", Text, nullable=False),
    Column("begun_seq", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_active_at", BigInteger, nullable=False),
    Column("idle_expires_at", BigInteger, nullable=False),
    Column("absolute_expires_at", BigInteger, nullable=False),
    Column("auth_time", BigInteger, nullable=False),
    Column("amr", Text, nullable=False),
    Column("client_type", Text, nullable=False),
    Column("client_name", Text),
    Column("shared_device", Boolean, nullable=False),
    Column("service_key", Text),
    Column("device", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("ip", Text),
    Column("generation", BigInteger, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("rotated_at", BigInteger, nullable=False),
    Column("previous_hash", LargeBinary),
    Column("sealed_successor", LargeBinary),
    Column("repeats", Integer, nullable=False),
    Column("stale_seq", BigInteger, nullable=False),
    Column("ended_seq", BigInteger),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("session_id", Text, ForeignKey("sessions.id"), primary_key=True),
    Column("user_agent", Text),
    Column("hints", Text, nullable=False),
    Column("ip", Text),
    Column("device_hash", LargeBinary, index=True),
)

service_keys = Table(
    "service_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("signs_from", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

single_use = Table(
    "single_use",
    metadata,
    Column("secret_hash", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("user_id", Text, ForeignKey("users.id"), index=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

throttle = Table(
    "throttle",
    metadata,
    Column("limit", Text, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("free_at", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    # Never given twice, also after the newest rows were purged: who reads on from one misses none.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("account_id", Text),
    Column("user_id", Text),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text),
    Column("actor_name", Text),
    Column("target_kind", Text),
    Column("target_id", Text),
    Column("target_name", Text),
    Column("session_id", Text),
    Column("device", Text),
    Column("place", Text),
    Column("ip", Text),
    sqlite_autoincrement=True,
)
Index("ix_audit_account_id", audit.c.account_id, audit.c.number)
Index("ix_audit_user_id", audit.c.user_id, audit.c.number)
