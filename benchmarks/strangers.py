"""Wrong sign-ins of every kind beside one of somebody known: does the time tell who is there?"""

from datetime import datetime, timedelta

from benchmarks.measure import Case, Tasks
from benchmarks.scene import EMAIL, PASSWORD, SEEN
from lastcall.clock import SystemClock
from lastcall.errors import InvalidCredentials
from lastcall.events import SYSTEM
from lastcall.identity.service import Identity
from lastcall.node import Node
from lastcall.sessions.model import Client
from lastcall.throttle import Throttle

LENGTH = 5.0
"""Hashing is slow: its turns are longer."""
KINDS = ("unknown", "suspended", "passwordless", "no-address")


class _Hurried(SystemClock):
    """A day passes between two looks, so that every attempt is looked at."""

    def __init__(self) -> None:
        self._later = timedelta(0)

    def now(self) -> datetime:
        self._later += timedelta(days=1)
        return super().now() + self._later


async def cases(node: Node) -> list[Case]:
    """Give a case a kind; adds the users that it takes."""
    throttle = Throttle(node.store, node.secrets.throttle, _Hurried())
    identity = Identity(
        node.store, node.sessions, node.passwords, throttle, node.clock, node.entropy
    )
    account, *_ = await node.store.list_accounts()
    suspended = await identity.add_user(account.id, "suspended@example.com", password=PASSWORD)
    await identity.suspend(suspended, SYSTEM)
    await identity.add_user(account.id, "passwordless@example.com")

    def refused(email: str) -> Tasks:
        async def attempt() -> None:
            try:
                await identity.sign_in(email, "a wrong guess", Client("native"), SEEN)
            except InvalidCredentials:
                return
            raise AssertionError("a wrong password was taken")

        return Tasks("a wrong password", [attempt])

    addresses = {kind: f"{kind}@example.com" for kind in KINDS} | {"no-address": "no address"}
    known = refused(EMAIL)
    return [Case(f"wrong.{kind}", 1, refused(addresses[kind]), (known,), LENGTH) for kind in KINDS]
