"""The floor: the work that an operation can't do without, straight through its libraries.

The same statements on a copy of the same database through bare `sqlite3` in one thread, each change
with a commit of its own that is as durable as lastcall's, and the signature by the same library. No
token is looked up in memory, no rule decides, nobody is told why something was refused.
"""

import hashlib
import os
import sqlite3
import time
from pathlib import Path

import msgspec
from argon2 import PasswordHasher
from joserfc import jws, jwt
from joserfc.jwk import ECKey

PASSES, KIBIBYTES, LANES = 3, 64 * 1024, 1
"""The cost of a guess, as lastcall's."""

_LIVES = """
sessions.ended_seq IS NULL AND users.status = 'active'
AND (users.ended_seq <= sessions.begun_seq OR users.ended_spared = sessions.id)
AND (accounts.ended_seq <= sessions.begun_seq OR accounts.ended_spared = sessions.id)
"""
_OWNED = """
sessions JOIN users ON users.id = sessions.user_id
JOIN accounts ON accounts.id = sessions.account_id
"""
_FIND = f"SELECT * FROM {_OWNED} JOIN log ON 1 = 1 WHERE {_LIVES} AND sessions.id = ?"  # noqa: S608
_RUNNING = """
AND sessions.user_id = ? AND idle_expires_at > ? AND absolute_expires_at > ?
"""
_COUNT = f"SELECT count(*) FROM {_OWNED} WHERE {_LIVES} {_RUNNING}"  # noqa: S608
_LIST = f"""
SELECT sessions.* FROM {_OWNED} WHERE {_LIVES} {_RUNNING}
ORDER BY last_active_at DESC, sessions.id DESC LIMIT 51
"""  # noqa: S608
_ROTATE = f"""
UPDATE sessions SET last_active_at = ?, idle_expires_at = ?, absolute_expires_at = ?,
auth_time = ?, amr = ?, place = ?, ip = ?, generation = ?, secret_hash = ?, rotated_at = ?,
previous_hash = ?, sealed_successor = ?, repeats = 0
WHERE id = ? AND generation = ? AND EXISTS (
  SELECT users.id FROM users JOIN accounts ON accounts.id = users.account_id
  WHERE users.id = sessions.user_id AND {_LIVES}
)
"""  # noqa: S608
_LOG = "SELECT * FROM log"
_NEXT = "UPDATE log SET seq = seq + 1 RETURNING *"
_EVENT = """
INSERT INTO events (seq, epoch, timeline_number, timeline_name, kind, at, account_id, user_id,
session_id, reason, actor_kind, actor_id, actor_name, ended)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_END = "UPDATE sessions SET ended_seq = ? WHERE id = ?"
_DAY = 86_400 * 10**6


class Floor:
    """What one thread does with one connection and one key."""

    def __init__(self, database: Path) -> None:
        self._db = sqlite3.connect(database, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._key = ECKey.generate_key("P-256", private=True)
        self._key_id = self._key.thumbprint()
        self._registry = jws.JWSRegistry(algorithms=["ES256"])
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=KIBIBYTES, parallelism=LANES)
        self._password_hash = self._hasher.hash("somebody's")
        self._token = self.sign("s_c1_" + 26 * "0", "u_" + 26 * "0")

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def refresh(self, session_id: str) -> bytes:
        """Find the session, give it its next generation in one commit, and sign a token."""
        row = self._find(session_id)
        now = _micros()
        secret = os.urandom(32)
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(
            _ROTATE,
            (
                now,
                now + _DAY,
                row["absolute_expires_at"],
                row["auth_time"],
                row["amr"],
                row["place"],
                row["ip"],
                row["generation"] + 1,
                hashlib.sha256(secret).digest(),
                now,
                row["secret_hash"],
                os.urandom(60),
                session_id,
                row["generation"],
            ),
        )
        self._db.execute(_LOG).fetchone()
        self._db.execute("COMMIT")
        return self.sign(session_id, row["user_id"]).encode()

    def see(self, session_id: str) -> bytes:
        """Verify a token, find the session, and count its user's."""
        self.verify()
        row = self._find(session_id)
        now = _micros()
        count = self._db.execute(_COUNT, (row["user_id"], now, now)).fetchone()
        return msgspec.json.encode((tuple(row), tuple(count)))

    def authenticate(self, session_id: str) -> None:
        """Verify a token and find the session."""
        self.verify()
        self._find(session_id)

    def see_all(self, session_id: str) -> bytes:
        """Verify a token, find the session, and list its user's."""
        self.verify()
        rows = self.rows(self._find(session_id)["user_id"])
        return msgspec.json.encode([tuple(row) for row in rows])

    def rows(self, user_id: str) -> list[sqlite3.Row]:
        """Find a page of a user's sessions."""
        now = _micros()
        return self._db.execute(_LIST, (user_id, now, now)).fetchall()

    def terminate(self, caller: str, session_id: str) -> bytes:
        """Verify a token, find the caller's session, and end another one in one commit."""
        self.verify()
        self._find(caller)
        now = _micros()
        self._db.execute("BEGIN IMMEDIATE")
        row = self._find(session_id)
        log = self._db.execute(_NEXT).fetchone()
        place = (log["seq"], log["epoch"], log["timeline_number"], log["timeline_name"])
        whose = (row["account_id"], row["user_id"], session_id)
        by = ("terminated_by_user", "user", row["user_id"], "Chrome on Windows", 1)
        self._db.execute(_EVENT, (*place, "session_ended", now, *whose, *by))
        self._db.execute(_END, (log["seq"], session_id))
        self._db.execute("COMMIT")
        return msgspec.json.encode(log["seq"])

    def verify_password(self) -> bytes:
        """Verify one password."""
        self._hasher.verify(self._password_hash, "somebody's")
        return b"{}"

    def sign(self, session_id: str, user_id: str) -> str:
        """Sign a token with as many claims as lastcall's."""
        now = int(time.time())
        claims = {
            "iss": "http://localhost:8000",
            "sub": user_id,
            "client_id": "native",
            "sid": session_id,
            "aud": "http://localhost:8000",
            "iat": now,
            "exp": now + 3600,
            "jti": "Zm9yIHRoZSBiZW5jaA",
            "auth_time": now,
            "amr": ["pwd"],
            "account": "a_" + 26 * "0",
            "roles": ["owner"],
            "pos": ["Zm9yIHRoZSBi", "1.Zm9yIHRoZSBi", 1],
        }
        header = {"alg": "ES256", "kid": self._key_id, "typ": "at+jwt"}
        return jwt.encode(header, claims, self._key, registry=self._registry)

    def verify(self) -> None:
        """Verify a token's signature and read its claims."""
        opened = jws.deserialize_compact(self._token, self._key, registry=self._registry)
        msgspec.json.decode(opened.payload)

    def _find(self, session_id: str) -> sqlite3.Row:
        row: sqlite3.Row | None = self._db.execute(_FIND, (session_id,)).fetchone()
        if row is None:
            raise LookupError(session_id)
        return row


def _micros() -> int:
    return time.time_ns() // 1000
