"""Every page of somebody signed in, beside the emptiest one of the same server, in a company with
ten sessions a user."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import OverHttp, always, request
from benchmarks.measure import Case
from benchmarks.scene import EMAIL, PASSWORD, begin, begin_others, settings
from lastcall.audit import TYPES, Origin, Record, Target
from lastcall.events import Actor
from lastcall.identity.model import User
from lastcall.identity.passwords import STANDARD, Passwords
from lastcall.node import Node
from lastcall.stores.base import AddRecord

EMPTY = "/reauthenticate"
"""A page that checks the session and shows nothing of the database."""
PAGES = (
    ("page-sessions", "/settings/sessions"),
    ("page-ended", "/settings/sessions?ended=true"),
    ("page-security", "/settings/security"),
    ("page-activity", "/settings/activity"),
    ("page-users", "/account/users"),
    ("page-users-search", "/account/users?q=user-77"),
    ("page-user", "/account/users/{user}"),
    ("page-logout", "/account/users/{user}/logout"),
    ("page-audit", "/account/audit"),
    ("page-audit-person", "/account/audit?person={user}"),
)
SESSIONS = 10
"""How many sessions each user has, and how many records there are of each."""
_SOMEWHERE = Origin(ip="81.2.69.142")


@dataclass(frozen=True, slots=True)
class Company:
    """A database, its owner's access token, and one of its users."""

    folder: Path
    token: str
    user: User


async def fill(folder: Path, users: int) -> Company:
    """Make the database in an empty folder: so many users with ten sessions and records each."""
    node = await Node.open(settings(folder), passwords=Passwords(STANDARD, 2), serving=True)
    try:
        account = await node.identity.add_account("Acme")
        position = (await node.store.log_end()).position
        owner = await node.identity.add_user(account.id, EMAIL, password=PASSWORD)
        tokens = await begin(node.sessions, owner, position)
        await begin_others(node, tokens, SESSIONS - 1)
        user = owner
        for number in range(users - 1):
            address = f"user-{number}@example.com"
            user = await node.identity.add_user(account.id, address, name=f"User {number}")
            own = await begin(node.sessions, user, position)
            await begin_others(node, own, SESSIONS - 1)
            await node.store.commit(*_records(user))
        await node.store.commit(*(one for _ in range(10) for one in _records(owner)))
        return Company(folder, tokens.access_token, user)
    finally:
        await node.close()


def _records(user: User) -> Iterator[AddRecord]:
    for number in range(SESSIONS):
        yield AddRecord(
            Record(
                TYPES[number % len(TYPES)],
                user.created_at,
                user.account_id,
                user.id,
                Actor("user", user.id, user.label),
                Target("user", user.id, user.label),
                _SOMEWHERE,
            )
        )


def cases(company: Company, port: int) -> Sequence[Case]:
    """Give the cases against a server on this port."""

    def show(name: str, path: str) -> OverHttp:
        ask = request(
            "GET", path.format(user=company.user.id), cookie=f"lastcall-access={company.token}"
        )
        return OverHttp(name, port, lambda: [always(ask)])

    return [
        Case(name, 1, show("lastcall", path), (show("empty page", EMPTY),)) for name, path in PAGES
    ]
