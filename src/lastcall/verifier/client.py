"""`lastcall.Verifier`: what an application holds."""

import asyncio
import os
import ssl
import weakref
from collections.abc import Callable
from typing import Final, Self

from lastcall.clock import Entropy, lease_clock, system_entropy
from lastcall.errors import SettingsError, Unavailable
from lastcall.ids import new_verifier_name
from lastcall.leases.verifier import VerifierSide
from lastcall.remote.addresses import Address
from lastcall.remote.asking import check_key, trust_of
from lastcall.verifier.checking import CACHED, Checker, Counts, Meant, Nothing
from lastcall.verifier.following import Following
from lastcall.verifier.forks import new_mark
from lastcall.verifier.introspection import Expected, Introspection
from lastcall.verifier.session import Session

_GOODBYE_SECONDS: Final = 2.0
"""How long a verifier that is closed waits for its goodbye to leave."""


class _Life:
    """What a verifier has in one process: a name, a thread, a connection, and perhaps a lease. A
    forked child gets one of its own (rule 12)."""

    def __init__(
        self,
        name: str,
        follow: Callable[[VerifierSide, Counts], Following],
        introspection: Introspection,
    ) -> None:
        self.mark = new_mark()
        self.counts = Counts()
        self.side = VerifierSide(name)
        self.following = follow(self.side, self.counts)
        self.introspection = introspection


class Verifier(Checker):
    """Checks access tokens in this process, and never accepts a session whose end is confirmed.

    It follows one of the servers on a background thread. Any number of threads may use it; a forked
    child goes on with a thread and a connection of its own.
    """

    def __init__(
        self,
        *addresses: str,
        key: str,
        issuer: str | None = None,
        audience: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        cached: int = CACHED,
        clock: Callable[[], float] = lease_clock,
        entropy: Entropy = system_entropy,
    ) -> None:
        """Begin to follow. `addresses` are those of servers, `https://` or, on this machine,
        `http://`; `key` is a service key with the scope `verify`. Issuer and audience are learnt
        from the server unless they are given. `cached` is how many tokens each of the cache's two
        generations holds. TLS is verified as the system does, unless `ssl_context` says otherwise.

        Raises SettingsError.
        """
        if not addresses:
            raise SettingsError("a verifier needs the address of a server")
        check_key(key, "verify")
        servers = self._addresses = [Address.parse(text) for text in addresses]
        self._issuer = issuer
        self._audience = audience
        trust = trust_of(ssl_context)

        def live() -> _Life:
            return _Life(
                new_verifier_name(entropy),
                lambda side, counts: Following(side, servers, key, trust, counts, clock, entropy),
                Introspection(servers, key, trust, clock),
            )

        self._live = live
        self._closed = False
        self._life = live()
        self._heirs: dict[int, _Life] = {}
        super().__init__(self._life.side, clock, cached)
        self._mark = self._life.mark
        self._counts = self._life.counts
        self._holder = [self._life]
        self._end = weakref.finalize(self, _end, self._holder)  # also as the interpreter ends
        _verifiers.add(self)
        self._life.following.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<lastcall.Verifier of {', '.join(map(str, self._addresses))}>"

    def wait_ready(self, timeout: float = 5.0) -> None:
        """Wait for a lease, so many seconds at most. Raises Unavailable."""
        life = self._own()
        following, side = life.following, life.side
        with following.changed:
            following.changed.wait_for(lambda: side.leased(self._clock()) or self._closed, timeout)
        if self._closed:
            raise Unavailable("this verifier is closed")
        if not side.leased(self._clock()):
            raise Unavailable(f"no lease yet ({following.problem or 'no answer so far'})")

    def _abandon(self) -> None:
        """Let go of a parent's connection: it must end where the parent ends it."""
        if not self._life.mark[0]:
            self._life.following.abandon()

    def close(self) -> None:
        """Use the lease no more, then say so, and end. What is checked from now on is refused."""
        self._closed = True
        self._knows = Nothing()  # first (rule 11)
        self._end()

    # What the check asks for.

    def _own(self) -> _Life:
        if not self._mark[0]:
            self._begin_anew()
        return self._life

    def _connected(self) -> bool:
        return self._life.following.connected

    @property
    def issuer(self) -> str | None:
        """Whom tokens must be from: the server's public URL. None until that is known."""
        welcome = self._life.side.welcome
        return None if welcome is None else self._issuer or welcome.issuer

    def _meant(self) -> Meant | None:
        welcome = self._life.side.welcome
        if welcome is None:
            return None
        return Meant(
            self._issuer or welcome.issuer, self._audience or welcome.audience, welcome.account
        )

    def _expected(self) -> Expected:
        meant = self._meant()
        return Expected(self._issuer, self._audience, None) if meant is None else Expected(*meant)

    def _ask(self, token: str) -> Session:
        return self._introspection().ask(token, self._expected)

    async def _ask_aside(self, token: str) -> Session:
        return await asyncio.wrap_future(self._introspection().submit(token, self._expected))

    def _introspection(self) -> Introspection:
        if self._closed:
            raise Unavailable("this verifier is closed")
        return self._own().introspection

    def _begin_anew(self) -> None:
        """This is a child, whose parent's lease, name and thread are not its own (rule 12). Several
        threads may notice at once: one of them is first, without a lock, which might have been
        held at the fork."""
        pid = os.getpid()
        life = self._heirs.setdefault(pid, self._live())
        if not life.mark[0]:  # an ancestor's, of the same number
            life = self._heirs[pid] = self._live()
        parent, self._life = self._life, life
        self._counts = life.counts
        self._knows = Nothing() if self._closed else life.side
        self._holder[:] = [life]
        self._mark = life.mark  # last: who finds it true finds all the others
        if parent is not life:
            parent.following.abandon()
        if not self._closed:
            life.following.start()


_verifiers: "weakref.WeakSet[Verifier]" = weakref.WeakSet()


def _end(holder: list[_Life]) -> None:
    """End what a verifier has in this process; a parent's is the parent's to end."""
    for life in holder:
        if life.mark[0]:
            life.following.stop(_GOODBYE_SECONDS)
            life.introspection.close()


def _forked() -> None:
    for verifier in list(_verifiers):
        verifier._abandon()  # noqa: SLF001  its own module


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forked)
