"""`lastcall migrate`: bring a database to this version."""

import click

from lastcall.cli.common import Call, with_call


@click.command()
@with_call()
def migrate(call: Call) -> None:
    """Bring a database to this version's schema, whole or not at all.

    Make a copy of the database and of its key first: there is no way back.
    """
    from lastcall.stores import opening

    before, after = opening.migrate(call.settings().database_url)
    if before == after:
        text = f"The database is up to date (schema {after})."
    else:
        text = f"Migrated the database from schema {before} to {after}."
    call.answer({"before": before, "after": after}, text)
