"""A server that is killed (SIGKILL) before or after any statement of an operation, or its answer:
what was answered is done, and the rest is whole or absent."""

from pathlib import Path

import httpx
import pytest

from tests.faults.machine import Machine, View, World, content_of, look
from tests.faults.operations import MAIN, REST, Operation

WORLDS = {"sqlite": "world", "postgresql": "world_elsewhere"}


def ends_of(store: str, operation: Operation) -> tuple[str, str]:
    """Tell the point that an operation begins with, and the last one at which it may be undone. On
    PostgreSQL a refresh is one statement, which needs no transaction; where there is more to tell
    or to decide, that does nothing, and all else follows."""
    if store == "sqlite":
        return "before BEGIN IMMEDIATE", "before COMMIT"
    begins = "before UPDATE sessions SET" if "refresh" in operation.name else "before BEGIN"
    return begins, begins if operation.name == "refresh" else "before COMMIT"


@pytest.mark.parametrize("store", WORLDS)
@pytest.mark.parametrize(
    "operation",
    [*MAIN, *(pytest.param(one, marks=pytest.mark.soak) for one in REST)],
    ids=lambda one: one.name,
)
def test_an_operation_that_is_killed_anywhere_is_done_or_was_never_begun(
    machine: Machine,
    store: str,
    operation: Operation,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Whoever looks afterwards, at a server that was started again, sees all of it or nothing; all
    of it where it was answered. Every token that anybody holds is shown."""
    world: World = request.getfixturevalue(WORLDS[store])
    begins, decides = ends_of(store, operation)
    before = look(machine, world, world.begin(machine, tmp_path / "before"))
    undisturbed = world.begin(machine, tmp_path / "done")
    answer = operation.ask(machine, world)
    assert answer is not None
    done = look(machine, world, undisturbed)
    assert done.records == [*before.records, *operation.records]
    expect_devices(operation, before, done, renewed=b"access_token" in answer.content)
    points, outcomes = [], []
    for die_at in range(1, int(answer.headers["x-points"]) + 1):
        folder = world.begin(machine, tmp_path / "killed")
        answer = operation.ask(machine, world, die_at)
        points.append(machine.died_at(folder))
        machine.start(folder)
        if answer is not None:
            expect_tokens(machine, answer)
        # Where nothing at all has changed, what was seen before would be seen again.
        is_done = content_of(machine, folder) != before.content
        assert not is_done or look(machine, world, folder) == done, points[-1]
        assert is_done or answer is None, points[-1]
        outcomes.append(is_done)
    assert (points[0], points[-1]) == (begins, "after the answer")
    assert answer is not None
    # The last commit decides, and nothing undoes it. What is under way as its sender dies is
    # committed, or isn't.
    undone = len(points) - points[::-1].index(decides)
    either = sum(point.startswith("during") for point in points[undone:])
    assert not any(outcomes[:undone])
    assert all(outcomes[undone + either :])


LIVES = [*["good"] * 5, "401 session_ended refresh_reuse", *["401 session_ended refresh_reuse"] * 2]
"""What a device's tokens get: its access token; its refresh token, twice; both of its successors;
its refresh token when its grace is over, which ends the session; the successor's and an older one.
"""


def expect_devices(operation: Operation, before: View, done: View, *, renewed: bool) -> None:
    """Expect that those are signed out who are to be, and all others live."""
    assert list(before.devices.values()) == [LIVES] * len(before.devices)
    for name, told in done.devices.items():
        if name in operation.ends:
            assert all("401 session_ended" in one for one in told)
        elif renewed and name == operation.by:
            assert told[:3] == ["401 token_expired", "401 token_invalid", "401 token_invalid"]
        else:
            assert told[1:] == LIVES[1:]


def expect_tokens(machine: Machine, answer: httpx.Response) -> None:
    """Use the access token that an answer gave, if it gave one."""
    is_json = answer.headers.get("content-type") == "application/json"
    token = answer.json().get("access_token") if is_json else None
    if token is not None:
        own = machine.ask("GET", "/api/v1/session", token=token)
        assert own is not None
        assert own.is_success, own.text
