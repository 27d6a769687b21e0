"""`lastcall demo`: a filled database to look at, thrown away at the end."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lastcall.cli import interrupts
from lastcall.cli.common import Call, with_call
from lastcall.cli.text import count
from lastcall.errors import StoreError

if TYPE_CHECKING:
    from lastcall.cli.demo_fill import Demo


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 takes any that is free",
)
@with_call((("--database-url", "URL", "keep the demo in this new database"),))
def demo(call: Call, port: int) -> None:
    """Fill a throw-away database, serve it, and print where and as whom to sign in."""
    from lastcall.cli import serving
    from lastcall.cli.demo_cast import OWNER
    from lastcall.cli.demo_fill import Demo, choose_password
    from lastcall.clock import SystemClock, system_entropy

    serving.exit_on_signals()
    with serving.listen("127.0.0.1", port) as listener, _home(call) as given:
        settings = call.settings(given={**given, "public_url": listener.url})
        password = choose_password(system_entropy)
        story = Demo(settings, password, SystemClock().now(), system_entropy)
        interrupts.run(_fill(call, story))

        def ready() -> None:
            call.answer(
                {"url": listener.url, "email": OWNER, "password": password},
                f"lastcall is ready at {listener.url}\nE-mail:   {OWNER}\nPassword: {password}",
            )
            call.say("Ctrl-C ends the demo.")

        serving.run(settings, listener, ready)


@contextlib.contextmanager
def _home(call: Call) -> Iterator[dict[str, object]]:
    """Give the settings of where the demo lives: in a folder that is removed, unless a database was
    named."""
    url = call.flags["database_url"]
    if url is not None:
        from lastcall.stores.place import sqlite_path

        path = sqlite_path(str(url))
        if path.exists():
            raise StoreError(f"{path} exists already; the demo fills only a new database")
        yield {"database_url": url}
        return
    with tempfile.TemporaryDirectory(prefix="lastcall-demo-") as name:
        folder = Path(name).resolve()
        yield {
            "database_url": f"sqlite:///{folder / 'demo.db'}",
            "secret_file": folder / "lastcall.key",
        }


async def _fill(call: Call, story: "Demo") -> None:
    from lastcall.cli.demo_cast import ORGANISATION, PEOPLE, VISITS

    with click.progressbar(
        length=len(story.scenes),
        label="Filling the demo",
        file=sys.stderr,
        hidden=call.json,
    ) as bar:
        async for _ in story.play():
            bar.update(1)
    active = sum(visit.end is None for visit in VISITS)
    call.say(
        f"Made the account {ORGANISATION}: {count(len(PEOPLE), 'user')}, {active} active sessions "
        f"and {len(VISITS) - active} ended ones, over 40 days."
    )
