"""What pages say of an ending that is not confirmed yet, and of who follows the event log."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import expect
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lastcall.feed import about
from lastcall.leases.messages import SUBPROTOCOL, Ack, store_position
from lastcall.leases.verifier import VerifierSide
from tests.pages.conftest import Sit
from tests.pages.people import SESSIONS, WINDOWS, Person
from tests.pages.serving import Running, serving
from tests.support.following import Follower, new_name

SERVICES = "/account/services"


class Following:
    """A service's verifier that keeps its lease, and holds its acknowledgements back if told so."""

    def __init__(self, site: Running) -> None:
        self._site = site
        self.leased: Future[None] = Future()

    async def run(self, key: str) -> None:
        """Follow until cancelled."""
        url = self._site.url.replace("http", "ws", 1) + "/feed"
        headers = {"Authorization": f"Bearer {key}"}
        clock, side = self._site.clock, VerifierSide(new_name())
        async with connect(
            url, subprotocols=[Subprotocol(SUBPROTOCOL)], additional_headers=headers
        ) as socket:
            self._follower = Follower(socket, side, clock)
            await self._follower.say(*side.opened())
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._follower.hear()
                await self._follower.say(*side.tick(clock.lease()))
                if side.leased(clock.lease()) and not self.leased.done():
                    self.leased.set_result(None)

    def hold(self) -> None:
        """Acknowledge nothing from now on."""
        self._follower.deaf = True

    def let_go(self) -> None:
        """Acknowledge what is known."""

        async def work() -> None:
            self._follower.deaf = False
            view = self._follower.side.view
            assert view is not None
            await self._follower.say(Ack(store_position(view.position)))

        self._site.run(work())


@contextmanager
def following(site: Running) -> Iterator[Following]:
    """Let a service of the account follow the server until the block ends."""

    async def make() -> str:
        (account,) = await site.node.store.list_accounts()
        _, text = await site.node.services.create(account.id, "shop", ("verify",))
        return text

    verifier, key = Following(site), site.run(make())
    task = asyncio.run_coroutine_threadsafe(verifier.run(key), site.loop)
    try:
        verifier.leased.result(timeout=20)
        yield verifier
        assert not task.done() or task.result() is None, "it follows until the end"
    finally:
        task.cancel()


def end_others(person: Person, *, javascript: bool) -> None:
    person.page.get_by_role("link", name="Terminate sessions").click()
    asked = person.page.get_by_role("dialog") if javascript else person.page.locator("main")
    asked.get_by_role("button", name="Terminate").click()


def test_an_ending_is_claimed_only_once_it_is_confirmed(
    site: Running, sit: Sit, javascript: bool
) -> None:
    """Until then the page says by when it is certain, and turns by itself, or when asked again."""
    sit(site, WINDOWS, java_script_enabled=False).signs_in()
    ada = sit(site, java_script_enabled=javascript)
    ada.signs_in()
    ada.is_at(SESSIONS)
    with following(site) as verifier:
        verifier.hold()
        end_others(ada, javascript=javascript)
        result = ada.page.locator("#result")
        expect(result).to_contain_text("Signing out everywhere. 1 session ended.")
        expect(result).to_contain_text("1 service has not confirmed it yet.")
        expect(result).not_to_contain_text("reached")
        expect(result).to_contain_text("at the latest")
        expect(result).not_to_contain_text("Signed out everywhere")
        verifier.let_go()
        if not javascript:
            result.get_by_role("link", name="Look again").click()
        everywhere = "Signed out everywhere, confirmed by 1 of 1 service in"
        expect(result).to_contain_text(everywhere, timeout=20_000)


