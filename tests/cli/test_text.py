"""Text for a terminal."""

from datetime import UTC, datetime, timedelta

import pytest

from lastcall.cli.text import ago, clip, count, safe, span, table, until, when


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("Chrome", "Chrome"),
        ("Zoë 東京", "Zoë 東京"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\rc\x07", r"a\nb\rc\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_act_on_is_shown_escaped(stored: str, shown: str) -> None:
    assert safe(stored) == shown


def test_columns_line_up_whatever_the_letters() -> None:
    lines = table(("A", "B"), [("東京", "1"), ("abc", "2"), ("e\u0301", "3")]).split("\n")
    assert lines == ["A     B", "東京  1", "abc   2", "e\u0301     3"]


def test_a_cell_cannot_leave_its_row() -> None:
    lines = table(("A",), [("x\ny\x1b[2J",)], below=["p\nq"]).split("\n")
    assert lines == ["A", r"x\ny\x1b[2J", r"    p\nq"]


def test_a_long_text_is_clipped_and_says_so() -> None:
    assert clip("exactly", 7) == "exactly"
    assert clip("too long for it", 9) == "too long…"
    assert clip("東京東京", 5) == "東京…"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=47, minutes=59), "47 h"),
        (timedelta(days=2), "2 days"),
    ],
)
def test_a_length_is_said_in_its_largest_fitting_unit(length: timedelta, said: str) -> None:
    assert span(length) == said
    assert until(length) == f"in {said}"


def test_the_present_is_said_as_such() -> None:
    assert ago(timedelta(seconds=59)) == "just now"
    assert ago(timedelta(minutes=2)) == "2 min ago"
    assert until(timedelta(0)) == "now"


def test_times_are_marked_as_utc_and_numbers_agree_with_their_noun() -> None:
    assert when(datetime(2026, 11, 3, 9, 4, 59, tzinfo=UTC)) == "2026-11-03 09:04 UTC"
    assert [count(number, "session") for number in (0, 1, 2)] == [
        "0 sessions",
        "1 session",
        "2 sessions",
    ]
