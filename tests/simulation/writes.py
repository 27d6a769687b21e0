"""What is written to the store, each with its guards, as the rules ask for it."""

from dataclasses import replace
from typing import Final

from lastcall.errors import LostRace
from lastcall.events import Position
from lastcall.leases.barrier import Row
from lastcall.leases.messages import Happened
from tests.simulation.store import Entry, Server, Session, State, Transaction, logged
from tests.simulation.truth import Token, Truth


class Writes:
    """Makes transactions; a mutant overrides what it breaks."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self._tokens = 0

    # Nodes (rule 8).

    def register(self, node: str, lease: float) -> Transaction:
        """Insert a node's row, under an id that was never used."""

        def execute(server: Server) -> tuple[object, object]:
            if node in server.state.used_ids:
                raise LostRace("used already")

            def redo(state: State) -> None:
                state.rows[node] = Row(node, 0, None, lease)
                state.used_ids |= {node}

            return redo, None

        return Transaction(f"register {node}", (f"node {node}",), execute)  # type: ignore[arg-type]

    def renew(
        self, node: str, known: Position, acked: Position | None, lease: float
    ) -> Transaction:
        """Move a node's beat and give the log's end; fenced where its log is another one."""

        def execute(server: Server) -> tuple[object, object]:
            state = server.state
            if node not in state.rows or not state.holds(known):
                raise LostRace("fenced")
            beat = state.rows[node].beat + 1

            def redo(state: State) -> None:
                state.rows[node] = Row(node, beat, acked, lease)

            return redo, state.end

        return Transaction(f"renew {node}", (f"node {node}",), execute)  # type: ignore[arg-type]

    def remove(self, row: Row) -> Transaction:
        """Remove a node's row, if its beat is still this one (rule 10)."""

        def execute(server: Server) -> tuple[object, object]:
            self.guard_removal(server.state, row)
            return (lambda state: state.rows.pop(row.id, None)), None

        return Transaction(f"remove {row.id}", (f"node {row.id}",), execute)  # type: ignore[arg-type]

    def guard_removal(self, state: State, row: Row) -> None:
        """Raise LostRace for a row that has moved."""
        if row.id not in state.rows or state.rows[row.id].beat != row.beat:
            raise LostRace("it lives")

    def settle(self, what: str) -> Transaction:
        """Note that a timeline is settled (rule 6)."""

        def execute(_: Server) -> tuple[object, object]:
            def redo(state: State) -> None:
                state.settled |= {what}

            return redo, None

        return Transaction(f"settle {what}", (), execute)  # type: ignore[arg-type]

    # Sessions.

    def sign_in_position(self, started: Position, at_insert: Position) -> Position:  # noqa: ARG002
        """Where a session begins: at its sign-in's start, not where it is written (rule 3)."""
        return started

    def first_token_position(self, begun: Position, at_commit: Position) -> Position:  # noqa: ARG002
        """What the first token carries: the session's own position."""
        return begun

    def begin(
        self, session: str, user: str, account: str, started: Position, key: str
    ) -> Transaction:
        """Write a session whose sign-in started at a position that this log contains."""
        token = self.token_id()
        self.truth.mints(token, session)

        def execute(server: Server) -> tuple[object, object]:
            if not server.state.holds(started):
                raise LostRace("it starts again")
            begun = self.sign_in_position(started, server.state.end)
            position = self.first_token_position(begun, server.state.end)

            def redo(state: State) -> None:
                state.sessions[session] = Session(user, account, begun)

            return redo, Token(token, session, user, account, position, key)

        return Transaction(f"begin {session}", (), execute)  # type: ignore[arg-type]

    def refresh(self, session: str, key: str) -> Transaction:
        """Make another token: its position and the check that the session lives come from one
        statement (rule 2)."""
        token = self.token_id()

        def execute(server: Server) -> tuple[object, object]:
            state = server.state
            if not state.alive(session):
                raise LostRace("it has ended")
            row, read = state.sessions[session], [state.end]
            self.truth.mints(token, session)
            self.later(server, read)
            made = _Late(token, session, row.user, row.account, read, key)
            return (lambda _: None), made

        return Transaction(f"refresh {session}", (f"session {session}",), execute)  # type: ignore[arg-type]

    def later(self, server: Server, read: list[Position]) -> None:
        """Between the check and the commit: the position has been read."""

    def token_id(self) -> str:
        """Name a token."""
        self._tokens += 1
        return f"token{self._tokens}"

    # Events.

    def end_session(self, session: str, account: str, at: int) -> Transaction:
        """End one session; also one that the store does not know (rule 5)."""

        def redo(state: State) -> None:
            if session in state.sessions:
                state.sessions[session] = replace(state.sessions[session], ended=True)

        event = Happened(0, "session_ended", at, session=session)
        return self._append(f"end {session}", (f"session {session}",), (account, event), redo)

    def end_all(
        self, kind: str, owner: str, account: str, at: int, spared: str | None
    ) -> Transaction:
        """End all sessions of a user or an account, but one: it must live, which is looked at under
        the owner's lock (rule 3)."""
        user = owner if kind == "user_ended" else None
        event = Happened(0, kind, at, user=user, spared=spared)

        def guard(server: Server) -> None:
            if spared is not None and not self.may_spare(server.state, spared):
                raise LostRace("whom it spares has ended")

        def redo(state: State) -> None:
            state.ended[owner] = (state.seq, spared)

        return self._append(f"end {owner}", (f"owner {owner}",), (account, event), redo, guard)

    def may_spare(self, state: State, session: str) -> bool:
        """Whether a session may be spared: it lives."""
        return state.alive(session)

    def stale(self, session: str | None, user: str | None, account: str, at: int) -> Transaction:
        """Ask for a refresh of a session's or a user's tokens."""
        kind = "session_stale" if session else "user_stale"
        event = Happened(0, kind, at, user=user, session=session)
        return self._append(f"stale {session or user}", (), (account, event), lambda _: None)

    def publish(self, key: str, at: int) -> Transaction:
        """Publish a signing key (rule 18)."""
        jwk = {"kid": key}

        def redo(state: State) -> None:
            state.keys[key] = jwk

        event = Happened(0, "key_published", at, key=jwk)
        return self._append(f"publish {key}", (), (None, event), redo)

    def revoke(self, key: str, at: int) -> Transaction:
        """Revoke a signing key."""
        event = Happened(0, "key_revoked", at, key=key)
        return self._append(
            f"revoke {key}", (), (None, event), lambda state: state.keys.pop(key, None)
        )

    def forget(self, keep: int) -> Transaction:
        """Raise the floor to all but the newest events (rule 4)."""

        def execute(server: Server) -> tuple[object, object]:
            floor = max(server.state.floor, server.state.seq - keep)
            self.truth.floor = max(self.truth.floor, floor)

            def redo(state: State) -> None:
                state.floor = max(state.floor, floor)

            return redo, None

        return Transaction("forget", ("log",), execute)  # type: ignore[arg-type]

    def _append(self, title, locks, entry: Entry, also, guard=lambda _: None) -> Transaction:  # type: ignore[no-untyped-def]
        def execute(server: Server) -> tuple[object, object]:
            guard(server)
            found = server.append(entry)

            def redo(state: State) -> None:
                logged(state, found)
                also(state)

            return redo, found

        def seen(found: list[tuple[Position, Entry]]) -> None:
            for position, (account, event) in found:
                self.truth.happens(position, account, event)

        return Transaction(title, (*locks, "log"), execute, seen)  # type: ignore[arg-type]


class _Late:
    """A token whose position is taken when the answer leaves."""

    def __init__(self, *said: object) -> None:
        self._said = said

    def token(self) -> Token:
        """The token."""
        token, session, user, account, read, key = self._said
        return Token(token, session, user, account, read[0], key)  # type: ignore[arg-type,index]


FIRST_KEY: Final = "k0"
