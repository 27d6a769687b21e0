"""Everybody who may call: two companies, their people and services, each with a token."""

import asyncio
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from lastcall.events import Actor
from lastcall.identity.administration import Admin
from lastcall.identity.model import Account, Role, User
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.settings import Settings
from tests.http.serving import NOON
from tests.support.fakes import FakeClock
from tests.support.nodes import DATABASE, EMAIL, NATIVE, PASSWORD, SEEN

NOTHING = "x.y.z"


@dataclass(frozen=True)
class Cast:
    """Who there is, in a database that tests copy."""

    folder: Path
    tokens: dict[str, str | None]
    """What each kind of caller shows."""
    places: dict[str, str]
    """What stands in paths, by its name there."""
    refresh_token: str
    """Of a session of Mia's."""
    given: str
    """The access token of a session that the key with the scope `sessions` began."""

    def settings(self, folder: Path) -> Settings:
        """Copy the database into a folder, as nobody has changed it."""
        shutil.copytree(self.folder, folder)
        return Settings(database_url=f"sqlite:///{folder / DATABASE}")


def gather(folder: Path) -> Cast:
    """Make the database."""
    return asyncio.run(_gather(folder))


async def _gather(folder: Path) -> Cast:
    settings = Settings(database_url=f"sqlite:///{folder / DATABASE}")
    passwords = Passwords(CHEAP, threads=1)
    node = await Node.open(settings, clock=FakeClock(NOON), passwords=passwords, serving=True)
    acme, other = await node.identity.add_account("Acme"), await node.identity.add_account("Other")
    await _person(node, acme, EMAIL, "owner")
    for name, account, role in (
        ("grace", acme, "admin"),
        ("mia", acme, "member"),
        ("olga", other, "owner"),
        ("adam", other, "admin"),
    ):
        await _person(node, account, f"{name}@example.com", role)  # type: ignore[arg-type]
    bob = await _person(node, acme, "bob@example.com", "member")
    carol = await node.identity.add_user(acme.id, "carol@example.com")
    keys = {
        scope: (await node.services.create(acme.id, scope, (scope,)))[1]
        for scope in ("verify", "sessions", "metrics")
    }
    keys |= {
        f"{scope} elsewhere": (await node.services.create(other.id, scope, (scope,)))[1]
        for scope in ("sessions", "metrics")
    }
    spare, _ = await node.services.create(acme.id, "spare", ("verify",))
    mia = await _sign_in(node, "mia")
    kept, over = await _sign_in(node, "bob"), await _sign_in(node, "bob")
    by = Actor("user", bob.id, "curl")
    gone = await node.sessions.endings.terminate(
        over.session.id, "terminated_by_user", by, lambda _: True
    )
    ended = await _sign_in(node, "ada")
    await node.sessions.endings.sign_out(ended.session.id)
    olga = await _sign_in(node, "olga")
    vouched = await _vouched(node, acme, keys["sessions"])
    cast = Cast(
        folder,
        {
            "nobody": None,
            "garbage": NOTHING,
            "ended": ended.access_token,
            "member": mia.access_token,
            "admin": (await _sign_in(node, "grace")).access_token,
            "owner": (await _sign_in(node, "ada")).access_token,
            "admin elsewhere": (await _sign_in(node, "adam")).access_token,
            "owner elsewhere": olga.access_token,
            "vouched": vouched,
            **keys,
        },
        {
            "user": bob.id,
            "invited": carol.id,
            "session": kept.session.id,
            "session elsewhere": olga.session.id,
            "termination": gone.id,
            "key": spare.id,
        },
        (await _sign_in(node, "mia")).refresh_token,
        vouched,
    )
    await node.close()
    return cast


async def _person(node: Node, account: Account, email: str, role: Role) -> User:
    return await node.identity.add_user(account.id, email, role=role, password=PASSWORD)


async def _sign_in(node: Node, name: str) -> Tokens:
    return await node.identity.sign_in(f"{name}@example.com", PASSWORD, NATIVE, SEEN)


async def _vouched(node: Node, account: Account, text: str) -> str:
    """Give the token of a session that a service began for a user whom an owner has made an owner:
    the session is a member's all the same."""
    key = await node.services.authenticate(text, "sessions")

    async def begin() -> Tokens:
        return await node.services.begin_session(key, "7", None, None, (), NATIVE, SEEN)

    user = (await begin()).user
    await node.administration.change(Admin.operator(account), user.id, role="owner")
    return (await begin()).access_token


def dump(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """Give every row of every table, but those of nodes: a node has a lease by a row of its own,
    whoever asks."""
    db = sqlite3.connect(folder / DATABASE)
    try:
        tables = [
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {
            name: sorted(db.execute(f'SELECT * FROM "{name}"'), key=repr)  # noqa: S608  its own
            for name in tables
            if name != "nodes"
        }
    finally:
        db.close()
