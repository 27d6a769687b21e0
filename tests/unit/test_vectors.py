"""Our own verifier says and judges at each step of a transcript what verifiers in other languages
are asked to; of the vectors' tokens, `tests/verifier/test_vectors.py` holds it to the same."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from lastcall.errors import InvalidToken, SessionEnded, Unavailable
from lastcall.leases.messages import ProtocolError, read_from_node, store_position, write
from lastcall.leases.verifier import VerifierSide
from lastcall.leases.view import View
from lastcall.verifier.checking import Checker, Meant
from lastcall.verifier.session import Session
from tests.conftest import ROOT
from tools.make_vectors import ISSUER, files, header, token

FEED = json.loads((ROOT / "vectors" / "feed.json").read_text("utf-8"))


def said(value: Mapping[str, Any]) -> str:
    return json.dumps(value)


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


def test_the_vectors_are_those_that_the_tool_makes() -> None:
    for name, text in files().items():
        assert (ROOT / "vectors" / name).read_text("utf-8") == text


class Checking(Checker):
    """The library's check, by what a transcript has told; there is nobody to ask."""

    def __init__(self, side: VerifierSide) -> None:
        self.side = side
        self.now = 0.0
        super().__init__(side, lambda: self.now)

    def verdict(self, text: str) -> str:
        try:
            self.verify(text)
        except (InvalidToken, SessionEnded, Unavailable) as error:
            return error.code
        return "accepted"

    def _connected(self) -> bool:
        return True

    def _meant(self) -> Meant:
        assert self.side.welcome is not None
        return Meant(ISSUER, ISSUER, self.side.welcome.account)

    def _ask(self, token: str) -> Session:
        raise Unavailable(token)

    async def _ask_aside(self, token: str) -> Session:
        raise Unavailable(token)


@contextmanager
def leased(view: View) -> Iterator[None]:
    """Have a lease, and know the server's time, whatever was granted."""
    before, view.leased_until = (view.leased_until, view.store_ahead), math.inf
    if view.store_ahead == math.inf:
        view.store_ahead = 0.0
    yield
    view.leased_until, view.store_ahead = before


@pytest.mark.parametrize("transcript", named(FEED["transcripts"]))
def test_a_verifier_says_and_judges_what_the_transcript_says(transcript: dict[str, Any]) -> None:
    check = Checking(VerifierSide("vectors-verifier"))
    for number, step in enumerate(transcript["steps"]):
        take(check, step, f"step {number}: {step}")


def take(checking: Checking, step: dict[str, Any], where: str) -> None:
    side = checking.side
    checking.now = step.get("clock", checking.now)
    match step:
        case {"open": True}:
            (resume,) = (json.loads(write(one)) for one in side.opened())
            assert resume == {
                "type": "resume",
                "verifier": side.name,
                **({"position": step["resume"]} if step["resume"] else {}),
            }, where
        case {"close": True}:
            side.closed()
        case {"node": message, "error": True}:
            with pytest.raises(ProtocolError):
                side.receive(read_from_node(said(message)), step["clock"])
        case {"node": message}:
            answer = side.receive(read_from_node(said(message)), step["clock"])
            assert [json.loads(write(one)) for one in answer] == step["says"], where
        case {"tick": True}:
            answer = side.tick(step["clock"])
            assert [json.loads(write(one)) for one in answer] == step["says"], where
        case {"leased": yes}:
            assert side.leased(step["clock"]) is yes, where
            assert side.view is not None
            good = token(sid="s_any", pos=store_position(side.view.position))
            assert checking.verdict(good) == ("accepted" if yes else "unavailable"), where
        case {"keys": keys}:
            assert side.view is not None
            assert sorted(side.view.keys) == keys, where
            position = store_position(side.view.position)
            for name in ("key-1", "key-2"):
                found = checking.verdict(token(header(kid=name), sid="s_any", pos=position))
                assert (found == "accepted") is (name in keys), where
        case {"check": claims, "verdict": expected}:
            assert side.view is not None
            with leased(side.view):
                assert checking.verdict(token(**claims)) == expected, where
        case _:
            pytest.fail(where)
