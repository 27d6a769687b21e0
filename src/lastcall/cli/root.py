"""`lastcall` itself: its groups, and what becomes of an error."""

import click

from lastcall.cli.account import account
from lastcall.cli.copy import copy
from lastcall.cli.demo import demo
from lastcall.cli.doctor import doctor
from lastcall.cli.key import key
from lastcall.cli.migrate import migrate
from lastcall.cli.purge import purge
from lastcall.cli.restored import restored
from lastcall.cli.serve import serve
from lastcall.cli.session import session
from lastcall.cli.signing_key import signing_key
from lastcall.cli.text import safe
from lastcall.cli.user import user
from lastcall.errors import Error


class Refusal(click.ClickException):
    """What was asked is refused or has failed: one line that says why, and exit status 1."""

    def show(self, file: object = None) -> None:  # noqa: ARG002  click's signature
        """Say why on standard error."""
        click.echo(f"lastcall: {safe(self.message)}", err=True)


class Root(click.Group):
    """Turns the tree of errors into refusals, for every command."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except Error as error:
            raise Refusal(str(error)) from error


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lastcall", message="%(prog)s %(version)s")
def root() -> None:
    """Session management that never lets an ended session in.

    Start with `lastcall demo`, or with `lastcall serve` and the link that it prints.
    Every command takes --json, for programs, and --database-url.
    """


for command in (
    *(serve, demo, user, session, account, key, signing_key),
    *(migrate, copy, restored, doctor, purge),
):
    root.add_command(command)
