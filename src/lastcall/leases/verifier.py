"""What a verifier decides: what it says to its node, and whether it has a lease."""

import math
from dataclasses import dataclass

from lastcall.leases import margins
from lastcall.leases.messages import (
    LONGEST_LEASE,
    Ack,
    Events,
    FromNode,
    FromVerifier,
    Goodbye,
    Grant,
    Part,
    ProtocolError,
    Recall,
    Renew,
    Resume,
    Snapshot,
    Welcome,
    read_position,
    store_position,
)
from lastcall.leases.view import NEVER, View


@dataclass(slots=True)
class _Coming:
    """A snapshot under way: what of it has come, and how many parts have not. No check sees it."""

    view: View
    left: int


class VerifierSide:
    """One verifier: a process, under a random name that it got at its start (rule 12).

    Each method is one step and gives what is to be said, in order. A ProtocolError means: close the
    connection, say `closed`, and open another one. What was known stays known, and so does the
    lease, which needs no connection.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.welcome: Welcome | None = None
        self.view: View | None = None
        """Replaced whole; a check takes one reference."""
        self._coming: _Coming | None = None
        self._asked: tuple[int, float] | None = None
        """The newest request, and the clock before it was asked."""
        self._number = 0
        self._lease = 0.0
        self._open = False

    # The connection.

    def opened(self) -> list[FromVerifier]:
        """A connection has been opened."""
        self._open = True
        return [Resume(self.name, store_position(self.view.position) if self.view else None)]

    def closed(self) -> None:
        """The connection is closed. What was asked on it is no longer asked."""
        self._open = False
        self._coming = None
        self._asked = None

    def receive(self, message: FromNode, now: float) -> list[FromVerifier]:
        """The node has said something. Raises ProtocolError."""
        match message:
            case Welcome():
                self._greet(message)
                return []
            case Snapshot():
                self._coming = _Coming(View.of_snapshot(self._account(), message), message.parts)
                return self._install()
            case Part():
                if self._coming is None:
                    raise ProtocolError("a part without its snapshot")
                # At once, so that a million endings are not in memory twice.
                self._coming.view.add(self._account(), message)
                self._coming.left -= 1
                return self._install()
            case Events():
                return self._apply(message)
            case Grant():
                self._take(message, now)
                return []
            case Recall():
                return self.give_back()

    # The lease.

    def tick(self, now: float) -> list[FromVerifier]:
        """Time has passed: ask for a lease if it is time to."""
        if self.view is None or now < self.due():
            return []
        # The clock is noted before the question leaves: the lease counts from then (rule 7).
        self._number += 1
        self._asked = (self._number, now)
        return [Renew(self._number, store_position(self.view.position))]

    def due(self) -> float:
        """When `tick` is to be called next: at once where nothing has been asked for, and never
        while nothing can be."""
        if not self._open or self.view is None or self._coming:
            return math.inf
        return NEVER if self._asked is None else self._asked[1] + self._pause()

    def leased(self, now: float) -> bool:
        """Whether there is a lease: what may be accepted is decided with it alone (rule 16)."""
        return self.view is not None and now < self.view.leased_until

    def give_back(self) -> list[FromVerifier]:
        """Use the lease no more; then say so (rule 11)."""
        self._drop()
        return [Goodbye()]

    def _take(self, grant: Grant, now: float) -> None:
        if self.view is None or self._asked is None or grant.request != self._asked[0]:
            return  # it was asked for before the lease was dropped, or on another connection
        if not 0 < grant.seconds <= LONGEST_LEASE:
            raise ProtocolError("a lease that isn't one")
        if not self.view.contains(read_position(grant.position)):
            raise ProtocolError("a grant that overtook its events")  # rules 6 and 9
        self.view.store_ahead = grant.now - now
        self.view.leased_until = max(self.view.leased_until, self._asked[1] + grant.seconds)

    def _drop(self) -> None:
        """Lose the lease. What was asked for before counts no more (rule 7)."""
        self._asked = None
        if self.view is not None:
            self.view.leased_until = NEVER

    def _pause(self) -> float:
        return self._lease * margins.VERIFIER_RENEWS

    # The log.

    def _greet(self, welcome: Welcome) -> None:
        if not 0 < welcome.lease <= LONGEST_LEASE:
            raise ProtocolError("a lease that isn't one")
        if self.welcome is not None and self.welcome.account != welcome.account:
            raise ProtocolError("another account than before")
        self.welcome = welcome
        self._lease = welcome.lease

    def _account(self) -> str:
        if self.welcome is None:
            raise ProtocolError("this must begin with a welcome")
        return self.welcome.account

    def _apply(self, message: Events) -> list[FromVerifier]:
        if self.view is None:
            raise ProtocolError("events without a snapshot")
        before = self.view.seq
        self.view.apply_all(self._account(), message)
        return self._acknowledge() if self.view.seq != before else []

    def _install(self) -> list[FromVerifier]:
        if self._coming is None or self._coming.left:
            return []
        view = self._coming.view
        self._coming = None
        old = self.view
        if old is not None:
            view.store_ahead = old.store_ahead
            if view.contains(old.position):
                # It knows all that was known: the lease may go on with it.
                view.leased_until = old.leased_until
            else:
                # Another log, or an older state of it: the lease ends first (rules 6 and 14).
                self._drop()
            view.version = old.version + 1  # what was found good by the old one is looked at anew
        self._asked = None
        self.view = view
        return self._acknowledge()

    def _acknowledge(self) -> list[FromVerifier]:
        # Every check that begins now sees what was applied: it is in the view (rule 11).
        return [Ack(store_position(self.view.position))] if self.view is not None else []
