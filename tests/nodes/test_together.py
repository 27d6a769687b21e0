"""Several server processes on one PostgreSQL database: what one of them ends is over at all."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from math import ceil

import pytest

from lastcall import Unavailable, Verifier
from lastcall.clock import lease_clock
from tests.http.test_live import Stream
from tests.nodes.site import KEPT, LEASE, Site, eventually, refuses
from tests.support.servers import Server

Pair = tuple[Server, Server]


def accepts(verifier: Verifier, token: str) -> bool:
    return not refuses(verifier, token)


def test_what_one_node_calls_confirmed_is_refused_at_once_by_the_verifiers_of_all(
    site: Site, pair: Pair
) -> None:
    one, two = pair
    with site.verifier(one) as near, site.verifier(two) as far:
        for number in range(20):
            here, there = (one, two) if number % 2 else (two, one)
            session = site.begin(here)
            assert accepts(near, session.access)
            assert accepts(far, session.access)
            done = site.end(there, session)
            assert refuses(near, session.access)
            assert refuses(far, session.access)
            assert (done["state"], done["certain_by"]) == ("confirmed", None)
            assert (done["verifiers"], done["acknowledged"]) == (2, 2)


def test_a_node_s_row_comes_with_it_moves_while_it_lives_and_goes_with_it(
    site: Site, pair: Pair
) -> None:
    before = site.rows()
    assert len(before) == len(pair)
    with site.node():
        (third,) = {*site.rows()} - {*before}
        beat = f"SELECT beat FROM nodes WHERE id = '{third}'"  # noqa: S608  a node's own id
        eventually(lambda: bool(site.value(beat) > 4), "its beat moves")
    assert site.rows() == before


def test_a_node_whose_row_is_gone_goes_on_as_a_new_one_and_its_verifiers_notice_nothing(
    site: Site, pair: Pair
) -> None:
    one, two = pair
    with site.verifier(one) as verifier:
        session, kept = site.begin(one), site.begin(one)
        assert accepts(verifier, session.access)
        before = site.rows()
        site.execute("DELETE FROM nodes")

        def renamed() -> bool:
            assert accepts(verifier, kept.access)
            now = site.rows()
            return len(now) == len(pair) and not {*now} & {*before}

        eventually(renamed, "both are registered anew")
        done = site.end(two, session)
        assert done["state"] == "confirmed"
        assert refuses(verifier, session.access)
        assert accepts(verifier, kept.access)


def test_a_node_that_was_killed_delays_endings_for_its_last_lease_alone_and_its_row_goes(
    site: Site, pair: Pair
) -> None:
    """They are certain by the moment that was told, whoever hung off it; later ones are confirmed
    as ever."""
    one, _ = pair
    before = site.rows()
    with site.node() as dying, site.verifier(one) as near, site.verifier(dying) as orphan:
        session, later = site.begin(one), site.begin(one)
        assert accepts(orphan, session.access)
        os.kill(dying.process.pid, signal.SIGKILL)
        asked = lease_clock()
        told = site.end(one, session, wait=0)
        assert told["state"] == "confirming"
        assert 0 < told["certain_in"] <= ceil(KEPT)
        assert refuses(near, session.access), "where it can be heard, it is over at once"
        done = site.end(one, session)
        assert done["state"] == "confirmed"
        assert lease_clock() - asked < KEPT + LEASE
        with pytest.raises(Unavailable):
            orphan.verify(session.access)
        eventually(lambda: site.rows() == before, "its row is removed")
        asked = lease_clock()
        assert site.end(one, later)["state"] == "confirmed"
        assert lease_clock() - asked < LEASE, "that took no lease"


def test_each_worker_process_is_a_node(site: Site, pair: Pair) -> None:
    """Which of the two a verifier comes to is the system's choice: some come at once, until each
    has some."""
    other, _ = pair
    before = site.rows()
    followed = "SELECT array_agg(verifiers) FROM nodes WHERE id <> ALL ($1::text[])"
    with site.node("--workers", "2") as both, ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        eventually(lambda: len(site.rows()) == len(before) + 2, "each is registered")
        verifiers: list[Verifier] = []

        def each_is_followed() -> bool:
            found = site.value(followed, before)
            if min(found) == 0:
                contexts = [site.verifier(both) for _ in range(4)]
                verifiers.extend(pool.map(stack.enter_context, contexts))
            return bool(min(found) > 0 and sum(found) == len(verifiers))

        eventually(each_is_followed, "each worker has verifiers, and its row tells how many")
        session = site.begin(both)
        assert all(accepts(verifier, session.access) for verifier in verifiers)
        done = site.end(other, session)
        assert (done["state"], done["acknowledged"]) == ("confirmed", len(verifiers))
        assert all(refuses(verifier, session.access) for verifier in verifiers)


def test_a_page_at_one_node_hears_at_once_what_happens_at_another(site: Site, pair: Pair) -> None:
    one, two = pair
    session = site.begin(one)
    stream = Stream(one, session.access)
    assert stream.message() == {}
    other = site.begin(two)
    assert stream.message()["event"] == "changed"
    site.end(two, other)
    assert stream.message()["event"] == "changed"
    began = lease_clock()
    site.end(two, session)
    assert stream.message() == {"event": "ended", "data": ""}
    assert lease_clock() - began < 2
    stream.close()
