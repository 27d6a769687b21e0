"""Every transition of a session, at its edges."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lastcall.errors import InvalidToken, RateLimited, ReauthenticationRequired, SessionEnded
from lastcall.events import SYSTEM, Actor, Position, Timeline
from lastcall.sessions import rules
from lastcall.sessions.model import Ending, Session
from lastcall.sessions.policy import REPEATS, Policy
from lastcall.sessions.rules import End, Repeat, Rotate, Shown
from tests.support.fakes import START
from tests.support.values import ADMIN, POLICY, a_session, hashed, rotated

TICK = timedelta(microseconds=1)
ENDED = Ending("terminated_by_admin", START + timedelta(hours=1), ADMIN, 7)


def shown(session: Session) -> Shown:
    """The current token of a session."""
    return Shown(session.lineage.generation, session.lineage.secret_hash)


def reason(decision: object) -> str:
    """Why a decision ends the session."""
    assert isinstance(decision, End)
    return decision.ending.reason


def active_to(session: Session, at: datetime) -> Session:
    """The session after a refresh at that moment."""
    return rotated(session, at)


# Running out


@pytest.mark.parametrize(
    ("after", "ended"),
    [(timedelta(hours=24) - TICK, None), (timedelta(hours=24), "expired_inactive")],
)
def test_a_session_ends_at_exactly_its_inactivity_limit(after: timedelta, ended: str) -> None:
    ending = rules.ending(a_session(), POLICY, START + after)
    assert (ending.reason if ending else None) == ended


@pytest.mark.parametrize(
    ("after", "ended"),
    [(timedelta(days=30) - TICK, None), (timedelta(days=30), "expired_absolute")],
)
def test_a_session_ends_at_exactly_its_absolute_limit_however_active(
    after: timedelta, ended: str
) -> None:
    session = active_to(a_session(), START + timedelta(days=29, hours=12))
    ending = rules.ending(session, POLICY, START + after)
    assert (ending.reason if ending else None) == ended


def test_a_session_that_ran_out_ended_when_it_ran_out_not_when_somebody_looked() -> None:
    ending = rules.ending(a_session(), POLICY, START + timedelta(days=400))
    assert ending == Ending("expired_inactive", START + timedelta(hours=24), SYSTEM)


def test_where_both_limits_fall_together_the_absolute_one_is_named() -> None:
    policy = Policy(timedelta(hours=1), timedelta(hours=24), timedelta(hours=24))
    ending = rules.ending(a_session(policy=policy), policy, START + timedelta(hours=24))
    assert ending == Ending("expired_absolute", START + timedelta(hours=24), SYSTEM)


def test_the_limit_that_came_first_is_named_though_both_have_passed() -> None:
    session = active_to(a_session(), START + timedelta(days=29, hours=12))
    session = replace(session, idle_expires_at=START + timedelta(days=31))
    ending = rules.ending(session, POLICY, START + timedelta(days=60))
    assert ending is not None
    assert (ending.reason, ending.at) == ("expired_absolute", START + timedelta(days=30))


@pytest.mark.parametrize("after", [timedelta(0), timedelta(hours=2), timedelta(days=99)])
def test_what_is_written_about_an_ending_stands_whatever_the_time(after: timedelta) -> None:
    assert rules.ending(replace(a_session(), ending=ENDED), POLICY, START + after) == ENDED


def test_a_tightened_inactivity_limit_holds_for_sessions_under_way() -> None:
    tight = Policy(timedelta(minutes=5), timedelta(minutes=30))
    assert rules.ending(a_session(), tight, START + timedelta(minutes=30) - TICK) is None
    ending = rules.ending(a_session(), tight, START + timedelta(minutes=30))
    assert ending is not None
    assert (ending.reason, ending.at) == ("expired_inactive", START + timedelta(minutes=30))


def test_a_tightened_absolute_limit_holds_for_sessions_under_way() -> None:
    tight = Policy(absolute_lifetime=timedelta(days=2))
    session = active_to(a_session(), START + timedelta(days=1, hours=20))
    ending = rules.ending(session, tight, START + timedelta(days=2))
    assert ending is not None
    assert (ending.reason, ending.at) == ("expired_absolute", START + timedelta(days=2))


def test_a_loosened_policy_revives_no_session_and_lengthens_none() -> None:
    loose = Policy(
        refresh_lifetime=timedelta(days=90),
        absolute_lifetime=timedelta(days=365),
    )
    ending = rules.ending(a_session(), loose, START + timedelta(hours=24))
    assert ending is not None
    assert ending.reason == "expired_inactive"
    assert rules.expiry(a_session(), loose) == START + timedelta(hours=24)
    assert rules.absolute_expiry(a_session(), loose) == START + timedelta(days=30)


def test_the_expiry_that_is_shown_is_the_moment_at_which_the_session_ends() -> None:
    late = active_to(a_session(), START + timedelta(days=29, hours=12))
    tight = Policy(timedelta(minutes=5), timedelta(minutes=30))
    for session, policy in ((a_session(), POLICY), (late, POLICY), (a_session(), tight)):
        at = rules.expiry(session, policy)
        assert rules.ending(session, policy, at - TICK) is None
        assert rules.ending(session, policy, at) is not None


def test_a_live_session_passes_and_an_ended_one_says_who_ended_it_when_and_why() -> None:
    rules.require_live(a_session(), POLICY, START)
    with pytest.raises(SessionEnded) as caught:
        rules.require_live(replace(a_session(), ending=ENDED), POLICY, START)
    error = caught.value
    assert (error.reason, error.ended_at) == ("terminated_by_admin", ENDED.at)
    assert (error.by_kind, error.by_name) == ("admin", "Grace")


# Refreshing


def test_the_current_token_rotates_and_moves_the_inactivity_limit() -> None:
    now = START + timedelta(hours=23)
    decision = rules.refresh(a_session(), shown(a_session()), POLICY, now)
    assert decision == Rotate(now, now + timedelta(hours=24), START + timedelta(days=30))


def test_a_rotation_never_moves_a_session_past_its_absolute_limit() -> None:
    session = active_to(a_session(), START + timedelta(days=29))
    now = START + timedelta(days=29, hours=12)
    decision = rules.refresh(session, shown(session), POLICY, now)
    assert decision == Rotate(now, START + timedelta(days=30), START + timedelta(days=30))


def test_a_rotation_under_a_loosened_policy_leaves_the_absolute_limit() -> None:
    loose = Policy(absolute_lifetime=timedelta(days=365))
    decision = rules.refresh(a_session(), shown(a_session()), loose, START)
    assert isinstance(decision, Rotate)
    assert decision.absolute_expires_at == START + timedelta(days=30)


def test_a_clock_that_went_back_makes_no_activity_older() -> None:
    decision = rules.refresh(a_session(), shown(a_session()), POLICY, START - timedelta(hours=1))
    assert isinstance(decision, Rotate)
    assert decision.last_active_at == START
    assert decision.idle_expires_at == START + timedelta(hours=24)


@pytest.mark.parametrize("age", [timedelta(0), timedelta(seconds=10)])
def test_the_parent_gets_the_same_successor_up_to_the_end_of_the_grace(age: timedelta) -> None:
    first = a_session()
    second = rotated(first)
    now = second.lineage.rotated_at + age
    assert rules.refresh(second, shown(first), POLICY, now) == Repeat(b"sealed")


def test_the_parent_is_a_theft_one_tick_after_the_grace() -> None:
    first = a_session()
    second = rotated(first)
    now = second.lineage.rotated_at + POLICY.refresh_grace + TICK
    decision = rules.refresh(second, shown(first), POLICY, now)
    assert decision == End(Ending("refresh_reuse", now, SYSTEM))


def test_the_grandparent_is_a_theft_within_the_grace_too() -> None:
    first = a_session()
    third = rotated(rotated(first))
    decision = rules.refresh(third, shown(first), POLICY, third.lineage.rotated_at)
    assert reason(decision) == "refresh_reuse"


def test_the_hundredth_repeat_is_answered_and_the_next_is_too_often_with_the_session_kept() -> None:
    first = a_session()
    second = rotated(first)
    now = second.lineage.rotated_at
    almost = replace(second, lineage=replace(second.lineage, repeats=REPEATS - 1))
    assert REPEATS == 100
    assert rules.refresh(almost, shown(first), POLICY, now) == Repeat(b"sealed")
    full = replace(second, lineage=replace(second.lineage, repeats=REPEATS))
    with pytest.raises(RateLimited) as caught:
        rules.refresh(full, shown(first), POLICY, now)
    assert caught.value.retry_after == 10


def test_too_many_repeats_tell_less_than_a_second_to_wait_as_one() -> None:
    policy = Policy(refresh_grace=timedelta(milliseconds=500))
    first = a_session()
    second = rotated(first)
    full = replace(second, lineage=replace(second.lineage, repeats=REPEATS))
    with pytest.raises(RateLimited) as caught:
        rules.refresh(full, shown(first), policy, second.lineage.rotated_at)
    assert caught.value.retry_after == 1


def test_the_parent_of_a_reauthentication_refuses_and_ends_nothing_within_the_grace() -> None:
    first = a_session()
    second = rotated(first)
    replaced = replace(second, lineage=replace(second.lineage, sealed_successor=None))
    with pytest.raises(InvalidToken):
        rules.refresh(replaced, shown(first), POLICY, second.lineage.rotated_at)
    late = second.lineage.rotated_at + POLICY.refresh_grace + TICK
    assert reason(rules.refresh(replaced, shown(first), POLICY, late)) == "refresh_reuse"


@pytest.mark.parametrize("generation", [2, 3, 4])
def test_a_secret_that_this_session_never_had_refuses_and_ends_nothing(generation: int) -> None:
    second = rotated(a_session())
    third = rotated(second)
    wrong = Shown(generation, hashed("of another"))
    with pytest.raises(InvalidToken):
        rules.refresh(third, wrong, POLICY, third.lineage.rotated_at)


def test_the_current_secret_under_another_generation_is_not_the_current_token() -> None:
    second = rotated(a_session())
    for generation in (1, 3):
        with pytest.raises(InvalidToken):
            rules.refresh(second, Shown(generation, second.lineage.secret_hash), POLICY, START)


def test_a_parent_that_was_never_kept_matches_no_empty_hash() -> None:
    """A blank against a NULL column is no match."""
    session = replace(a_session(), lineage=replace(a_session().lineage, generation=2))
    with pytest.raises(InvalidToken):
        rules.refresh(session, Shown(1, b""), POLICY, START)


@pytest.mark.parametrize("generation", [0, 1, 2, 9])
def test_no_token_of_an_ended_session_gets_anything(generation: int) -> None:
    ended = replace(rotated(a_session()), ending=ENDED)
    with pytest.raises(SessionEnded) as caught:
        rules.refresh(ended, Shown(generation, ended.lineage.secret_hash), POLICY, START)
    assert caught.value.reason == "terminated_by_admin"


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_any_token_of_a_session_that_ran_out_has_its_ending_written(generation: int) -> None:
    session = rotated(a_session())
    now = session.idle_expires_at
    decision = rules.refresh(session, Shown(generation, b"any"), POLICY, now)
    assert decision == End(Ending("expired_inactive", now, SYSTEM))


def test_a_rotation_keeps_the_parent_and_starts_its_repeats_anew() -> None:
    old = replace(a_session().lineage, repeats=7)
    later = old.rotated_at + timedelta(hours=1)
    new = rules.rotated(old, hashed("new"), b"sealed", later)
    assert (new.generation, new.secret_hash, new.rotated_at) == (2, hashed("new"), later)
    assert (new.previous_hash, new.sealed_successor, new.repeats) == (
        old.secret_hash,
        b"sealed",
        0,
    )


# A fresh proof


def test_a_fresh_proof_counts_both_limits_from_now() -> None:
    session = active_to(a_session(), START + timedelta(days=29, hours=12))
    now = START + timedelta(days=29, hours=13)
    assert rules.reauthenticate(session, POLICY, now) == Rotate(
        now, now + timedelta(hours=24), now + timedelta(days=30)
    )


def test_a_fresh_proof_revives_nothing() -> None:
    with pytest.raises(SessionEnded):
        rules.reauthenticate(replace(a_session(), ending=ENDED), POLICY, START)
    with pytest.raises(SessionEnded):
        rules.reauthenticate(a_session(), POLICY, START + timedelta(hours=24))


def test_a_proof_is_fresh_up_to_the_step_up_age() -> None:
    rules.require_fresh(a_session(), POLICY, START + POLICY.step_up)
    with pytest.raises(ReauthenticationRequired) as caught:
        rules.require_fresh(a_session(), POLICY, START + POLICY.step_up + TICK)
    assert caught.value.max_age == 600


# Access tokens


LOG = Position("epoch", Timeline(2, "second"), 20)


@pytest.mark.parametrize(
    ("token", "floor", "session_stale", "user_stale", "current"),
    [
        (LOG, 0, 0, 0, True),
        (LOG._replace(seq=1), 0, 0, 0, True),
        (LOG._replace(seq=9), 9, 0, 0, True),
        (LOG._replace(seq=8), 9, 0, 0, False),
        (LOG._replace(seq=9), 0, 9, 0, True),
        (LOG._replace(seq=8), 0, 9, 0, False),
        (LOG._replace(seq=9), 0, 0, 9, True),
        (LOG._replace(seq=8), 0, 0, 9, False),
        (LOG._replace(seq=21), 0, 0, 0, False),
        (LOG._replace(epoch="other"), 0, 0, 0, False),
    ],
    ids=[
        "the log's end",
        "earlier",
        "at the floor",
        "before the floor",
        "at its session's change",
        "before its session's change",
        "at its user's change",
        "before its user's change",
        "after the log's end",
        "another epoch",
    ],
)
def test_an_access_token_speaks_for_its_session_from_the_right_positions_only(
    token: Position, floor: int, session_stale: int, user_stale: int, current: bool
) -> None:
    session = replace(a_session(), stale_seq=session_stale)
    if current:
        rules.require_current(session, token, LOG.epoch, LOG.seq, floor, user_stale)
        return
    for last in (LOG.seq, None):
        with pytest.raises(InvalidToken) as caught:
            rules.require_current(session, token, LOG.epoch, last, floor, user_stale)
        assert caught.value.code == "token_expired"


def test_an_access_token_of_a_timeline_that_the_log_does_not_have_speaks_for_nobody() -> None:
    with pytest.raises(InvalidToken):
        rules.require_current(a_session(), LOG, LOG.epoch, None, 0, 0)


# Ending


def test_a_termination_ends_a_live_session_for_its_reason() -> None:
    decision = rules.terminate(a_session(), "terminated_by_admin", ADMIN, POLICY, START)
    assert decision == End(Ending("terminated_by_admin", START, ADMIN))


def test_a_termination_of_an_ended_session_changes_nothing() -> None:
    ended = replace(a_session(), ending=ENDED)
    assert rules.terminate(ended, "signed_out", Actor("self"), POLICY, START) is None


def test_a_session_that_ran_out_ends_for_that_reason_whoever_asks() -> None:
    now = START + timedelta(days=3)
    decision = rules.terminate(a_session(), "terminated_by_admin", ADMIN, POLICY, now)
    assert decision == End(Ending("expired_inactive", START + timedelta(hours=24), SYSTEM))
