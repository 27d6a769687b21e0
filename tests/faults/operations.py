"""What is killed half way: each operation by its request. To add one, add a line."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from tests.faults.machine import BOB, LATE, NEW_PASSWORD, Machine, World
from tests.support.nodes import PASSWORD

_API = "/api/v1"


@dataclass(frozen=True)
class Operation:
    """A request, what is recorded of it, and whom it signs out. What it sends may name what a world
    holds, as `{ada.session}`."""

    name: str
    request: str
    body: Mapping[str, object] = field(default_factory=dict)
    by: str | None = "ada"
    records: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    """The devices whose sessions it ends; all others live."""
    status: int = 200
    later: int = 0

    def ask(self, machine: Machine, world: World, die_at: int = 0) -> httpx.Response | None:
        """Send the request; an answer is what it must be."""
        answer = self.send(machine, world, die_at)
        assert answer is None or answer.status_code == self.status, answer.text
        return answer

    def send(self, machine: Machine, world: World, die_at: int = 0) -> httpx.Response | None:
        """Send the request, whatever is answered."""
        names = {"invitation": world.invitation, **world.devices}
        method, path = self.request.format(**names).split()
        body = {
            key: value.format(**names) if isinstance(value, str) else value
            for key, value in self.body.items()
        }
        return machine.ask(
            method,
            path,
            body or None,
            token=world.devices[self.by].access if self.by else None,
            later=self.later,
            die_at=die_at,
        )


_CHANGE = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

MAIN = (
    Operation(
        "sign-in",
        f"POST {_API}/sign-in",
        {"email": BOB, "password": PASSWORD},
        by=None,
        records=("session.sign_in success",),
    ),
    Operation("refresh", f"POST {_API}/refresh", {"refresh_token": "{bob.refresh}"}, by=None),
    Operation(
        "terminate",
        f"DELETE {_API}/sessions/{{ada_phone.session}}",
        records=("session.terminate success",),
        ends=("ada_phone",),
    ),
    Operation(
        "change the password",
        f"POST {_API}/password",
        _CHANGE,
        records=("user.change_password success",),
        ends=("ada_phone",),
    ),
)
REST = (
    Operation(
        "mistype the password",
        f"POST {_API}/sign-in",
        {"email": BOB, "password": NEW_PASSWORD},
        by=None,
        records=("session.sign_in failure",),
        status=401,
    ),
    Operation(
        "steal a refresh token",
        f"POST {_API}/refresh",
        {"refresh_token": "{bob.used_up}"},
        by=None,
        records=("session.reuse success",),
        ends=("bob",),
        status=401,
        later=LATE,
    ),
    Operation(
        "sign out",
        f"POST {_API}/sign-out",
        records=("session.sign_out success",),
        ends=("ada",),
        status=204,
    ),
    Operation(
        "report",
        f"POST {_API}/sessions/{{ada_phone.session}}/report",
        records=("session.report success",),
        ends=("ada_phone",),
    ),
    Operation(
        "terminate others",
        f"POST {_API}/sessions/terminate-others",
        records=("session.terminate_others success",),
        ends=("ada_phone",),
    ),
    Operation(
        "reauthenticate",
        f"POST {_API}/reauthenticate",
        {"password": PASSWORD},
        records=("session.reauthenticate success",),
    ),
    Operation(
        "change the password alone",
        f"POST {_API}/password",
        {**_CHANGE, "terminate_others": False},
        records=("user.change_password success",),
    ),
    Operation(
        "accept an invitation",
        "POST /invitation",
        {"token": "{invitation}", "password": NEW_PASSWORD},
        by=None,
        records=("user.accept_invitation success", "session.sign_in success"),
        status=303,
    ),
    Operation(
        "log a user out",
        f"POST {_API}/users/{{bob.user}}/logout",
        records=("user.logout success",),
        ends=("bob", "bob_phone"),
    ),
    Operation(
        "log everybody out",
        f"POST {_API}/logout",
        {"all_users": True},
        records=("account.logout success",),
        ends=("ada_phone", "bob", "bob_phone"),
    ),
    Operation(
        "suspend",
        f"PATCH {_API}/users/{{bob.user}}",
        {"status": "suspended"},
        records=("user.suspend success",),
        ends=("bob", "bob_phone"),
    ),
    Operation(
        "change a role",
        f"PATCH {_API}/users/{{bob.user}}",
        {"role": "admin"},
        records=("user.change_role success",),
    ),
    Operation(
        "remove",
        f"DELETE {_API}/users/{{bob.user}}",
        records=("user.remove success",),
        ends=("bob", "bob_phone"),
    ),
    Operation(
        "invite",
        f"POST {_API}/users",
        {"email": "dora@example.com"},
        records=("user.add success", "user.invite success"),
        status=201,
    ),
    Operation(
        "make a key",
        f"POST {_API}/keys",
        {"name": "shop", "scopes": ("sessions",)},
        records=("key.create success",),
        status=201,
    ),
)
