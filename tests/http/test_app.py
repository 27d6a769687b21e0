"""The application around the endpoints: opening, mounting, failing, surviving; and pages."""

import asyncio
import threading
import traceback
from collections.abc import AsyncIterator

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount

from lastcall.errors import (
    CsrfFailed,
    LostRace,
    ReauthenticationRequired,
    SettingsError,
    StoreError,
    Unavailable,
)
from lastcall.feed.leases import Leases
from lastcall.http.api import ENDPOINTS
from lastcall.http.app import App, BrokenOff
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE, SESSION, VISITOR, Visitor
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.problems import Problem
from lastcall.server import app_from_environment, create_app
from lastcall.settings import Settings
from lastcall.signing import Signing
from tests.http.serving import CHROME, Served, problem
from tests.support.fakes import FakeClock
from tests.support.nodes import EMAIL, NATIVE, PASSWORD, SEEN

SECRET = "lcr_very_secret"


def failing(error: Exception) -> list[AnyEndpoint]:
    async def fail(_call: Call[None, None, None]) -> Response:
        raise error

    return [Endpoint(method="GET", path="/fail", caller=ANYONE, handler=fail, summary="")]


async def test_an_error_that_nobody_foresaw_is_a_500_that_says_nothing_and_is_logged_without_words(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(served.settings, node=served.node, endpoints=failing(ValueError(SECRET)))
    client = served.at(app).client()
    for _ in range(2):  # the process survives
        value = problem(await client.get("/fail"), 500, "internal")
        assert SECRET not in str(value)
    assert "unexpected ValueError" in caplog.text
    assert "in fail" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (LostRace(SECRET), 409, "conflict"),
        (StoreError(SECRET), 500, "internal"),
        (Unavailable("the disk is full", 7), 503, "unavailable"),
        (RecursionError(), 500, "internal"),
    ],
    ids=["lost race", "store", "unavailable", "recursion"],
)
async def test_an_error_has_its_problem(
    served: Served, error: Exception, status: int, code: str
) -> None:
    app = create_app(served.settings, node=served.node, endpoints=failing(error))
    response = await served.at(app).client().get("/fail")
    assert SECRET not in str(problem(response, status, code))
    if status == 503:
        assert response.headers["retry-after"] == "7"


