"""Refreshes at the same moment, over real HTTP, to two server processes on one database."""

import asyncio
from pathlib import Path

import pytest

from tests.race.conftest import Ask
from tests.support.servers import EMAIL, PASSWORD, Connection, add_owner, serving

ROUNDS = 200
AT_ONCE = 32


def test_each_of_200_tokens_shown_32_times_at_once_has_exactly_one_successor(
    tmp_path: Path, ask: Ask
) -> None:
    """All answers to one token carry the same successor, and its generation grows by one."""
    add_owner(tmp_path)
    with serving(tmp_path) as one, serving(tmp_path) as two:
        successors = asyncio.run(_chain([one.port, two.port]))
    assert len(set(successors)) == ROUNDS
    assert ask("SELECT generation, ended_seq FROM sessions") == [(ROUNDS + 1, None)]


@pytest.mark.usefixtures("database_url")
def test_a_termination_among_refreshes_leaves_nothing_usable(tmp_path: Path) -> None:
    """Whatever a refresh that raced with a termination was given, it is refused afterwards."""
    add_owner(tmp_path)
    with serving(tmp_path) as one, serving(tmp_path) as two:
        asyncio.run(_terminations([one.port, two.port]))


async def _chain(ports: list[int]) -> list[str]:
    connections = [Connection(ports[number % 2]) for number in range(AT_ONCE)]
    body = {"email": EMAIL, "password": PASSWORD}
    status, tokens = await connections[0].request("POST", "/api/v1/sign-in", body)
    assert status == 200, tokens
    token, successors = tokens["refresh_token"], []
    for _ in range(ROUNDS):
        answers = await asyncio.gather(
            *(
                connection.request("POST", "/api/v1/refresh", {"refresh_token": token})
                for connection in connections
            )
        )
        assert {status for status, _ in answers} == {200}, answers
        given = {answer["refresh_token"] for _, answer in answers}
        assert len(given) == 1
        token = given.pop()
        successors.append(token)
    for connection in connections:
        await connection.close()
    return successors


async def _terminations(ports: list[int]) -> None:
    connections = [Connection(ports[number % 2]) for number in range(8)]
    admin = Connection(ports[0])
    body = {"email": EMAIL, "password": PASSWORD}
    _, own = await admin.request("POST", "/api/v1/sign-in", body)
    for _ in range(10):
        _, tokens = await connections[0].request("POST", "/api/v1/sign-in", body)
        shown = {"refresh_token": tokens["refresh_token"]}
        path = f"/api/v1/sessions/{tokens['session']['id']}"
        ending, *answers = await asyncio.gather(
            admin.request("DELETE", path, token=own["access_token"]),
            *(c.request("POST", "/api/v1/refresh", shown) for c in connections),
        )
        assert ending[0] == 200
        assert ending[1]["state"] == "confirmed"
        for status, answer in answers:
            assert status in {200, 401}, answer
            if status == 200:
                after, problem = await connections[0].request(
                    "POST", "/api/v1/refresh", {"refresh_token": answer["refresh_token"]}
                )
                assert (after, problem["code"]) == (401, "session_ended")
                after, problem = await connections[1].request(
                    "GET", "/api/v1/session", token=answer["access_token"]
                )
                assert (after, problem["reason"]) == (401, "terminated_by_user")
    for connection in (*connections, admin):
        await connection.close()
