"""The shop and the server on one origin, under any ASGI server."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from django.core.asgi import get_asgi_application
from starlette.applications import Starlette
from starlette.routing import Mount

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django = get_asgi_application()

from shop.auth import server  # noqa: E402  once Django is set up


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Open lastcall.db in this folder, and close it at the end."""
    await server.open()
    yield
    await server.close()


application = Starlette(routes=[Mount("/auth", server), Mount("/", django)], lifespan=lifespan)
