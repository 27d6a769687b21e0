"""Where a list goes on: what is read is what was written, and nothing else."""

import pytest

from lastcall.errors import InvalidRequest
from lastcall.http import cursors


@pytest.mark.parametrize(
    "place", ["x", ".s_c1_a", "-1.s_c1_a", "999999999999999999.s_c1_" + 26 * "a"]
)
def test_a_place_that_no_list_of_sessions_has_is_refused(place: str) -> None:
    text = cursors.write_place("sessions", place)
    assert text is not None
    with pytest.raises(InvalidRequest):
        cursors.read(text)


def test_a_place_of_another_list_is_refused() -> None:
    text = cursors.write_place("services", 50)
    assert text is not None
    assert cursors.read_number("services", text) == 50
    with pytest.raises(InvalidRequest):
        cursors.read_place("sessions", text)


def test_where_a_list_ends_there_is_no_place() -> None:
    assert cursors.write_place("sessions", None) is None
