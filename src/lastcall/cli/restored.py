"""`lastcall restored`: what is due after a backup was put in place."""

from typing import TYPE_CHECKING

import click

from lastcall.cli.common import Call, on_node
from lastcall.cli.text import count

if TYPE_CHECKING:
    from lastcall.node import Node

_SINCE = (
    "What else was changed after the backup is as it was: look at suspended users, roles, "
    "passwords, service keys and signing keys that had been revoked since."
)


@click.command()
@click.option(
    "--keep-sessions",
    is_flag=True,
    help="end no session: those that were ended after the backup live again",
)
@on_node()
async def restored(call: Call, node: "Node", keep_sessions: bool) -> None:
    """Say that a backup was put in place of the database; before servers start on it.

    Every session ends, since nobody can know which ones had been ended after the backup was made,
    and nothing that was signed for the lost database counts any more.
    """
    from lastcall.identity.administration import OPERATOR
    from lastcall.restoring import restored as do

    done = await do(
        node.store, node.settings.policy, node.clock, node.entropy, OPERATOR, keep=keep_sessions
    )
    told = f"Ended {count(done.ended, 'session')} of {count(done.accounts, 'account')}."
    if keep_sessions:
        told = "Ended no session: those that were ended after the backup was made live again."
    call.answer({"ended": done.ended, "kept": keep_sessions}, told)
    call.say(_SINCE)
