"""What pages say of an ending, by how sure it is."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from lastcall.sessions.endings import Confirmation
from lastcall.web import results

MOMENT = datetime(2026, 11, 26, 12, 0, 0, 1, tzinfo=UTC)


def ending(found: Confirmation, ended: int = 3) -> Any:  # noqa: ANN401  as much of one as is read
    return SimpleNamespace(id="t_1", ended=ended, confirmation=found)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Confirmation("confirmed", None, 0, 0, None), "Done. 3 sessions ended."),
        (
            Confirmation("confirmed", None, 1, 1, timedelta(milliseconds=3.2)),
            "Done. 3 sessions ended. Confirmed by 1 of 1 service in 4 ms.",
        ),
        (
            Confirmation("confirmed", None, 12, 12, None),
            "Done. 3 sessions ended. Confirmed by 12 of 12 services.",
        ),
        (
            Confirmation("confirmed", None, 12, 11, timedelta(seconds=1)),
            "Done. 3 sessions ended. Confirmed by 11 of 12 services in 1,000 ms. 1 service has not "
            "confirmed it, but its lease has run out: it accepts nothing that has ended.",
        ),
        (
            Confirmation("confirmed", None, 2, 0, None),
            "Done. 3 sessions ended. 2 services have not confirmed it, but their leases have run "
            "out: they accept nothing that has ended.",
        ),
    ],
    ids=["nobody to ask", "one", "unknown time", "all but one", "none of them"],
)
def test_a_confirmed_ending_is_claimed_and_says_who_confirmed_it(
    found: Confirmation, text: str
) -> None:
    told = results.told(ending(found), "Done.", "Doing.")
    assert told == {"tone": "ok", "text": text}


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Confirmation("confirmed", None, 0, 0, None), "Signed out everywhere. 3 sessions ended."),
        (
            Confirmation("confirmed", None, 12, 12, timedelta(milliseconds=3.2)),
            "Signed out everywhere, confirmed by 12 of 12 services in 4 ms. 3 sessions ended.",
        ),
        (
            Confirmation("confirmed", None, 1, 1, None),
            "Signed out everywhere, confirmed by 1 of 1 service. 3 sessions ended.",
        ),
        (
            Confirmation("confirmed", None, 1, 0, timedelta(seconds=37)),
            "Signed out everywhere. 3 sessions ended. 1 service has not confirmed it, but its "
            "lease has run out: it accepts nothing that has ended.",
        ),
    ],
    ids=["nobody to ask", "all", "unknown time", "by time alone"],
)
def test_that_all_are_signed_out_and_who_confirmed_it_is_one_sentence(
    found: Confirmation, text: str
) -> None:
    assert results.everywhere(ending(found)) == {"tone": "ok", "text": text}


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Confirmation("confirming", MOMENT, 2, 1), "1 service has not confirmed it yet."),
        (Confirmation("confirming", MOMENT, 5, 1), "4 services have not confirmed it yet."),
        (
            Confirmation("confirming", MOMENT, 2, 1, unreachable=1),
            "1 service can't be reached.",
        ),
        (
            Confirmation("confirming", MOMENT, 9, 1, unreachable=2),
            "6 services have not confirmed it yet. 2 services can't be reached.",
        ),
        (Confirmation("confirming", MOMENT, 1, 1), "A server has not confirmed it yet."),
    ],
    ids=["one", "several", "one not connected", "both", "a server"],
)
def test_an_ending_that_is_not_confirmed_claims_less_and_says_by_when_it_is(
    found: Confirmation, text: str
) -> None:
    told = results.told(ending(found), "Done.", "Doing.")
    assert told["text"] == f"Doing. 3 sessions ended. {text}"
    assert told["confirming"] == "t_1"
    assert told["certain_by"] == datetime(2026, 11, 26, 12, 0, 1, tzinfo=UTC)
    assert told["tone"] == "warn"


def test_where_no_moment_is_known_none_is_told() -> None:
    found = Confirmation("confirming", None, 1, 0, None)
    assert results.told(ending(found), "Done.", "Doing.")["certain_by"] is None


def test_an_ending_of_nothing_says_so() -> None:
    found = Confirmation("confirmed", None, 0, 0, None)
    assert results.everywhere(ending(found, 0))["tone"] == "info"
