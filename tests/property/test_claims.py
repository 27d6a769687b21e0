"""Whatever a request claims of where it comes from or wants to go back to."""

from ipaddress import ip_address, ip_network
from urllib.parse import urljoin, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from lastcall.http.address import nearest
from lastcall.local import local_path
from tests.support.elsewhere import ELSEWHERE

ANY = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
PROXY = st.sampled_from(
    ["10.0.0.1", "10.1.2.3:8080", "[fd00::1]:1", "fd00::2%eth0", "::ffff:10.0.0.9"]
)
FOREIGN = (st.ip_addresses(v=4) | st.ip_addresses(v=6)).filter(
    lambda ip: (
        not any(ip in network for network in TRUSTED) and not (ip.version == 6 and ip.ipv4_mapped)
    )
)
CLAIM = (
    ANY
    | FOREIGN.map(str)
    | PROXY
    | st.sampled_from(
        ["unknown", "_hidden", 'for="_hidden"', "9.9.9.9\r\nX-Y: z", "", " ", "[", "]", ":", "%"]
    )
)
PARTS = st.sampled_from(
    ["/", "//", "\\", ".", "..", ":", "@", "?", "#", ";", "%", "%09", "%2f", "%5c", "%2e", "\t",
     "\n", " ", "\u2028", "\u0435", "http", "https:", "javascript:",
     "evil.example", "localhost", "a"]
)  # fmt: skip


@given(FOREIGN, CLAIM)
def test_a_peer_that_is_not_trusted_is_who_it_is(peer: object, claim: str) -> None:
    assert nearest(str(peer), [claim], TRUSTED) == str(peer)


@given(st.lists(CLAIM, max_size=8), FOREIGN, st.lists(PROXY, max_size=5))
def test_nothing_to_the_left_of_the_nearest_foreign_hop_is_looked_at(
    claims: list[str], hop: object, proxies: list[str]
) -> None:
    chain = ", ".join([*claims, str(hop), *proxies])
    assert nearest("10.0.0.1", [chain], TRUSTED) == str(hop)
    assert nearest("10.0.0.1", [*claims, str(hop), *proxies], TRUSTED) == str(hop)


@given(ANY | PROXY | FOREIGN.map(str), st.lists(CLAIM, max_size=200))
def test_any_chain_yields_an_address_as_it_is_written_or_none(peer: str, chain: list[str]) -> None:
    found = nearest(peer, chain, TRUSTED)
    assert found is None or str(ip_address(found)) == found


@given(
    ANY | st.lists(PARTS, max_size=8).map("".join) | st.lists(PARTS).map(lambda p: "/" + "".join(p))
)
@example("/a/b?c=d#e")
def test_any_way_back_stays_on_its_origin(text: str) -> None:
    back = local_path(text, "/home")
    assert back in (text, "/home")
    there = urlsplit(urljoin("https://own.example/sign-in", back))
    assert (there.scheme, there.netloc) == ("https", "own.example")
    assert not urlsplit(back).netloc
    assert back.isascii()
    assert back.isprintable()


def test_every_known_way_elsewhere_is_refused() -> None:
    assert {local_path(text, "/home") for text in ELSEWHERE} == {"/home"}
