"""A whole node without a network, and the first steps that most tests begin with."""

from pathlib import Path

from lastcall.clock import Clock, Entropy
from lastcall.identity.model import Role, User
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client, SignIn
from lastcall.sessions.policy import Policy
from lastcall.sessions.service import Caller
from lastcall.settings import Settings
from lastcall.stores.place import KEY_FILE

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
NEW = "a much better one"
"""The password that it is changed to."""
BROWSER = Client("browser")
NATIVE = Client("native")
SEEN = SignIn("curl/8.5.0", {"sec-ch-ua-platform": '"Linux"'}, "81.2.69.142")
DATABASE = "lastcall.db"


async def open_node(
    folder: Path,
    clock: Clock,
    entropy: Entropy,
    *,
    policy: Policy | None = None,
    passwords: Passwords | None = None,
    serving: bool = True,
    database_url: str | None = None,
) -> Node:
    """Open a node on the folder's database, or another one with the secret file in the folder,
    making it where there is none."""
    return await Node.open(
        Settings(
            database_url=database_url or f"sqlite:///{folder / DATABASE}",
            secret_file=folder / KEY_FILE,
            policy=policy or Policy(),
        ),
        clock=clock,
        entropy=entropy,
        passwords=passwords or Passwords(CHEAP, threads=2),
        serving=serving,
    )


async def set_up(node: Node) -> Tokens:
    """Make the first account and its owner, Ada, signed in by a browser."""
    offered = await node.links.offer_setup()
    assert offered is not None
    return await node.links.set_up(offered[0], "Acme", "Ada", EMAIL, PASSWORD, BROWSER, SEEN)


async def sign_in(node: Node, email: str = EMAIL, password: str = PASSWORD) -> Tokens:
    """Begin one more session."""
    return await node.identity.sign_in(email, password, NATIVE, SEEN)


async def calls(node: Node, tokens: Tokens) -> Caller:
    """Show the access token."""
    return await node.sessions.authenticate(tokens.access_token)


async def add_user(node: Node, owner: User, email: str, role: Role = "member") -> User:
    """Add a user with the usual password to the owner's account."""
    return await node.identity.add_user(owner.account_id, email, role=role, password=PASSWORD)
