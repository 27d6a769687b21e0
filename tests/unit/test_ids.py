"""Ids, and the words of the event log that are written into tokens."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from lastcall.clock import Entropy
from lastcall.events import Timeline
from lastcall.ids import new_account_id, new_key_id, new_node_id, new_session_id, new_user_id
from tests.support.fakes import START

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
NEW: dict[str, Callable[[Entropy], str]] = {
    "a_": lambda entropy: new_account_id(START, entropy),
    "u_": lambda entropy: new_user_id(START, entropy),
    "s_c1_": lambda entropy: new_session_id("c1", START, entropy),
    "k_": lambda entropy: new_key_id(START, entropy),
}


@pytest.mark.parametrize("prefix", NEW)
def test_an_id_is_its_kind_then_the_millisecond_then_all_80_random_bits(prefix: str) -> None:
    chance = bytes.fromhex("80000000000000000001")
    made = NEW[prefix](lambda size: chance[:size])
    assert made.startswith(prefix)
    number = 0
    for character in made.removeprefix(prefix):
        number = number * 32 + DIGITS.index(character)
    assert timedelta(milliseconds=number >> 80) == timedelta(seconds=START.timestamp())
    assert number & (1 << 80) - 1 == int.from_bytes(chance, "big")
    assert len(made.removeprefix(prefix)) == 26


@pytest.mark.parametrize("number", [0, 1, 2**127, 2**128 - 1, 0x0123456789ABCDEF0123456789ABCDEF])
def test_an_id_of_a_node_is_its_kind_then_128_random_bits(number: int) -> None:
    """instant-logout, rule 12: nothing else names a process that serves."""
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return number.to_bytes(16, "big")

    made = new_node_id(entropy)
    assert asked == [16]
    assert made.startswith("n_")
    assert len(made) == 2 + 26
    read = 0
    for character in made.removeprefix("n_"):
        read = read * 32 + DIGITS.index(character)
    assert read == number


@pytest.mark.parametrize("number", [0, 1, 999_999_999])
@pytest.mark.parametrize("name", ["a", "first", "with.dot"])
def test_a_timeline_reads_as_it_was_written(number: int, name: str) -> None:
    assert Timeline.parse(str(Timeline(number, name))) == Timeline(number, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1",
        "1.",
        ".first",
        "-1.first",
        "1x.first",
        "1000000000.first",
        "²3.first",
        "x.first",
    ],
)
def test_what_is_no_timeline_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="timeline"):
        Timeline.parse(text)
