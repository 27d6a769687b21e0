"""What errors say of themselves: a code for programs, and a sentence for people."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from lastcall.errors import (
    Error,
    FieldError,
    InvalidRequest,
    InvalidToken,
    SessionEnded,
    Unavailable,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def two_faults() -> InvalidRequest:
    return InvalidRequest(FieldError("a", "missing", "give a"), FieldError("b", "bad", "mend b"))


@pytest.mark.parametrize(
    ("make", "code", "text"),
    [
        (InvalidToken, "token_invalid", "the token is not valid"),
        (lambda: InvalidToken("token_expired"), "token_expired", "a refresh is needed"),
        (lambda: Unavailable("the disk is full"), "unavailable", "the disk is full"),
        (lambda: SessionEnded(None, None), "session_ended", "the session has ended"),
        (InvalidRequest, "invalid_request", "the request is not valid"),
        (two_faults, "invalid_request", "give a; mend b"),
    ],
    ids=["invalid", "run out", "unavailable", "ended", "request", "two faults"],
)
def test_an_error_has_a_code_and_a_sentence(
    make: Callable[[], Error], code: str, text: str
) -> None:
    error = make()
    assert (error.code, str(error)) == (code, text)


def test_an_ended_session_says_why_when_and_by_whom() -> None:
    error = SessionEnded("terminated_by_admin", NOON, "admin", "Grace")
    assert (error.code, error.reason, error.ended_at) == (
        "session_ended",
        "terminated_by_admin",
        NOON,
    )
    assert (error.by_kind, error.by_name) == ("admin", "Grace")
    assert str(error) == "the session has ended: terminated_by_admin"


def test_who_says_nothing_else_is_asked_to_come_again_in_a_second() -> None:
    assert Unavailable("busy").retry_after == 1
    assert Unavailable("busy", retry_after=10).retry_after == 10


def test_a_wrong_request_keeps_its_faults_and_whether_it_could_be_read() -> None:
    fault = FieldError("a", "missing", "give a")
    assert InvalidRequest(fault).errors == (fault,)
    assert InvalidRequest(fault).readable
    assert not InvalidRequest(fault, readable=False).readable
