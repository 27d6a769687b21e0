"""`lastcall account`: the organisations that users belong to."""

from typing import TYPE_CHECKING

import click

from lastcall.cli.common import Call, on_node
from lastcall.cli.text import clip, safe, table, when

if TYPE_CHECKING:
    from lastcall.node import Node


@click.group()
def account() -> None:
    """Accounts: the organisations that users belong to."""


@account.command()
@click.argument("name")
@on_node(creates=True)
async def add(call: Call, node: "Node", name: str) -> None:
    """Add an account. Its first user will be its owner."""
    from lastcall.identity.administration import OPERATOR

    made = await node.identity.add_account(name, OPERATOR)
    call.answer({"id": made.id, "name": made.name}, made.id)
    call.say(f"Added the account {safe(made.name)}. Add its owner: lastcall user add EMAIL")


@account.command("list")
@on_node()
async def list_(call: Call, node: "Node") -> None:
    """List the accounts."""
    accounts = await node.store.list_accounts()
    users = [await node.store.count_users(account.id) for account in accounts]
    data = [
        {"id": account.id, "name": account.name, "created_at": account.created_at}
        for account in accounts
    ]
    if not accounts and not call.json:
        call.say("There is no account yet. Make one: lastcall user add EMAIL")
        return
    rows = [
        (clip(account.name, 20), str(people), when(account.created_at), account.id)
        for account, people in zip(accounts, users, strict=True)
    ]
    call.answer({"accounts": data}, table(("NAME", "USERS", "CREATED", "ID"), rows))
