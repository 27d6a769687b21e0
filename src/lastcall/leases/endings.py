"""The events still in force for one account: whom they cover, in little memory."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, takewhile
from typing import Final, NamedTuple, TypeVar, get_args

from lastcall.events import EndReason
from lastcall.leases.messages import PART, Cover, Ended, Happened, Part

T = TypeVar("T")

_REASONS: Final[tuple[str, ...]] = get_args(EndReason)
_CODES: Final = {reason: code for code, reason in enumerate(_REASONS)}
_UNKNOWN: Final = 31
_REASON_BITS: Final = 5
_AT_BITS: Final = 32
_SEQ_SHIFT: Final = _REASON_BITS + _AT_BITS
_AT_MOST: Final = (1 << _AT_BITS) - 1


class Over(NamedTuple):
    """How a session ended: an end reason, and when, in seconds since 1970 on the store's clock."""

    reason: str | None
    at: int


class Endings:
    """What has ended, and what needs a refresh, by the ids of sessions and users.

    A million ended sessions cost 155 MB: their ids, and one small number each, that packs the
    event's place (counted from `base`), its time and its reason.
    """

    __slots__ = ("_base", "account", "sessions", "stale_sessions", "stale_users", "users")

    def __init__(self, base: int) -> None:
        self._base = base
        self.sessions: dict[str, int] = {}
        self.users: dict[str, Cover] = {}
        self.account: Cover | None = None
        self.stale_sessions: dict[str, int] = {}
        self.stale_users: dict[str, int] = {}

    # What happens.

    def apply(self, event: Happened) -> None:
        """Take in an event of this account; kinds that concern no session do nothing."""
        match event.kind, event.session, event.user:
            case "session_ended", str(session), _:
                # The first ending is the ending; were there a second, it would not matter.
                self.sessions.setdefault(session, self._pack(event))
            case "user_ended", _, str(user):
                # Taken out first, so that the order stays that of the events.
                self.users[user] = _cover(self.users.pop(user, None), event)
            case "account_ended", _, _:
                self.account = _cover(self.account, event)
            case "session_stale", str(session), _:
                self.stale_sessions.pop(session, None)
                self.stale_sessions[session] = event.seq
            case "user_stale", _, str(user):
                self.stale_users.pop(user, None)
                self.stale_users[user] = event.seq
            case _:
                pass

    def forget(self, floor: int) -> None:
        """Drop what happened up to the floor, which was raised before (rule 4)."""
        seqs = self._base
        _drop(self.sessions, lambda packed: (packed >> _SEQ_SHIFT) + seqs <= floor)
        _drop(self.users, lambda cover: cover.seq <= floor)
        _drop(self.stale_sessions, lambda seq: seq <= floor)
        _drop(self.stale_users, lambda seq: seq <= floor)
        if self.account is not None and self.account.seq <= floor:
            self.account = None

    # Whom it covers.

    def ended(self, session: str, user: str, seq: int) -> Over | None:
        """How the session of a token from `seq` ended (rule 3), by itself, with its user's or with
        its account's; None if it did not."""
        packed = self.sessions.get(session)
        if packed is not None:
            return Over(_reason(packed), packed >> _REASON_BITS & _AT_MOST)
        for cover in (self.users.get(user), self.account):
            if cover is not None and covers(cover, session, seq):
                return Over(cover.reason or None, cover.at)
        return None

    def stale(self, session: str, user: str, seq: int) -> bool:
        """Whether a token from `seq` needs a refresh: its role or its proof has changed."""
        return seq < self.stale_sessions.get(session, 0) or seq < self.stale_users.get(user, 0)

    def __len__(self) -> int:
        """How many are in force."""
        return (
            len(self.sessions)
            + len(self.users)
            + len(self.stale_sessions)
            + len(self.stale_users)
            + (self.account is not None)
        )

    # As parts of a snapshot.

    def parts(self) -> list[Part]:
        """Write all but `account`."""
        found = [Part(sessions=self._columns(piece)) for piece in _pieces(self.sessions.items())]
        found += [Part(users=tuple(piece)) for piece in _pieces(self.users.items())]
        found += [
            Part(stale_sessions=tuple(piece)) for piece in _pieces(self.stale_sessions.items())
        ]
        found += [Part(stale_users=tuple(piece)) for piece in _pieces(self.stale_users.items())]
        return found

    def add(self, part: Part) -> None:
        """Read a part. Raises ValueError, IndexError where its columns don't match."""
        if (ended := part.sessions) is not None:
            codes = [_CODES.get(reason, _UNKNOWN) for reason in ended.reasons]
            base = self._base
            self.sessions.update(
                zip(
                    ended.id,
                    [
                        (seq - base) << _SEQ_SHIFT | (at & _AT_MOST) << _REASON_BITS | codes[reason]
                        for seq, at, reason in zip(ended.seq, ended.at, ended.reason, strict=True)
                    ],
                    strict=True,
                )
            )
        self.users.update(part.users)
        self.stale_sessions.update(part.stale_sessions)
        self.stale_users.update(part.stale_users)

    def _columns(self, piece: list[tuple[str, int]]) -> Ended:
        return Ended(
            tuple(session for session, _ in piece),
            tuple((packed >> _SEQ_SHIFT) + self._base for _, packed in piece),
            tuple(packed >> _REASON_BITS & _AT_MOST for _, packed in piece),
            tuple(packed & _UNKNOWN for _, packed in piece),
            (*_REASONS, *[""] * (_UNKNOWN + 1 - len(_REASONS))),
        )

    def _pack(self, event: Happened) -> int:
        code = _CODES.get(event.reason or "", _UNKNOWN)
        at = min(max(event.at, 0), _AT_MOST)
        return (event.seq - self._base) << _SEQ_SHIFT | at << _REASON_BITS | code


def covers(cover: Cover, session: str, seq: int) -> bool:
    """Whether the endings of a user or account cover a session, by a token of it from `seq`.

    The newest ending spares one session, and lifts no earlier ending that did not (rule 3)."""
    return seq < (cover.others if session == cover.spared else cover.seq)


def _cover(before: Cover | None, event: Happened) -> Cover:
    others = 0
    if before is not None:
        others = before.others if before.spared == event.spared else before.seq
    return Cover(event.seq, event.spared, others, event.at, event.reason or "")


def _reason(packed: int) -> str | None:
    code = packed & _UNKNOWN
    return _REASONS[code] if code < len(_REASONS) else None


def _drop(entries: dict[str, T], is_old: Callable[[T], bool]) -> None:
    """Drop from the front, where the oldest are."""
    old = [name for name, _ in takewhile(lambda item: is_old(item[1]), entries.items())]
    for name in old:
        del entries[name]


def _pieces(entries: Iterable[tuple[str, T]]) -> Iterator[list[tuple[str, T]]]:
    rest = iter(entries)
    while piece := list(islice(rest, PART)):
        yield piece
