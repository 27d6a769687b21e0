"""Sessions, service keys and signing keys: what is printed, and what happens."""

import asyncio
from dataclasses import replace

import pytest

from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client
from lastcall.settings import Settings
from tests.cli.conftest import PASSWORD, Lastcall
from tests.support.nodes import SEEN

ADA = "ada@example.com"
SURE = "Confirmed: no server or service accepts it any more."


def sign_in(*names: str) -> list[Tokens]:
    """Begin sessions of Ada's in the working directory's database."""

    async def begin() -> list[Tokens]:
        node = await Node.open(Settings(), serving=True)
        begun = [
            await node.identity.sign_in(
                ADA,
                PASSWORD.strip(),
                Client("native", name),
                replace(SEEN, user_agent="\x1b[2Jx/1"),
            )
            for name in names
        ]
        await node.close()
        return begun

    return asyncio.run(begin())


def test_sessions_are_listed_for_people_on_80_columns(acme: Lastcall) -> None:
    (tokens,) = sign_in("Acme iOS app")
    done = acme("session", "list", ADA)
    heads, row, below = done.out.splitlines()
    assert heads.split() == ["ID", "DEVICE", "LAST", "ACTIVE", "EXPIRES"]
    assert " ".join(row.split()) == f"{tokens.session.id} Acme iOS app just now in 23 h"
    assert below.startswith("    United Kingdom, 81.2.69.142, signed in 20")
    assert below.endswith(" UTC")
    assert max(map(len, done.out.splitlines())) <= 80


def test_what_a_client_called_itself_reaches_the_terminal_escaped_and_clipped(
    acme: Lastcall,
) -> None:
    sign_in("\x1b]0;owned\x07" + "x" * 90)
    for arguments in ((), ("--json",)):
        done = acme("session", "list", ADA, *arguments)
        assert done.status == 0
        assert "\x1b" not in done.out
        assert "\x07" not in done.out
        assert arguments or max(map(len, done.out.splitlines())) <= 80


def test_programs_get_sessions_as_the_http_api_writes_them(acme: Lastcall) -> None:
    (tokens,) = sign_in("phone")
    (session,) = acme("session", "list", ADA, "--json").data["sessions"]
    assert session["id"] == tokens.session.id
    assert session["current"] is False
    assert session["location"]["country_code"] == "GB"
    assert session["last_active_at"].endswith("Z")
    assert 86000 < session["expires_in"] <= 86400


def test_a_session_that_is_terminated_ends_once_by_the_command_line(acme: Lastcall) -> None:
    one, two = sign_in("one", "two")
    ended = acme("session", "terminate", one.session.id)
    assert (ended.status, ended.out) == (0, f"Ended 1 session. {SURE}\n")
    again = acme("session", "terminate", one.session.id)
    assert (again.status, again.out) == (0, f"That session had ended already. {SURE}\n")
    (left,) = acme("session", "list", ADA, "--json").data["sessions"]
    assert left["id"] == two.session.id
    (over,) = acme("session", "list", ADA, "--ended", "--json").data["sessions"]
    assert over["end_reason"] == "terminated_by_admin"
    assert over["ended_by"] == {"kind": "admin", "name": "the command line"}
    shown = acme("session", "list", ADA, "--ended").out
    assert "terminated by admin (the command line); United Kingdom, 81.2.69.142" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_programs_get_the_termination(acme: Lastcall) -> None:
    (tokens,) = sign_in("one")
    data = acme("session", "terminate", tokens.session.id, "--json").data
    assert (data["ended"], data["state"], data["id"][:2]) == (1, "confirmed", "t_")


def test_an_unknown_session_is_refused(acme: Lastcall) -> None:
    done = acme("session", "terminate", "s_c1_none")
    assert (done.status, done.out) == (1, "")
    assert "there is no session s_c1_none" in done.err


def test_logout_ends_all_of_a_users_sessions(acme: Lastcall) -> None:
    sign_in("one", "two")
    done = acme("user", "logout", ADA)
    assert (done.status, done.out) == (0, f"Ended 2 sessions. {SURE}\n")
    none = acme("session", "list", ADA)
    assert (none.status, none.out) == (0, "")
    assert f"lastcall session list {ADA} --ended" in none.err
    assert acme("user", "logout", ADA, "--json").data["ended"] == 0


def test_a_users_table_counts_active_sessions(acme: Lastcall) -> None:
    sign_in("one", "two")
    heads, row = acme("user", "list").out.splitlines()
    assert heads.split() == ["E-MAIL", "NAME", "ROLE", "STATUS", "SESSIONS"]
    assert row.split() == [ADA, "Ada", "owner", "active", "2"]
    (user,) = acme("user", "list", "--json").data["users"]
    assert user["active_sessions"] == 2
    assert user["last_seen_at"].endswith("Z")


# Service keys


def test_a_key_is_shown_once_alone_on_its_line(acme: Lastcall) -> None:
    done = acme("key", "create", "Orders", "--scope", "verify", "--scope", "sessions")
    assert done.status == 0
    key = done.out.strip()
    assert done.out == f"{key}\n"
    assert key.startswith("lck_k_")
    assert "not shown again" in done.err
    assert key not in done.err
    assert key not in acme("key", "list").out
    (listed,) = acme("key", "list", "--json").data["keys"]
    assert (listed["name"], listed["scopes"]) == ("Orders", ["sessions", "verify"])


def test_programs_get_the_keys_id_and_the_key_and_nothing_else(acme: Lastcall) -> None:
    done = acme("key", "create", "Orders", "--scope", "verify", "--json")
    assert set(done.data) == {"id", "key"}
    assert done.data["key"].startswith(f"lck_{done.data['id']}_")
    assert done.err == ""


@pytest.mark.parametrize("flags", [(), ("--account", "Acme")])
def test_a_revoked_key_is_gone(acme: Lastcall, flags: tuple[str, ...]) -> None:
    made = acme("key", "create", "Orders", "--scope", "verify", "--json").data
    done = acme("key", "revoke", made["id"], *flags)
    assert (done.status, done.out) == (0, f"Revoked {made['id']}.\n")
    assert acme("key", "list", "--json").data == {"keys": []}
    again = acme("key", "revoke", made["id"], *flags)
    assert (again.status, again.out) == (1, "")
    assert "no key" in again.err


# Signing keys


def test_a_revoked_key_is_gone_and_nobody_lacks_one(acme: Lastcall) -> None:
    sign_in("one")
    (key,) = acme("signing-key", "list", "--json").data["signing_keys"]
    done = acme("signing-key", "revoke", key["id"])
    assert (done.status, done.out) == (0, f"Revoked. {SURE}\n")
    (other,) = acme("signing-key", "list", "--json").data["signing_keys"]
    assert other["id"] != key["id"]
    assert other["state"] == "signs"
    again = acme("signing-key", "revoke", key["id"])
    assert again.status == 1
    assert "there is no signing key" in again.err


def test_a_rotated_key_is_published_before_it_signs(acme: Lastcall) -> None:
    sign_in("one")
    done = acme("signing-key", "rotate", "--json")
    assert set(done.data) == {"id", "signs_from"}
    keys = acme("signing-key", "list", "--json").data["signing_keys"]
    assert [key["state"] for key in keys] == ["signs", "next"]
    assert keys[1]["id"] == done.data["id"]
    table = acme("signing-key", "list").out
    assert table.splitlines()[0].split() == ["ID", "STATE", "SIGNS", "FROM"]
    assert max(map(len, table.splitlines())) <= 80
