"""The durations that rule sessions."""

from datetime import timedelta

import pytest

from lastcall.sessions.policy import PRESETS, Policy

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("name", "access", "inactivity", "absolute", "password", "second_factor"),
    [
        ("default", timedelta(hours=1), timedelta(hours=24), timedelta(days=30), 8, False),
        ("aal1", timedelta(hours=1), timedelta(hours=24), timedelta(days=30), 15, False),
        ("aal2", timedelta(minutes=15), timedelta(hours=1), timedelta(hours=24), 8, True),
        ("aal3", timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=12), 8, True),
    ],
)
def test_a_preset_is_what_the_contract_says(
    name: str,
    access: timedelta,
    inactivity: timedelta,
    absolute: timedelta,
    password: int,
    second_factor: bool,
) -> None:
    policy = PRESETS[name]
    assert policy.access_lifetime == access
    assert policy.refresh_lifetime == inactivity
    assert policy.absolute_lifetime == absolute
    assert policy.password_min_length == password
    assert policy.second_factor is second_factor
    assert policy.refresh_grace == timedelta(seconds=10)
    assert policy.step_up == timedelta(minutes=10)


def test_the_default_is_the_default_preset() -> None:
    assert Policy() == PRESETS["default"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("access_lifetime", timedelta(0)),
        ("access_lifetime", -SECOND),
        ("access_lifetime", timedelta(hours=12) + SECOND),
        ("refresh_lifetime", timedelta(hours=2) - SECOND),
        ("refresh_lifetime", timedelta(days=30) + SECOND),
        ("absolute_lifetime", timedelta(hours=24) - SECOND),
        ("refresh_grace", timedelta(0)),
        ("refresh_grace", -SECOND),
        ("step_up", timedelta(0)),
    ],
)
def test_durations_that_contradict_each_other_are_refused(name: str, value: timedelta) -> None:
    with pytest.raises(ValueError, match="the "):
        Policy(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("access_lifetime", timedelta(hours=12)),
        ("refresh_lifetime", timedelta(hours=2)),
        ("refresh_lifetime", timedelta(days=30)),
        ("absolute_lifetime", timedelta(hours=24)),
        ("refresh_grace", SECOND),
    ],
)
def test_durations_at_the_edge_of_what_fits_are_taken(name: str, value: timedelta) -> None:
    assert getattr(Policy(**{name: value}), name) == value  # type: ignore[arg-type]
