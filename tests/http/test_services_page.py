"""Account Management → Services: what is shown of verifiers, as the rows of nodes tell it."""

import re
from datetime import datetime, timedelta
from html.parser import HTMLParser

import httpx
import msgspec
import pytest

from lastcall.feed.about import About, Follower
from lastcall.ids import NodeId
from lastcall.server import create_app
from lastcall.stores.base import RegisterNode, RenewNode
from lastcall.web.services import SHOWN
from tests.http.serving import Served
from tests.support.following import eventually

PAGE = "/account/services"
HERE = NodeId("n_elsewhere")


class Text(HTMLParser):
    """The text of each row of a page, and the names of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag == "tr":
            self.rows.append("")

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1] = " ".join(f"{self.rows[-1]} {data}".split())

    def row(self, part: str) -> str:
        """Give the one row that has this in it."""
        (found,) = [row for row in self.rows if part in row]
        return found


class Scene:
    """A server, its owner's browser, and another node whose row is written by the test."""

    def __init__(self, served: Served, browser: httpx.AsyncClient, end: int) -> None:
        self.served, self.browser, self.end = served, browser, end

    def follower(self, name: str, **more: object) -> Follower:
        """A verifier with which all is well."""
        now = self.served.clock.now()
        good = Follower(
            name,
            self.served.account.id,
            "k_1",
            "shop",
            "web-1 4711",
            "10.0.0.7",
            now - timedelta(minutes=5),
            now + timedelta(seconds=25),
            self.end,
        )
        return msgspec.structs.replace(good, **more)

    async def tell(self, *followers: Follower, unnamed: dict[str, int] | None = None) -> None:
        """Have the node's row name these."""
        about = About("other 12", self.served.clock.now(), followers, unnamed or {})
        end = (await self.served.node.store.log_end()).position
        text = msgspec.json.encode(about).decode()
        await self.served.node.store.commit(RenewNode(HERE, end, end, len(followers), text))

    async def page(self) -> str:
        response = await self.browser.get(PAGE)
        assert response.status_code == 200
        return response.text

    async def mark(self) -> str:
        (found,) = re.findall(r'data-services="([0-9a-f]+)"', await self.page())
        return str(found)


@pytest.fixture
async def scene(served: Served) -> Scene:
    served = served.at(create_app(served.settings, node=served.node))
    await served.node.store.commit(RegisterNode(HERE, timedelta(seconds=30)))
    browser = await served.browser()
    return Scene(served, browser, (await served.node.store.log_end()).position.seq)


async def test_a_verifier_says_whether_it_is_connected_leased_and_up_to_date(scene: Scene) -> None:
    now = scene.served.clock.now()
    await scene.tell(
        scene.follower("verifier-fine"),
        scene.follower("verifier-behind", seq=scene.end - 1),
        scene.follower("verifier-gone", connected_at=None),
        scene.follower("verifier-deaf", leased_until=None),
        scene.follower("verifier-lapsed", leased_until=now),
    )
    shown = Text(await scene.page())
    fine = shown.row("verifier-fine")
    assert "5 minutes ago" in fine
    assert "Lease yes" in fine
    assert "up to date" in fine
    assert "in 25 seconds" not in fine, "it renews its lease"
    assert "1 event behind" in shown.row("verifier-behind")
    gone = shown.row("verifier-gone")
    assert "not connected" in gone
    assert "Lease runs out in 25 seconds" in gone
    assert "no lease" in shown.row("verifier-deaf")
    assert "no lease" in shown.row("verifier-lapsed")


async def test_a_server_that_has_not_renewed_its_lease_for_long_says_since_when_it_is_silent(
    scene: Scene,
) -> None:
    """Its row's beat as this server saw it; then it has no lease, nor has any of its verifiers."""
    node, clock = scene.served.node, scene.served.clock
    await scene.tell(
        scene.follower("verifier-there", leased_until=clock.now() + timedelta(hours=1))
    )
    await node.leases.start()
    assert "silent since" not in await scene.page()
    await eventually(lambda: node.leases.side.silent_for(HERE, clock.lease() + 1) >= 1)
    marks = [await scene.mark()]
    clock.advance(seconds=12)
    shown = Text(await scene.page())
    assert "Lease yes silent since 12:00:00 UTC" in shown.row("other 12")
    assert "Lease yes" in shown.row("verifier-there")
    marks.append(await scene.mark())
    clock.advance(seconds=20)
    shown = Text(await scene.page())
    assert "no lease silent since" in shown.row("other 12")
    assert "no lease" in shown.row("verifier-there")
    marks.append(await scene.mark())
    assert len(set(marks)) == 3


