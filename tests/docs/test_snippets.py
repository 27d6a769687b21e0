"""The documentation's Python works as it is printed, and its commands do."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import httpx2
import pytest
from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.testclient import TestClient

import lastcall
from lastcall.integrations.fastapi import CurrentSession, LastcallMiddleware
from lastcall.settings import load
from tests.conftest import ROOT
from tests.docs.blocks import Blocks, blocks_of, every_block
from tests.docs.conftest import Place, shell
from tests.docs.projects import ask, write
from tests.support.servers import EMAIL, PASSWORD, add_owner

PAGES: Final = (
    "README.md",
    *(str(file.relative_to(ROOT)) for file in sorted((ROOT / "docs").glob("**/*.md"))),
)


def test_every_block_is_run_or_says_why_not() -> None:
    """A page whose blocks nobody asks for would be left behind."""
    tests = "".join(
        file.read_text("utf-8") for file in sorted((ROOT / "tests/docs").glob("test_*.py"))
    )
    wanted = {
        (block.page, block.language)
        for page in PAGES
        for block in blocks_of(page)
        if block.why is None
    }
    named = set(re.findall(r'every_block\(\s*"?([\w./-]+|PAGE)"?, "(\w+)"', tests))
    named |= {("docs/operating.md", "sh")} if ("PAGE", "sh") in named else set()
    assert len(wanted) > 8
    assert wanted <= named


def execute(blocks: Blocks, place: Place, containing: str, key: str, **names: object) -> Any:  # noqa: ANN401
    """Run a block of Python; give the names that it has made."""
    made: dict[str, Any] = {"__name__": "printed", **names}
    exec(place.written(blocks.take(containing).text, key), made)  # noqa: S102
    return made


def test_the_first_page_s_commands_and_its_check_work(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with every_block("docs/index.md", "sh") as blocks:
        said = shell(tmp_path, blocks.take("lastcall serve").text)
        assert "lastcall is ready at" in said
        assert "lck_" in said
    with every_block("docs/index.md", "python") as blocks:
        made = execute(blocks, place, "Verifier", place.verify, token=place.token)
        made["verifier"].close()
    assert place.user in capsys.readouterr().out


def test_the_readme_s_commands_are_those_that_its_test_runs() -> None:
    """tests/cli/test_readme.py runs them; what is installed must exist."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with every_block("README.md", "sh") as blocks:
        while blocks.left():
            for line in filter(None, blocks.take("").text.splitlines()):
                assert line.split()[0] in {"make", "lastcall", "curl", "pip", "-d"}
                extras = set(re.findall(r"lastcall\[(\w+)\]", line))
                assert extras <= set(project["optional-dependencies"])


def test_the_readme_s_check_of_a_token_works(place: Place) -> None:
    """Its whole application is started by tests/examples."""
    with every_block("README.md", "python") as blocks:
        blocks.take("uvicorn.run")
        while blocks.left():
            made = execute(blocks, place, "Verifier", place.verify, token=place.token)
            made["verifier"].close()


def test_the_http_api_s_commands_work(place: Place) -> None:
    with every_block("docs/http-api.md", "sh") as blocks:
        said = place.shell(blocks.take("sign-in"))
    assert '"sessions":[{' in said
    assert '"state":"confirmed"' in said


async def test_the_verifier_s_page_works(place: Place, tmp_path: Path) -> None:
    add_owner(tmp_path)
    with every_block("docs/verifier.md", "python") as blocks:
        made = execute(blocks, place, "lck_", place.verify, token=place.token)
        assert made["session"].user_id == place.user
        made["verifier"].close()
        text = blocks.take("create_app").text.replace("import lastcall\n", "")
    app = FastAPI()
    settings = load({"database_url": f"sqlite:///{tmp_path}/lastcall.db"}, {})
    body = "\n    ".join(text.strip().splitlines()[:-1])
    made = {"lastcall": lastcall, "app": app, "settings": settings}
    exec("import lastcall.server\n" + body.replace("\n    ", "\n"), made)  # noqa: S102
    auth = made["auth"]
    await auth.open()
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        answer = await client.post(
            "/auth/api/v1/sign-in", json={"email": EMAIL, "password": PASSWORD}
        )
    token = answer.json()["access_token"]
    last = text.strip().splitlines()[-1]
    assert last == "session = await auth.verifier.averify(token)"
    assert (await auth.verifier.averify(token)).user_id
    await auth.close()


