"""`lastcall serve`: run a node."""

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from lastcall.cli import interrupts
from lastcall.cli.common import SERVER, Call, listening, with_call
from lastcall.cli.text import span

if TYPE_CHECKING:
    from lastcall.settings import Settings


@click.command()
@listening
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="processes, on the same database",
)
@click.option("--access-log", is_flag=True, help="a line on standard error for each request")
@with_call(SERVER)
def serve(call: Call, host: str, port: int, workers: int, access_log: bool) -> None:
    """Run a node, on SQLite in the working directory unless told otherwise.

    Prints a line when it accepts connections and, where the database is empty, a link with
    which to make the first account. Stop it with Ctrl-C.
    """
    from lastcall.cli import serving
    from lastcall.credentials import LOOPBACK

    serving.exit_on_signals()
    with serving.listen(host, port) as listener:
        settings = call.settings(port=listener.port)
        setup = interrupts.run(_prepare(settings))
        if not listener.local and urlsplit(settings.public_url).hostname in LOOPBACK:
            call.say(
                f"Others can reach this server, but its public URL is {settings.public_url}: "
                "set it with --public-url."
            )

        def ready() -> None:
            url = setup[0] if setup else None
            call.answer(
                {"url": listener.url, "setup_url": url}, f"lastcall is ready at {listener.url}"
            )
            if setup and not call.json:
                call.say(
                    "There is no account yet. Make the first one with this link, "
                    f"which works once, within {span(setup[1])}:"
                )
                click.echo(setup[0])

        serving.run(settings, listener, ready, workers=workers, access_log=access_log)


async def _prepare(settings: "Settings") -> tuple[str, timedelta] | None:
    """Open the database before anybody is served, so that what stands against it is one clear line;
    give the set-up link of an empty one."""
    from lastcall.node import Node

    node = await Node.open(settings, serving=True)
    try:
        offered = await node.links.offer_setup()
    finally:
        await node.close()
    if offered is None:
        return None
    secret, lifetime = offered
    return f"{settings.public_url}/setup?token={secret}", lifetime
