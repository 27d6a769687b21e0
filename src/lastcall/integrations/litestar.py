"""Litestar.

@get("/me")
async def me(session: CurrentSession) -> str:
    return session.user_id

app = Litestar([me], plugins=[LastcallPlugin(verifier)])
"""

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any, Final
from urllib.parse import unquote

from lastcall.credentials import SCHEMES
from lastcall.errors import Error
from lastcall.integrations.core import Gate
from lastcall.integrations.starlette import App, LastcallMiddleware, asked_by, client_of, visit
from lastcall.missing import needs
from lastcall.verifier.checking import Checker
from lastcall.verifier.session import Session

with needs("Litestar", "litestar"):
    from litestar import asgi
    from litestar.config.app import AppConfig
    from litestar.connection import ASGIConnection, Request
    from litestar.di import NamedDependency, Provide
    from litestar.handlers import ASGIRouteHandler, BaseRouteHandler, HTTPRouteHandler
    from litestar.middleware import DefineMiddleware
    from litestar.openapi.spec import Components, SecurityScheme
    from litestar.plugins import InitPlugin, ReceiveRoutePlugin
    from litestar.response import Response
    from litestar.routes import BaseRoute, HTTPRoute
    from litestar.types import Receive, Scope, Send

__all__ = [
    "CurrentSession",
    "LastcallPlugin",
    "OptionalSession",
    "client_of",
    "mount",
    "requires",
    "visit",
]

CurrentSession = NamedDependency[Session]
"""The live session that asks; who has none is refused. The parameter is called `session`."""
OptionalSession = NamedDependency[Session | None]
"""The live session that asks, or None. The parameter is called `optional_session`."""

_BEARER: Final = "lastcall-bearer"
_COOKIE: Final = "lastcall-cookie"
_MIDDLEWARE: Final[Any] = LastcallMiddleware  # Litestar has types of its own for ASGI
Connection = ASGIConnection[Any, Any, Any, Any]


class _Guard:
    """Lets those in whom `Visit.require` lets in."""

    def __init__(self, roles: tuple[str, ...], max_age: int | None) -> None:
        self._roles = roles
        self._max_age = max_age

    async def __call__(self, connection: Connection, _: BaseRouteHandler) -> None:
        visit(connection).require(*self._roles, max_age=self._max_age)


def requires(*roles: str, max_age: int | None = None) -> _Guard:
    """Give a guard: a live session must ask, with one of the roles, where any are named, and whose
    user has proved who they are at most `max_age` seconds ago.

    It raises what `Visit.require` raises; the plugin answers that.
    """
    return _Guard(roles, max_age)


def _session(request: Connection) -> Session:
    return visit(request).require()


def _optional(request: Connection) -> Session | None:
    return visit(request).session


def mount(path: str, app: App) -> ASGIRouteHandler:
    """Give a handler that serves an ASGI application, such as `create_app(…)`, under a path. What
    Litestar mounts by itself is told every path with a slash at its end, and no root path."""

    @asgi(path, is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        whole = unquote(scope["raw_path"].partition(b"?")[0].decode("latin-1"))
        root = scope.get("root_path", "") + path.rstrip("/")
        await app({**scope, "path": whole, "root_path": root}, receive, send)  # type: ignore[arg-type]

    return mounted


class LastcallPlugin(InitPlugin, ReceiveRoutePlugin):
    """Adds the middleware, the answers to who may not go on, what OpenAPI says of it, and two
    dependencies: `session`, without which one is refused, and `optional_session`, or None.

    What an application has of these names, or says of lastcall.Error, goes before.
    """

    def __init__(self, verifier: Checker, *, public_url: str | None = None) -> None:
        """`public_url` is the server's as browsers know it; learnt unless given."""
        self._verifier = verifier
        self._public_url = public_url
        self._gate = Gate(verifier, public_url=public_url)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add all that to an application."""
        given = {"verifier": self._verifier, "public_url": self._public_url}
        app_config.middleware.insert(0, DefineMiddleware(_MIDDLEWARE, **given))
        app_config.exception_handlers.setdefault(Error, self._refuse)
        app_config.after_exception.append(_leave_to_the_middleware)
        for name, found in (("session", _session), ("optional_session", _optional)):
            app_config.dependencies.setdefault(name, Provide(found, sync_to_thread=False))
        if app_config.openapi_config is not None:
            openapi = copy(app_config.openapi_config)
            others = openapi.components
            openapi.components = [*(others if isinstance(others, list) else [others]), _schemes()]
            app_config.openapi_config = openapi
        return app_config

    def receive_route(self, route: BaseRoute) -> None:
        """Have OpenAPI say which calls need a session, and which take one."""
        if not isinstance(route, HTTPRoute):
            return
        for handler in route.route_handlers:
            needed = _needed(handler)
            if needed is not None and handler.security is None:
                ways: list[dict[str, list[str]]] = [{_BEARER: []}, {_COOKIE: []}]
                handler.security = ways if needed else [{}, *ways]

    def _refuse(self, request: Request[Any, Any, Any], error: Error) -> Response[bytes]:
        answer = self._gate.refuse(asked_by(request.scope), error)
        return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))


async def _leave_to_the_middleware(error: Exception, scope: Mapping[str, object]) -> None:
    """Let an error of a WebSocket pass: Litestar would close it without a word, and asks none of
    the exception handlers."""
    if isinstance(error, Error) and scope["type"] == "websocket":
        raise error


def _needed(handler: HTTPRouteHandler) -> bool | None:
    """Whether a call needs a session; None where it takes none."""
    if any(isinstance(guard, _Guard) for guard in handler.resolve_guards()):
        return True
    provided = handler.resolve_dependencies()
    used = {
        provide.dependency for provide in _used(handler.parsed_fn_signature.parameters, provided)
    }
    if _session in used:
        return True
    return False if _optional in used else None


def _used(names: Iterable[str], provided: Mapping[str, Provide]) -> Iterable[Provide]:
    """Give the dependencies of these names, and those that they need themselves."""
    for name in names:
        if name in provided:
            yield provided[name]
            yield from _used(provided[name].parsed_fn_signature.parameters, provided)


def _schemes() -> Components:
    bearer, cookie = SCHEMES["bearer"], SCHEMES["cookie"]
    return Components(
        security_schemes={
            _BEARER: SecurityScheme(
                type="http", scheme=bearer["scheme"], bearer_format=bearer["bearerFormat"]
            ),
            _COOKIE: SecurityScheme(
                type="apiKey",
                security_scheme_in="cookie",
                name=cookie["name"],
                description=cookie["description"],
            ),
        }
    )
