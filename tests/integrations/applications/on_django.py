"""The application on Django, without its users and sessions: sync under WSGI, and async."""

from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path

from lastcall.integrations.django import session_required
from lastcall.integrations.starlette import App
from lastcall.verifier.checking import Checker

MIDDLEWARE = "lastcall.integrations.django.LastcallMiddleware"
verifier: Checker | None = None
"""What the settings name: that of the test's server."""


def home(request: HttpRequest) -> HttpResponse:
    session = request.lastcall.session
    return JsonResponse({"user": session and session.user_id})


@session_required
def me(request: HttpRequest) -> HttpResponse:
    session = request.lastcall.require()
    return JsonResponse({"user": session.user_id, "session": session.id})


@session_required("admin", "owner")
def admin(_: HttpRequest) -> HttpResponse:
    return JsonResponse({})


@session_required(max_age=600)
def fresh(_: HttpRequest) -> HttpResponse:
    return JsonResponse({})


def public(_: HttpRequest) -> HttpResponse:
    return JsonResponse({})


async def ahome(request: HttpRequest) -> HttpResponse:
    return home(request)


@session_required
async def ame(request: HttpRequest) -> HttpResponse:
    return me(request)


@session_required("admin", "owner")
async def aadmin(_: HttpRequest) -> HttpResponse:
    return JsonResponse({})


async def afresh(request: HttpRequest) -> HttpResponse:
    return fresh(request)


async def apublic(_: HttpRequest) -> HttpResponse:
    return JsonResponse({})


SYNC = (
    path("", home),
    path("me", me),
    path("admin", admin),
    path("fresh", fresh),
    path("public", public),
)
ASYNC = (
    path("", ahome),
    path("me", ame),
    path("admin", aadmin),
    path("fresh", afresh),
    path("public", apublic),
)

settings.configure(
    ALLOWED_HOSTS=["localhost"],
    LASTCALL={"VERIFIER": f"{__name__}.verifier"},
    MIDDLEWARE=[MIDDLEWARE],
    ROOT_URLCONF=SYNC,
    SECRET_KEY="that of tests",
)
django.setup()


def make(checker: Checker, urls: tuple[URLPattern, ...] = SYNC) -> Any:  # noqa: ANN401
    _use(checker, urls)
    return WSGIHandler()


def make_async(checker: Checker, urls: tuple[URLPattern, ...] = ASYNC) -> App:
    _use(checker, urls)
    app: App = ASGIHandler()
    return app


def _use(checker: Checker, urls: Any) -> None:  # noqa: ANN401
    """Begin a test, as a process begins."""
    global verifier  # noqa: PLW0603  the settings name it
    verifier = checker
    settings.ROOT_URLCONF = urls
    setting_changed.send(sender=None, setting="LASTCALL", value=settings.LASTCALL, enter=True)
