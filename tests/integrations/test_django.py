"""What the Django integration does beyond what all integrations promise."""

import os
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncRequestFactory, Client, RequestFactory, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from lastcall import Verifier
from lastcall.integrations import django_settings
from lastcall.integrations.django import LastcallMiddleware, session_required, visit
from lastcall.integrations.django_settings import configured
from lastcall.verifier.session import Session
from tests.integrations.applications.on_django import SYNC
from tests.integrations.conftest import NAVIGATION, Site, cookies, problem
from tests.support import servers
from tests.support.children import in_child
from tests.verifier.conftest import World, bearer

DJANGO = pytest.mark.parametrize("site", ["django", "django-async"], indirect=True)
NOWHERE = {"ADDRESS": "http://127.0.0.1:9", "KEY": "lck_x"}
looked_for: list[str] = []
USERS = ["django.contrib.auth", "django.contrib.contenttypes"]


def user_of(session: Session) -> object:
    """The user of a session in a project's own table."""
    looked_for.append(session.user_id)
    return SimpleNamespace(name=session.user_id, is_authenticated=True)


def nobody_of(_: Session) -> object:
    """A project that has no such user."""
    return None


def lastcall(**more: object) -> Any:  # noqa: ANN401
    """The settings of the tests' application, and more."""
    given = {"VERIFIER": "tests.integrations.applications.on_django.verifier", **more}
    return override_settings(LASTCALL=given)


def served(*views: tuple[str, object]) -> Any:  # noqa: ANN401
    """Serve these views."""
    return override_settings(ROOT_URLCONF=tuple(path(where, view) for where, view in views))


# Views


@DJANGO
async def test_classes_of_views_ask_for_a_session_as_functions_do(site: Site) -> None:
    @method_decorator(session_required("admin", "owner"), name="dispatch")
    class Sync(View):  # type: ignore[misc]  # there are no types of Django here
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(visit(request).require().user_id)

    @method_decorator(session_required, name="dispatch")
    class Async(View):  # type: ignore[misc]
        async def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(visit(request).require().user_id)

    token = site.owner.access_token
    with served(("sync", Sync.as_view()), ("async", Async.as_view())):
        for where in ("/sync", "/async"):
            assert (await site.ask(where, bearer=token)).text == site.owner.session.user_id
            problem(await site.ask(where), 401, "token_missing")


@DJANGO
async def test_errors_that_are_not_lastcall_s_are_django_s(site: Site) -> None:
    def fails(_: HttpRequest) -> HttpResponse:
        raise PermissionError

    with served(("", fails)), override_settings(DEBUG_PROPAGATE_EXCEPTIONS=False):
        response = await site.ask("/", headers={"accept": "text/html"})
    assert response.status_code == 500
    assert "json" not in response.headers["content-type"]


def test_without_the_middleware_it_is_said_what_to_do() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"LastcallMiddleware.* to MIDDLEWARE"):
        visit(RequestFactory().get("/"))


@DJANGO
async def test_caches_keep_answers_apart_that_depend_on_who_asks(site: Site) -> None:
    """And only those."""
    for where in ("/", "/me"):
        response = await site.ask(where, bearer=site.owner.access_token)
        assert response.headers["vary"] == "Cookie, Authorization"
    assert "vary" not in (await site.ask("/public", bearer=site.owner.access_token)).headers


# Requests


@pytest.mark.parametrize("site", ["django"], indirect=True)
async def test_a_path_is_encoded_for_the_way_back(site: Site) -> None:
    def me(request: HttpRequest, **_: str) -> HttpResponse:
        return HttpResponse(visit(request).require().user_id)

    with served(("<path:rest>", me)):
        response = await site.navigate("/ä b?c=d")
    assert response.headers["location"] == "/sign-in?next=%2F%25C3%25A4%2520b%3Fc%3Dd"


