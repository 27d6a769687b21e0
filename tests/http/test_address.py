"""Whose request it is, through proxies that are trusted and such that aren't."""

from ipaddress import ip_network

import pytest

from lastcall.http.address import nearest
from lastcall.settings import Settings
from tests.http.conftest import Serve
from tests.http.serving import Served
from tests.support.nodes import PASSWORD

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
        ("", ["9.9.9.9"], None),
        ("testclient", ["9.9.9.9"], None),
    ],
)
def test_it_is_the_right_most_hop_that_is_not_trusted(
    peer: str, forwarded: list[str], expected: str | None
) -> None:
    assert nearest(peer, forwarded, TRUSTED) == expected


async def test_without_trusted_proxies_no_header_tells_the_address(served: Served) -> None:
    headers = {
        "X-Forwarded-For": "9.9.9.9",
        "X-Real-IP": "9.9.9.9",
        "Forwarded": "for=9.9.9.9",
        "CF-Connecting-IP": "9.9.9.9",
        "X-Remote-User": "bob",
    }
    body = {"email": "ada@example.com", "password": PASSWORD}
    client = served.client(headers, peer="81.2.69.142")
    session = (await client.post("/api/v1/sign-in", json=body)).json()["session"]
    assert session["ip"] == "81.2.69.142"


async def test_with_a_trusted_proxy_its_word_counts(serve: Serve, database_url: str) -> None:
    served = await serve(Settings(database_url=database_url, trusted_proxies=TRUSTED))
    client = served.client({"X-Forwarded-For": "81.2.69.142"}, peer="10.0.0.1")
    body = {"email": "ada@example.com", "password": PASSWORD}
    session = (await client.post("/api/v1/sign-in", json=body)).json()["session"]
    assert (session["ip"], session["location"]["country_code"]) == ("81.2.69.142", "GB")
