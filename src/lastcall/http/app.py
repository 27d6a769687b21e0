"""The server as an ASGI application: opens the node, finds the endpoint, answers, and survives."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from lastcall.clock import lease_clock
from lastcall.errors import (
    Error,
    InvalidToken,
    NotFound,
    ReauthenticationRequired,
    SessionEnded,
    SettingsError,
    StoreError,
    TokenMissing,
    Unavailable,
)
from lastcall.http import feed, health, problems, well_known
from lastcall.http.endpoint import API, AnyEndpoint, by_path
from lastcall.http.headers import SecurityHeaders
from lastcall.http.mounted import NodeVerifier, Serving, Within
from lastcall.http.site import KEY, Site, base_path, site_of
from lastcall.ids import AccountId
from lastcall.local import local_path
from lastcall.node import Node
from lastcall.problems import MethodNotAllowed, Problem, UpgradeRequired, headers_of, problem_of
from lastcall.remote.sessions import SessionsOver
from lastcall.settings import Settings

log = logging.getLogger("lastcall.http")

ErrorPage = Callable[[Request, Problem], Response]
"""Shows a problem to a person."""


class BrokenOff(Exception):
    """An answer failed half way; what failed has been reported."""


class App:
    """Serves declared endpoints. The node is opened at the start or, where nobody starts a mounted
    application, with the first request."""

    def __init__(
        self,
        settings: Settings,
        endpoints: Sequence[object],
        open_node: Callable[[], Awaitable[Node]],
        error_page: ErrorPage | None = None,
        *,
        closes: bool = True,
        lease_clock: Callable[[], float] = lease_clock,
    ) -> None:
        resources = {
            path: _Resource(path, methods, error_page)
            for path, methods in by_path(endpoints).items()
        }
        self._base = settings.base_path
        self._open_node = open_node
        self._opening = asyncio.Lock()
        self._site: Site | None = None
        self._closed = False
        self._tried = 0
        """How often it was opened, or could not be."""
        self._closes = closes
        self._asked_at = float("-inf")
        """When a request came last."""
        self._lease_clock = lease_clock
        self._serving = Serving(self._node, settings.public_url)
        self._verifier = NodeVerifier(self._serving, None, lease_clock)
        self._error_page = error_page
        # A fixed path goes before one that has a parameter in the same place. It is looked up: a
        # router tries one after another, a microsecond each.
        self._fixed = {path: found for path, found in resources.items() if "{" not in path}
        self._routed = Router(
            [Route(path, found) for path, found in resources.items() if "{" in path],
            redirect_slashes=False,
            default=self._nowhere,
        ).app
        self._http = SecurityHeaders(
            self._serve, secure=settings.secure, own_origin=not settings.base_path
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        match scope["type"]:
            case "lifespan":
                await self._live(receive, send)
            case "http":
                await self._http(scope, receive, send)
            case "websocket" if _path(self._rooted(scope)) == feed.PATH:
                await self._feed(scope, receive, send)
            case _:
                await receive()  # the handshake's own message
                await feed.refuse(NotFound(), scope, receive, send)

    async def open(self) -> Site:
        """Open the node, once; anew where it was closed. Raises SettingsError, StoreError and their
        children, Unavailable."""
        self._closed = False
        return await self._opened()

    async def _opened(self) -> Site:
        """Do so for whoever needs the node; those who come meanwhile share what comes of it. Raises
        Unavailable too once it was closed: nobody would close it again."""
        if self._site is None:
            tried = self._tried
            async with self._opening:
                if self._closed:
                    raise Unavailable("the server of this process was stopped")
                if self._site is None:
                    if tried != self._tried:
                        raise _cannot_start()
                    try:
                        node = await self._open_node()
                        if self._closes:
                            await _start(node)
                    finally:
                        self._tried += 1
                    self._site = Site.of(node, self._verifier)
                    self._serving.opened(node)
        return self._site

    async def setup_url(self) -> str | None:
        """Give a link for whoever starts the application: with it the first owner sets up their
        organisation, once, within the hour. None where there is one already.

        Raises what `open` raises.
        """
        offered = await (await self._node()).links.offer_setup()
        return f"{self._serving.public_url}/setup?token={offered[0]}" if offered else None

    @property
    def metadata_route(self) -> Route:
        """The route of the server's metadata for the root of an application that has this one
        mounted under a path: there they are looked for (RFC 8414, section 3.1)."""
        return well_known.metadata_route(self, self._base)

    @property
    def verifier(self) -> NodeVerifier:
        """Checks access tokens in this process, as `lastcall.Verifier` does elsewhere: those of all
        accounts of this server, so that what is found says which (`Session.account_id`)."""
        return self._verifier

    def verifier_for(self, account_id: str) -> NodeVerifier:
        """Do the same for one account; tokens of the others are refused."""
        return NodeVerifier(self._serving, AccountId(account_id), self._lease_clock)

    def sessions(self, account: str | None = None) -> SessionsOver:
        """Start and end sessions of an application's own users in this process, as
        `lastcall.Sessions` does elsewhere, without a key. They belong to the account of this name,
        which is added where it isn't there; or else to the only one."""
        return SessionsOver(Within(self, self._serving, account))

    async def _node(self) -> Node:
        return (await self._opened()).node

    def drain(self) -> None:
        """Say at `/readyz` from now on that the server is being stopped; all else goes on."""
        if self._site is not None:
            self._site = replace(self._site, draining=True)

    @property
    def draining(self) -> bool:
        """Whether it says so."""
        return self._site is not None and self._site.draining

    def quiet_for(self) -> float:
        """For how many seconds nobody has asked for anything, but whether all is well."""
        return self._lease_clock() - self._asked_at

    def hang_up(self) -> bool:
        """End what never ends by itself, the streams of open pages and the feeds of verifiers, and
        what may wait for long, those who wait for a confirmation: the server is stopping. Whether
        verifiers were asked to go over to another node."""
        if self._site is None:
            return False
        self._site.node.live.stop()
        self._site.node.confirmations.stop()
        return self._site.node.leases.stop()

    async def close(self) -> None:
        """Close the node that was opened here, or is about to be."""
        self._closed = True
        async with self._opening:
            site, self._site = self._site, None
            self._serving.opened(None)
            if site is not None and self._closes:
                await site.node.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.open()
                except Error as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                except Exception as error:  # noqa: BLE001  reported, and the start fails
                    # A server would take what is raised here for "no lifespan", and go on.
                    problems.report(error)
                    name = type(error).__name__
                    await send({"type": "lifespan.startup.failed", "message": name})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        def note(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            return send(message)

        scope = self._rooted(scope)
        path = _path(scope)
        if path not in health.PATHS:
            self._asked_at = self._lease_clock()
        try:
            scope[KEY] = self._site or await self._opened()
            await self._fixed.get(path, self._routed)(scope, receive, note)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  reported, and answered or broken off
            if isinstance(error, SettingsError | StoreError):
                log.error("the server can't start: %s", error)  # noqa: TRY400  no trace: advice
                error = _cannot_start()
            elif started or not isinstance(error, Unavailable):
                problems.report(error)
            if started:
                # The connection must not look like a complete answer; the error's own words, which
                # may hold a secret, are not for the log of whatever serves this.
                raise BrokenOff from None
            await problems.answer(error)(scope, receive, send)

    async def _feed(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            site = self._site or await self._opened()
        except Error as error:
            problems.report(error)
            await receive()  # the handshake's own message
            await feed.refuse(Unavailable("the server can't start"), scope, receive, send)
            return
        await feed.serve({**scope, KEY: site}, receive, send)

    def _rooted(self, scope: Scope) -> Scope:
        """Take the public URL's path for the root, where a proxy passes it on."""
        path: str = scope["path"]
        if self._base and not scope.get("root_path") and path.startswith(self._base + "/"):
            return {**scope, "root_path": self._base}
        return dict(scope)

    async def _nowhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        path = _path(scope)
        if path == feed.PATH:
            await problems.answer(UpgradeRequired())(scope, receive, send)
            return
        person = "text/html" in request.headers.get("accept", "") and not path.startswith(API)
        response = _refuse(request, NotFound(), self._error_page if person else None)
        await response(scope, receive, send)


def _cannot_start() -> Unavailable:
    return Unavailable("the server can't start; its log says why", retry_after=10)


async def _start(node: Node) -> None:
    """Have a node begin to serve. Raises what that does, and then nobody else has the node."""
    try:
        await node.leases.start()
    except BaseException:
        await node.let_go()
        raise


def _path(scope: Scope) -> str:
    """Give the path under the root."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class _Resource:
    """The methods of one path, as the ASGI application of its route."""

    def __init__(
        self, path: str, methods: dict[str, AnyEndpoint], error_page: ErrorPage | None
    ) -> None:
        self._path = path
        self._methods = methods
        self._error_page = error_page
        self._allow = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        endpoint = self._methods.get(method)
        node = scope[KEY].node
        started = node.clock.monotonic()
        request = Request(scope, receive, send)
        if endpoint is None:
            page = any(endpoint.page for endpoint in self._methods.values())
            refused = MethodNotAllowed(self._allow)
            response = _refuse(request, refused, self._error_page if page else None)
        else:
            response = await self._answer(endpoint, request)
        seconds = node.clock.monotonic() - started
        # A method of somebody's own making is no label: labels are few.
        label = method if endpoint is not None else "other"
        node.metrics.answered(label, self._path, response.status_code, seconds)
        await response(scope, receive, send)

    async def _answer(self, endpoint: AnyEndpoint, request: Request) -> Response:
        try:
            return await endpoint.serve(request)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  the last resort (ASVS 16.5.4)
            if problem_of(error).status == 500:
                problems.report(error)
            if not endpoint.page:
                return problems.answer(error, oauth=endpoint.oauth)
            return _turn_back(endpoint, request, error) or _refuse(request, error, self._error_page)


def _refuse(request: Request, error: Exception, error_page: ErrorPage | None) -> Response:
    if error_page is None:
        return problems.answer(error)
    response = error_page(request, problem_of(error))
    response.headers.update(headers_of(error))
    return response


def _turn_back(endpoint: AnyEndpoint, request: Request, error: Exception) -> Response | None:
    """Send a person whose proof doesn't do on to where they can renew it, and back from there."""
    match error:
        case SessionEnded():
            way = "/sign-in"
        case TokenMissing() | InvalidToken():
            way = "/renew" if site_of(request).cookies.has(request, "refresh") else "/sign-in"
        case ReauthenticationRequired():
            way = "/reauthenticate"
        case _:
            return None
    base = base_path(request)
    back = base + endpoint.back
    if endpoint.method == "GET":
        path = quote(_path(request.scope))
        query = request.scope["query_string"].decode("latin-1")
        back = local_path(f"{base}{path}?{query}" if query else base + path, back)
    return RedirectResponse(f"{base}{way}?next={quote(back)}", 303)
