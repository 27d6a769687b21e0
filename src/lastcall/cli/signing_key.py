"""`lastcall signing-key`: what access tokens are signed with."""

from typing import TYPE_CHECKING

import click

from lastcall.cli.common import Call, on_node
from lastcall.cli.text import certainty, table, when
from lastcall.errors import Conflict

if TYPE_CHECKING:
    from lastcall.node import Node


@click.group("signing-key")
def signing_key() -> None:
    """Signing keys: what access tokens are signed with."""


@signing_key.command()
@on_node()
async def rotate(call: Call, node: "Node") -> None:
    """Publish a new key; it signs as soon as everybody has had time to learn it.

    The older one verifies until its last token has run out. Nobody is signed out.
    """
    from lastcall.identity.administration import OPERATOR

    made = await node.signing.rotate(OPERATOR)
    if made is None:
        raise Conflict("another process has made a key at this moment; see: signing-key list")
    call.answer({"id": made.id, "signs_from": made.signs_from}, made.id)
    call.say(f"The new key is published, and signs from {when(made.signs_from)}.")


@signing_key.command()
@click.argument("id")
@on_node()
async def revoke(call: Call, node: "Node", id: str) -> None:  # noqa: A002  as it is called
    """End a key that others may have seen: what it has signed is refused everywhere, at once.

    Nobody is signed out: each client gets a new access token with its refresh token.
    """
    from lastcall.identity.administration import OPERATOR

    event = await node.signing.revoke(id, OPERATOR)
    confirmation = await node.confirmations.confirm(event.position, 1)
    call.answer({"id": id, "state": confirmation.state}, f"Revoked. {certainty(confirmation)}")


@signing_key.command("list")
@on_node()
async def list_(call: Call, node: "Node") -> None:
    """List the keys that are published, oldest first."""
    keys = sorted(await node.store.signing_keys(), key=lambda key: (key.signs_from, key.id))
    if not keys and not call.json:
        call.say("There is no signing key yet; `lastcall serve` makes the first one.")
        return
    now = node.clock.now()
    ready = [key for key in keys if key.signs_from <= now] or keys[:1]
    states = [
        "next" if key not in ready else "signs" if key is ready[-1] else "verifies" for key in keys
    ]
    data = [
        {
            "id": key.id,
            "state": state,
            "created_at": key.created_at,
            "signs_from": key.signs_from,
        }
        for key, state in zip(keys, states, strict=True)
    ]
    rows = [(key.id, state, when(key.signs_from)) for key, state in zip(keys, states, strict=True)]
    call.answer({"signing_keys": data}, table(("ID", "STATE", "SIGNS FROM"), rows))