@pytest.mark.parametrize("site", ["django-async"], indirect=True)
async def test_under_asgi_headers_are_read_as_they_came(site: Site) -> None:
    """Django joins them: cookies, which HTTP/2 may bring apart, could not be told any more."""
    token = site.owner.access_token
    twice = [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")]
    problem(await site.ask("/me", more=twice), 400, "invalid_request")
    apart = [("cookie", "a=b"), ("cookie", f"lastcall-access={token}")]
    assert (await site.ask("/me", more=apart)).status_code == 200


@pytest.mark.parametrize("site", ["django-async"], indirect=True)
async def test_async_a_token_seen_before_is_checked_in_the_loop_without_a_pause(site: Site) -> None:
    """No other thread is asked for anything."""
    token = site.owner.access_token
    assert (await site.ask("/me", bearer=token)).status_code == 200

    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(visit(request).require().user_id)

    middleware = LastcallMiddleware(view)
    assert iscoroutinefunction(middleware)
    request = AsyncRequestFactory().get("/", headers={"authorization": f"Bearer {token}"})
    serving = cast("Coroutine[None, None, HttpResponse]", middleware(request))
    with pytest.raises(StopIteration) as done:
        serving.send(None)
    assert done.value.value.content.decode() == site.owner.session.user_id


# Django's users


async def whoami(request: HttpRequest) -> HttpResponse:
    """Who asks, by Django's users."""
    user = await request.auser()
    assert user == request.user
    assert user == await request.auser()
    return JsonResponse({"user": user.name if user.is_authenticated else None})


@DJANGO
async def test_a_project_s_users_are_found_by_their_session(site: Site) -> None:
    """Once a request, when somebody asks; where there is none, it is Django's AnonymousUser."""
    token = site.owner.access_token
    with (
        override_settings(INSTALLED_APPS=USERS),
        lastcall(USER=f"{__name__}.user_of"),
        served(("", whoami)),
    ):
        looked_for.clear()
        known = await site.ask("/", bearer=token)
        assert looked_for == [site.owner.session.user_id]
        assert known.json() == {"user": site.owner.session.user_id}
        assert known.headers["vary"] == "Cookie, Authorization"
        assert (await site.ask("/")).json() == {"user": None}
        with lastcall(USER=f"{__name__}.nobody_of"):
            assert (await site.ask("/", bearer=token)).json() == {"user": None}


@DJANGO
async def test_who_asks_from_another_site_is_nobody_s_user(site: Site) -> None:
    with (
        override_settings(INSTALLED_APPS=USERS),
        lastcall(USER=f"{__name__}.user_of"),
        served(("", whoami)),
    ):
        evil = {"sec-fetch-site": "cross-site"}
        response = await site.ask("/", method="POST", cookies=cookies(site.owner), headers=evil)
        problem(response, 403, "csrf_failed")


def test_users_need_django_s_app() -> None:
    with (
        override_settings(LASTCALL={**NOWHERE, "USER": f"{__name__}.user_of"}),
        pytest.raises(ImproperlyConfigured, match=r"django\.contrib\.auth"),
    ):
        configured()


# Settings


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, 'set LASTCALL = {"ADDRESS": '),
        ({}, "either an address and a key or a verifier"),
        ({"ADDRESS": "https://id.example.com"}, "either an address and a key or a verifier"),
        ({**NOWHERE, "VERIFIER": "a.b"}, "either an address and a key or a verifier"),
        ({**NOWHERE, "USERS": "a.b"}, "knows no USERS; it may have ADDRESS, KEY"),
        ({**NOWHERE, "KEY": None}, r'\["KEY"\] must be a text'),
        ({**NOWHERE, "PUBLIC_URL": ""}, r'\["PUBLIC_URL"\] must be a text'),
        ({**NOWHERE, "ADDRESS": []}, r'\["ADDRESS"\] must be a text'),
        ({**NOWHERE, "ADDRESS": ["https://a.example", 1]}, r'\["ADDRESS"\] must be texts'),
    ],
    ids=str,
)
def test_a_wrong_setting_stops_the_start_and_it_is_said_what_to_set(
    given: dict[str, object] | None, told: str
) -> None:
    with override_settings(LASTCALL=given), pytest.raises(ImproperlyConfigured, match=told):
        LastcallMiddleware(lambda _: HttpResponse())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({**NOWHERE, "ADDRESS": "http://id.example.com"}, "LASTCALL: .*https"),
        ({**NOWHERE, "KEY": "x"}, "LASTCALL: this needs a service key"),
        ({"VERIFIER": "nowhere.verifier"}, r'\["VERIFIER"\] can\'t be imported: .*nowhere'),
        ({"VERIFIER": f"{__name__}.user_of"}, r'\["VERIFIER"\] is no verifier'),
        ({**NOWHERE, "USER": f"{__name__}.missing"}, r'\["USER"\] can\'t be imported: .*missing'),
    ],
    ids=str,
)
def test_what_a_setting_names_must_be_there(given: dict[str, object], told: str) -> None:
    with override_settings(LASTCALL=given), pytest.raises(ImproperlyConfigured, match=told):
        configured()


def test_threads_that_ask_first_at_once_share_one_verifier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Verifier] = []
    both = threading.Barrier(2)

    def make(*addresses: str, key: str) -> Verifier:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # a second one that is made meets the first one here
        made.append(Verifier(*addresses, key=key))
        return made[-1]

    monkeypatch.setattr(django_settings, "Verifier", make)
    with override_settings(LASTCALL={**NOWHERE, "ADDRESS": [NOWHERE["ADDRESS"]]}):
        threads = [threading.Thread(target=configured) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [configured().gate.verifier] == made
    made[0].close()


def test_a_child_that_was_forked_meanwhile_makes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parent's lock is never let go of in it."""
    forked: list[int] = []

    def make(*addresses: str, key: str) -> Verifier:
        if not forked:
            forked.append(0)
            forked[0] = in_child(os.fork, act)
        return Verifier(*addresses, key=key)

    def act() -> None:
        verifier = cast("Verifier", configured().gate.verifier)
        verifier.close()

    monkeypatch.setattr(django_settings, "Verifier", make)
    with override_settings(LASTCALL=NOWHERE):
        act()
    assert forked == [0]


def test_an_address_and_a_key_are_enough(tmp_path: Path) -> None:
    """Who signs in at that server is known here, until the end of their session is confirmed."""
    servers.add_owner(tmp_path)
    key, key_id = servers.new_key(tmp_path, "verify")
    with servers.serving(tmp_path) as server:
        world = World(tmp_path, server.url, key, key_id)
        token = world.sign_in()
        with (
            override_settings(LASTCALL={"ADDRESS": server.url, "KEY": key}, ROOT_URLCONF=SYNC),
            cast("Verifier", configured().gate.verifier) as verifier,
        ):
            verifier.wait_ready(20)
            client = Client(headers={**bearer(token), "host": "localhost"})
            session = client.get("/me").json()["session"]
            assert world.end(world.sign_in(), session) == "confirmed"
            refused = client.get("/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")


def test_the_server_s_public_url_may_be_given() -> None:
    """Then a browser is sent to its pages even before the server was reached."""
    with override_settings(
        LASTCALL={**NOWHERE, "PUBLIC_URL": "https://example.com/auth"}, ROOT_URLCONF=SYNC
    ):
        response = Client(headers={**NAVIGATION, "host": "localhost"}).get("/me")
        cast("Verifier", configured().gate.verifier).close()
    assert response["location"] == "/auth/sign-in?next=%2Fme"