async def test_an_answer_that_fails_half_way_does_not_look_complete_and_says_no_word_either(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever serves the application logs what it raises, with all that caused it."""

    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError(SECRET)

    async def stream(_call: Call[None, None, None]) -> Response:
        return StreamingResponse(half())

    endpoints: list[AnyEndpoint] = [
        Endpoint(method="GET", path="/half", caller=ANYONE, handler=stream, summary="")
    ]
    app = create_app(served.settings, node=served.node, endpoints=endpoints)
    with pytest.raises(BrokenOff) as caught:
        await served.at(app).client().get("/half")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "unexpected ValueError" in caplog.text
    assert SECRET not in caplog.text


async def test_the_server_is_healthy_and_ready(served: Served) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await served.client().get(path)).json() == {"status": "ok"}


async def test_a_store_that_cannot_be_written_makes_it_unready_but_not_unhealthy(
    served: Served,
) -> None:
    await served.node.store.close()
    problem(await served.client().get("/readyz"), 503, "unavailable")
    assert (await served.client().get("/healthz")).status_code == 200


async def test_a_server_that_is_being_stopped_is_not_ready_and_answers_all_the_same(
    served: Served,
) -> None:
    native = await served.native()
    served.app.drain()
    refused = problem(await served.client().get("/readyz"), 503, "unavailable")
    assert "being stopped" in str(refused["detail"])
    for path in ("/healthz", "/api/v1/session"):
        assert (await native.get(path)).status_code == 200


async def test_whoever_only_watches_a_server_does_not_use_it(served: Served) -> None:
    await served.client().get("/.well-known/jwks.json")
    served.clock.advance(seconds=5)
    for path in ("/healthz", "/readyz"):
        await served.client().get(path)
    assert served.app.quiet_for() == 5
    await served.client().get("/.well-known/jwks.json")
    assert served.app.quiet_for() == 0


async def test_the_key_set_verifies_what_the_server_signs(served: Served) -> None:
    native = await served.native()
    response = await served.client().get("/.well-known/jwks.json")
    keys = response.json()
    assert all("d" not in key for key in keys["keys"])
    token = jwt.decode(native.access, KeySet.import_key_set(keys), algorithms=["ES256"])
    assert token.claims["sid"] == native.session_id
    assert response.headers["cache-control"] == "public, max-age=300"


# Opening.


def sign_in() -> dict[str, str]:
    return {"email": "ada@example.com", "password": PASSWORD}


async def test_a_mounted_server_opens_with_its_first_request_and_moves_with_its_path(
    database_url: str,
) -> None:
    settings = Settings(database_url=database_url)
    inner = create_app(settings, clock=FakeClock(), passwords=Passwords(CHEAP, 1))
    outer = Starlette(routes=[Mount("/auth", inner)])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(outer),
        base_url="http://localhost:8000",
        headers={"Sec-Fetch-Site": "same-origin", "User-Agent": CHROME},
    ) as client:
        response = await client.post(
            "/auth/api/v1/sign-in", json={**sign_in(), "client": "browser"}
        )
        assert response.status_code == 200
        assert (await client.get("/auth/api/v1/session")).status_code == 200
        assert (await client.get("/auth/openapi.json")).json()["servers"] == [{"url": "/auth"}]
        problem(await client.get("/auth/api/v1/nothing"), 404, "not_found")
        response = await client.get("/auth/renew", headers={"Sec-Fetch-Mode": "navigate"})
        assert response.headers["location"] == "/auth/settings/sessions"
        response = await client.post("/auth/api/v1/sign-out")
        assert response.status_code == 204
        assert "clear-site-data" not in response.headers
    await inner.close()


async def test_a_proxy_may_pass_the_public_urls_path_on_or_take_it_off(
    database_url: str,
) -> None:
    settings = Settings(database_url=database_url, public_url="http://localhost:8000/auth")
    app = create_app(settings, passwords=Passwords(CHEAP, 1))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost:8000"
    ) as client:
        for prefix in ("", "/auth"):
            assert (await client.get(f"{prefix}/healthz")).status_code == 200
            response = await client.post(f"{prefix}/api/v1/sign-in", json=sign_in())
            assert response.status_code == 200
        problem(await client.get("/other/healthz"), 404, "not_found")
    await app.close()


async def test_its_lifespan_opens_and_closes_it(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url), passwords=Passwords(CHEAP, 1))
    assert await live(app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


CANNOT_OPEN = [Unavailable("the disk is gone"), SettingsError("a setting"), ValueError(SECRET)]


def closed(error: Exception) -> App:
    """A server that can't open."""

    async def open_node() -> Node:
        raise error

    return App(Settings(), ENDPOINTS, open_node)


@pytest.mark.parametrize("error", CANNOT_OPEN, ids=lambda error: type(error).__name__)
async def test_a_server_that_cannot_open_says_so_at_its_start(error: Exception) -> None:
    assert await live(closed(error)) == ["lifespan.startup.failed"]


@pytest.mark.parametrize("error", CANNOT_OPEN, ids=lambda error: type(error).__name__)
async def test_a_mounted_server_that_cannot_open_refuses_every_request(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    app = closed(error)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost:8000"
    ) as client:
        response = await client.get("/healthz")
    code = "internal" if isinstance(error, ValueError) else "unavailable"
    problem(response, 500 if isinstance(error, ValueError) else 503, code)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert SECRET not in caplog.text + response.text
    assert ("a setting" in caplog.text) == isinstance(error, SettingsError)


def own_threads() -> set[threading.Thread]:
    """The threads of lastcall's: other tests may have left some."""
    return {one for one in threading.enumerate() if one.name.startswith("lastcall-")}


@pytest.mark.parametrize("step", [(Signing, "ring"), (Leases, "_renew")], ids=["keys", "lease"])
async def test_each_attempt_to_open_that_fails_lets_go_of_the_database(
    database_url: str, monkeypatch: pytest.MonkeyPatch, step: tuple[type, str]
) -> None:
    """A mounted server that nobody starts tries it anew with each request."""

    async def fail(_self: object) -> None:
        raise Unavailable("planted")

    app = create_app(Settings(database_url=database_url), passwords=Passwords(CHEAP, 1))
    before = own_threads()
    with monkeypatch.context() as planted:
        planted.setattr(*step, fail)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await app.open()
    assert own_threads() <= before
    node = (await app.open()).node
    await node.identity.sign_in(EMAIL, PASSWORD, NATIVE, SEEN)
    await app.close()


async def test_requests_share_an_attempt_to_open_also_where_it_fails() -> None:
    """Each may take seconds."""
    tries = 0

    async def open_node() -> Node:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        raise SettingsError("planted")

    app = App(Settings(), ENDPOINTS, open_node)
    found = await asyncio.gather(*(app.open() for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in found] == [SettingsError, *[Unavailable] * 4]
    assert tries == 1


async def test_a_server_that_was_closed_opens_again_for_who_starts_it_alone(
    database_url: str,
) -> None:
    """Or a node that nobody closes would stay behind, for which others wait."""
    app = create_app(Settings(database_url=database_url), passwords=Passwords(CHEAP, 1))
    node = (await app.open()).node
    token = (await node.identity.sign_in(EMAIL, PASSWORD, NATIVE, SEEN)).access_token
    await app.close()
    with pytest.raises(Unavailable):
        await app.verifier.averify(token)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        problem(await client.get("/healthz"), 503, "unavailable")
    assert await live(app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_server_that_is_closed_while_it_opens_is_closed(database_url: str) -> None:
    before = own_threads()
    app = create_app(Settings(database_url=database_url), passwords=Passwords(CHEAP, 1))
    opening = asyncio.create_task(app.open())
    await asyncio.sleep(0)
    assert app._opening.locked()  # noqa: SLF001  it has begun, and waits for the database
    await app.close()
    await opening
    assert own_threads() <= before


async def live(app: App) -> list[str]:
    """Take an application through its lifespan; give what it said."""
    said: list[str] = []
    asked = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, str]:
        return {"type": next(asked)}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        said.append(message["type"])

    await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    return said


async def test_a_websocket_is_closed(served: Served) -> None:
    said: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        said.append(message["type"])

    await served.app({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert said == ["websocket.close"]


def test_server_processes_take_their_settings_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("LASTCALL_DATABASE_URL", database_url)
    assert isinstance(app_from_environment(), App)


# Pages.


class Form(Struct, forbid_unknown_fields=True):
    word: str = ""
    tick: bool = False


async def show(_call: Call[object, None, None]) -> Response:
    return PlainTextResponse("shown")


async def take(call: Call[Visitor, Form, None]) -> Response:
    name = call.caller.caller.user.name if call.caller.caller else None
    ended = call.caller.ended.reason if call.caller.ended else None
    return PlainTextResponse(f"{call.body.word} {call.body.tick} {name} {ended}")


async def step_up(_call: Call[object, None, None]) -> Response:
    raise ReauthenticationRequired(600)


def error_page(_request: Request, value: Problem) -> Response:
    return HTMLResponse(f"<p>{value.code}", value.status)


PAGES: list[AnyEndpoint] = [
    Endpoint(method="GET", path="/own/{id}", caller=SESSION, handler=show, summary="", page=True),
    Endpoint(method="POST", path="/own", caller=SESSION, handler=show, summary="", page=True),
    Endpoint(method="GET", path="/proof", caller=SESSION, handler=step_up, summary="", page=True),
    Endpoint(
        method="POST", path="/open", caller=VISITOR, handler=take, summary="", body=Form, page=True
    ),
    *[
        Endpoint(
            method="GET",
            path="/csrf",
            caller=ANYONE,
            handler=endpoint.handler,
            summary="",
            page=True,
        )
        for endpoint in failing(CsrfFailed())
    ],
]


@pytest.fixture
def paged(served: Served) -> Served:
    """A server with pages besides its API."""
    app = create_app(
        served.settings, node=served.node, endpoints=[*ENDPOINTS, *PAGES], error_page=error_page
    )
    return served.at(app)


async def test_a_page_without_a_session_leads_to_sign_in_and_back(paged: Served) -> None:
    response = await paged.client().get("/own/7?a=b%20c&d=e")
    assert response.status_code == 303
    assert response.headers["location"] == "/sign-in?next=/own/7%3Fa%3Db%2520c%26d%3De"


async def test_a_page_with_a_run_out_token_is_renewed_and_shown(paged: Served) -> None:
    browser = await paged.browser()
    paged.clock.advance(hours=2)
    headers = {"Sec-Fetch-Mode": "navigate"}
    response = await browser.get("/own/7?a=b", headers=headers, follow_redirects=True)
    assert (response.status_code, response.text) == (200, "shown")
    assert [step.url.path for step in response.history] == ["/own/7", "/renew"]


async def test_a_page_whose_form_comes_too_late_is_shown_again(paged: Served) -> None:
    browser = await paged.browser()
    paged.clock.advance(hours=2)
    response = await browser.post("/own")
    assert response.headers["location"] == "/renew?next=/settings/sessions"


async def test_a_page_of_an_ended_session_leads_to_sign_in_with_its_cookies(
    paged: Served,
) -> None:
    browser = await paged.browser()
    paged.clock.advance(hours=25)
    response = await browser.get("/own/7")
    assert response.headers["location"] == "/sign-in?next=/own/7"
    assert "set-cookie" not in response.headers


async def test_a_page_that_needs_a_fresh_proof_asks_for_it_and_comes_back(paged: Served) -> None:
    response = await (await paged.browser()).get("/proof")
    assert response.headers["location"] == "/reauthenticate?next=/proof"


@pytest.mark.parametrize("header", [None, "Bearer x"])
async def test_a_visitor_without_a_session_is_nobody(paged: Served, header: str | None) -> None:
    cookies = "lastcall-refresh=x; lastcall-refresh=y; lastcall-access=z"
    headers = {"Cookie": cookies, "Sec-Fetch-Site": "same-origin"}
    if header:
        headers["Authorization"] = header
    assert (await paged.client(headers).post("/open")).text == " False None None"


async def test_a_pages_form_is_read_into_its_fields(paged: Served) -> None:
    browser = await paged.browser()
    response = await browser.post("/open", data={"word": "häh", "tick": "true"})
    assert response.text == "häh True Ada None"


async def test_a_visitor_whose_session_ended_is_known_by_either_cookie(paged: Served) -> None:
    browser = await paged.browser()
    paged.clock.advance(hours=25)
    for kept in ("lastcall-access", "lastcall-refresh"):
        headers = {"Sec-Fetch-Site": "same-origin", "Cookie": f"{kept}={browser.cookies[kept]}"}
        response = await paged.client(headers).post("/open")
        assert response.text == " False None expired_inactive"


@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (b"word=a&word=b", "application/x-www-form-urlencoded", 422),
        (b"other=a", "application/x-www-form-urlencoded", 422),
        (b"tick=maybe", "application/x-www-form-urlencoded", 422),
        (b"word=%ff", "application/x-www-form-urlencoded", 400),
        (b"word=\xff", "application/x-www-form-urlencoded", 400),
        (b"a=b&" * 60, "application/x-www-form-urlencoded", 400),
        (b'{"word":"a"}', "application/json", 415),
        (b"word=" + b"a" * 70000, "application/x-www-form-urlencoded", 413),
    ],
    ids=["twice", "unknown", "no bool", "no text", "no ascii", "many", "json", "large"],
)
async def test_a_pages_hostile_form_is_refused_as_a_page(
    paged: Served, raw: bytes, kind: str, status: int
) -> None:
    client = paged.client({"Sec-Fetch-Site": "same-origin", "Content-Type": kind})
    response = await client.post("/open", content=raw)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")


async def test_a_pages_form_from_another_site_is_refused_even_without_cookies(
    paged: Served,
) -> None:
    client = paged.client({"Sec-Fetch-Site": "cross-site"})
    response = await client.post("/open", data={"word": "a"})
    assert (response.status_code, response.text) == (403, "<p>csrf_failed")
    assert (await paged.client().post("/open")).status_code == 200


async def test_a_person_at_an_unknown_path_gets_a_page_and_a_program_a_problem(
    paged: Served,
) -> None:
    html = {"Accept": "text/html,*/*"}
    response = await paged.client(html).get("/nowhere")
    assert (response.status_code, response.text) == (404, "<p>not_found")
    problem(await paged.client(html).get("/api/v1/nowhere"), 404, "not_found")
    problem(await paged.client().get("/nowhere"), 404, "not_found")
