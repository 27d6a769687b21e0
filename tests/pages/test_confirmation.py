"""What pages say of an ending that is not confirmed yet, and of who follows the event log."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress

from playwright.sync_api import expect
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lastcall.leases.messages import SUBPROTOCOL, Ack, store_position
from lastcall.leases.verifier import VerifierSide
from tests.pages.conftest import Sit
from tests.pages.people import SESSIONS, WINDOWS, Person
from tests.pages.serving import Running
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
        expect(result).to_contain_text("1 service can't be reached.")
        expect(result).to_contain_text("at the latest")
        expect(result).not_to_contain_text("Signed out everywhere")
        verifier.let_go()
        if not javascript:
            result.get_by_role("link", name="Look again").click()
        expect(result).to_contain_text("Signed out everywhere. 1 session ended.", timeout=20_000)
        expect(result).to_contain_text("Confirmed by 1 of 1 service in")


async def told_of_a_verifier(site: Running) -> None:
    """Wait until the node's row names a verifier: it does with the next renewal of its lease."""
    async with asyncio.timeout(20):
        while not any(  # noqa: ASYNC110  nothing announces it
            state.about and state.about.followers for state in (await site.node.leases.nodes())[1]
        ):
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
        site.run(told_of_a_verifier(site))
        main.get_by_role("link", name="Look again").click()
        row = ada.page.locator("#verifiers tbody tr")
        expect(row).to_contain_text("shop")
        expect(row).to_contain_text("127.0.0.1")
