"""`lastcall copy`: move a database from SQLite to PostgreSQL."""

import sys

import click

from lastcall.cli.common import Call, with_call
from lastcall.cli.text import count


@click.command()
@click.option(
    "--from", "source", metavar="URL", required=True, help="the database that is there, on SQLite"
)
@click.option("--to", "target", metavar="URL", required=True, help="an empty one on PostgreSQL")
@with_call(())
def copy(call: Call, source: str, target: str) -> None:
    """Copy a database from SQLite to PostgreSQL, whole or not at all; users stay signed in.

    Stop the servers first. Nobody can write to the old database meanwhile, and it is left as it
    was. Servers on the new one need the secret file (lastcall.key) of the old one.
    """
    from lastcall.clock import system_entropy
    from lastcall.errors import SettingsError
    from lastcall.stores import copying, place

    if place.is_postgres(source):
        raise SettingsError(
            "--from takes a SQLite database: one on PostgreSQL is copied by pg_dump and pg_restore"
        )
    if not place.is_postgres(target):
        raise SettingsError("--to takes the address of a PostgreSQL database: postgresql://...")
    old, new = place.find(source), place.find(target)
    counts = copying.count(old)
    done = dict.fromkeys(counts, 0)
    shown = [""]

    def show(_: int | None) -> str:
        return shown[0]

    with click.progressbar(
        length=sum(counts.values()),
        label="Copying",
        file=sys.stderr,
        item_show_func=show,
        hidden=call.json,
    ) as bar:

        def watch(table: str, rows: int) -> None:
            shown[0] = table
            bar.update(rows - done[table])
            done[table] = rows

        copied = copying.copy(old, new, system_entropy, watch)
        shown[0] = ""
        bar.render_finish()
    users, sessions = copied["users"], copied["sessions"]
    call.answer(
        {"copied": copied},
        f"Copied {count(sum(copied.values()), 'row')}, those of {count(users, 'user')} and "
        f"{count(sessions, 'session')} among them, and counted them again.",
    )
    call.say(
        "Start the servers with LASTCALL_DATABASE_URL set to the new address and the same secret "
        f"file ({old.secret_file}). What the old database is still told, the new one won't know."
    )
