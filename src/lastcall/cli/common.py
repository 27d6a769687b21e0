"""What every command shares: its options, its node, and how it answers people and programs."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec

import click

from lastcall.cli import interrupts
from lastcall.errors import NotFound

if TYPE_CHECKING:
    from lastcall.identity.model import Account
    from lastcall.node import Node
    from lastcall.settings import Settings

P = ParamSpec("P")
Command = Callable[..., None]

_DATABASE: Final = (
    (
        "--database-url",
        "URL",
        "sqlite:///relative.db, sqlite:////absolute.db or postgresql://user@host/database",
    ),
    ("--secret-file", "FILE", "the server's key; lastcall.key beside the file, else here"),
)
SERVER: Final = (
    *_DATABASE,
    ("--public-url", "URL", "where people reach the server; http://localhost:PORT"),
    ("--policy", "NAME", "default or aal1: durations and password length"),
    ("--access-lifetime", "SECONDS", "of an access token; 3600"),
    ("--refresh-lifetime", "SECONDS", "of a refresh token: the longest inactivity; 86400"),
    ("--absolute-lifetime", "SECONDS", "of a session, however active; 2592000"),
    ("--refresh-grace", "SECONDS", "in which a refresh may be repeated; 10"),
    ("--lease", "SECONDS", "in which an ending is certain everywhere; 30"),
    ("--step-up", "SECONDS", "how old a proof may be for what needs a fresh one; 600"),
    ("--audience", "TEXT", "of access tokens; the public URL"),
    ("--trusted-proxies", "NETWORKS", "whose X-Forwarded-For counts, with commas between; none"),
    ("--city-db", "FILE", "a MaxMind DB with cities; countries are known without"),
)
"""The settings that a server takes: flag, metavariable, meaning and default."""
DEFAULT_PORT: Final = 8000
LINKS: Final = (*_DATABASE, SERVER[2])


@dataclass(frozen=True, slots=True)
class Call:
    """How a command was called: its settings, and whether a program reads the answer."""

    flags: Mapping[str, object]
    config: Path | None
    json: bool

    def settings(self, port: int = 8000, given: Mapping[str, object] | None = None) -> "Settings":
        """Read the settings; `given` ones go before all. Raises SettingsError."""
        from lastcall.settings import load

        return load({**self.flags, **(given or {})}, config=self.config, port=port)

    def origins(self) -> tuple[str, ...]:
        """Tell where settings stand: flags, variables, the file."""
        from lastcall.settings import origins

        return origins(self.flags, config=self.config)

    def answer(self, data: object, text: str) -> None:
        """Give the result, on standard output: an object to programs, text to people."""
        click.echo(_json(data) if self.json else text)

    def say(self, text: str) -> None:
        """Tell people something on standard error; programs read the answer alone."""
        if not self.json:
            click.echo(text, err=True)


def with_call(
    settings: tuple[tuple[str, str, str], ...] = _DATABASE,
) -> Callable[[Callable[Concatenate[Call, P], None]], Command]:
    """Give a command the options of all, and the settings as flags; pass them as its `Call`."""
    names = [flag.removeprefix("--").replace("-", "_") for flag, _, _ in settings]

    def decorate(function: Callable[Concatenate[Call, P], None]) -> Command:
        def command(
            config: Path | None, as_json: bool, *args: P.args, **arguments: P.kwargs
        ) -> None:
            flags = {name: arguments.pop(name) for name in names}
            function(Call(flags, config, as_json), *args, **arguments)

        update_wrapper(command, function)
        made: Command = click.option(
            "--json", "as_json", is_flag=True, help="one JSON object on standard output"
        )(command)
        made = click.option(
            "--config",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="settings in TOML; lastcall.toml where there is one",
        )(made)
        for flag, metavar, text in reversed(settings):
            made = click.option(flag, metavar=metavar, help=text)(made)
        return made

    return decorate


def on_node(
    *,
    creates: bool = False,
    settings: tuple[tuple[str, str, str], ...] = _DATABASE,
) -> Callable[[Callable[Concatenate[Call, "Node", P], Awaitable[None]]], Command]:
    """Give a command a node on its database; `creates`: it may make the database."""

    def decorate(function: Callable[Concatenate[Call, "Node", P], Awaitable[None]]) -> Command:
        def command(call: Call, /, *args: P.args, **arguments: P.kwargs) -> None:
            chosen = call.settings()
            if not creates:
                _require_database(chosen.database_url)
            interrupts.run(_run(chosen, lambda node: function(call, node, *args, **arguments)))

        update_wrapper(command, function)
        return with_call(settings)(command)

    return decorate


async def _run(settings: "Settings", work: "Callable[[Node], Awaitable[None]]") -> None:
    from lastcall.node import Node

    node = await Node.open(settings)
    try:
        await work(node)
    finally:
        await node.close()


def listening(function: Command) -> Command:
    """Let a command say where a server listens."""
    made: Command = click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=DEFAULT_PORT,
        show_default=True,
        help="0 takes any that is free",
    )(function)
    return click.option(
        "--host", default="127.0.0.1", show_default=True, help="the address to listen on"
    )(made)


def account_option(function: Command) -> Command:
    """Let a command say which account it means."""
    made: Command = click.option(
        "--account", metavar="NAME", help="needed where there are several"
    )(function)
    return made


async def choose_account(node: "Node", name: str | None) -> "Account":
    """Find the account that is meant: the one named, or the only one. Raises NotFound."""
    accounts = await node.store.list_accounts()
    known = ", ".join(account.name for account in accounts)
    if not accounts:
        raise NotFound("there is no account yet; run: lastcall user add EMAIL")
    if name is None:
        if len(accounts) > 1:
            raise NotFound(f"there are several accounts; choose one with --account: {known}")
        return accounts[0]
    for account in accounts:
        if account.name == name:
            return account
    raise NotFound(f"there is no account {name}; there is: {known}")


def _require_database(database_url: str) -> None:
    """Refuse to make a database where something in one was asked for: the address is mistyped."""
    from lastcall.stores.place import find

    find(database_url).require()


def _json(data: object) -> str:
    import msgspec

    return json.dumps(msgspec.to_builtins(data))
