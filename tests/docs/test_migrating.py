"""The pages on migrating: what was signed in before goes on as they say, with the real packages."""

import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.testclient import TestClient

from tests.conftest import ROOT
from tests.docs.blocks import every_block
from tests.docs.conftest import Place
from tests.docs.projects import ask, write
from tests.support.servers import PASSWORD, new_key

PEERS: Final = ROOT / ".venv/peers/bin/python"
"""Where fastapi-users and django-user-sessions are; lastcall's server can't be there too."""
OWN: Final = {"headers": {"Sec-Fetch-Site": "same-origin"}}
BEFORE: Final = """
from django.contrib.auth import login
from django.http import HttpResponse
from django.contrib.auth.models import User


def old_sign_in(request):
    request.session["cart"] = 3
    login(request, User.objects.get())
    return HttpResponse("")


def who(request):
    return HttpResponse(request.user.get_username())
"""
"""Beside the page's views: Django's own sign-in, as it was before."""


def both(place: Place) -> str:
    """Make a key of both scopes."""
    return new_key(place.folder, "verify", "sessions")[0]


@pytest.fixture
def peers() -> Path:
    """The Python that has the other packages."""
    if not PEERS.exists():
        pytest.skip("`make test` installs fastapi-users and django-user-sessions in .venv/peers")
    return PEERS


@pytest.mark.parametrize("package", ["django-sessions", "django-user-sessions"])
def test_who_is_signed_in_by_django_is_carried_over_with_the_cart(
    place: Place, tmp_path: Path, peers: Path, package: str
) -> None:
    key = both(place)
    with every_block("docs/migrating/django-sessions.md", "python") as blocks:
        files = blocks.take_files()
    with every_block("docs/migrating/django-user-sessions.md", "python") as blocks:
        other = blocks.take_files()
    if package == "django-user-sessions":
        files |= other
    files = {name: place.written(text, key) for name, text in files.items()}
    files["views.py"] += BEFORE
    # The first request comes before the server has been reached.
    files["settings.py"] += f"LASTCALL['PUBLIC_URL'] = '{place.server.url}'\n"
    views = {"": "home", "login": "sign_in", "old": "old_sign_in", "new": "change_password"}
    write(tmp_path, files, views)
    credentials = {"name": "ada", "password": PASSWORD}
    answers = ask(
        tmp_path,
        [
            ("get", "/", {}),  # nobody: to sign in
            ("get", "/old", {}),
            ("get", "/", OWN),  # carried over, and sent to where they wanted to go
            ("get", "/", OWN),
            ("post", "/new", {"data": {"new": "another sentence"}, **OWN}),
            ("get", "/", OWN),  # every session of the user has ended
            ("post", "/login", {"data": credentials, **OWN}),
            ("post", "/login", {"data": credentials | {"password": "another sentence"}, **OWN}),
            ("get", "/", OWN),
        ],
        {"AUTH_KEY": key},
        before="from django.contrib.auth.models import User\n"
        f"User.objects.create_user('ada', password='{PASSWORD}')",
        python=peers if package == "django-user-sessions" else None,
    )
    assert [status for status, _ in answers] == [302, 200, 302, 200, 302, 302, 401, 302, 200]
    assert answers[3][1] == answers[8][1] == "ada, 3 in cart"


def test_who_is_signed_in_by_starlettes_cookie_is_carried_over_with_its_data(place: Place) -> None:
    class Ada:
        """As the application knows her."""

        id = 7

    class Users:
        """A table of one."""

        def check(self, _name: str, _password: str) -> Ada:
            return Ada()

    key = both(place)
    with every_block("docs/migrating/starlette-sessions.md", "python") as blocks:
        files = blocks.take_files()
    before: dict[str, Any] = {"users": Users()}
    after: dict[str, Any] = {"users": Users()}
    exec(files["before.py"], before)  # noqa: S102
    exec(place.written(files["after.py"], key), after)  # noqa: S102
    form = {"name": "ada", "password": PASSWORD}
    old = TestClient(before["app"], base_url="http://localhost:8000")
    assert old.post("/login", data=form).text == "user 7, page 1"
    new = TestClient(after["app"], base_url="http://localhost:8000", cookies=old.cookies)
    after["verifier"].wait_ready(timeout=5)
    assert new.get("/").text == "user 7, page 2"
    assert new.get("/").text == "user 7, page 3"
    assert "lastcall-access" in new.cookies
    fresh = TestClient(after["app"], base_url="http://localhost:8000")
    assert fresh.get("/").status_code == 401
    assert fresh.post("/login", data=form).text == "user 7, page 1"
    after["sessions"].logout("7")
    assert new.get("/").status_code == fresh.get("/").status_code == 401
    after["verifier"].close()


def test_users_of_fastapi_users_sign_in_with_the_passwords_that_they_have(
    place: Place, tmp_path: Path, peers: Path
) -> None:
    key = both(place)
    with every_block("docs/migrating/fastapi-users.md", "python") as blocks:
        for name, text in blocks.take_files().items():
            (tmp_path / name).write_text(place.written(text, key), "utf-8")
    script = f"""
import asyncio, httpx
from fastapi_users.schemas import BaseUserCreate
from users import Base, engine, get_user_manager
from app import app, sessions, verifier

async def main():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async for manager in get_user_manager():
        user = await manager.create(BaseUserCreate(email="ada@shop.example", password={PASSWORD!r}))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        verifier.wait_ready(timeout=5)
        form = {{"username": "ada@shop.example", "password": "wrong"}}
        assert (await client.get("/")).status_code == 401
        assert (await client.post("/login", data=form)).status_code == 401
        right = await client.post("/login", data=form | {{"password": {PASSWORD!r}}})
        assert right.status_code == 303, right.text
        assert (await client.get("/")).json() == {{"email": "ada@shop.example"}}
        await sessions.alogout(str(user.id))
        assert (await client.get("/")).status_code == 401
    verifier.close()
    await engine.dispose()

asyncio.run(main())
"""
    done = subprocess.run(
        [peers, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "src"), "AUTH_KEY": key},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
