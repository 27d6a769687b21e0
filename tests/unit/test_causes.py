"""What may be refused, and why: by what went wrong around a verifier, and for how long."""

import pytest

from tests.support.causes import Known, Outage
from tests.support.verdicts import Check, Confirmed, Record, Verdict

BOTH = frozenset({(0, 0), (0, 1)})
FIRST = Check(0.0, "v0-1", ("s",), "accepted")


def cause(
    at: float,
    *outages: Outage,
    verdict: Verdict = "unavailable",
    took: float = 0.0,
    begun: float = 0.0,
    ending: dict[str, float] | None = None,
    verifier: str = "v0-1",
) -> str | None:
    """Why a check of the session `s` may have come to that."""
    known = Known(2, 2.0, [*outages], {"s": begun}, ending or {})
    found = [*known.judge([FIRST, Check(at, verifier, ("s",), verdict, took=took)])][-1]
    assert isinstance(found, Check)
    return found.cause


def test_what_is_accepted_and_what_is_no_check_stays_as_it_is() -> None:
    history: list[Record] = [FIRST, Confirmed(1.0, "x", "e", frozenset())]
    assert [*Known(1, 2.0).judge(history)] == history


@pytest.mark.parametrize("verdict", ["refused", "unavailable"])
def test_a_session_that_is_being_ended_may_be_refused_from_then_on(verdict: Verdict) -> None:
    ending = {"s": 10.0}
    assert cause(9.9, verdict=verdict, took=0.2, ending=ending) is not None
    assert cause(9.9, verdict=verdict, took=0.05, ending=ending) is None


def test_no_outage_is_a_cause_to_call_a_good_session_ended() -> None:
    assert cause(10.0, Outage("cut_off", 5.0, BOTH), verdict="refused") is None


def test_an_outage_is_a_cause_once_it_is_longer_than_what_is_left_of_a_lease() -> None:
    assert cause(12.1, Outage("cut_off", 10.0, BOTH)) is not None
    assert cause(11.9, Outage("cut_off", 10.0, BOTH)) is None
    assert cause(11.9, Outage("cut_off", 10.0, BOTH), took=0.3) is not None


def test_an_outage_is_no_cause_where_one_server_could_be_asked() -> None:
    assert cause(14.0, Outage("refuse", 10.0, frozenset({(0, 0)}))) is None
    assert cause(14.0, Outage("refuse", 10.0, frozenset({(1, 0), (1, 1)}))) is None


def test_an_outage_is_a_cause_for_as_long_as_a_way_takes_to_be_of_use_again() -> None:
    outage = Outage("cut_off", 10.0, BOTH, until=14.0)
    assert cause(14.4, outage) is not None
    assert cause(14.6, outage) is None


def test_outages_that_follow_on_one_another_are_one() -> None:
    """A lease that was lost in the first is not there again at once."""
    second = Outage("cut_off", 15.0, BOTH)
    assert cause(15.1, second) is None
    assert cause(15.1, Outage("lose", 10.0, frozenset({(0, 0)}), until=14.0), second) is not None
    assert cause(15.1, Outage("lose", 13.9, frozenset({(0, 0)}), until=14.0), second) is None


def test_a_token_that_is_newer_than_an_outage_may_have_to_be_asked_about() -> None:
    assert cause(10.5, Outage("cut_off", 10.0, BOTH), begun=10.2) is not None
    assert cause(10.5, Outage("cut_off", 10.0, BOTH), begun=9.0) is None


def test_a_child_that_was_forked_in_an_outage_has_no_lease_yet() -> None:
    assert cause(10.5, Outage("cut_off", 10.0, BOTH), verifier="v0-1-fork1") is not None
    assert cause(10.5, verifier="v0-1-fork1") is None
