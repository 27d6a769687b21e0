"""`lastcall user`: people, and all of a person's sessions at once."""

import sys
from typing import TYPE_CHECKING

import click

from lastcall.cli.common import LINKS, Call, account_option, choose_account, on_node
from lastcall.cli.text import certainty, clip, count, safe, span, table
from lastcall.errors import Conflict, FieldError, InvalidRequest, NotFound

if TYPE_CHECKING:
    from lastcall.identity.model import Account, Profile, Role
    from lastcall.node import Node

DEFAULT_ACCOUNT = "Default"


@click.group()
def user() -> None:
    """Users, and all of a user's sessions at once."""


@user.command()
@click.argument("email")
@click.option("--owner", is_flag=True, help="may do everything")
@click.option("--admin", is_flag=True, help="may see and end sessions of members and admins")
@click.option("--name", help="the person's name")
@click.option("--password-stdin", is_flag=True, help="take the password from standard input")
@click.option("--invite", is_flag=True, help="print a link where the person chooses the password")
@account_option
@on_node(creates=True, settings=LINKS)
async def add(  # noqa: PLR0917  click names them
    call: Call,
    node: "Node",
    email: str,
    owner: bool,
    admin: bool,
    name: str | None,
    password_stdin: bool,
    invite: bool,
    account: str | None,
) -> None:
    """Add a user: a member, unless flagged.

    The first user of an account is its owner, whatever the flags; where there is no account
    yet, one is made. The password is asked for, unless it comes from elsewhere.
    """
    from lastcall.identity.administration import OPERATOR

    if owner and admin:
        raise click.UsageError("--owner and --admin exclude each other")
    if invite and password_stdin:
        raise click.UsageError("--invite and --password-stdin exclude each other")
    role: Role = "owner" if owner else "admin" if admin else "member"
    await _require_new(node, email)
    exists = await node.store.list_accounts()
    home = await choose_account(node, account) if exists else None
    password = None if invite else _password(password_stdin)
    if home is None:
        home, made = await node.identity.add_first(
            account or DEFAULT_ACCOUNT, email, name=name, password=password, by=OPERATOR
        )
    else:
        made = await node.identity.add_user(
            home.id, email, name=name, role=role, password=password, by=OPERATOR
        )
    data: dict[str, object] = {"id": made.id, "email": made.email}
    text = str(made.id)
    said = f"Added {safe(made.email or '')} to the account {safe(home.name)}, role {made.role}."
    if invite:
        secret, lifetime = await node.links.invite(made, OPERATOR)
        text = f"{node.settings.public_url}/invitation?token={secret}"
        data["invitation"] = {"url": text, "expires_in": int(lifetime.total_seconds())}
        said += f"\nThe link to choose the password with works once, within {span(lifetime)}:"
    call.say(said)
    call.answer(data, text)


@user.command("list")
@account_option
@on_node()
async def list_(call: Call, node: "Node", account: str | None) -> None:
    """List an account's users."""
    from lastcall.http import wire

    home = await choose_account(node, account)
    profiles = await _everybody(node, home)
    data = [wire.profile(profile) for profile in profiles]
    if not profiles and not call.json:
        call.say(f"{safe(home.name)} has no users yet. Add its owner: lastcall user add EMAIL")
        return
    rows = [
        (
            clip(profile.user.email or profile.user.external_id or "", 30),
            clip(profile.user.name or "", 18),
            profile.user.role,
            profile.user.status,
            str(profile.active_sessions),
        )
        for profile in profiles
    ]
    heads = ("E-MAIL", "NAME", "ROLE", "STATUS", "SESSIONS")
    call.answer({"users": data}, table(heads, rows))


async def _everybody(node: "Node", account: "Account") -> "list[Profile]":
    from lastcall.identity.administration import Admin

    admin, before = Admin.operator(account), None
    profiles: list[Profile] = []
    while True:
        page = await node.administration.users(admin, before=before, limit=200)
        profiles += page.profiles
        before = page.next
        if before is None:
            return profiles[::-1]  # oldest first


@user.command()
@click.argument("email")
@on_node()
async def logout(call: Call, node: "Node", email: str) -> None:
    """End all of a user's sessions, at once."""
    from lastcall.http import wire
    from lastcall.identity.administration import OPERATOR

    person = await node.identity.find_by_email(email)
    ended = await node.sessions.endings.terminate_all(
        person.id, person.account_id, "terminated_by_admin", OPERATOR, name=person.label
    )
    followed = await node.confirmations.follow(ended, 1)
    call.answer(
        wire.termination(followed, node.sessions.now()),
        f"Ended {count(ended.ended, 'session')}. {certainty(followed.confirmation)}",
    )


@user.command()
@click.argument("email")
@on_node()
async def suspend(call: Call, node: "Node", email: str) -> None:
    """End all of a user's sessions and let them begin none until resumed."""
    from lastcall.http import wire
    from lastcall.identity.administration import OPERATOR

    person = await node.identity.find_by_email(email)
    if person.status == "suspended":
        raise Conflict(f"{person.email} is suspended already")
    ended = await node.confirmations.follow(await node.identity.suspend(person, OPERATOR), 1)
    sure = certainty(ended.confirmation)
    call.answer(
        {
            "id": person.id,
            "email": person.email,
            "status": "suspended",
            "termination": wire.termination(ended, node.sessions.now()),
        },
        f"Suspended {safe(email)}, ended {count(ended.ended, 'session')}. {sure}",
    )
    if not await node.store.count_users(person.account_id, "owner", "active"):
        call.say(f"Their account has no active owner now; undo: lastcall user resume {safe(email)}")


@user.command()
@click.argument("email")
@on_node()
async def resume(call: Call, node: "Node", email: str) -> None:
    """Let a suspended user sign in again. Their old sessions stay ended."""
    from lastcall.identity.administration import OPERATOR

    person = await node.identity.find_by_email(email)
    await node.identity.resume(person, OPERATOR)
    call.answer(
        {"id": person.id, "email": person.email, "status": "active"},
        f"{safe(email)} may sign in again.",
    )


async def _require_new(node: "Node", email: str) -> None:
    """Refuse a wrong or taken address before anybody has typed a password."""
    from lastcall.identity.emails import parse_email

    parse_email(email)
    try:
        taken = await node.identity.find_by_email(email)
    except NotFound:
        return
    raise Conflict(f"there is a user {taken.email} already")


def _password(from_stdin: bool) -> str:
    """Read a new password: the whole of standard input without its line's end, or typed twice."""
    if from_stdin:
        line = sys.stdin.buffer.read(8192).removesuffix(b"\n").removesuffix(b"\r")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            reason = "the password is not valid text"
            raise InvalidRequest(FieldError("password", "not_text", reason)) from error
        if "\n" in text:
            reason = "give the password alone, in one line"
            raise InvalidRequest(FieldError("password", "not_text", reason))
        return text
    if not sys.stdin.isatty():
        raise click.UsageError(
            "there is no terminal to ask for the password on; use --password-stdin or --invite"
        )
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
