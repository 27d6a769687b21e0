"""Browsers in people's hands, and the steps that many tests begin with."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from tests.pages.serving import EMAIL, PASSWORD, Running

SESSIONS: Final = "/settings/sessions"


@dataclass(frozen=True)
class Kit:
    """What somebody sits at: a browser as it names itself, and an address."""

    user_agent: str
    ip: str


MAC = Kit(
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.1 Safari/605.1.15",
    "81.2.69.142",
)
WINDOWS = Kit(
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:155.0) Gecko/20100101 Firefox/155.0",
    "80.128.10.20",
)
PHONE = Kit(
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
    "10.20.30.40",
)


@dataclass
class Person:
    """Somebody at a browser of their own, with its own cookies."""

    site: Running
    page: Page
    javascript: bool = True
    complaints: list[str] = field(default_factory=list)
    """What the browser has complained about: refused by the content policy, failed, or thrown."""
    strangers: list[str] = field(default_factory=list)
    """Requests that went to another origin."""

    @classmethod
    def sit_down(cls, browser: Browser, site: Running, kit: Kit = MAC, **more: Any) -> "Person":  # noqa: ANN401  Playwright's own options
        """Open a new browser."""
        context = browser.new_context(
            user_agent=kit.user_agent,
            extra_http_headers={"X-Forwarded-For": kit.ip},
            **{"locale": "en-GB", **more},
        )
        context.set_default_timeout(10_000)
        person = cls(site, context.new_page(), more.get("java_script_enabled", True))
        context.on("console", person.hear)
        context.on("weberror", lambda error: person.complaints.append(str(error.error)))
        context.on("request", person.watch)
        return person

    def hear(self, message: ConsoleMessage) -> None:
        """Note what the console says. That a page has an error's status is no complaint, nor that a
        page which is still open finds no server any more."""
        expected = ("the server responded", "net::ERR_CONNECTION_REFUSED")
        if message.type in ("error", "warning") and not any(it in message.text for it in expected):
            self.complaints.append(message.text)

    def watch(self, request: Request) -> None:
        """Note requests that leave the site."""
        if not request.url.startswith((self.site.url + "/", "data:", "about:")):
            self.strangers.append(request.url)

    def goes_to(self, path: str) -> int:
        """Open a page; gives its status."""
        response = self.page.goto(self.site.url + path)
        assert response is not None
        return response.status

    def finds_out(self) -> None:
        """Learn that the session has ended. With JavaScript the page that is open leaves by itself;
        without, the next click leads to the sign-in page."""
        if not self.javascript:
            self.goes_to(SESSIONS)
        self.is_at("/sign-in")

    def signs_in(self, email: str = EMAIL, password: str = PASSWORD) -> None:
        """Sign in through the page."""
        if not self.page.url.startswith(f"{self.site.url}/sign-in"):
            self.goes_to("/sign-in")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_role("textbox", name="Password").fill(password)
        with self.page.expect_navigation():  # also where the form comes back with an error
            self.page.get_by_role("button", name="Sign in", exact=True).click()

    def is_at(self, path: str) -> None:
        """Require that the page of this path is shown, whatever its query."""
        expect(self.page).to_have_url(re.compile(re.escape(self.site.url + path) + r"(\?.*)?"))

    def cookies(self) -> dict[str, dict[str, Any]]:
        """Give the browser's cookies by name."""
        return {cookie["name"]: dict(cookie) for cookie in self.page.context.cookies()}

    def has_rows(self, count: int) -> None:
        """Require that so many sessions are listed."""
        expect(self.page.locator("tbody tr")).to_have_count(count)

    @property
    def rows(self) -> list[str]:
        """The listed sessions as text, a row each, with bars between what stands apart."""
        expect(self.page.locator("tbody tr").first).to_be_visible()
        self.page.wait_for_load_state()
        texts = self.page.locator("tbody tr").all_inner_texts()
        return [" | ".join(filter(None, map(str.strip, re.split(r"[\n\t]", it)))) for it in texts]
