"""What a user's page says was done to them: what was, and not what its address says."""

import httpx
import pytest

from lastcall.events import Actor
from lastcall.identity.model import User
from lastcall.server import create_app
from lastcall.web.results import JUST_NOW
from tests.http.serving import Served

SAVED, RESUMED = "Saved.", "They can sign in again."


class Scene:
    """A server, its owner's browser, and the member Bob."""

    def __init__(self, served: Served, browser: httpx.AsyncClient, bob: User) -> None:
        self.served, self.browser, self.bob = served, browser, bob
        self.path = f"/account/users/{bob.id}"

    async def does(self, what: str, **form: str) -> str:
        """Send a form; give the page that it leads to."""
        done = await self.browser.post(f"{self.path}/{what}", data=form)
        assert done.status_code == 303, done.text
        return (await self.browser.get(done.headers["location"])).text

    async def shows(self, done: str) -> str:
        """Open the user's page by an address that says this."""
        response = await self.browser.get(f"{self.path}?done={done}")
        assert response.status_code == 200
        return response.text


@pytest.fixture
async def scene(served: Served) -> Scene:
    served = served.at(create_app(served.settings, node=served.node))
    bob = await served.add_user("bob@example.com")
    return Scene(served, await served.browser(), bob)


async def test_an_address_alone_announces_nothing(scene: Scene) -> None:
    for done in ("changed", "resumed"):
        page = await scene.shows(done)
        assert SAVED not in page
        assert RESUMED not in page


async def test_a_change_is_announced_to_who_made_it_for_a_minute(scene: Scene) -> None:
    assert SAVED in await scene.does("change", name="Bob", role="member")
    assert RESUMED not in await scene.shows("resumed")
    another = await scene.served.browser()
    assert SAVED not in (await another.get(f"{scene.path}?done=changed")).text
    scene.served.clock.advance(seconds=JUST_NOW.total_seconds() + 1)
    assert SAVED not in await scene.shows("changed")


async def test_a_new_role_is_announced_and_a_form_that_changed_nothing_is_not(
    scene: Scene,
) -> None:
    assert SAVED not in await scene.does("change", name="", role="member")
    assert SAVED in await scene.does("change", name="", role="admin")


async def test_that_a_user_may_sign_in_again_is_announced_while_they_may(scene: Scene) -> None:
    await scene.does("suspend")
    assert RESUMED in await scene.does("resume")
    user = await scene.served.node.store.find_user(scene.bob.id)
    assert user is not None
    await scene.served.node.identity.suspend(user, Actor("system"))
    assert RESUMED not in await scene.shows("resumed")
