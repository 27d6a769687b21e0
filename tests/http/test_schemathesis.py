"""Schemathesis asks the server, as everybody who may call, what its document allows and what it
doesn't (attack 80)."""

import asyncio
import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.hypothesis.builder import (
    HypothesisTestConfig,
    HypothesisTestMode,
    create_test,
)
from schemathesis.generation.meta import TestPhase
from schemathesis.schemas import BaseSchema

from lastcall.http import api
from lastcall.http.app import App
from lastcall.http.openapi import document
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.server import create_app
from tests.http.cast import Cast, gather
from tests.http.serving import NOON
from tests.http.test_roles import ROWS, Route, body_of, declared
from tests.support.fakes import FakeClock

CALLERS = ("nobody", "member", "admin", "owner", "verify", "sessions", "metrics")
UNSAID = {
    ("before", "invalid"),  # which cursor is good
    ("email", "email"),
    ("all_users", "not_allowed"),  # it must be true
    ("user.external_id", "not_text"),
    ("client.ip", "invalid"),
    ("name", "missing"),
    ("name", "not_text"),
    ("new_password", "too_short"),  # in characters after normalisation
    ("new_password", "too_common"),
}
"""Fields of which a schema can't say what is good, so that a good body by the schema is refused."""
ANYBODY: Route = ("GET", "/forward-auth")
MORE: dict[str, set[Route]] = {
    "nobody": {ANYBODY},
    "verify": {ANYBODY},
    "sessions": {ANYBODY, ("GET", "/api/v1/users")},
    "metrics": {ANYBODY},
}
"""A service may ask for one user, by its own name for them. Without `required`, a proxy lets those
on who have no session."""
LEFT_OUT = ["ignored_auth"]
"""Who may do what is the question of test_roles."""
THOROUGH = ("owner", "sessions")
QUICK = [HypothesisTestMode.EXAMPLES, HypothesisTestMode.FUZZING]
PROBES = 8
"""Cases of each operation for each caller that fuzzing makes up, beyond those of the coverage."""


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return gather(tmp_path_factory.mktemp("cast"))


class Stage:
    """A server that is set up anew where the caller's session, or what a path names, has gone."""

    def __init__(self, cast: Cast, caller: str, folder: Path, loop: asyncio.Runner) -> None:
        self.cast, self.caller, self.folder, self.loop = cast, caller, folder, loop
        token = cast.tokens[caller]
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.numbers = count(1)
        self.node: Node | None = None

    def set(self) -> None:
        self.loop.run(self._set())

    async def _set(self) -> None:
        await self.clear()
        settings = self.cast.settings(self.folder / str(next(self.numbers)))
        passwords = Passwords(CHEAP, threads=1)
        self.node = await Node.open(settings, clock=FakeClock(NOON), passwords=passwords)
        self.app: App = create_app(
            settings, node=self.node, endpoints=api.ENDPOINTS, error_page=None
        )

    async def clear(self) -> None:
        if self.node is not None:
            await self.node.close()

    def send(self, prepared: requests.PreparedRequest) -> httpx.Response:
        return self.loop.run(self._send(prepared))

    async def _send(self, prepared: requests.PreparedRequest) -> httpx.Response:
        body: Any = prepared.body
        transport = httpx.ASGITransport(self.app, client=("192.0.2.1", 50000))
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(
                prepared.method or "",
                prepared.url or "",
                headers={str(name): str(value) for name, value in prepared.headers.items()},
                content=body,
            )


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def written(cast: Cast) -> dict[str, Any]:
    """Give the document, with examples of what exists in this database."""
    whole: dict[str, Any] = document(api.ENDPOINTS, "")
    for route in ROWS:
        method, path = route
        operation = whole["paths"][declared(path)][method.lower()]
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                parameter["example"] = place(cast, path, parameter["name"])
        body = body_of(cast, route)
        if body is not None:
            (content,) = operation["requestBody"]["content"].values()
            content["example"] = body
    return whole


def place(cast: Cast, path: str, name: str) -> str:
    """Give what exists of what a path names."""
    if name == "sid":
        return cast.places["session"]
    return next(value for key, value in cast.places.items() if f"{{{key}}}" in path)


def unsaid(response: httpx.Response) -> bool:
    """Tell whether all that is wrong is what a schema can't say."""
    if response.status_code != 422:
        return False
    return {(at["field"], at["code"]) for at in response.json()["errors"]} <= UNSAID


@pytest.mark.parametrize("caller", CALLERS)
def test_the_server_does_what_its_document_says(
    cast: Cast,
    tmp_path: Path,
    loop: asyncio.Runner,
    caplog: pytest.LogCaptureFixture,
    caller: str,
) -> None:
    """And whoever may call an operation has called it with success at least once."""
    caplog.set_level(logging.WARNING)
    stage = Stage(cast, caller, tmp_path, loop)
    load_all_checks()
    config = SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}})
    schema = schemathesis.openapi.from_dict(written(cast), config=config)
    modes = list(HypothesisTestMode) if caller in THOROUGH else QUICK
    done = {route for route in ROWS if probe(stage, schema, route, modes)}
    loop.run(stage.clear())
    allowed = {route for route, cells in ROWS.items() if cells[caller].isdecimal()}
    assert allowed <= done
    assert done - allowed <= MORE.get(caller, set())
    assert "unexpected" not in caplog.text


def probe(stage: Stage, schema: BaseSchema, route: Route, modes: list[HypothesisTestMode]) -> bool:
    """Try one operation; tell whether it was ever done."""
    method, path = route
    allowed = ROWS[route][stage.caller].isdecimal()
    done = False
    stage.set()

    def one(case: schemathesis.Case[Any]) -> None:
        nonlocal done
        phase = case.meta.phase.name if case.meta else None
        if phase is TestPhase.FUZZING and case.path_parameters:
            case.path_parameters = {
                name: place(stage.cast, path, name) for name in case.path_parameters
            }
        sent = case.as_transport_kwargs(base_url="http://localhost:8000", headers=stage.headers)
        sent.pop("timeout", None)
        response = stage.send(requests.Request(**sent).prepare())
        left_out = [*LEFT_OUT, *(["positive_data_acceptance"] if unsaid(response) else [])]
        excluded: Any = CHECKS.get_by_names(left_out)
        case.validate_response(response, excluded_checks=excluded)
        done = done or (response.is_success and sent["method"] == method)
        if allowed and response.status_code in (401, 404, 429):
            stage.set()

    settings = hypothesis.settings(
        max_examples=PROBES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    create_test(
        operation=schema[declared(path)][method],
        test_func=one,
        config=HypothesisTestConfig(
            project=schema.config,
            modes=modes,
            settings=settings,
            explicit_settings=settings,
        ),
    )()
    return done
