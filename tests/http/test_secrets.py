"""No secret ever stands in a log, an audit log, an error, the metrics or the database: a whole life
of two companies' worth of tokens, passwords, links and keys, and then a search for each of them."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.server import create_app
from lastcall.settings import Settings
from tests.http.serving import CHROME
from tests.support.nodes import DATABASE
from tests.support.planted import database, found
from tests.support.servers import serving

ADA = "ada@example.com"
BOB = "bob@example.com"
API = "/api/v1"


@dataclass
class Life:
    """What somebody and their programs do at a server, and what they hold and were told."""

    client: Callable[[], httpx.AsyncClient]
    """Makes one more client, without cookies."""
    secrets: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    """All that was answered, but for what gives a secret to who is to have it."""
    refused: int = 0

    def plant(self, name: str, secret: str) -> str:
        """Remember a secret; one of a name that was used before goes beside it."""
        self.secrets[f"{name} {len(self.secrets)}"] = secret
        return secret

    async def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        *,
        gives: bool = False,
        client: httpx.AsyncClient | None = None,
        **more: Any,  # noqa: ANN401  httpx's own options
    ) -> httpx.Response:
        """Ask, and remember the answer unless it is one that gives a secret."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = await (client or self.client()).request(method, path, headers=headers, **more)
        assert response.status_code < 500, response.text
        self.refused += response.status_code >= 400
        if not gives or response.status_code >= 400:
            said = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
            self.answers.append(f"{method} {response.status_code}\n{said}\n{response.text}")
        return response

    async def tokens(self, path: str, body: object, token: str | None = None) -> dict[str, Any]:
        """Get tokens, and plant them."""
        response = await self.ask("POST", API + path, token, gives=True, json=body)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        self.plant("access token", tokens["access_token"])
        self.plant("refresh token", tokens["refresh_token"])
        return tokens

    async def live(self, setup_url: str) -> None:
        """Do everything that has to do with a secret, rightly and wrongly."""
        password = self.plant("password", "planted: a sentence of Ada's own")
        await self.set_up(setup_url, password)
        ada = await self.sign_in(password)
        await self.show_in_wrong_places(ada)
        ada = await self.change_password(ada, password)
        await self.invite(ada)
        await self.use_keys(ada)
        await self.look_and_take_away(ada)
        await self.end(ada)

    async def set_up(self, url: str, password: str) -> None:
        secret = self.plant("set-up link", parse_qs(urlsplit(url).query)["token"][0])
        browser = self.client()
        await self.ask("GET", f"/setup?token={secret}", client=browser, gives=True)
        form = {
            "token": secret,
            "organisation": "Acme",
            "name": "Ada",
            "email": ADA,
            "password": password,
        }
        made = await self.ask("POST", "/setup", client=browser, gives=True, data=form)
        assert made.status_code == 303
        for cookie, value in browser.cookies.items():
            self.plant(f"cookie {cookie}", value)
        for path in ("/settings/sessions", "/settings/sessions?ended=true", "/reauthenticate"):
            await self.ask("GET", path, client=browser)
        await self.ask("GET", f"/setup?token={secret}")  # spent

    async def sign_in(self, password: str) -> dict[str, Any]:
        wrong = self.plant("wrong password", "planted: mistyped somewhere")
        typed = self.plant("password in the field of the address", "planted: typed too early")
        for email, attempt in ((ADA, wrong), ("nobody@example.com", wrong), (typed, "x")):
            body = {"email": email, "password": attempt}
            await self.ask("POST", f"{API}/sign-in", json=body)
        body = {"email": ADA, "password": password, "client": password}
        await self.ask("POST", f"{API}/sign-in", json=body)
        await self.ask("POST", f"{API}/sign-in", json=[password])
        await self.ask("POST", f"{API}/sign-in", content=f'{{"password": "{password}')
        await self.ask("POST", "/sign-in", data={"email": ADA, "password": wrong})
        ada = await self.tokens("/sign-in", {"email": ADA, "password": password})
        successor = await self.tokens("/refresh", {"refresh_token": ada["refresh_token"]})
        await self.tokens("/refresh", {"refresh_token": ada["refresh_token"]})
        return await self.tokens("/refresh", {"refresh_token": successor["refresh_token"]})

    async def show_in_wrong_places(self, ada: dict[str, Any]) -> None:
        access, refresh = ada["access_token"], ada["refresh_token"]
        forged = refresh[:-4] + ("AAAA" if refresh[-4:] != "AAAA" else "BBBB")
        await self.ask("POST", f"{API}/refresh", json={"refresh_token": forged})
        await self.ask("GET", f"{API}/session", refresh)
        await self.ask("GET", f"{API}/session", access[:-4] + "AAAA")
        await self.ask("POST", f"{API}/sessions", access, json={})
        cookies = {"lastcall-access": access, "lastcall-refresh": refresh}
        crossed = {"Sec-Fetch-Site": "cross-site"}
        client = self.client()
        client.cookies.update(cookies)
        client.headers.update(crossed)
        await self.ask("POST", f"{API}/sessions/terminate-others", client=client)
        for secret in (access, refresh):
            for path in ("/sessions", "/users", "/audit", "/activity", "/keys"):
                await self.ask("GET", f"{API}{path}?before={secret}", access)
            await self.ask("GET", f"{API}/audit?type={secret}&since={secret}", access)
            await self.ask("GET", f"{API}/users?q={secret}&external_id={secret}", access)
            for path in ("sessions", "users", "keys"):
                await self.ask("DELETE", f"{API}/{path}/{secret}", access)
            await self.ask("GET", f"{API}/terminations/{secret}", access)
            await self.ask("POST", f"{API}/sessions/{secret}/report", access)
            await self.ask("PATCH", f"{API}/users/x", access, json={"role": secret})
            await self.ask("GET", f"/nowhere/{secret}?token={secret}")
            # These lead back to where the caller says, whatever that is.
            await self.ask("GET", f"/renew?next=/{secret}", gives=True)
            await self.ask("GET", f"/sign-in?next=/{secret}", gives=True)

    async def change_password(self, ada: dict[str, Any], password: str) -> dict[str, Any]:
        new = self.plant("new password", "planted: another one of Ada's")
        access = ada["access_token"]
        wrong = {"current_password": self.plant("guess", "planted: a guess"), "new_password": new}
        await self.ask("POST", f"{API}/password", access, json=wrong)
        short = {"current_password": password, "new_password": self.plant("short", "plantd!")}
        await self.ask("POST", f"{API}/password", access, json=short)
        await self.ask("POST", f"{API}/reauthenticate", access, json={"password": new})
        right = {"current_password": password, "new_password": new}
        changed = await self.tokens("/password", right, access)
        await self.ask("POST", f"{API}/refresh", json={"refresh_token": ada["refresh_token"]})
        return await self.tokens("/reauthenticate", {"password": new}, changed["access_token"])

    async def invite(self, ada: dict[str, Any]) -> None:
        access = ada["access_token"]
        added = await self.ask("POST", f"{API}/users", access, gives=True, json={"email": BOB})
        user = added.json()
        older = self.plant("invitation", _secret(user["invitation"]))
        again = await self.ask("POST", f"{API}/users/{user['id']}/invitation", access, gives=True)
        newer = self.plant("invitation", _secret(again.json()))
        browser = self.client()
        await self.ask("GET", f"/invitation?token={older}")
        await self.ask("GET", f"/invitation?token={newer}", client=browser, gives=True)
        own = self.plant("password", "planted: what Bob has chosen")
        form = {"token": newer, "password": own}
        await self.ask("POST", "/invitation", client=browser, gives=True, data=form)
        await self.ask("POST", "/invitation", data=form)
        for cookie, value in browser.cookies.items():
            self.plant(f"cookie {cookie}", value)
        bob = await self.tokens("/sign-in", {"email": BOB, "password": own})
        await self.ask("GET", f"{API}/audit", bob["access_token"])
        await self.ask("POST", f"{API}/sessions/{bob['session']['id']}/report", bob["access_token"])
        await self.ask("GET", f"{API}/session", bob["access_token"])
        await self.ask("POST", f"{API}/refresh", json={"refresh_token": bob["refresh_token"]})

    async def use_keys(self, ada: dict[str, Any]) -> None:
        access = ada["access_token"]
        body = {"name": "shop", "scopes": ["sessions", "verify"]}
        made = (await self.ask("POST", f"{API}/keys", access, gives=True, json=body)).json()
        key = self.plant("service key", made["key"])
        start = {
            "user": {"external_id": "7", "name": "Zoe"},
            "client": {"ip": "81.2.69.142", "user_agent": CHROME, "headers": {"cookie": access}},
        }
        started = await self.tokens("/sessions", start, key)
        await self.ask("GET", f"{API}/users?external_id=7", key)
        await self.ask("GET", f"{API}/users", key)
        await self.ask("GET", "/metrics", key)
        await self.ask("GET", f"{API}/session", key)
        for token in (started["access_token"], started["refresh_token"], access, key):
            form = {"token": token, "token_type_hint": token}
            await self.ask("POST", "/oauth/introspect", key, data=form)
            await self.ask("POST", f"/oauth/introspect?token={token}", key)
            await self.ask("POST", "/oauth/introspect", access, data=form)
        await self.ask("POST", "/oauth/revoke", key, data={"token": access})
        await self.ask("POST", "/oauth/revoke", data={"token": key})
        given = await self.tokens("/sessions", start, key)
        await self.ask("POST", "/oauth/revoke", key, data={"token": given["refresh_token"]})
        await self.ask("POST", f"{API}/users/{started['user']['id']}/logout", key)
        await self.ask("GET", f"{API}/activity", started["access_token"])
        await self.ask("DELETE", f"{API}/keys/{made['id']}", access)
        await self.ask("GET", f"{API}/users?external_id=7", key)

    async def look_and_take_away(self, ada: dict[str, Any]) -> None:
        browser = self.client()
        browser.cookies.update({"lastcall-access": ada["access_token"]})
        browser.headers.update({"Sec-Fetch-Site": "same-origin"})
        (user,) = (user for user in (await self.users(ada)) if user["email"] == BOB)
        for path in (
            *("/settings/sessions", "/settings/security", "/settings/activity", "/account/users"),
            *("/account/audit", f"/account/users/{user['id']}", "/settings/sessions?ended=true"),
            *(f"/account/audit/export?format={format_}" for format_ in ("csv", "json")),
            *(f"/settings/activity/export?format={format_}" for format_ in ("csv", "json")),
        ):
            assert (await self.ask("GET", path, client=browser)).status_code == 200, path
        wrong = self.plant("guess at a page", "planted: guessed at a page")
        form = {"current_password": wrong, "new_password": wrong}
        await self.ask("POST", "/settings/security", client=browser, data=form)
        await self.ask("POST", "/reauthenticate", client=browser, data={"password": wrong})
        suspended = {"status": "suspended"}
        await self.ask("PATCH", f"{API}/users/{user['id']}", ada["access_token"], json=suspended)
        await self.ask("DELETE", f"{API}/users/{user['id']}", ada["access_token"])

    async def users(self, ada: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            await self.ask("GET", f"{API}/users", ada["access_token"])
        ).json()["users"]
        return found

    async def crash(self, folder: Path) -> list[int]:
        """Ask for what can't be read anymore, once half way; give what is answered then."""
        (own,) = (text for name, text in self.secrets.items() if name.startswith("new password"))
        ada = await self.tokens("/sign-in", {"email": ADA, "password": own})
        access = ada["access_token"]
        key = await self.ask(
            "POST", f"{API}/keys", access, gives=True, json={"name": "x", "scopes": ["sessions"]}
        )
        service = self.plant("service key", key.json()["key"])
        browser = self.client()
        browser.cookies.update({"lastcall-access": access})
        damage(folder, "UPDATE audit SET device = '{'")
        statuses = []
        with pytest.raises(httpx.RemoteProtocolError):
            await browser.get("/account/audit/export")
        damage(folder, "UPDATE sessions SET device = '{'")
        for method, path, token, body in (
            ("GET", "/session", access, None),
            ("POST", "/reauthenticate", access, {"password": own}),
            ("POST", "/refresh", None, {"refresh_token": ada["refresh_token"]}),
            ("DELETE", f"/sessions/{ada['session']['id']}", service, None),
        ):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = await self.client().request(method, API + path, headers=headers, json=body)
            statuses.append(answer.status_code)
            self.answers.append(f"{answer.headers}\n{answer.text}")
        return statuses

    async def end(self, ada: dict[str, Any]) -> None:
        access = ada["access_token"]
        for path in ("/audit?limit=200", "/activity?limit=200", "/users", "/keys", "/services"):
            seen = await self.ask("GET", API + path, access)
            assert seen.status_code == 200, seen.text
        for path in ("/sessions", "/sessions?ended=true", "/session"):
            await self.ask("GET", API + path, access)
        for path in ("/metrics", "/openapi.json", "/.well-known/jwks.json", "/readyz"):
            assert (await self.ask("GET", path)).status_code == 200
        both = {"all_users": True, "except_self": False}
        await self.ask("POST", f"{API}/logout", access, json=both)
        await self.ask("GET", f"{API}/session", access)


