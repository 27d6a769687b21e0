"""A node: the parts of a running lastcall, wired together once from the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from lastcall.clock import Clock, Entropy, SystemClock, system_entropy
from lastcall.device.agent import recognise
from lastcall.device.place import Locator, PlaceDataError
from lastcall.errors import SettingsError
from lastcall.feed import marks
from lastcall.feed.confirmations import Confirmations
from lastcall.feed.leases import Leases
from lastcall.identity.administration import Administration
from lastcall.identity.links import Links
from lastcall.identity.passwords import Passwords
from lastcall.identity.service import Identity
from lastcall.identity.services import Services
from lastcall.leases.messages import Welcome
from lastcall.live import Live
from lastcall.metrics import Metrics
from lastcall.secretfile import Secrets
from lastcall.sessions.service import Sessions
from lastcall.settings import Settings, counts_are_shared
from lastcall.signing import Signing
from lastcall.stores import base
from lastcall.stores.opening import open_store
from lastcall.throttle import Throttle


@dataclass(frozen=True, slots=True)
class Node:
    """What the faces (HTTP, pages, command line) work with."""

    settings: Settings
    store: base.Store
    secrets: Secrets
    signing: Signing
    sessions: Sessions
    identity: Identity
    links: Links
    administration: Administration
    services: Services
    passwords: Passwords
    locator: Locator
    metrics: Metrics
    live: Live
    leases: Leases
    confirmations: Confirmations
    clock: Clock
    entropy: Entropy

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        entropy: Entropy = system_entropy,
        passwords: Passwords | None = None,
        serving: bool = False,
    ) -> Self:
        """Open the database and wire the parts. `serving`: this is a server's start, which names
        the issuer of a new database's tokens and makes its first signing key.

        Raises SettingsError, StoreError and their children, Unavailable.
        """
        clock = clock or SystemClock()
        try:
            locator = Locator.open(settings.city_db)
        except PlaceDataError as error:
            raise SettingsError(str(error)) from error
        metrics = Metrics(shared=counts_are_shared())
        observers: list[base.Observer] = [metrics.committed]

        def observe(writes: Sequence[base.Write], committed: base.Committed) -> None:
            for tell in observers:
                tell(writes, committed)

        opened = open_store(
            settings.database_url,
            settings.secret_file,
            clock.now(),
            entropy,
            observe=observe,
        )
        store, secrets = opened.store, opened.secrets
        policy = settings.policy
        signing = Signing(store, secrets, clock, entropy, policy.access_lifetime)
        try:
            if serving:
                await store.commit(base.SetIssuer(settings.public_url))
                await signing.ring()
                recognise(None, {})  # compiles its rules now and not at the first sign-in
            born = await store.installation()
        except BaseException:
            await store.close()
            locator.close()
            raise
        issuer = born.issuer or settings.public_url
        audience = settings.audience or issuer
        throttle = Throttle(store, secrets.throttle, clock, metrics.refused)
        sessions = Sessions(
            store=store,
            secrets=secrets,
            signing=signing,
            locator=locator,
            policy=policy,
            issuer=issuer,
            audience=audience,
            cell=born.cell,
            throttle=throttle,
            clock=clock,
            entropy=entropy,
        )
        confirmations = Confirmations(store, lease=settings.lease, metrics=metrics, clock=clock)
        leases = Leases(
            store,
            signing,
            lambda name, account: Welcome(
                name, account, issuer, audience, settings.lease.total_seconds()
            ),
            lease=settings.lease,
            access_lifetime=policy.access_lifetime,
            confirmations=confirmations,
            metrics=metrics,
            clock=clock,
            entropy=entropy,
        )
        observers.append(leases.committed)
        passwords = passwords or Passwords()
        identity = Identity(store, sessions, passwords, throttle, clock, entropy)
        links = Links(store, sessions, identity, passwords, throttle, clock, entropy)
        return cls(
            settings=settings,
            store=store,
            secrets=secrets,
            signing=signing,
            sessions=sessions,
            identity=identity,
            links=links,
            administration=Administration(store, sessions, identity, links, clock),
            services=Services(store, sessions, clock, entropy),
            passwords=passwords,
            locator=locator,
            metrics=metrics,
            live=Live(store, policy, clock, partial(marks.find, leases)),
            leases=leases,
            confirmations=confirmations,
            clock=clock,
            entropy=entropy,
        )

    async def close(self) -> None:
        """Finish what is under way and let go of everything."""
        await self.live.close()
        await self.leases.close()
        self.passwords.close()
        await self.let_go()

    async def let_go(self) -> None:
        """Close what was opened, where nothing has begun that would have to be finished."""
        await self.store.close()
        self.locator.close()
