"""What is committed: each transaction with its locks, its guards, and what it changes."""

from dataclasses import replace
from typing import Any

from lastcall.errors import LostRace
from lastcall.events import Position
from lastcall.leases.barrier import Row
from lastcall.leases.messages import Happened
from tests.simulation.store import Redo, Server, Session, State, Transaction, logged
from tests.simulation.truth import Token, Truth


class Rules:
    """How statements are made; each may be broken by a mutant."""

    registers_alone = True
    """Registering is a commit of its own, of an id used once (rule 8)."""
    ids_once = True
    fences_other_logs = True
    """A renewal names all that its node knows, and is refused where the log lacks it (rule 6)."""
    deletes_by_beat = True
    """A row is deleted only if its beat is the one that was seen (rule 10)."""
    position_at_start = True
    """A session has the position that its sign-in read at its start (rule 3)."""
    first_token_of_session = True
    """The first token of a session carries the session's own position (rule 3)."""
    one_snapshot = True
    """Position and check come from one statement (rule 2)."""

    spares_the_living = True
    """An ending may spare only a session that lives (rule 3)."""

    @staticmethod
    def stamp(end: Position) -> Position:
        """What a token carries: a position, not an instant (rule 3)."""
        return end


def register(name: str, lease: float) -> Transaction:
    """Add a node's row."""

    def execute(server: Server) -> tuple[Redo, None]:
        if Rules.ids_once and name in server.state.used_ids:
            raise LostRace

        def redo(state: State) -> None:
            state.rows[name] = Row(name, 0, None, lease)
            state.used_ids |= {name}

        return redo, None

    return Transaction("register", (f"row {name}",), execute)


def renew(
    name: str, known: Position, acked: Position | None, lease: float, verifiers: int
) -> Transaction:
    """Move a row's beat and write what it acknowledges; gives the log's end."""

    def execute(server: Server) -> tuple[Redo, Position]:
        row = server.state.rows.get(name)
        if row is None and Rules.registers_alone:
            raise LostRace
        if acked is not None and not server.state.holds(acked):
            raise LostRace
        if Rules.fences_other_logs and not server.state.holds(known):
            raise LostRace

        def redo(state: State) -> None:
            now = state.rows.get(name, Row(name, 0, None, lease))
            state.rows[name] = replace(now, beat=now.beat + 1, acked=acked, verifiers=verifiers)

        return redo, server.state.end

    return Transaction("renew", (f"row {name}",), execute)


def remove(row: Row) -> Transaction:
    """Delete a node's row, if its beat is still the one that was seen."""

    def execute(server: Server) -> tuple[Redo, None]:
        now = server.state.rows.get(row.id)
        if now is None or (Rules.deletes_by_beat and now.beat != row.beat):
            raise LostRace

        def redo(state: State) -> None:
            state.rows.pop(row.id, None)

        return redo, None

    return Transaction("remove", (f"row {row.id}",), execute)


def settle(timeline: str) -> Transaction:
    """Call a timeline settled (rule 6)."""

    def redo(state: State) -> None:
        state.settled |= {timeline}

    return Transaction("settle", (), lambda _: (redo, None))


def begin(truth: Truth, session: str, user: str, account: str, start: Position) -> Transaction:
    """Begin a session whose sign-in read `start` at its start; gives its first token."""

    def execute(server: Server) -> tuple[Redo, Token]:
        state = server.state
        if not state.holds(start):
            raise LostRace
        begun = start if Rules.position_at_start else state.end
        first = begun if Rules.first_token_of_session else Rules.stamp(state.end)
        token = Token(f"{session}.0", session, user, account, first, newest_key(state))
        truth.mints(token.id, session)

        def redo(state: State) -> None:
            state.sessions[session] = Session(user, account, begun)

        return redo, token

    return Transaction("begin", (), execute)


def refresh(truth: Truth, session: str, number: int) -> Transaction:
    """Give a new token of a session that lives: the check and the position are of one snapshot."""

    def execute(server: Server) -> tuple[Redo, Token]:
        state = server.state
        if not state.alive(session):
            raise LostRace
        row = state.sessions[session]
        end, key = Rules.stamp(state.end), newest_key(state)
        token = Token(f"{session}.{number}", session, row.user, row.account, end, key)
        truth.mints(token.id, session)

        def redo(later: State) -> None:
            if not Rules.one_snapshot and later is state:
                object.__setattr__(token, "position", later.end)

        return redo, token

    return Transaction("refresh", (f"session {session}",), execute)


def end(account: str | None, event: Happened) -> Transaction:
    """Append an event, and change with it what it is about; gives its position. An ending that
    spares a session checks, with the row locked, that it lives (rule 3)."""
    owner = event.user or account
    lock = f"session {event.session}" if event.session else f"owner {owner}"

    def execute(server: Server) -> tuple[Redo, Position]:
        if event.spared and Rules.spares_the_living and not server.state.alive(event.spared):
            raise LostRace
        if event.kind == "key_revoked" and len(server.state.keys) < 2:
            raise LostRace
        found = server.append((account, event))
        position = found[-1][0]

        def redo(state: State) -> None:
            logged(state, found)
            _change(state, position.seq, account, event)

        return redo, position

    return Transaction(event.kind, (lock, "log"), execute)


def forget(seq: int) -> Transaction:
    """Raise the floor, and drop the events up to there (rule 4)."""

    def execute(server: Server) -> tuple[Redo, None]:
        if server.timeline != server.state.timelines[-1].timeline:
            raise LostRace

        def redo(state: State) -> None:
            floor = min(seq, state.seq)
            if floor > state.floor:
                state.floor = floor
                state.events = {one: entry for one, entry in state.events.items() if one > floor}

        return redo, None

    return Transaction("forget", ("log",), execute)


def newest_key(state: State) -> str:
    """Name the key that signs."""
    return [*state.keys][-1]


def _change(state: State, seq: int, account: str | None, event: Happened) -> None:
    key: Any = event.key
    match event.kind:
        case "session_ended":
            if event.session in state.sessions:
                state.sessions[event.session].ended = True
        case "user_ended":
            _end_all(state, event.user or "", seq, event.spared, "user")
        case "account_ended":
            _end_all(state, account or "", seq, event.spared, "account")
        case "session_stale" | "user_stale":
            state.stale[event.session or event.user or ""] = seq
        case "key_published":
            state.keys[key["kid"]] = key
        case "key_revoked":
            state.keys.pop(key, None)
        case _:
            pass


def _end_all(state: State, owner: str, seq: int, spared: str | None, whose: str) -> None:
    """An owner's sessions that had begun are over for good: a later exception lifts nothing."""
    for name, session in state.sessions.items():
        if getattr(session, whose) == owner and session.begun.seq < seq and name != spared:
            session.ended = True
    state.ended[owner] = (seq, spared)