@asynccontextmanager
async def living(
    url: str, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[Life]:
    """Give a life at a server."""
    async with AsyncExitStack() as stack:

        def client() -> httpx.AsyncClient:
            headers = {"User-Agent": CHROME}
            one = httpx.AsyncClient(transport=transport, base_url=url, headers=headers)
            stack.push_async_callback(one.aclose)
            return one

        yield Life(client)


def damage(folder: Path, statement: str) -> None:
    """Do to a database what nothing of lastcall would."""
    db = sqlite3.connect(folder / DATABASE)
    with db:
        db.execute(statement)
    db.close()


def _secret(invitation: dict[str, str]) -> str:
    return parse_qs(urlsplit(invitation["url"]).query)["token"][0]


def assert_kept(life: Life, logged: str, folder: Path) -> None:
    """Hold that no secret is in an answer that gives none, in the log, and in the database."""
    assert len(life.secrets) > 30
    assert life.refused > 30
    for answer in life.answers:
        assert not found(life.secrets, answer), answer
    assert not found(life.secrets, logged)
    held = database(folder).decode("latin-1")
    assert not found(life.secrets, held)
    for words in ("session.report", "user.invite", "invalid_credentials", ADA):
        assert words in held, "the search finds what is there"
    # It would be found.
    for name, secret in life.secrets.items():
        for text in (secret, quote(secret), f"xx{secret.encode().hex()}"):
            assert name in found(life.secrets, text)


async def test_no_secret_gets_into_any_answer_log_at_debug_or_the_database(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):  # the client's own, not the server's
        logging.getLogger(name).setLevel(logging.WARNING)
    settings = Settings(database_url=f"sqlite:///{tmp_path / DATABASE}")
    node = await Node.open(settings, passwords=Passwords(CHEAP, threads=1), serving=True)
    transport = httpx.ASGITransport(create_app(settings, node=node))

    offered = await node.links.offer_setup()
    assert offered is not None
    url = settings.public_url
    async with living(url, transport) as life:
        await life.live(f"{url}/setup?token={offered[0]}")
    assert_kept(life, caplog.text, tmp_path)
    await node.close()


async def test_no_secret_gets_into_what_a_server_process_writes_its_access_log_included(
    tmp_path: Path,
) -> None:
    """Nor when it fails, in the middle of an answer too, nor when it ends."""
    log = tmp_path / "log"
    with log.open("w") as errors, serving(tmp_path, "--access-log", errors=errors) as server:
        assert server.setup_url is not None
        async with living(server.url) as life:
            await life.live(server.setup_url)
            assert await life.crash(tmp_path) == [500] * 4
        logged = log.read_text()
        assert logged.count("\n") > 80
        assert_kept(life, logged, tmp_path)
    assert server.process.returncode == 0
    logged = log.read_text()  # its end included
    assert logged.count("unexpected DecodeError") == 5
    assert "raise BrokenOff" in logged
    assert not found(life.secrets, logged)
