"""Lists in parts: each row once, by cursors of their own, in as few statements as a short list."""

import pytest

from lastcall.digests import encode
from tests.http.office import ACTIVITY, AUDIT, Office
from tests.http.serving import USERS, faults, problem

LISTS = {
    "users": USERS,
    "events": AUDIT,
    "keys": "/api/v1/keys",
    "sessions": "/api/v1/users/{mia}/sessions",
}


async def more(office: Office, noun: str, count: int) -> None:
    """Add so many rows to a list."""
    for number in range(count):
        office.served.clock.advance(seconds=0.001)
        match noun:
            case "users":
                name = f"{office.served.clock.now().timestamp()}-{number}@example.com"
                await office.served.add_user(name)
            case "keys":
                await office.served.key("verify")
            case _:
                await office.served.native("mia@example.com")


@pytest.mark.parametrize("noun", LISTS)
async def test_walking_a_list_shows_each_row_once_also_while_some_are_added(
    office: Office, noun: str
) -> None:
    await more(office, noun, 7)
    path = LISTS[noun].format(mia=office.mia_user.id)
    whole = (await office.ada.get(f"{path}?limit=200")).json()
    assert whole["next"] is None
    rows = [row["id"] for row in whole[noun]]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await office.ada.get(f"{path}?limit=2{cursor}")).json()
        assert 1 <= len(page[noun]) <= 2
        seen += [row["id"] for row in page[noun]]
        cursor = f"&before={page['next']}" if page["next"] else None
        if len(seen) == 4:
            await more(office, noun, 1)
    assert len(set(seen)) == len(seen)
    assert seen[: len(rows)] == rows
    assert len(seen) - len(rows) == (1 if noun == "keys" else 0)  # oldest first


async def test_a_cursor_of_one_list_is_of_no_use_to_another(office: Office) -> None:
    paths = {noun: path.format(mia=office.mia_user.id) for noun, path in LISTS.items()}
    for noun in paths:
        await more(office, noun, 2)
    cursors = {
        noun: (await office.ada.get(f"{path}?limit=1")).json()["next"]
        for noun, path in paths.items()
    }
    for noun, cursor in cursors.items():
        for other, path in (*paths.items(), ("activity", ACTIVITY), ("none", "/api/v1/services")):
            answer = await office.ada.get(f"{path}?before={cursor}")
            if noun == other or (noun, other) == ("events", "activity"):
                assert answer.status_code == 200
            else:
                problem(answer, 422, "invalid_request")
                assert faults(answer) == [("before", "invalid")]


@pytest.mark.parametrize(
    "place", [b"records:x", b"records:1.5", b"records:", b"records:" + b"9" * 19]
)
async def test_a_cursor_that_nobody_gave_is_refused(office: Office, place: bytes) -> None:
    problem(await office.ada.get(f"{AUDIT}?before={encode(place)}"), 422, "invalid_request")


@pytest.mark.parametrize("noun", [*LISTS, "activity"])
async def test_a_longer_list_takes_no_more_statements(
    office: Office, noun: str, statements: list[str]
) -> None:
    path = {**LISTS, "activity": ACTIVITY}[noun].format(mia=office.mia_user.id)
    counts = []
    for _ in range(2):
        statements.clear()
        assert (await office.ada.get(path)).status_code == 200
        counts.append(len(statements))
        await more(office, noun, 5)
    assert counts[0] == counts[1] <= 3
