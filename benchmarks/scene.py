"""The database that is measured: its users and their sessions, made once and copied."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from lastcall.clock import system_entropy
from lastcall.events import Position
from lastcall.identity.model import User
from lastcall.identity.passwords import STANDARD, Passwords
from lastcall.ids import SessionId, new_session_id
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client, SignIn
from lastcall.sessions.service import Sessions
from lastcall.settings import Settings
from lastcall.stores.base import Begin

DATABASE = "lastcall.db"
EMAIL = "ada@example.com"
PASSWORD = "a sentence that nobody guesses"  # noqa: S105  it guards nothing
CLIENTS = 32
"""How many clients there are at most, each with a session of its own."""
SEEN = SignIn(
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36",
    {},
    "127.0.0.1",
)
_TOGETHER = 200
"""How many sessions are begun in one commit."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user with so many sessions, and the tokens of one of them."""

    user: User
    tokens: Tokens
    others: tuple[SessionId, ...]

    @property
    def session_id(self) -> SessionId:
        """The session of the tokens."""
        return self.tokens.session.id


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is there."""

    folder: Path
    signing_in: str
    """The address of somebody who signs in; the password is `PASSWORD`."""
    refreshing: tuple[Tokens, ...]
    """Sessions of their own users, one a client."""
    few: Person
    """Somebody with 10 sessions."""
    many: Person
    """Somebody with 1,000 sessions."""
    ending: Person
    """Somebody whose other sessions are there to be ended."""

    def copy(self, name: str) -> Path:
        """Copy the database, with its secret file; give the folder."""
        return Path(shutil.copytree(self.folder, self.folder.with_name(name)))


def settings(folder: Path) -> Settings:
    """Give the settings of a node on a folder's database."""
    return Settings(database_url=f"sqlite:///{folder / DATABASE}")


async def fill(folder: Path, many: int, to_end: int, where: Settings | None = None) -> Scene:
    """Make the database in an empty folder, unless it is elsewhere, with `many` sessions for the
    one who has many, and `to_end` sessions to be ended."""
    node = await Node.open(
        where or settings(folder), passwords=Passwords(STANDARD, 2), serving=True
    )
    try:
        account = await node.identity.add_account("Acme")
        position = (await node.store.log_end()).position
        ada = await node.identity.add_user(account.id, EMAIL, password=PASSWORD)

        async def arrive(name: str, others: int = 0) -> Person:
            address = f"{name}@example.com"
            user = await node.identity.add_user(account.id, address, role="member")
            tokens = await begin(node.sessions, user, position)
            return Person(user, tokens, await begin_others(node, tokens, others))

        refreshing = [await arrive(f"client-{number}") for number in range(CLIENTS)]
        return Scene(
            folder,
            str(ada.email),
            tuple(person.tokens for person in refreshing),
            await arrive("few", 9),
            await arrive("many", many - 1),
            await arrive("ending", to_end),
        )
    finally:
        await node.close()


async def begin(sessions: Sessions, user: User, position: Position) -> Tokens:
    """Begin a session without a password."""
    return await sessions.begin(user, position, ("pwd",), Client("native"), SEEN)


async def begin_others(node: Node, tokens: Tokens, number: int) -> tuple[SessionId, ...]:
    """Begin sessions like the one of the tokens, many in a commit."""
    first = tokens.session
    copies = [
        replace(first, id=new_session_id("c1", first.created_at, system_entropy))
        for _ in range(number)
    ]
    for start in range(0, number, _TOGETHER):
        part = copies[start : start + _TOGETHER]
        await node.store.commit(*(Begin(session, SEEN, None) for session in part))
    return tuple(session.id for session in copies)
