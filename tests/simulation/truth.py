"""What is true, as nobody in the simulation can know: who was covered by what, in real time."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from lastcall.events import Position
from lastcall.leases.messages import Happened
from tests.simulation.world import World
from tests.support.verdicts import Check, Confirmed, Confirming, Durable, Record, Verdict


@dataclass(frozen=True)
class Token:
    """An access token: whose, and the position that it carries."""

    id: str
    session: str
    user: str
    account: str
    position: Position
    key: str

    @property
    def shows(self) -> tuple[str, ...]:
        """What a check of it may be refused for."""
        return (self.id, self.session, self.key)


class Truth:
    """The history, and the moments at which things really happened."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.history: list[Record] = []
        self.tokens: list[Token] = []
        """Those that were handed out."""
        self.covers: dict[Position, frozenset[str]] = {}
        self.over: set[str] = set()
        """What any event, on any log, has covered."""
        self.first_confirmed: dict[Position, float] = {}
        self.on_confirmed: Callable[[Position], None] = lambda _: None
        self.floor = 0
        """The highest one ever."""
        self._started: dict[str, tuple[str, str]] = {}
        self._minted: defaultdict[str, list[str]] = defaultdict(list)

    def starts(self, session: str, user: str, account: str) -> None:
        """A sign-in begins its first step."""
        self._started[session] = (user, account)

    def mints(self, token: str, session: str) -> None:
        """The statement runs from whose snapshot a token is made."""
        self._minted[session].append(token)

    def happens(self, position: Position, account: str | None, event: Happened) -> None:
        """An event becomes visible: it covers what had begun."""
        covered = self._covered(account, event)
        if covered:
            self.covers[position] = covered
            self.over |= covered
            whom = event.session or event.user or event.key or account
            spared = f", sparing {event.spared}" if event.spared else ""
            self.world.tell(f"{name(position)} {event.kind} of {whom}{spared} is visible")

    def _covered(self, account: str | None, event: Happened) -> frozenset[str]:
        match event.kind:
            case "session_ended":
                return frozenset({event.session or ""})
            case "user_ended" | "account_ended":
                return frozenset(
                    session
                    for session, (user, whose) in self._started.items()
                    if (user if event.kind == "user_ended" else whose)
                    == (event.user if event.kind == "user_ended" else account)
                    and session != event.spared
                )
            case "session_stale":
                return frozenset(self._minted[event.session or ""])
            case "user_stale":
                return frozenset(
                    token
                    for session, tokens in self._minted.items()
                    for token in tokens
                    if self._started[session][0] == event.user
                )
            case "key_revoked":
                return frozenset({str(event.key)})
            case _:
                return frozenset()

    # What is said.

    def durable(self, process: str, position: Position) -> None:
        """A process knows an event durable."""
        self.history.append(Durable(self.world.now, process, name(position)))

    def confirmed(self, process: str, position: Position) -> None:
        """A process calls an event confirmed."""
        covers = self.covers[position]
        self.history.append(Confirmed(self.world.now, process, name(position), covers))
        if position not in self.first_confirmed:
            self.first_confirmed[position] = self.world.now
            self.world.tell(f"{name(position)} is confirmed by {process}")
            self.on_confirmed(position)

    def confirming(self, process: str, position: Position) -> None:
        """A process says that an event is not confirmed yet."""
        self.history.append(Confirming(self.world.now, process, name(position)))

    def checked(
        self, began: float, verifier: str, token: Token, verdict: Verdict, cause: str | None
    ) -> None:
        """A check has been decided."""
        self.history.append(Check(began, verifier, token.shows, verdict, cause))


def name(position: Position) -> str:
    """Write a position for people."""
    return f"{position.epoch}:{position.timeline}:{position.seq}"
