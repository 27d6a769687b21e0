"""The operations as functions of a node in this process, beside the same work done bare."""

from collections.abc import Awaitable, Callable, Iterator
from itertools import cycle

from benchmarks.floor import Floor
from benchmarks.measure import Calls, Case, Tasks
from benchmarks.scene import CLIENTS, Scene
from lastcall.node import Node

Operation = Callable[[], Awaitable[object]]


def cases(scene: Scene, node: Node, floor: Floor) -> list[Case]:
    """Give the cases on a node and a floor, each with a copy of the scene's database."""
    sessions, few = node.sessions, scene.few
    user_id, session_id, token = few.user.id, few.session_id, few.tokens.access_token
    refreshed = cycle([tokens.session.id for tokens in scene.refreshing])
    clients = [refreshing(node, tokens.refresh_token) for tokens in scene.refreshing]
    return [
        *_both(
            "node.refresh",
            clients,
            Calls("SQL, commit + ES256", lambda: floor.refresh(next(refreshed))),
        ),
        *_both(
            "node.authenticate",
            [lambda: sessions.authenticate(token)] * CLIENTS,
            Calls("ES256 check + SQL", lambda: floor.authenticate(session_id)),
        ),
        *_both(
            "node.list-10",
            [lambda: sessions.list(user_id, "active")] * CLIENTS,
            Calls("SQL", lambda: floor.rows(user_id)),
        ),
    ]


def _both(name: str, operations: list[Operation], floor: Calls) -> Iterator[Case]:
    for number in (1, CLIENTS):
        yield Case(name, number, Tasks("lastcall", operations[:number]), (floor,))


def refreshing(node: Node, token: str) -> Operation:
    """Refresh with the token that was got last."""

    async def refresh() -> None:
        nonlocal token
        token = (await node.sessions.refresh(token, "127.0.0.1")).refresh_token

    return refresh
