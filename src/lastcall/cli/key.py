"""`lastcall key`: what services prove themselves with."""

from typing import TYPE_CHECKING

import click

from lastcall.cli.common import Call, account_option, choose_account, on_node
from lastcall.cli.text import clip, safe, table, when
from lastcall.errors import NotFound
from lastcall.ids import KeyId

if TYPE_CHECKING:
    from lastcall.identity.model import Scope
    from lastcall.node import Node


@click.group()
def key() -> None:
    """Service keys: what verifiers and back ends prove themselves with."""


@key.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["verify", "sessions", "metrics"]),
    help="verify: check tokens; sessions: start, list and end them; may be given several times",
)
@account_option
@on_node()
async def create(
    call: Call, node: "Node", name: str, scopes: "tuple[Scope, ...]", account: str | None
) -> None:
    """Make a key for a service. It is shown this once."""
    from lastcall.identity.administration import OPERATOR

    home = await choose_account(node, account)
    made, text = await node.services.create(home.id, name, scopes, OPERATOR)
    call.say(
        f"Made the key {safe(made.name)} ({made.id}) for the account {safe(home.name)}, "
        f"scope {', '.join(made.scopes)}. Keep it now; it is not shown again:"
    )
    call.answer({"id": made.id, "key": text}, text)


@key.command("list")
@account_option
@on_node()
async def list_(call: Call, node: "Node", account: str | None) -> None:
    """List an account's keys in force."""
    home = await choose_account(node, account)
    keys = await node.store.list_service_keys(home.id)
    if not keys and not call.json:
        call.say("No key is in force. Make one: lastcall key create NAME --scope verify")
        return
    data = [
        {"id": key.id, "name": key.name, "scopes": key.scopes, "created_at": key.created_at}
        for key in keys
    ]
    rows = [(key.id, clip(key.name, 30), ", ".join(key.scopes)) for key in keys]
    below = [f"created {when(key.created_at)}" for key in keys]
    call.answer({"keys": data}, table(("ID", "NAME", "SCOPES"), rows, below))


@key.command()
@click.argument("id")
@account_option
@on_node()
async def revoke(call: Call, node: "Node", id: str, account: str | None) -> None:  # noqa: A002
    """End a key, at once."""
    from lastcall.identity.administration import OPERATOR

    if account is None:  # an id is of one account only
        homes = await node.store.list_accounts()
    else:
        homes = (await choose_account(node, account),)
    for home in homes:
        if id in {key.id for key in await node.store.list_service_keys(home.id)}:
            await node.services.revoke(home.id, KeyId(id), OPERATOR)
            call.answer({"id": id, "revoked": True}, f"Revoked {id}.")
            return
    raise NotFound(f"there is no key {id} in force; see: lastcall key list")
