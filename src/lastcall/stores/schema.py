"""The tables, for every database. Times are microseconds since 1970 in UTC; JSON is text.

No index holds a column that a refresh writes. The migrations build the same thing, which a test
checks; `sessions` keeps what a refresh needs, and `sign_ins` the raw evidence of its beginning.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    event,
    func,
    true,
)

from lastcall.stores.columns import NUMBER, TEXT, TRIGRAMS

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
    Column("cell", TEXT, nullable=False),
    Column("secret_check", LargeBinary, nullable=False),
    Column("issuer", TEXT),
    Column("created_at", BigInteger, nullable=False),
    Column("unknown_sign_ins", BigInteger, nullable=False, server_default="0"),
)

log = Table(
    "log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", TEXT, nullable=False),
    Column("timeline_number", Integer, nullable=False),
    Column("timeline_name", TEXT, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    # What PostgreSQL wrote the last event on; NULL on SQLite, which has no other to go on from.
    Column("server", TEXT),
    # Whether every lease of before the timeline has run out for certain (instant-logout, rule 6).
    Column("settled", Boolean, nullable=False, server_default=true()),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", TEXT, nullable=False),
    Column("timeline_number", Integer, nullable=False),
    Column("timeline_name", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("account_id", TEXT),
    Column("user_id", TEXT),
    Column("session_id", TEXT),
    Column("spared", TEXT),
    Column("reason", TEXT),
    Column("actor_kind", TEXT, nullable=False),
    Column("actor_id", TEXT),
    Column("actor_name", TEXT),
    Column("ended", BigInteger, nullable=False),
    Column("key_id", TEXT),
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
    Column("id", TEXT, primary_key=True),
    Column("beat", BigInteger, nullable=False),
    Column("acked_epoch", TEXT),
    Column("acked_timeline_number", Integer),
    Column("acked_timeline_name", TEXT),
    Column("acked_seq", BigInteger),
    Column("lease", Integer, nullable=False),
    Column("verifiers", Integer, nullable=False),
    Column("about", TEXT, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_seq", BigInteger, nullable=False),
    Column("ended_spared", TEXT),
)

users = Table(
    "users",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("account_id", TEXT, ForeignKey("accounts.id"), nullable=False),
    Column("email", TEXT),
    Column("email_key", TEXT, unique=True),
    Column("external_id", TEXT),
    Column("name", TEXT),
    Column("role", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("password_hash", TEXT),
    Column("password_changed_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_seq", BigInteger, nullable=False),
    Column("ended_spared", TEXT),
    Column("stale_seq", BigInteger, nullable=False),
    Column("search", TEXT, nullable=False, server_default=""),
    UniqueConstraint("account_id", "external_id"),
)
Index("ix_users_account_id", users.c.account_id, users.c.id)
# Where a text may be a part of what users are searched by. On SQLite they are walked through.
Index("ix_users_search", func.lastcall_trigrams(users.c.search), postgresql_using="gin").ddl_if(
    dialect="postgresql"
)
_TRIGRAMS = DDL(TRIGRAMS).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call]
event.listen(users, "before_create", _TRIGRAMS)

sessions = Table(
    "sessions",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("user_id", TEXT, ForeignKey("users.id"), nullable=False, index=True),
    Column("account_id", TEXT, nullable=False),
    Column("begun_epoch", TEXT, nullable=False),
    Column("begun_timeline_number", Integer, nullable=False),
    Column("begun_timeline_name", TEXT, nullable=False),
    Column("begun_seq", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_active_at", BigInteger, nullable=False),
    Column("idle_expires_at", BigInteger, nullable=False),
    Column("absolute_expires_at", BigInteger, nullable=False),
    Column("auth_time", BigInteger, nullable=False),
    Column("amr", TEXT, nullable=False),
    Column("client_type", TEXT, nullable=False),
    Column("client_name", TEXT),
    Column("shared_device", Boolean, nullable=False),
    Column("service_key", TEXT),
    Column("device", TEXT, nullable=False),
    Column("place", TEXT, nullable=False),
    Column("ip", TEXT),
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
    Column("session_id", TEXT, ForeignKey("sessions.id"), primary_key=True),
    Column("user_agent", TEXT),
    Column("hints", TEXT, nullable=False),
    Column("ip", TEXT),
    Column("device_hash", LargeBinary, index=True),
)

service_keys = Table(
    "service_keys",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("account_id", TEXT, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", TEXT, nullable=False),
    Column("scopes", TEXT, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("signs_from", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

single_use = Table(
    "single_use",
    metadata,
    Column("secret_hash", LargeBinary, primary_key=True),
    Column("purpose", TEXT, nullable=False),
    Column("user_id", TEXT, ForeignKey("users.id"), index=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

throttle = Table(
    "throttle",
    metadata,
    Column("limit", TEXT, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("free_at", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    # Never given twice, also after the newest rows were purged: who reads on from one misses none.
    Column("number", NUMBER, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("type", TEXT, nullable=False),
    Column("outcome", TEXT, nullable=False),
    Column("reason", TEXT),
    Column("account_id", TEXT),
    Column("user_id", TEXT),
    Column("actor_kind", TEXT, nullable=False),
    Column("actor_id", TEXT),
    Column("actor_name", TEXT),
    Column("target_kind", TEXT),
    Column("target_id", TEXT),
    Column("target_name", TEXT),
    Column("session_id", TEXT),
    Column("device", TEXT),
    Column("place", TEXT),
    Column("ip", TEXT),
    sqlite_autoincrement=True,
)
Index("ix_audit_account_id", audit.c.account_id, audit.c.number)
Index("ix_audit_user_id", audit.c.user_id, audit.c.number)
# What every look at an account's audit log counts.
Index(
    "ix_audit_reports",
    audit.c.account_id,
    audit.c.at,
    sqlite_where=audit.c.type == "session.report",
    postgresql_where=audit.c.type == "session.report",
)