async def test_a_long_list_shows_those_first_that_something_is_the_matter_with(
    scene: Scene,
) -> None:
    """And tells how many more there are, also of those that a node only counts."""
    many = [scene.follower(f"verifier-{number:04}") for number in range(SHOWN + 7)]
    bad = scene.follower("verifier-zzzz", connected_at=None)
    await scene.tell(*many, bad, unnamed={scene.served.account.id: 5, "a_other": 1000})
    page = await scene.page()
    assert page.count("<code>verifier-") == SHOWN
    assert "<code>verifier-zzzz" in page
    assert "13 more are not shown." in page
    await scene.tell(*many[:SHOWN])
    assert "not shown" not in await scene.page()


async def test_other_accounts_verifiers_are_not_shown(scene: Scene) -> None:
    await scene.tell(scene.follower("verifier-theirs", account_id="a_other"))
    page = await scene.page()
    assert "verifier-theirs" not in page
    assert "No service is connected" in page


async def test_a_hostile_name_of_a_key_or_of_a_process_is_text(scene: Scene) -> None:
    text = "<img src=x onerror=alert(1)>\"'{{7*7}}"
    await scene.tell(scene.follower("verifier-hostile", key_name=text, agent=text, ip=text))
    page = await scene.page()
    shown = Text(page)
    assert "img" not in shown.names
    assert shown.row("verifier-hostile").count(text) == 3


async def test_a_longer_list_takes_no_more_statements(scene: Scene, statements: list[str]) -> None:
    counts = []
    for number in (1, 50):
        await scene.tell(*(scene.follower(f"verifier-{one:04}") for one in range(number)))
        statements.clear()
        await scene.page()
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 3


async def test_the_mark_changes_with_what_is_shown_and_not_with_the_renewals(scene: Scene) -> None:
    def at(moment: datetime) -> dict[str, object]:
        return {"leased_until": moment}

    now, one = scene.served.clock.now(), scene.follower("verifier-one")
    await scene.tell(one)
    marks = [await scene.mark()]
    await scene.tell(msgspec.structs.replace(one, **at(now + timedelta(seconds=29))))
    assert await scene.mark() == marks[0]
    for changed in (
        {"connected_at": None},
        {"connected_at": now},
        {"leased_until": None},
        {"leased_until": now},
        {"seq": 1},
    ):
        await scene.tell(msgspec.structs.replace(one, **changed))
        marks.append(await scene.mark())
    assert marks[3] == marks[4], "a lease that ran out is none"
    await scene.tell(one, unnamed={scene.served.account.id: 1})
    marks.append(await scene.mark())
    await scene.tell(one, scene.follower("verifier-two"))
    marks.append(await scene.mark())
    assert len(set(marks)) == len(marks) - 1
    theirs = scene.follower("verifier-theirs", account_id="a_other")
    await scene.tell(one, theirs)
    marks.append(await scene.mark())
    await scene.tell(one, msgspec.structs.replace(theirs, connected_at=None))
    assert await scene.mark() == marks[-1], "what is another account's is nobody else's business"


async def test_what_other_nodes_rows_tell_of_their_verifiers_is_said_of_an_ending(
    scene: Scene,
) -> None:
    """Who is connected there and silent has not confirmed it; who is not can't be reached."""
    other = await scene.served.native()
    gone = [scene.follower(f"verifier-gone-{one}", connected_at=None) for one in range(2)]
    await scene.tell(scene.follower("verifier-silent"), *gone)
    ended = await scene.browser.delete(f"/api/v1/sessions/{other.session_id}?wait=0")
    value = ended.json()
    assert (value["state"], value["verifiers"], value["acknowledged"]) == ("confirming", 3, 0)
    page = (await scene.browser.get(f"/settings/sessions?done={value['id']}")).text
    assert "1 service has not confirmed it yet. 2 services can" in page
    await scene.tell(scene.follower("verifier-silent", seq=scene.end + 1), *gone)
    page = (await scene.browser.get(f"/settings/sessions?done={value['id']}")).text
    assert "Signed out everywhere, confirmed by 3 of 3 services" in page
