"""The words of the pages: complete, and the same from the server and from the script."""

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest

from lastcall.errors import FieldError, InvalidRequest, SessionEnded
from lastcall.events import Actor, ActorKind, EndReason
from lastcall.sessions.model import Ending
from lastcall.sessions.policy import Policy
from lastcall.web import times, words
from lastcall.web.translation import LANGUAGES, choose, speaking
from tests.pages.conftest import Sit
from tests.pages.serving import Running

NOW = datetime(2026, 11, 3, 12, 4, 59, tzinfo=UTC)
POLICY = Policy()


def test_every_end_reason_has_words() -> None:
    assert set(words.REASONS) == set(get_args(EndReason))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", get_args(EndReason))
def test_a_reason_is_a_whole_sentence_whoever_did_it(reason: EndReason, language: str) -> None:
    for kind, name in itertools.product(get_args(ActorKind), (None, "100% <b>")):
        with speaking(LANGUAGES[language]):
            said = words.ended(SessionEnded(reason, NOW, kind, name), POLICY)
            brief = words.ending(Ending(reason, NOW, Actor(kind, None, name)), POLICY)
        for text in (said.title, said.text, brief):
            assert text
            assert "%(" not in text
            assert "None" not in text
        assert said.text.endswith(".")
        assert not said.title.endswith(".")
        assert said.at == NOW


def test_a_reason_from_a_newer_server_is_still_an_ending() -> None:
    assert words.ended(SessionEnded("eclipse", NOW), POLICY).title == "Your session has ended"


def test_the_limits_are_those_of_the_policy() -> None:
    strict = Policy(
        access_lifetime=timedelta(minutes=10),
        refresh_lifetime=timedelta(minutes=45),
        absolute_lifetime=timedelta(days=1),
    )
    idle = words.ended(SessionEnded("expired_inactive", NOW), strict)
    assert "after 45 minutes without activity" in idle.title
    assert "after 24 hours" in words.ended(SessionEnded("expired_absolute", NOW), strict).title
    assert "after 30 days" in words.ended(SessionEnded("expired_absolute", NOW), POLICY).title


def test_a_wrong_form_without_a_field_is_told_above_it() -> None:
    error = InvalidRequest(FieldError("", "odd", "this is odd"), FieldError("x", "missing", ""))
    assert words.field_errors(error, POLICY) == {"form": "this is odd", "x": "Fill this in."}


def test_times_are_written_out_in_utc() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=13)))
    assert times.utc(NOW) == "3 Nov 2026, 12:04 UTC"
    assert times.utc(east) == times.utc(NOW)
    assert times.iso(east) == "2026-11-03T12:04:59Z"


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(hours=24), "24 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(days=30), "30 days"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=61), "61 seconds"),
    ],
)
def test_a_length_that_somebody_has_set_is_said_exactly(length: timedelta, text: str) -> None:
    assert times.span(length) == text


DISTANCES = [
    *(0, 0.4, 1, 2, 59, 60, 61, 119, 120, 3_599, 3_600, 7_199, 7_200, 86_399, 86_400, 172_800),
    *(2_629_799, 2_629_800, 5_259_600, 31_557_599, 31_557_600, 63_115_200),
]


@pytest.mark.parametrize(
    ("locale", "samples"),
    [
        ("en-GB", {"now", "1 minute ago", "in 59 minutes", "2 years ago"}),
        ("de-DE", {"jetzt", "vor 1 Minute", "in 59 Minuten", "vor 2 Jahren"}),
    ],
)
def test_the_server_says_of_every_distance_what_the_script_says(
    site: Running, sit: Sit, locale: str, samples: set[str]
) -> None:
    """Nothing jumps when the script takes over."""
    ada = sit(site, locale=locale)
    ada.page.clock.install(time=NOW)
    ada.page.clock.pause_at(NOW + timedelta(seconds=1))
    ada.goes_to("/sign-in")
    now = datetime.fromtimestamp(ada.page.evaluate("Date.now()") / 1000, UTC)
    ada.page.evaluate(
        """(distances) => {
            for (const [kind, sign] of [["ago", -1], ["until", 1]]) for (const away of distances) {
                const time = document.createElement("time");
                time.dateTime = new Date(Date.now() + sign * away * 1000).toISOString();
                time.dataset.time = kind;
                document.body.append(time);
            }
        }""",
        DISTANCES,
    )
    ada.page.clock.run_for(1000)
    later = now + timedelta(seconds=1)
    with speaking(choose(locale)):
        expected = [times.ago(now - timedelta(seconds=away), later) for away in DISTANCES]
        expected += [times.until(now + timedelta(seconds=away), later) for away in DISTANCES]
    assert ada.page.locator("body > time").all_inner_texts() == expected
    assert samples <= set(expected)
