"""Where unsafe requests may come from."""

import pytest

from lastcall.credentials import own_origins
from tests.http.serving import Served, problem
from tests.support.nodes import PASSWORD

OWN = "http://localhost:8000"
SIGN_IN = {"email": "ada@example.com", "password": PASSWORD}

COMES_FROM = [
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "none"}, False),
    ({"Sec-Fetch-Site": ""}, False),
    ({"Sec-Fetch-Site": "SAME-ORIGIN"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": OWN}, False),
    ({"Origin": OWN}, True),
    ({"Origin": "http://127.0.0.1:8000"}, True),
    ({"Origin": "http://[::1]:8000"}, True),
    ({"Origin": "http://localhost"}, False),
    ({"Origin": "http://localhost:8001"}, False),
    ({"Origin": "https://localhost:8000"}, False),
    ({"Origin": "http://localhost:8000.evil.example"}, False),
    ({"Origin": "https://evil.example"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "https://evil.example", "Referer": OWN + "/"}, False),
    ({"Host": "evil.example", "Origin": "http://evil.example"}, False),
    ({"X-Forwarded-Host": "evil.example", "Origin": "http://evil.example"}, False),
]


@pytest.mark.parametrize(("headers", "allowed"), COMES_FROM, ids=str)
async def test_a_sign_in_must_come_from_the_servers_own_pages_or_from_no_browser(
    served: Served, headers: dict[str, str], allowed: bool
) -> None:
    response = await served.client(headers).post("/api/v1/sign-in", json=SIGN_IN)
    if allowed:
        assert response.status_code == 200
    else:
        problem(response, 403, "csrf_failed")
        assert not (await served.node.sessions.list(served.ada.id, "active")).sessions


@pytest.mark.parametrize(("headers", "allowed"), COMES_FROM, ids=str)
async def test_an_unsafe_request_with_cookies_must_come_from_the_servers_own_pages(
    served: Served, headers: dict[str, str], allowed: bool
) -> None:
    browser = await served.browser()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    client = served.client({**headers, "Cookie": cookies})
    response = await client.post("/api/v1/sessions/terminate-others")
    if allowed:
        assert response.status_code == 200
    else:
        problem(response, 403, "csrf_failed")


async def test_with_neither_header_cookies_are_refused_and_others_let_through(
    served: Served,
) -> None:
    assert (await served.client().post("/api/v1/sign-in", json=SIGN_IN)).status_code == 200
    browser = await served.browser()
    for name, value in browser.cookies.items():
        client = served.client({"Cookie": f"{name}={value}"})
        problem(await client.post("/api/v1/sign-in", json=SIGN_IN), 403, "csrf_failed")
        problem(await client.post("/api/v1/refresh"), 403, "csrf_failed")
    # An application's own cookies are not these.
    client = served.client({"Cookie": "theme=dark"})
    assert (await client.post("/api/v1/sign-in", json=SIGN_IN)).status_code == 200


async def test_two_answers_to_where_it_comes_from_must_both_be_good(served: Served) -> None:
    for name, good, bad in (
        ("Sec-Fetch-Site", "same-origin", "cross-site"),
        ("Origin", OWN, "https://evil.example"),
    ):
        for values in ((good, bad), (bad, good)):
            headers = [(name, value) for value in values]
            response = await served.client().post("/api/v1/sign-in", json=SIGN_IN, headers=headers)
            problem(response, 403, "csrf_failed")


@pytest.mark.parametrize("path", ["/api/v1/sign-in", "/api/v1/sign-out"])
@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}], ids=str)
async def test_nobody_is_signed_in_or_out_by_a_form_of_another_site_that_brings_no_cookies(
    served: Served, headers: dict[str, str], path: str
) -> None:
    """A browser keeps cookies back from such a form (SameSite), but takes those of its answer."""
    response = await served.client(headers).post(path, json=SIGN_IN)
    problem(response, 403, "csrf_failed")
    assert "clear-site-data" not in response.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/sign-in"),
        ("POST", "/api/v1/refresh"),
        ("POST", "/api/v1/reauthenticate"),
        ("POST", "/api/v1/sign-out"),
        ("POST", "/api/v1/sessions"),
        ("POST", "/api/v1/sessions/terminate-others"),
        ("DELETE", "/api/v1/sessions/x"),
        ("POST", "/api/v1/password"),
    ],
)
async def test_no_unsafe_call_is_open_to_another_site(
    served: Served, method: str, path: str
) -> None:
    browser = await served.browser()
    response = await browser.request(method, path, headers={"Sec-Fetch-Site": "cross-site"})
    problem(response, 403, "csrf_failed")


async def test_reading_is_open_to_any_origin_and_gives_it_nothing_to_read_by(
    served: Served,
) -> None:
    browser = await served.browser()
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    response = await browser.get("/api/v1/session", headers=headers)
    assert response.status_code == 200
    assert not any(name.startswith("access-control") for name in response.headers)
    assert response.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("url", "origins"),
    [
        ("https://id.example.com", {"https://id.example.com"}),
        ("https://id.example.com:443/auth", {"https://id.example.com"}),
        ("https://ID.example.com:8443", {"https://id.example.com:8443"}),
        ("http://127.0.0.1", {"http://127.0.0.1", "http://localhost", "http://[::1]"}),
    ],
)
def test_the_public_url_tells_which_origins_are_own(url: str, origins: set[str]) -> None:
    assert own_origins(url) == origins
