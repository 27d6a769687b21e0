"""Accounts and users: what is printed to people and to programs."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lastcall.node import Node
from lastcall.settings import load
from lastcall.stores.opening import open_store
from tests.cli.conftest import PASSWORD, Lastcall
from tests.support.fakes import START, FakeEntropy
from tests.support.servers import environment

ADD = ("user", "add", "ada@example.com", "--password-stdin")


# Adding


def test_the_first_user_makes_the_account_and_owns_it_whatever_the_flags(
    lastcall: Lastcall,
) -> None:
    done = lastcall(*ADD, "--admin", stdin=PASSWORD)
    assert done.status == 0
    assert done.out.startswith("u_")
    assert done.err == "Added ada@example.com to the account Default, role owner.\n"


def test_programs_get_the_id_and_the_address_and_nothing_else(lastcall: Lastcall) -> None:
    done = lastcall(*ADD, "--json", stdin=PASSWORD)
    assert set(done.data) == {"id", "email"}
    assert (done.data["email"], done.err) == ("ada@example.com", "")


@pytest.mark.parametrize(
    ("flags", "role"), [((), "member"), (("--admin",), "admin"), (("--owner",), "owner")]
)
def test_later_users_are_members_unless_flagged(
    acme: Lastcall, flags: tuple[str, ...], role: str
) -> None:
    acme("user", "add", "bo@example.com", *flags, "--password-stdin", stdin=PASSWORD)
    users = acme("user", "list", "--json").data["users"]
    assert [(user["email"], user["role"]) for user in users] == [
        ("ada@example.com", "owner"),
        ("bo@example.com", role),
    ]


def test_a_taken_address_is_refused_in_whatever_case(acme: Lastcall) -> None:
    done = acme("user", "add", "ADA@example.com", "--password-stdin", stdin=PASSWORD)
    assert (done.status, done.out) == (1, "")
    assert done.err == "lastcall: there is a user ada@example.com already\n"


@pytest.mark.parametrize(
    ("address", "password", "why"),
    [
        ("ada", PASSWORD, "not an e-mail address"),
        ("ada@example.com", "short\n", "at least 8 characters"),
        ("ada@example.com", "", "at least 8 characters"),
        ("ada@example.com", "password1\n", "choose another"),
        ("ada@example.com", "two lines\nof them\n", "one line"),
    ],
)
def test_what_is_refused_leaves_no_account_behind(
    lastcall: Lastcall, address: str, password: str, why: str
) -> None:
    """Else the set-up link would not be offered any more."""
    done = lastcall("user", "add", address, "--password-stdin", stdin=password)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert why in done.err
    assert lastcall("account", "list", "--json").data == {"accounts": []}


def test_an_invitation_is_a_link_on_its_own_line(acme: Lastcall) -> None:
    url = ("--public-url", "https://login.example.com")
    done = acme("user", "add", "bo@example.com", "--invite", *url)
    assert done.status == 0
    assert done.out.startswith("https://login.example.com/invitation?token=")
    assert done.out.count("\n") == 1
    assert "works once, within 7 days" in done.err
    data = acme("user", "add", "cy@example.com", "--invite", *url, "--json").data
    assert data["invitation"]["url"].startswith("https://login.example.com/invitation?token=")
    assert data["invitation"]["expires_in"] == 7 * 24 * 3600


@pytest.mark.parametrize("again", [PASSWORD, "another one\n"], ids=["same", "different"])
def test_a_typed_password_is_asked_for_twice_and_never_shown(tmp_path: Path, again: str) -> None:
    """On a real terminal: where the two differ, it asks anew."""
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lastcall", "user", "add", "ada@example.com", "--json"],
        cwd=tmp_path,
        env=environment(),
        stdin=end,
        stdout=subprocess.PIPE,
        stderr=end,
        text=True,
        start_new_session=True,
    )
    os.close(end)
    shown = ""
    answers = [PASSWORD, again] if again == PASSWORD else [PASSWORD, again, PASSWORD, PASSWORD]
    try:
        for answer in answers:
            prompts = shown.count(": ")
            while shown.count(": ") == prompts or not shown.endswith(": "):
                shown += os.read(terminal, 1000).decode()
            os.write(terminal, answer.encode())
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(terminal)
    assert process.returncode == 0
    assert '"email": "ada@example.com"' in out
    assert PASSWORD.strip() not in shown
    assert shown.count("Password: ") == len(answers) // 2


# Listing


def test_all_users_are_listed_however_many(acme: Lastcall) -> None:
    """They are read a part at a time."""

    async def add() -> None:
        node = await Node.open(load({}, environment()))
        (account,) = await node.store.list_accounts()
        for number in range(201):
            await node.identity.add_user(account.id, f"u{number}@example.com")
        await node.close()

    asyncio.run(add())
    users = acme("user", "list", "--json").data["users"]
    names = [f"u{number}@example.com" for number in range(201)]
    assert [user["email"] for user in users] == ["ada@example.com", *names]


# Accounts


def test_an_account_is_named_only_where_there_are_several(acme: Lastcall) -> None:
    assert acme("user", "list").status == 0
    added = acme("account", "add", "Globex", "--json").data
    assert (added["name"], added["id"][:2]) == ("Globex", "a_")
    bo = ("user", "add", "bo@example.com", "--password-stdin")
    for command in (
        bo,
        ("user", "list"),
        ("key", "list"),
        ("key", "create", "k", "--scope=verify"),
    ):
        refused = acme(*command, stdin=PASSWORD)
        assert (refused.status, refused.out) == (1, "")
        assert refused.err.endswith("choose one with --account: Acme, Globex\n")
    assert "there is no account Initech" in acme("user", "list", "--account", "Initech").err
    assert acme(*bo, "--account", "Globex", stdin=PASSWORD).status == 0
    listed = acme("user", "list", "--account", "Globex", "--json").data["users"]
    assert [(user["email"], user["role"]) for user in listed] == [("bo@example.com", "owner")]
    # An address is of one account only, so it says which.
    assert acme("user", "logout", "bo@example.com").status == 0


def test_accounts_are_listed_with_their_users(acme: Lastcall) -> None:
    done = acme("account", "list")
    heads, row = done.out.splitlines()
    assert heads.split() == ["NAME", "USERS", "CREATED", "ID"]
    assert row.split()[:2] == ["Acme", "1"]
    assert " UTC " in row
    assert max(map(len, (heads, row))) <= 80


def test_an_account_is_added_once(acme: Lastcall) -> None:
    done = acme("account", "add", "Acme")
    assert (done.status, done.out) == (1, "")
    assert "already" in done.err


def test_what_is_empty_says_what_to_do_next(lastcall: Lastcall) -> None:
    assert lastcall("account", "add", "Acme").status == 0
    for command, advice in (
        (("user", "list"), "lastcall user add EMAIL"),
        (("key", "list"), "lastcall key create NAME"),
        (("signing-key", "list"), "lastcall serve"),
    ):
        done = lastcall(*command)
        assert (done.status, done.out) == (0, "")
        assert advice in done.err
    assert lastcall("user", "list", "--json").data == {"users": []}


# Suspending


def test_a_suspended_user_is_suspended_once_and_resumed_once(acme: Lastcall) -> None:
    acme("user", "add", "bo@example.com", "--password-stdin", stdin=PASSWORD)
    done = acme("user", "suspend", "bo@example.com")
    sure = "Confirmed: no server or service accepts it any more."
    assert done.status == 0
    assert done.out == f"Suspended bo@example.com, ended 0 sessions. {sure}\n"
    assert acme("user", "suspend", "bo@example.com").status == 1
    assert acme("user", "list", "--json").data["users"][1]["status"] == "suspended"
    data = acme("user", "resume", "bo@example.com", "--json").data
    assert (data["email"], data["status"]) == ("bo@example.com", "active")
    again = acme("user", "resume", "bo@example.com")
    assert (again.status, again.err) == (1, "lastcall: the user is not suspended\n")


def test_suspending_the_last_owner_says_what_that_means(acme: Lastcall) -> None:
    """Whoever holds the machine may, when it is the owner who has been taken over."""
    done = acme("user", "suspend", "ada@example.com")
    assert done.status == 0
    assert "no active owner" in done.err


@pytest.mark.parametrize("verb", ["logout", "suspend", "resume"])
def test_an_unknown_user_is_refused_and_shown_harmlessly(acme: Lastcall, verb: str) -> None:
    done = acme("user", verb, "\x1b[2Jbo@example.com")
    assert (done.status, done.out) == (1, "")
    assert done.err == "lastcall: there is no user \\x1b[2Jbo@example.com\n"


def test_a_database_without_an_account_says_what_to_do_first(
    lastcall: Lastcall, tmp_path: Path
) -> None:
    """As `serve` leaves it, before anybody has followed the set-up link."""
    opened = open_store(f"sqlite:///{tmp_path}/lastcall.db", None, START, FakeEntropy())
    asyncio.run(opened.store.close())
    done = lastcall("account", "list")
    assert (done.status, done.out) == (0, "")
    assert "lastcall user add EMAIL" in done.err
    assert lastcall("account", "list", "--json").data == {"accounts": []}