def test_the_page_on_one_s_own_users_works(place: Place) -> None:
    class User:
        """As an application has it."""

        id, name, email = 42, "Ada", "ada@shop.example"

    class Users:
        """A table of one."""

        def check(self, _email: str, password: str) -> User | None:
            return User() if password == PASSWORD else None

        def get(self, number: int) -> User:
            assert number == User.id
            return User()

    app = FastAPI()
    names = {
        "Request": Request,
        "Annotated": Annotated,
        "Form": Form,
        "RedirectResponse": RedirectResponse,
        "CurrentSession": CurrentSession,
        "page": HTMLResponse,
        "users": Users(),
        "app": app,
    }
    with every_block("docs/own-users.md", "python") as blocks:
        made = execute(blocks, place, "lastcall.Sessions", place.sessions)
        made |= execute(blocks, place, "client_of", "", **names, sessions=made["sessions"])
        execute(blocks, place, "external_id", "", **names)
    with lastcall.Verifier(place.server.url, key=place.verify) as verifier:
        app.add_middleware(LastcallMiddleware, verifier=verifier)
        client = TestClient(app, base_url="http://localhost:8000", follow_redirects=False)
        wrong = client.post("/login", data={"email": "a", "password": "no"})
        assert wrong.status_code == 401
        right = client.post("/login", data={"email": "a", "password": PASSWORD})
        assert right.status_code == 303
        assert "Hello Ada" in client.get("/").text


def test_the_first_block_on_frameworks_is_what_the_others_share(place: Place) -> None:
    """Those of Starlette, FastAPI and Litestar are run by tests/integrations/test_documented.py."""
    with every_block("docs/integrations.md", "python") as blocks:
        made = execute(blocks, place, "Verifier", place.verify)
        assert made["verifier"].verify(place.token).user_id == place.user
        made["verifier"].close()
        while blocks.left():
            blocks.take("")


def test_flask_s_example_works(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_KEY", place.verify)
    with every_block("docs/integrations.md", "python", under="Flask") as blocks:
        made = execute(blocks, place, "Flask(__name__)", place.verify)
    made["verifier"].wait_ready(timeout=5)
    client, bearer = made["app"].test_client(), {"Authorization": f"Bearer {place.token}"}
    assert client.get("/").json == {"user": None}
    assert client.get("/", headers=bearer).json == {"user": place.user}
    assert client.get("/me").status_code == 401
    assert client.get("/me", headers=bearer).json == {"user": place.user}
    assert client.post("/shop/close", headers=bearer).json == {"closed": True}
    made["verifier"].close()


def test_django_s_example_works_in_a_project(place: Place, tmp_path: Path) -> None:
    with every_block("docs/integrations.md", "python", under="Django") as blocks:
        files = {
            name: place.written(text, place.verify) for name, text in blocks.take_files().items()
        }
    urls = {"": "home", "me": "me", "close": "close_shop", "orders": "Orders.as_view()"}
    bearer = {"headers": {"Authorization": f"Bearer {place.token}"}}
    environ = {"VERIFY_KEY": place.verify}
    views = {name: files[name] for name in ("settings.py", "views.py")}
    write(tmp_path, views, urls)
    answers = ask(
        tmp_path,
        [
            ("get", "/", bearer),
            ("get", "/", {}),
            ("get", "/me", {}),
            ("get", "/me", bearer),
            ("post", "/close", bearer),
            ("get", "/orders", bearer),
        ],
        environ,
    )
    assert [status for status, _ in answers] == [200, 200, 401, 200, 200, 403]
    assert f'"{place.user}"' in answers[0][1]
    users = tmp_path / "users"
    write(
        users,
        {
            "settings.py": views["settings.py"]
            + 'LASTCALL["USER"] = "myproject.users.user_of"\n'
            + 'INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]\n',
            "views.py": "from django.http import HttpResponse\n\n\ndef home(request):\n"
            "    return HttpResponse(request.user.get_username() or 'nobody')\n",
            "users.py": files["users.py"],
        },
        {"": "home"},
    )
    answers = ask(
        users,
        [("get", "/", bearer), ("get", "/", {})],
        environ,
        before="from django.contrib.auth.models import User\n"
        f"User.objects.create(username='{place.user}')",
    )
    assert answers == [(200, place.user), (200, "nobody")]


def test_the_server_mounted_beside_django_works(tmp_path: Path) -> None:
    with every_block("docs/integrations.md", "python", under="Django") as blocks:
        files = blocks.take_files()
    settings = files["settings.py"].partition("LASTCALL =")[0]
    write(
        tmp_path,
        {
            "settings.py": settings + 'LASTCALL = {"VERIFIER": "myproject.auth.verifier"}\n',
            **{name: files[name] for name in ("views.py", "auth.py", "asgi.py")},
        },
        {"me": "me"},
    )
    add_owner(tmp_path)
    script = f"""
from starlette.testclient import TestClient
from myproject.asgi import application

with TestClient(application, base_url="http://localhost:8000") as client:
    signed_in = client.post(
        "/auth/api/v1/sign-in", json={{"email": "{EMAIL}", "password": "{PASSWORD}"}}
    )
    token = signed_in.json()["access_token"]
    assert client.get("/me").status_code == 401
    assert client.get("/me", headers={{"Authorization": f"Bearer {{token}}"}}).json()["user"]
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"LASTCALL_PUBLIC_URL": "http://localhost:8000/auth"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
