"""Applications that sign their users in by themselves, one on each framework: whoever posts to
/begin is the user 7."""

from typing import Any, Final

from a2wsgi import WSGIMiddleware
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from fastapi import FastAPI
from fastapi.responses import JSONResponse as FastAPIResponse
from flask import Flask
from flask import Response as FlaskResponse
from litestar import Litestar, post
from litestar.connection import Request as LitestarRequest
from litestar.response import Response as LitestarResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lastcall.integrations import django, fastapi, flask, litestar, starlette
from lastcall.remote.sessions import SessionsOver
from lastcall.verifier.checking import Checker
from tests.integrations.applications import on_django

USER: Final = "7"


def on_starlette(verifier: Checker, sessions: SessionsOver) -> Any:  # noqa: ANN401
    async def begin(request: Request) -> JSONResponse:
        started = await sessions.astart(USER, client=starlette.client_of(request))
        response = JSONResponse({})
        started.set_cookies(response)
        return response

    middleware = [Middleware(starlette.LastcallMiddleware, verifier=verifier)]
    return Starlette(routes=[Route("/begin", begin, methods=["POST"])], middleware=middleware)


def on_fastapi(verifier: Checker, sessions: SessionsOver) -> Any:  # noqa: ANN401
    app = FastAPI()
    app.add_middleware(fastapi.LastcallMiddleware, verifier=verifier)

    @app.post("/begin")
    def begin(request: Request, response: FastAPIResponse) -> dict[str, str]:
        started = sessions.start(USER, client=fastapi.client_of(request))
        started.set_cookies(response)
        return {}

    return app


def on_litestar(verifier: Checker, sessions: SessionsOver) -> Any:  # noqa: ANN401
    @post("/begin", status_code=200)
    async def begin(request: LitestarRequest[Any, Any, Any]) -> LitestarResponse[dict[str, str]]:
        started = await sessions.astart(USER, client=litestar.client_of(request))
        response: LitestarResponse[dict[str, str]] = LitestarResponse({})
        started.set_cookies(response)
        return response

    return Litestar([begin], plugins=[litestar.LastcallPlugin(verifier)])


def on_flask(verifier: Checker, sessions: SessionsOver) -> Any:  # noqa: ANN401
    app = Flask(__name__)
    flask.Lastcall(app, verifier=verifier)

    @app.post("/begin")
    def begin() -> FlaskResponse:
        response = FlaskResponse()
        sessions.start(USER, client=flask.client_of()).set_cookies(response)
        return response

    return WSGIMiddleware(app)  # type: ignore[arg-type]


def on_django_sync(verifier: Checker, sessions: SessionsOver) -> Any:  # noqa: ANN401
    def begin(request: HttpRequest) -> HttpResponse:
        started = sessions.start(USER, client=django.client_of(request))
        response = JsonResponse({})
        started.set_cookies(response)
        return response

    return WSGIMiddleware(on_django.make(verifier, (path("begin", begin),)))


def on_django_async(verifier: Checker, sessions: SessionsOver) -> Any:  # noqa: ANN401
    async def begin(request: HttpRequest) -> HttpResponse:
        started = await sessions.astart(USER, client=django.client_of(request))
        response = JsonResponse({})
        started.set_cookies(response)
        return response

    return on_django.make_async(verifier, (path("begin", begin),))


FRAMEWORKS: Final = {
    "starlette": on_starlette,
    "fastapi": on_fastapi,
    "litestar": on_litestar,
    "flask": on_flask,
    "django": on_django_sync,
    "django-async": on_django_async,
}
