"""Whose request it is, through proxies that are trusted and such that aren't."""

from ipaddress import ip_network

import pytest

from lastcall.http.address import nearest
from lastcall.settings import Network, Settings
from tests.http.conftest import Serve
from tests.http.serving import Served
from tests.support.nodes import EMAIL, PASSWORD

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("1.1.1.1", ["9.9.9.9"], "1.1.1.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["8.8.8.8, 9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["8.8.8.8", "9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["8.8.8.8, 9.9.9.9, 10.0.0.2"], "9.9.9.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["8.8.8.8, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["8.8.8.8, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["9.9.9.9:1234"], "9.9.9.9"),
        ("10.0.0.1", ["[2001:db8::1]:1234"], "2001:db8::1"),
        ("10.0.0.1", ["2001:DB8::1%eth0"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("fd00::1", ["::ffff:9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["_hidden"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1," * 500 + "9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["1.1.1.1," + "10.0.0.2," * 500 + "10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", ["9.9.9.9, " + "10.0.0.2, " * 10 + "10.0.0.3"], "9.9.9.9"),
        ("10.0.0.1", ["8.8.8.8, 9.9.9.9, 10.0.0.2", "fd00::7"], "9.9.9.9"),
        ("10.0.0.1", ['for="_hidden"'], "10.0.0.1"),
        ("10.0.0.1", ['9.9.9.9, for="[2001:db8::1%eth0]:47011"'], "10.0.0.1"),
        ("10.0.0.1", ["[2001:db8::1%25eth0]:47011"], "2001:db8::1"),
        ("fd00::1%eth0", ["9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["8.8.8.8\r\nX-Forwarded-For: 9.9.9.9"], "10.0.0.1"),
        ("10.0.0.1", ["9.9.9.9, 010.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", ["9.9.9.9, 10.2"], "10.0.0.1"),
        ("10.0.0.1", ["8.8.8.8," * 200 + "9.9.9.9"], "9.9.9.9"),
        ("1.1.1.1", ["8.8.8.8, 10.0.0.1"], "1.1.1.1"),
        ("", ["9.9.9.9"], None),
        ("testclient", ["9.9.9.9"], None),
    ],
)
def test_it_is_the_right_most_hop_that_is_not_trusted(
    peer: str, forwarded: list[str], expected: str | None
) -> None:
    assert nearest(peer, forwarded, TRUSTED) == expected


CLAIMS = (
    {"X-Forwarded-For": "9.9.9.9"},
    {"X-Forwarded-For": "9.9.9.9, 10.0.0.1"},
    {"X-Forwarded-For": "9.9.9.9," * 200 + "10.0.0.1"},
    {"Forwarded": "for=9.9.9.9"},
    {"Forwarded": 'for="[2001:db8::1]:4711";proto=https, for="_hidden", for=9.9.9.9'},
    {"X-Real-IP": "9.9.9.9"},
    {"X-Client-IP": "9.9.9.9"},
    {"X-Cluster-Client-IP": "9.9.9.9"},
    {"X-Originating-IP": "9.9.9.9"},
    {"X-Forwarded": "9.9.9.9"},
    {"CF-Connecting-IP": "9.9.9.9"},
    {"True-Client-IP": "9.9.9.9"},
    {"Fastly-Client-IP": "9.9.9.9"},
    {"Via": "1.1 9.9.9.9"},
)
"""What anybody may say of where they are."""
ADA = {"email": EMAIL, "password": PASSWORD}


async def seen_at(served: Served, peer: str, headers: dict[str, str]) -> set[str | None]:
    """Sign in, go on and look; give the addresses of the session and of what was recorded."""
    client = served.client({**headers, "Sec-Fetch-Site": "same-origin"}, peer=peer)
    begun = (await client.post("/api/v1/sign-in", json={**ADA, "client": "browser"})).json()
    renewed = await client.post("/api/v1/refresh")
    listed = (await client.get("/api/v1/sessions")).json()["sessions"]
    assert (await client.post("/api/v1/reauthenticate", json={"password": PASSWORD})).is_success
    assert renewed.status_code == 200
    records = (await client.get("/api/v1/audit")).json()["events"]
    newest = [record["ip"] for record in records if record["session_id"] == begun["session"]["id"]]
    assert len(newest) >= 1
    mine = [session["ip"] for session in listed if session["id"] == begun["session"]["id"]]
    return {begun["session"]["ip"], *mine, *newest}


@pytest.mark.parametrize("trusted", [(), (ip_network("10.0.0.1"),)], ids=["nobody", "a proxy"])
async def test_nobody_else_is_believed_about_where_they_are(
    serve: Serve, database_url: str, trusted: tuple[Network, ...]
) -> None:
    """Neither in the session, nor in what is recorded; whatever the header."""
    served = await serve(Settings(database_url=database_url, trusted_proxies=trusted))
    for headers in CLAIMS:
        assert (headers, await seen_at(served, "81.2.69.142", headers)) == (
            headers,
            {"81.2.69.142"},
        )


async def test_a_trusted_proxy_is_believed_by_one_header_only(
    serve: Serve, database_url: str
) -> None:
    """By any other, which it may have passed on, its own address is shown."""
    served = await serve(Settings(database_url=database_url, trusted_proxies=TRUSTED))
    for headers in CLAIMS:
        expected = "9.9.9.9" if "X-Forwarded-For" in headers else "10.0.0.1"
        assert (headers, await seen_at(served, "10.0.0.1", headers)) == (headers, {expected})


async def test_with_a_trusted_proxy_its_word_counts(serve: Serve, database_url: str) -> None:
    served = await serve(Settings(database_url=database_url, trusted_proxies=TRUSTED))
    client = served.client({"X-Forwarded-For": "81.2.69.142"}, peer="10.0.0.1")
    body = {"email": "ada@example.com", "password": PASSWORD}
    session = (await client.post("/api/v1/sign-in", json=body)).json()["session"]
    assert (session["ip"], session["location"]["country_code"]) == ("81.2.69.142", "GB")
