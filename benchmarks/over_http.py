"""The operations over HTTP, each beside a bare route and beside a route that does the bare work."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

from benchmarks.client import OverHttp, User, always, request
from benchmarks.measure import Case
from benchmarks.scene import CLIENTS, PASSWORD, Person, Scene

API = "/api/v1"
NUMBERS = (1, CLIENTS)
"""How many clients at a time."""
SIGN_IN_LENGTH = 3.0
"""A sign-in takes a tenth of a second, by design."""


def cases(scene: Scene, lastcall: int, floor: int, ends_a_turn: int) -> list[Case]:
    """Give the cases against servers on these ports; no turn ends more sessions than so many."""

    def bare(clients: int) -> OverHttp:
        ask = request("GET", "/bare")
        return OverHttp("bare route", floor, lambda: [always(ask)] * clients)

    def same(what: str, path: str, clients: int) -> OverHttp:
        ask = request("GET", path)
        return OverHttp(what, floor, lambda: [always(ask)] * clients)

    def get(name: str, path: str, floor_path: str, person: Person, clients: int) -> Case:
        ask = request("GET", path, token=person.tokens.access_token)
        return Case(
            name,
            clients,
            OverHttp("lastcall", lastcall, lambda: [always(ask)] * clients),
            (
                bare(clients),
                same("ES256 check + SQL", f"/{floor_path}/{person.session_id}", clients),
            ),
        )

    return [
        *_refresh(scene, lastcall, floor, bare),
        _sign_in(scene, lastcall, same),
        *(get("session", f"{API}/session", "session", scene.few, n) for n in NUMBERS),
        *(get("list-10", f"{API}/sessions", "sessions", scene.few, n) for n in NUMBERS),
        *(get("list-1000", f"{API}/sessions", "sessions", scene.many, n) for n in NUMBERS),
        *_terminate(scene, lastcall, floor, bare, ends_a_turn),
    ]


class Refreshing:
    """A client that shows the refresh token that it got last."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.user = User(self._ask, self._hear)

    def _ask(self) -> bytes:
        body = json.dumps({"refresh_token": self._token}).encode()
        return request("POST", f"{API}/refresh", body)

    def _hear(self, body: bytes) -> None:
        self._token = json.loads(body)["refresh_token"]


def _refresh(
    scene: Scene, lastcall: int, floor: int, bare: Callable[[int], OverHttp]
) -> Iterator[Case]:
    clients = [Refreshing(tokens.refresh_token).user for tokens in scene.refreshing]
    floors = [
        always(request("POST", f"/refresh/{tokens.session.id}", b"{}"))
        for tokens in scene.refreshing
    ]
    for number in NUMBERS:
        yield Case(
            "refresh",
            number,
            OverHttp("lastcall", lastcall, first(clients, number)),
            (
                bare(number),
                OverHttp("SQL, commit + ES256", floor, first(floors, number)),
            ),
        )


def first(users: list[User], number: int) -> Callable[[], list[User]]:
    """Give what makes a turn's clients: the first so many."""
    return lambda: users[:number]


def _sign_in(scene: Scene, lastcall: int, same: Callable[[str, str, int], OverHttp]) -> Case:
    body = json.dumps({"email": scene.signing_in, "password": PASSWORD}).encode()
    ask = request("POST", f"{API}/sign-in", body)
    return Case(
        "sign-in",
        1,
        OverHttp("lastcall", lastcall, lambda: [always(ask)]),
        (same("argon2id", "/sign-in", 1),),
        SIGN_IN_LENGTH,
    )


def _terminate(
    scene: Scene, lastcall: int, floor: int, bare: Callable[[int], OverHttp], ends_a_turn: int
) -> Iterator[Case]:
    caller = scene.ending
    own = ending(caller, ends_a_turn)
    other = _turns(
        caller, ends_a_turn, lambda name: request("GET", f"/terminate/{caller.session_id}/{name}")
    )
    for number in NUMBERS:
        yield Case(
            "terminate",
            number,
            OverHttp("lastcall", lastcall, partial(own, number)),
            (
                bare(number),
                OverHttp("ES256 check + SQL, commit", floor, partial(other, number)),
            ),
        )


def ending(caller: Person, ends_a_turn: int) -> Callable[[int], list[User]]:
    """Give what makes a turn's clients, so many, who end the person's other sessions."""
    token = caller.tokens.access_token
    return _turns(
        caller,
        ends_a_turn,
        lambda name: request("DELETE", f"{API}/sessions/{name}", token=token),
    )


def _turns(
    caller: Person, ends_a_turn: int, write: Callable[[str], bytes]
) -> Callable[[int], list[User]]:
    """Give each turn's clients their share of the sessions, which end once."""
    rest = iter(caller.others)

    def clients(number: int) -> list[User]:
        share = islice(rest, ends_a_turn)

        def ask() -> bytes | None:
            session_id = next(share, None)
            return None if session_id is None else write(session_id)

        return [User(ask)] * number

    return clients
