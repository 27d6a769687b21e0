"""What the doctor says of the secret file, the signing keys, the people and the clock."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from lastcall.identity.administration import OPERATOR
from lastcall.keys import MAX_AGE
from lastcall.node import Node
from tests.support.doctor import Doctor, advice, alter, bad, born, left_out, open_folder

# The keys


@pytest.mark.parametrize(
    ("what", "remedy"),
    [
        ("missing", "LASTCALL_SECRET_FILE"),
        ("another's", "Put its own back"),
        ("damaged", "Put the right one back"),
        ("open to others", "chmod 600"),
    ],
)
def test_a_secret_file_that_is_not_right_is_a_problem(
    doctor: Doctor, what: str, remedy: str
) -> None:
    match what:
        case "missing":
            doctor.key.unlink()
        case "another's":
            with open_folder() as other:
                shutil.copy2(born(Doctor(other)).key, doctor.key)
        case "damaged":
            doctor.key.write_text("lastcall-secret-1:AAAA\n")
        case _:
            doctor.key.chmod(0o640)
    checks = doctor.says()
    assert bad(checks) == {"secret file": "problem"}
    assert remedy in advice(checks["secret file"])
    assert left_out(checks) == {"signing keys"}


def test_a_signing_key_that_does_not_open_is_a_problem(doctor: Doctor) -> None:
    alter(doctor, "UPDATE signing_keys SET sealed = randomblob(150)")
    check = doctor.says()["signing keys"]
    assert check.state == "problem"
    assert "one and the same backup" in advice(check)


def test_before_the_first_start_there_is_no_key_and_no_issuer(doctor: Doctor) -> None:
    alter(doctor, "DELETE FROM signing_keys", "UPDATE installation SET issuer = NULL")
    checks = doctor.says()
    assert bad(checks) == {}
    assert "first start" in checks["signing keys"].found
    assert "first start" in checks["issuer"].found


def test_a_key_that_nobody_replaced_is_said(doctor: Doctor) -> None:
    doctor.clock.advance(days=MAX_AGE.days + 8)
    checks = doctor.says()
    assert bad(checks) == {"signing keys": "warning"}
    assert "lastcall signing-key rotate" in advice(checks["signing keys"])


def test_keys_that_none_of_which_signs_yet_are_a_problem(doctor: Doctor) -> None:
    alter(doctor, "UPDATE signing_keys SET signs_from = signs_from + 600000000")
    check = doctor.says()["signing keys"]
    assert check.state == "problem"
    assert "clock" in advice(check)


async def test_a_next_key_that_waits_too_long_is_said(doctor: Doctor) -> None:
    node = await Node.open(doctor.settings(), clock=doctor.clock)
    await node.signing.rotate(OPERATOR)
    await node.close()
    assert bad(doctor.says()) == {}
    alter(
        doctor,
        "UPDATE signing_keys SET signs_from = signs_from + 600000000 WHERE signs_from > created_at",
    )
    checks = doctor.says()
    assert bad(checks) == {"signing keys": "warning"}
    assert "clock" in advice(checks["signing keys"])


# The people


async def test_an_installation_without_an_account_is_told_how_to_make_one(folder: Path) -> None:
    doctor = Doctor(folder)
    node = await Node.open(doctor.settings(), clock=doctor.clock, serving=True)
    await node.links.offer_setup()
    await node.close()
    checks = doctor.says()
    assert bad(checks) == {"administration": "warning"}
    assert "a set-up link is open" in checks["administration"].found
    assert "lastcall user add EMAIL" in advice(checks["administration"])
    doctor.clock.advance(days=30)
    assert "link" not in doctor.says()["administration"].found


def test_an_account_without_an_active_owner_is_named(doctor: Doctor) -> None:
    alter(doctor, "UPDATE users SET status = 'suspended'", "UPDATE accounts SET name = 'A & B'")
    checks = doctor.says()
    assert bad(checks) == {"administration": "warning"}
    assert advice(checks["administration"]).endswith("--owner --account 'A & B'")


# The clock


def test_a_clock_behind_what_was_written_is_a_problem(doctor: Doctor) -> None:
    doctor.clock.step(timedelta(minutes=-2))
    checks = doctor.says()
    assert checks["clock"].state == "problem"
    assert "timedatectl" in advice(checks["clock"])


def test_a_clock_a_year_after_what_was_written_is_said(doctor: Doctor) -> None:
    doctor.clock.step(timedelta(days=400))
    assert doctor.says()["clock"].state == "warning"
