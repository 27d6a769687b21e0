"""`lastcall.Verifier` says of every token of the vectors what verifiers in any language must
say: it follows a small server that says what the file does, over a real WebSocket."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from lastcall import InvalidToken, SessionEnded, Verifier
from lastcall.leases.messages import SUBPROTOCOL
from tests.conftest import ROOT

FILE: Final = json.loads((ROOT / "vectors" / "tokens.json").read_text("utf-8"))
ASKED: Final = {case["token"] for case in FILE["cases"] if case["verdict"] == "ask"}
"""Those of which introspection says that they are good; of any other one it says no."""
MAY_ASK: Final = ("an unknown key",)
"""What this verifier asks about before it refuses, once a second: the key may be new."""


class Script:
    """The server: it says the file's messages to who resumes, and grants what is asked for."""

    def __init__(self) -> None:
        self.questions: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._feed(receive, send)
        else:
            await self._introspect(receive, send)

    async def _feed(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        _, snapshot, _ = FILE["messages"]
        while (heard := await receive())["type"] == "websocket.receive":
            said = json.loads(heard["text"])
            answers: list[dict[str, Any]] = []
            if said["type"] == "resume":
                answers = FILE["messages"]
            elif said["type"] == "renew":
                granted = {"request": said["request"], "seconds": 30.0, "now": FILE["now"]}
                answers = [{"type": "grant", "position": snapshot["position"], **granted}]
            for answer in answers:
                await send({"type": "websocket.send", "text": json.dumps(answer)})

    async def _introspect(self, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        (token,) = parse_qs(body.decode())["token"]
        self.questions.append(token)
        welcome = FILE["messages"][0]
        answer = {
            "active": token in ASKED, "iss": welcome["issuer"], "aud": welcome["audience"],
            "account": welcome["account"], "sub": "u_one", "sid": "s_one",
        }  # fmt: skip
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


@pytest.fixture(scope="module")
def verifier(script: Script) -> Iterator[Verifier]:
    """A verifier that follows the script, on a clock that stands still: the server's time stays the
    file's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(script, lifespan="off", log_config=None, ws="websockets-sansio")
        )
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with Verifier(url, key="lck_vectors", clock=lambda: 100.0) as verifier:
                verifier.wait_ready(20)
                yield verifier
        finally:
            server.should_exit = True
            thread.join(20)


def verdict(verifier: Verifier, token: str) -> tuple[str, str | None]:
    try:
        verifier.verify(token)
    except SessionEnded as error:
        return error.code, error.reason
    except InvalidToken as error:
        return error.code, None
    return "accepted", None


@pytest.mark.parametrize("case", [pytest.param(one, id=one["name"]) for one in FILE["cases"]])
def test_a_token_is_accepted_or_refused_as_it_says(
    case: dict[str, Any], verifier: Verifier, script: Script
) -> None:
    """By the verifier alone, save where the file says that introspection decides; and a token that
    was looked at before is judged as it was."""
    for _ in range(2):
        script.questions.clear()
        found = verdict(verifier, case["token"])
        if case["verdict"] == "ask":
            assert found == ("accepted", None)
            assert script.questions == [case["token"]]
        else:
            assert found == (case["verdict"], case.get("reason"))
            assert not script.questions or case["name"] in MAY_ASK
