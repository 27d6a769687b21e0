"""The whole server as an ASGI application, and how a server process makes it."""

from collections.abc import Sequence

from lastcall.clock import Clock, Entropy, SystemClock, lease_clock, system_entropy
from lastcall.missing import needs
from lastcall.settings import Settings, load

with needs("its dependencies", "server", "lastcall.server"):
    from lastcall.http import api
    from lastcall.http.app import App, ErrorPage
    from lastcall.http.endpoint import AnyEndpoint
    from lastcall.identity.passwords import Passwords
    from lastcall.node import Node
    from lastcall.web import pages

ENDPOINTS: Sequence[AnyEndpoint] = [*api.ENDPOINTS, *pages.ENDPOINTS]


def create_app(
    settings: Settings,
    *,
    node: Node | None = None,
    clock: Clock | None = None,
    entropy: Entropy = system_entropy,
    passwords: Passwords | None = None,
    endpoints: Sequence[AnyEndpoint] = ENDPOINTS,
    error_page: ErrorPage | None = pages.ERROR_PAGE,
) -> App:
    """Make the server. It may be mounted under a path of another ASGI application.

    A node that is given stays the caller's to close. Otherwise one is opened as the application
    starts, or with the first request where nobody starts a mounted one; `App.close` closes it.

    Raises TypeError for an endpoint that doesn't say who may call it.
    """

    async def open_node() -> Node:
        return node or await Node.open(
            settings, clock=clock, entropy=entropy, passwords=passwords, serving=True
        )

    counted = node.clock if node is not None else clock or SystemClock()
    return App(
        settings,
        endpoints,
        open_node,
        error_page,
        closes=node is None,
        lease_clock=lease_clock if isinstance(counted, SystemClock) else counted.lease,
    )


def app_from_environment() -> App:
    """Make the server from the environment, for server processes that start others.

    Raises SettingsError.
    """
    return create_app(load())
