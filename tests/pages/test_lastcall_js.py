"""`lastcall.js` in a real browser: pages of an application that has the server mounted go on past
the hour, and learn that they are signed out."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as Asked
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from lastcall.events import SYSTEM
from lastcall.http.app import App
from lastcall.integrations.starlette import LastcallMiddleware, visit
from tests.conftest import ROOT
from tests.pages.serving import EMAIL, PASSWORD, Running, serving
from tests.support.following import eventually

LIBRARY = ROOT / "src/lastcall/web/static/lastcall.js"
SCRIPT = """
import { fetch, onSignedOut, signOut } from "/auth/lastcall.js";
window.heard = [];
window.stop = onSignedOut((told) => window.heard.push(told));
window.leave = signOut;
window.ask = async (path, init) => {
  const response = await fetch(path, init);
  return [response.status, await response.text()];
};
"""


async def home(_: Asked) -> Response:
    page = '<!doctype html><title>Shop</title><script type="module" src="/shop.js"></script>'
    return HTMLResponse(page)


async def copied(_: Asked) -> Response:
    page = '<!doctype html><title>Shop</title><script type="module" src="/own.js"></script>'
    return HTMLResponse(page)


async def script(request: Asked) -> Response:
    """The page's script; `/own.js` imports the application's copy of the library."""
    text = SCRIPT
    if request.url.path == "/own.js":
        text = text.replace("/auth/lastcall.js", "/copy/lastcall.js").replace(
            "import { ", "import { configure, "
        )
        text += 'configure("/auth");'
    return Response(text, media_type="text/javascript")


async def library(_: Asked) -> Response:
    return Response(LIBRARY.read_text(), media_type="text/javascript")


async def me(request: Asked) -> Response:
    return JSONResponse({"user": visit(request).require().user_id})


async def order(request: Asked) -> Response:
    visit(request).require()
    return Response(await request.body())


def shop(server: App) -> Starlette:
    """An application with the server under one of its paths."""
    return Starlette(
        routes=[
            Route("/", home),
            Route("/copied", copied),
            Route("/shop.js", script),
            Route("/own.js", script),
            Route("/copy/lastcall.js", library),
            Route("/me", me),
            Route("/orders", order, methods=["POST"]),
            Mount("/auth", server),
        ],
        middleware=[Middleware(LastcallMiddleware, verifier=server.verifier)],
    )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Running]:
    """The shop, with Ada as a user."""
    with serving(tmp_path, path="/auth", inside=shop, lease=timedelta(seconds=4)) as running:
        running.add_owner()
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of somebody's own."""
    opened = browser.new_context()
    opened.set_default_timeout(10_000)
    yield opened
    opened.close()


def url(site: Running, path: str) -> str:
    return site.url.removesuffix("/auth") + path


def opened(site: Running, context: BrowserContext, path: str = "/") -> Page:
    page = context.new_page()
    page.goto(url(site, path))
    page.wait_for_function("window.ask !== undefined")
    return page


def signed_in(site: Running, context: BrowserContext) -> Page:
    """A tab of the shop, after signing in on the server's page."""
    page = context.new_page()
    page.goto(url(site, "/auth/sign-in?next=/"))
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_function("window.ask !== undefined")
    return page


def wait(site: Running, hours: int) -> None:
    """Let hours pass. Verifiers know the server's time by its last grant."""
    site.clock.advance(hours=hours)
    second = timedelta(seconds=1)
    verifier, clock = site.app.verifier, site.clock
    site.run(eventually(lambda: verifier.server_time() > clock.now() - second))


def refreshes(context: BrowserContext) -> list[str]:
    """The renewals that are asked for from now on."""
    found: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/api/v1/refresh"):
            found.append(request.url)

    context.on("request", note)
    return found


def ask(page: Page, path: str, **init: str) -> list[Any]:
    answer: list[Any] = page.evaluate("([path, init]) => ask(path, init)", [path, init])
    return answer


def heard(page: Page) -> list[dict[str, Any]]:
    """What a tab is told, once it is told anything."""
    page.wait_for_function("window.heard.length > 0")
    told: list[dict[str, Any]] = page.evaluate("window.heard")
    return told


def test_four_tabs_past_the_hour_renew_once_and_none_notices(
    site: Running, context: BrowserContext
) -> None:
    first = signed_in(site, context)
    tabs = [first, *(opened(site, context) for _ in range(3))]
    renewed = refreshes(context)
    wait(site, 1)
    for tab in tabs:  # all at once: nobody waits for an answer here
        tab.evaluate("window.answer = Promise.all([ask('/me'), ask('/me')])")
    for tab in tabs:
        assert [status for status, _ in tab.evaluate("window.answer")] == [200, 200]
    assert len(renewed) == 1
    assert tabs[0].evaluate("window.heard") == []


def test_what_was_to_be_sent_is_sent_again(site: Running, context: BrowserContext) -> None:
    page = signed_in(site, context)
    wait(site, 1)
    assert ask(page, "/orders", method="POST", body="two of these") == [200, "two of these"]


def test_all_tabs_hear_why_the_session_has_ended(site: Running, context: BrowserContext) -> None:
    page, other = signed_in(site, context), opened(site, context)
    users = site.run(site.node.identity.find_by_email(EMAIL))
    site.run(
        site.node.sessions.endings.terminate_all(users.id, users.account_id, "reported", SYSTEM)
    )
    assert ask(page, "/me")[0] == 401
    for tab in (page, other):
        (told,) = heard(tab)
        assert told["reason"] == "reported"
        assert told["endedAt"].endswith("Z")


def test_who_was_away_for_too_long_hears_it_from_the_renewal(
    site: Running, context: BrowserContext
) -> None:
    page = signed_in(site, context)
    wait(site, 25)
    assert ask(page, "/me")[0] == 401
    assert heard(page)[0]["reason"] == "expired_inactive"


def test_who_signs_out_in_one_tab_is_so_in_all(site: Running, context: BrowserContext) -> None:
    page, other = signed_in(site, context), opened(site, context)
    quiet = opened(site, context)
    quiet.evaluate("window.stop()")
    page.evaluate("window.leave()")
    for tab in (page, other):
        assert heard(tab) == [{"reason": "signed_out", "endedAt": None}]
    assert ask(other, "/me")[0] == 401
    assert quiet.evaluate("window.heard") == []


def test_a_window_past_the_hour_is_renewed_on_its_way(
    site: Running, context: BrowserContext
) -> None:
    """Without any script of the page's; the server's own pages are left to themselves."""
    page = signed_in(site, context)
    wait(site, 1)
    response = page.goto(url(site, "/me"))
    assert response is not None
    assert (response.status, page.url) == (200, url(site, "/me"))
    wait(site, 1)
    page.goto(url(site, "/auth/settings/sessions"))
    assert page.url == url(site, "/auth/settings/sessions")


def test_a_copy_of_the_application_s_own_is_told_where_the_server_is(
    site: Running, context: BrowserContext
) -> None:
    signed_in(site, context)
    page = opened(site, context, "/copied")
    wait(site, 1)
    assert ask(page, "/me")[0] == 200


def test_without_web_locks_a_tab_renews_all_the_same(
    site: Running, context: BrowserContext
) -> None:
    """As on plain http, where browsers have none."""
    context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
    page = signed_in(site, context)
    wait(site, 1)
    assert ask(page, "/me")[0] == 200


def test_it_is_small_and_needs_nothing_else() -> None:
    source = LIBRARY.read_text()
    assert len(source) < 4096
    assert "import " not in source.replace("//   import", "")
