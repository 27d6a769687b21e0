"""Starlette, and any other ASGI application.

app.add_middleware(LastcallMiddleware, verifier=verifier)

async def me(request: Request) -> Response:
session = visit(request).require()
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import quote

from lastcall.errors import Error
from lastcall.integrations.core import VARY, WEBSOCKET, Answer, Asked, Gate, Visit
from lastcall.integrations.signing_in import client_in
from lastcall.remote.model import Client
from lastcall.verifier.checking import Checker

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY: Final = "lastcall"
"""Where the scope of a request holds its visit."""
_POLICY_VIOLATION: Final = 1008
_VARY: Final = (b"vary", ", ".join(VARY).lower().encode("ascii"))


class HasScope(Protocol):
    """A request or WebSocket of a framework on ASGI."""

    @property
    def scope(self) -> Mapping[str, object]:
        """Its ASGI scope."""


def visit(request: HasScope) -> Visit:
    """Give who asks. Raises RuntimeError where the middleware is missing."""
    found = request.scope.get(KEY)
    if not isinstance(found, Visit):
        raise RuntimeError("add lastcall's middleware to the application: LastcallMiddleware")  # noqa: TRY004
    return found


def client_of(request: HasScope) -> Client:
    """Give what signs in with a request from the application's own page, for
    `lastcall.Sessions.start`. Raises CsrfFailed for one from another site."""
    client = request.scope.get("client")
    ip = client[0] if isinstance(client, Sequence) and client else None
    return client_in(asked_by(request.scope), ip)


class LastcallMiddleware:
    """Finds out who asks, for each request and WebSocket; sends browsers with a run-out access
    token to renew it; and answers what `visit(request).require()` raises."""

    def __init__(self, app: App, verifier: Checker, *, public_url: str | None = None) -> None:
        """`public_url` is the server's as browsers know it; learnt unless given."""
        self._app = app
        self._gate = Gate(verifier, public_url=public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = asked_by(scope)
        found = await self._gate.avisit(asked)
        if found.found is None and (answer := self._gate.renewal(asked, found)) is not None:
            await _answer(scope, send, answer)
            return
        started = False

        def note(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            if found.used and message["type"] == "http.response.start":
                # Not appended: the list is the response's own, which may be sent once more.
                message["headers"] = [*message.get("headers", ()), _VARY]
            return send(message)

        try:
            scope[KEY] = found
            await self._app(scope, receive, note)
        except Error as error:
            if started:
                raise
            await _answer(scope, send, self._gate.refuse(asked, error))


def asked_by(scope: Mapping[str, Any]) -> Asked:
    """Show a request of ASGI."""
    given: Sequence[tuple[bytes, bytes]] = scope["headers"]
    authorization: list[str] = []
    cookies: list[str] = []
    for key, value in given:
        if key == b"cookie":
            cookies.append(value.decode("latin-1"))
        elif key == b"authorization":
            authorization.append(value.decode("latin-1"))

    def headers(name: str) -> list[str]:
        wanted = name.encode("latin-1")
        return [value.decode("latin-1") for key, value in given if key == wanted]

    method = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
    return Asked(method, authorization, cookies, lambda: _target(scope), headers)


def _target(scope: Mapping[str, Any]) -> str:
    """Give the path and query, as they were sent."""
    path: bytes = scope.get("raw_path") or quote(scope["path"]).encode("latin-1")
    query: bytes = scope.get("query_string", b"")
    return (path + b"?" + query if query else path).decode("latin-1")


async def _answer(scope: Scope, send: Send, answer: Answer) -> None:
    websocket = scope["type"] == "websocket"
    if websocket and "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        return
    kind = "websocket.http.response" if websocket else "http.response"
    body = b"" if scope.get("method") == "HEAD" else answer.body
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": f"{kind}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
