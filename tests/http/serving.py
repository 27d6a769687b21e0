"""A server for tests: the real one, on a clock that only tests move."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx

from lastcall.http.app import App
from lastcall.identity.model import Account, Role, Scope, User
from lastcall.node import Node
from lastcall.settings import Settings
from tests.support.fakes import FakeClock
from tests.support.nodes import PASSWORD

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When these tests begin."""
USERS = "/api/v1/users"
SESSION = "/api/v1/session"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)


@dataclass(frozen=True)
class Native:
    """A signed-in client that holds its tokens itself."""

    client: httpx.AsyncClient
    access: str
    refresh: str
    session_id: str

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path, headers=self.auth)

    async def post(self, path: str, body: object = None) -> httpx.Response:
        if body is None:
            return await self.client.post(path, headers=self.auth)
        return await self.client.post(path, json=body, headers=self.auth)

    async def patch(self, path: str, body: object) -> httpx.Response:
        return await self.client.patch(path, json=body, headers=self.auth)

    async def delete(self, path: str) -> httpx.Response:
        return await self.client.delete(path, headers=self.auth)

    def holding(self, response: httpx.Response) -> "Native":
        """The same client with the tokens that it was just given."""
        tokens = response.json()
        return replace(self, access=tokens["access_token"], refresh=tokens["refresh_token"])


@dataclass(frozen=True)
class Served:
    """A server with one account and its owner, Ada."""

    app: App
    node: Node
    settings: Settings
    clock: FakeClock
    account: Account
    ada: User

    def at(self, app: App) -> "Served":
        """The same server with another application before it."""
        return replace(self, app=app)

    def client(
        self, headers: Mapping[str, str] | None = None, peer: str = "127.0.0.1"
    ) -> httpx.AsyncClient:
        """A client without cookies, of no particular kind."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=(peer, 50000)),
            base_url=self.settings.public_url,
            headers=headers,
        )

    async def native(self, email: str = "ada@example.com") -> Native:
        """Sign a native client in."""
        client = self.client()
        response = await client.post("/api/v1/sign-in", json={"email": email, "password": PASSWORD})
        assert response.status_code == 200, response.text
        tokens = response.json()
        return Native(
            client, tokens["access_token"], tokens["refresh_token"], tokens["session"]["id"]
        )

    async def browser(
        self, email: str = "ada@example.com", *, shared: bool = False
    ) -> httpx.AsyncClient:
        """Sign a browser in; it goes on as its own pages do."""
        client = self.client({"Sec-Fetch-Site": "same-origin", "User-Agent": CHROME})
        response = await client.post(
            "/api/v1/sign-in",
            json={
                "email": email,
                "password": PASSWORD,
                "client": "browser",
                "shared_device": shared,
            },
        )
        assert response.status_code == 200, response.text
        return client

    async def add_user(
        self, email: str, account: Account | None = None, role: Role = "member"
    ) -> User:
        return await self.node.identity.add_user(
            (account or self.account).id, email, role=role, password=PASSWORD
        )

    async def key(self, *scopes: Scope, account: Account | None = None) -> str:
        """Make a service key and give its text."""
        _, text = await self.node.services.create((account or self.account).id, "shop", scopes)
        return text

    async def as_service(self, *scopes: Scope, account: Account | None = None) -> httpx.AsyncClient:
        """A service's client."""
        key = await self.key(*scopes, account=account)
        return self.client({"Authorization": f"Bearer {key}"})

    async def start_external(self, external_id: str = "7") -> Native:
        """Let an application begin a session for one of its users."""
        service = await self.as_service("sessions")
        response = await service.post(
            "/api/v1/sessions",
            json={
                "user": {"external_id": external_id},
                "client": {"ip": "81.2.69.142", "user_agent": CHROME},
            },
        )
        assert response.status_code == 200, response.text
        tokens = response.json()
        return Native(
            self.client(), tokens["access_token"], tokens["refresh_token"], tokens["session"]["id"]
        )


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    """Take a refusal apart, after checking what all refusals have."""
    assert (response.status_code, response.json().get("code")) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in response.headers) == (status == 401)
    assert ("retry-after" in response.headers) == (status in (429, 503))
    assert "set-cookie" not in response.headers
    value: dict[str, object] = response.json()
    assert value["status"] == status
    assert value["title"]
    assert value["detail"]
    return value


def faults(response: httpx.Response) -> list[tuple[str, str]]:
    """Give which fields a refusal names, each with its code."""
    assert response.status_code in (400, 422), response.text
    return [(at["field"], at["code"]) for at in response.json()["errors"] if at["message"]]


def set_cookies(response: httpx.Response) -> dict[str, tuple[str, set[str]]]:
    """Give each Set-Cookie line's value and attributes by name; a name set twice is an error."""
    found: dict[str, tuple[str, set[str]]] = {}
    for line in response.headers.get_list("set-cookie"):
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        assert name not in found
        found[name] = (value, set(attributes))
    return found
