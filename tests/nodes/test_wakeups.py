"""Nodes hear of each other by wake-ups, which may be lost: then they look by themselves."""

from tests.nodes.site import LISTENERS, Site, eventually, refuses
from tests.support.servers import Server

LONG = 60
"""Seconds of a lease that no test waits for: nothing is confirmed by time."""
KILL = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)


def expect_confirmed(site: Site, seconds: float, *nodes: Server) -> None:
    """Expect what one ends to be confirmed by a verifier of the other in so many seconds."""
    one, two = nodes
    with site.verifier(two) as verifier:
        for _ in range(4):
            session = site.begin(two)
            assert not refuses(verifier, session.access)
            done = site.end(one, session, wait=seconds)
            assert (done["state"], done["acknowledged"]) == ("confirmed", 1)
            assert refuses(verifier, session.access)


def test_nodes_that_hear_no_wake_up_confirm_all_the_same(site: Site) -> None:
    """Their renewals come too seldom to explain it."""
    with site.nodes(2, lease=LONG, module="tests.nodes.altered/deaf") as (one, two):
        expect_confirmed(site, 3, one, two)


def test_nodes_whose_listeners_died_again_and_again_hear_again(site: Site) -> None:
    """These look for nothing by themselves: what they learn they hear."""
    with site.nodes(2, lease=LONG, module="tests.nodes.altered/never polls") as (one, two):
        killed = 0

        def kill() -> bool:
            nonlocal killed
            killed += int(site.value(KILL))
            return killed >= 4

        eventually(kill, "they come again")
        eventually(lambda: site.value(LISTENERS) == 2, "both listen again")
        expect_confirmed(site, 3, one, two)
