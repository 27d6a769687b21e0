"""Another organisation's people, sessions, keys and records, asked for by everybody who may do
something in their own: by every name that a thing has, wherever one can be given (attacks 48, 51).

The routes are those that are declared: a new one is tried as soon as it exists.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lastcall.http.endpoint import API, AnyEndpoint
from lastcall.server import ENDPOINTS, create_app
from tests.http.cast import Cast, dump, gather
from tests.http.conftest import Serve
from tests.http.serving import Served
from tests.support.nodes import EMAIL

ELSEWHERE = ("admin elsewhere", "owner elsewhere", "sessions elsewhere", "metrics elsewhere")
"""Who asks: they may do in their own account whatever the route is for."""
NAMED = [one for one in ENDPOINTS if "{id}" in one.path]
"""The routes that are about one thing."""
REFUSED = {401, 403, 404, 422}


Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return gather(tmp_path_factory.mktemp("cast"))


@pytest.fixture
async def served(serve: Serve, cast: Cast, tmp_path: Path) -> Served:
    """The server with its pages, on a database that nobody has changed."""
    served = await serve(cast.settings(tmp_path / "both"))
    return served.at(create_app(served.settings, node=served.node))


async def names(served: Served) -> dict[str, str]:
    """Give every name of everything in the organisation that is asked about."""
    store, account = served.node.store, served.ada.account_id
    rows = dump(Path(served.settings.database_url.removeprefix("sqlite:///")).parent)
    found = {"account": account, "address": EMAIL, "upper case": EMAIL.upper()}
    for user in (served.ada, *[await served.node.identity.find_by_email("bob@example.com")]):
        found[f"user {user.email}"] = user.id
    found["key"] = (await store.list_service_keys(account))[0].id
    ours = [str(row) for row in rows["sessions"] if account in row]
    found |= {
        f"session {number}": next(part for part in row.split("'") if part.startswith("s_"))
        for number, row in enumerate(ours[:3])
    }
    return found


def caller(cast: Cast, who: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {cast.tokens[who]}"}


def asked(endpoint: AnyEndpoint, names: dict[str, str], own: dict[str, str]) -> Iterator[str]:
    """Put names where a route takes one; beside one's own, too, where it takes two."""
    for name in names.values():
        path = endpoint.path.replace("{id}", name)
        if "{sid}" not in path:
            yield path
            continue
        for other in (*names.values(), *own.values()):
            yield path.replace("{sid}", other)
    if "{sid}" in endpoint.path:
        for mine, name in itertools.product(own.values(), names.values()):
            yield endpoint.path.replace("{id}", mine).replace("{sid}", name)


async def ask(
    served: Served, endpoint: AnyEndpoint, path: str, headers: dict[str, str], name: str
) -> httpx.Response:
    """Ask, with the name in the query and the body as well, as far as there are any."""
    query = {} if endpoint.query is None else dict.fromkeys(QUERY & fields(endpoint.query), name)
    body = {} if endpoint.body is None else dict.fromkeys(BODY & fields(endpoint.body), name)
    body |= {"status": "suspended"} if "status" in fields(endpoint.body) else {}
    if not endpoint.page:
        async with served.client(headers, peer="192.0.2.1") as client:
            given = {"json": body} if endpoint.body is not None else {}
            return await client.request(endpoint.method, path, params=query, **given)  # type: ignore[arg-type]
    async with served.client({"Sec-Fetch-Site": "same-origin"}) as browser:
        token = headers["Authorization"].removeprefix("Bearer ")
        browser.cookies.set("lastcall-access", token)
        return await browser.request(endpoint.method, path, params=query, data=body)


QUERY = {"session", "person", "q", "external_id", "done"}
BODY = {"session_id", "name"}
"""Where a route takes a name besides its path."""


def fields(kind: type[object] | None) -> set[str]:
    return set(getattr(kind, "__struct_fields__", ()))


@pytest.mark.parametrize("route", NAMED, ids=lambda one: f"{one.method} {one.path}")
async def test_by_no_name_anybody_reaches_into_another_organisation(
    served: Served, cast: Cast, tmp_path: Path, route: AnyEndpoint
) -> None:
    """Every name in every place, as the database shows, changes nothing and tells nothing."""
    foreign = await names(served)
    olga = await served.node.identity.find_by_email("olga@example.com")
    own = {"user": olga.id, "session": cast.places["session elsewhere"]}
    before = dump(tmp_path / "both")
    for who in ELSEWHERE:
        if route.page and "owner" not in who:
            continue
        for path in asked(route, foreign, own):
            answer = await ask(served, route, path, caller(cast, who), cast.places["session"])
            assert answer.status_code in REFUSED | {303}, (who, path, answer.text)
            assert answer.status_code != 303 or answer.headers["location"].startswith("/sign-in")
            assert not [name for name in HIDDEN if name in answer.text]
    assert dump(tmp_path / "both") == before


HIDDEN = ("ada@", "bob@", "mia@", "grace@", "carol@", "Acme")
"""What an answer about the other organisation would show."""
STREAM = "/live"
"""Never over; `unit/test_live_telling.py` has whom it tells what."""
LISTS = [
    one
    for one in ENDPOINTS
    if one.method == "GET" and "{" not in one.path and one.query and one.path != STREAM
]


@pytest.mark.parametrize("route", LISTS, ids=lambda one: one.path)
async def test_no_list_shows_another_organisation_s_by_a_filter_or_a_cursor_of_its_own(
    served: Served, cast: Cast, tmp_path: Path, route: AnyEndpoint
) -> None:
    """A place to go on from, taken from the other account's list, is a place and no right."""
    foreign = await names(served)
    folder = tmp_path / "both"
    before = theirs(dump(folder), served.ada.account_id)
    searches = [dict.fromkeys(QUERY & fields(route.query), name) for name in foreign.values()]
    headers = caller(cast, "owner")
    async with served.client(headers) as client:
        page = await client.get(f"{route.path}?limit=1") if route.path.startswith(API) else None
    if page is not None and page.status_code == 200:
        cursor = page.json().get("next")
        searches += [{"before": cursor}] if cursor else []
    for who, search in itertools.product(ELSEWHERE, ({}, *searches)):
        headers = caller(cast, who)
        if route.page:
            async with served.client({"Sec-Fetch-Site": "same-origin"}) as browser:
                browser.cookies.set("lastcall-access", headers["Authorization"][7:])
                answer = await browser.get(route.path, params=search)
        else:
            async with served.client(headers, peer="192.0.2.1") as client:
                answer = await client.get(route.path, params=search)
        said = answer.text
        for value in search.values():  # a page shows what was searched for
            said = said.replace(value, "").replace(value.lower(), "")
        assert not [name for name in (*HIDDEN, *foreign.values()) if name in said], search
    assert theirs(dump(folder), served.ada.account_id) == before


def theirs(rows: Rows, account: str) -> Rows:
    """Leave the records of one's own account out, as that an audit log was taken away is one, and
    the counts of attempts and the rows of nodes, which are nobody's."""
    others = {"audit", "sqlite_sequence", "throttle", "nodes"}
    kept = {name: rows[name] for name in rows if name not in others}
    return {**kept, "audit": [row for row in rows["audit"] if account in row]}


def test_the_cursors_are_real_ones() -> None:
    """The lists of the API that go on are among those that are tried."""
    paged = {one.path for one in LISTS if "before" in fields(one.query)}
    assert paged >= {f"{API}/users", f"{API}/audit", f"{API}/keys", "/account/audit"}
    assert len(NAMED) > 25