def test_a_service_that_is_not_connected_is_said_to_be_out_of_reach(
    site: Running, sit: Sit
) -> None:
    sit(site, WINDOWS).signs_in()
    ada = sit(site)
    ada.signs_in()
    ada.is_at(SESSIONS)
    with following(site):
        pass  # it leaves its lease behind
    site.run(followers(site, lambda told: told and not any(one.connected_at for one in told)))
    end_others(ada, javascript=True)
    result = ada.page.locator("#result")
    expect(result).to_contain_text("Signing out everywhere. 1 session ended.")
    expect(result).to_contain_text("1 service can't be reached.")
    expect(result).not_to_contain_text("has not confirmed")


def test_without_any_acknowledgement_the_page_turns_when_it_is_certain(
    tmp_path: Path, sit: Sit
) -> None:
    """A lease and its margin later, by itself, and claims nobody's confirmation."""
    with serving(tmp_path, lease=timedelta(seconds=4)) as site:
        site.add_owner()
        sit(site, WINDOWS).signs_in()
        ada = sit(site)
        ada.signs_in()
        ada.is_at(SESSIONS)
        with following(site) as verifier:
            verifier.hold()
            end_others(ada, javascript=True)
            result = ada.page.locator("#result")
            expect(result).to_contain_text("1 service has not confirmed it yet.")
            expect(result).to_contain_text("at the latest")
            expect(result).to_contain_text("Signed out everywhere", timeout=20_000)
            expect(result).to_contain_text("1 session ended.")
            expect(result).not_to_contain_text("at the latest")
            expect(result).not_to_contain_text("confirmed by")


async def followers(site: Running, holds: Callable[[list[about.Follower]], object]) -> None:
    """Wait until the verifiers that nodes' rows name are so: each is written with the next renewal
    of a node's lease."""

    async def found() -> list[about.Follower]:
        _, states = await site.node.leases.nodes()
        return [one for state in states if state.about for one in state.about.followers]

    async with asyncio.timeout(20):
        while not holds(await found()):  # noqa: ASYNC110  nothing announces it
            await asyncio.sleep(0.05)


def test_admins_see_who_follows_and_how_to_connect_a_service(
    site: Running, sit: Sit, javascript: bool
) -> None:
    ada = sit(site, java_script_enabled=javascript)
    ada.signs_in()
    ada.page.get_by_role("link", name="Services").click()
    ada.is_at(SERVICES)
    main = ada.page.locator("main")
    expect(main).to_contain_text("No service is connected")
    expect(main).to_contain_text("lastcall key create NAME --scope verify")
    expect(ada.page.locator("#nodes tbody tr")).to_have_count(1)
    with following(site):
        site.run(followers(site, bool))
        main.get_by_role("link", name="Look again").click()
        row = ada.page.locator("#verifiers tbody tr")
        expect(row).to_contain_text("shop")
        expect(row).to_contain_text("127.0.0.1")


def test_an_open_page_shows_who_comes_falls_behind_and_goes(site: Running, sit: Sit) -> None:
    """Without a reload, though nothing of it is in the audit log; a tab that shows something else
    may be the one that holds the stream."""
    ada = sit(site)
    ada.signs_in()
    ada.is_at(SESSIONS)
    page = ada.page.context.new_page()
    page.goto(site.url + SERVICES)
    rows = page.locator("#verifiers tbody tr")
    expect(page.locator("main")).to_contain_text("No service is connected")
    page.evaluate("window.opened = true")
    with following(site) as verifier:
        expect(rows).to_have_count(1, timeout=20_000)
        expect(rows).to_contain_text("up to date", timeout=20_000)
        expect(rows).to_contain_text("yes", timeout=20_000)
        verifier.hold()
        sit(site, WINDOWS).signs_in()
        ada.has_rows(2)
        end_others(ada, javascript=True)
        expect(rows).to_contain_text("1 event behind", timeout=20_000)
        verifier.let_go()
        expect(rows).to_contain_text("up to date", timeout=20_000)
    expect(rows).to_contain_text("not connected", timeout=20_000)
    expect(rows).to_contain_text(re.compile(r"runs out in \d+ seconds"))
    assert page.evaluate("window.opened"), "it is the same page"
