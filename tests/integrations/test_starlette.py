"""What the ASGI middleware does beyond what all integrations promise."""

from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient, WebSocketDenialResponse

from lastcall import Verifier
from lastcall.errors import NotFound
from lastcall.integrations.starlette import LastcallMiddleware, Message, Receive, Scope, Send, visit
from lastcall.node import Node
from lastcall.server import create_app
from lastcall.verifier.checking import Checker
from tests.integrations.conftest import ORIGIN, Site, cookies
from tests.support.nodes import add_user, calls, set_up


@pytest.fixture
async def verifier(node: Node) -> Any:  # noqa: ANN401
    """That of a server in this process."""
    await set_up(node)
    server = create_app(node.settings, node=node)
    await server.open()
    yield server.verifier
    await server.close()


async def nothing() -> Message:
    return {"type": "websocket.connect"}


def scope_of(kind: str = "http", **more: object) -> Scope:
    return {
        "type": kind, "method": "GET", "path": "/ä b", "query_string": b"c=d", "headers": [], **more
    }  # fmt: skip


async def sent(verifier: Checker, app: Any, scope: Scope) -> list[Message]:  # noqa: ANN401
    """What the middleware sends."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await LastcallMiddleware(app, verifier)(scope, nothing, send)
    return messages


async def requiring(scope: Scope, _receive: Receive, _send: Send) -> None:
    visit(HTTPConnection(scope)).require()


@pytest.mark.parametrize("site", ["fastapi", "litestar", "starlette"], indirect=True)
async def test_a_websocket_has_a_session_too(site: Site) -> None:
    """A page's own, by its cookies; refused with what is wrong, before it opens."""
    tokens = await site.sign_in()
    client = TestClient(site.app, ORIGIN)
    own = {"cookie": cookies(tokens), "origin": ORIGIN}
    with client.websocket_connect("/talk", headers=own) as socket:
        assert socket.receive_text() == tokens.session.user_id
    for origin, status in (("https://evil.example", 403), (None, 401)):
        headers = {"cookie": cookies(tokens), "origin": origin} if origin else {}
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            client.websocket_connect("/talk", headers=headers),
        ):
            pass
        assert refused.value.status_code == status


@pytest.mark.parametrize("site", ["fastapi", "litestar"], indirect=True)
async def test_a_router_asks_for_a_role_of_its_websockets_too(site: Site) -> None:
    owner = (await calls(site.node, site.owner)).user
    await add_user(site.node, owner, "grace@example.com")
    member = await site.sign_in("grace@example.com")
    client = TestClient(site.app, ORIGIN)
    good = {"authorization": f"Bearer {site.owner.access_token}"}
    with client.websocket_connect("/admin/talk", headers=good) as socket:
        assert socket.receive_text() == "admin"
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(
            "/admin/talk", headers={"authorization": f"Bearer {member.access_token}"}
        ),
    ):
        pass
    assert (refused.value.status_code, refused.value.json()["code"]) == (403, "forbidden")


async def test_a_websocket_is_closed_where_the_server_can_say_no_more(verifier: Checker) -> None:
    messages = await sent(verifier, requiring, scope_of("websocket"))
    assert messages == [{"type": "websocket.close", "code": 1008}]


async def test_a_path_that_came_in_no_other_form_is_encoded(verifier: Checker) -> None:
    headers = [(b"accept", b"text/html")]
    start, _ = await sent(verifier, requiring, scope_of(headers=headers))
    assert dict(start["headers"])[b"location"] == b"/sign-in?next=%2F%25C3%25A4%2520b%3Fc%3Dd"


async def test_a_head_request_gets_no_body(verifier: Checker) -> None:
    start, body = await sent(verifier, requiring, scope_of(method="HEAD"))
    assert (start["status"], body["body"]) == (401, b"")
    assert int(dict(start["headers"])[b"content-length"]) > 0


async def test_an_answer_that_has_begun_is_broken_off(verifier: Checker) -> None:
    """Another one in its place would be taken for the rest of it."""

    async def late(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise NotFound

    with pytest.raises(NotFound):
        await sent(verifier, late, scope_of())


async def test_what_is_neither_request_nor_websocket_passes(verifier: Checker) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    await sent(verifier, app, {"type": "lifespan"})
    assert seen == [{"type": "lifespan"}]


def test_without_the_middleware_it_is_said_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="LastcallMiddleware"):
        visit(HTTPConnection(scope_of()))


async def test_before_a_mounted_server_is_open_a_window_is_sent_to_its_pages_too(
    node: Node,
) -> None:
    """Nobody starts a server that is mounted in Starlette; the first request to it does."""
    server = create_app(node.settings, node=node)
    window = [(b"sec-fetch-mode", b"navigate"), (b"cookie", b"x=1")]
    start, *_ = await sent(server.verifier, requiring, scope_of(headers=window))
    assert start["status"] == 303
    assert dict(start["headers"])[b"location"].startswith(b"/sign-in?next=")


async def test_while_nothing_is_known_of_the_server_only_who_shows_a_token_has_to_wait() -> None:
    """A stranger's own cookies say nothing: pages for everybody go on without the server."""
    with Verifier("http://127.0.0.1:9", key="lck_x") as verifier:
        for cookie, status in ((b"", 401), (b"theme=dark", 401), (b"a=1; lastcall-access=x", 503)):
            scope = scope_of(headers=[(b"cookie", cookie)])
            start, *_ = await sent(verifier, requiring, scope)
            assert (cookie, start["status"]) == (cookie, status)
