"""Our own verifier says of every vector what verifiers in other languages are asked to say."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from lastcall.access import prove, public_key_of, require_meant
from lastcall.errors import InvalidToken
from lastcall.events import Position
from lastcall.leases.messages import ProtocolError, read_from_node, read_position, write
from lastcall.leases.verifier import VerifierSide
from lastcall.leases.view import Verdict, View
from tests.conftest import ROOT
from tools.make_vectors import files

TOKENS = json.loads((ROOT / "vectors" / "tokens.json").read_text("utf-8"))
FEED = json.loads((ROOT / "vectors" / "feed.json").read_text("utf-8"))
WORDS = {Verdict.LIVES: "accepted", Verdict.REFRESH: "token_expired", Verdict.AHEAD: "ask"}


def said(value: Mapping[str, Any]) -> str:
    return json.dumps(value)


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


def test_the_vectors_are_those_that_the_tool_makes() -> None:
    for name, text in files().items():
        assert (ROOT / "vectors" / name).read_text("utf-8") == text


@pytest.fixture(scope="module")
def following() -> VerifierSide:
    """A verifier that was told what the tokens' file says."""
    side = VerifierSide("vectors-verifier")
    side.opened()
    for message in TOKENS["messages"]:
        side.receive(read_from_node(said(message)), 0.0)
    return side


def verdict(side: VerifierSide, token: str, now: int) -> tuple[str, str | None]:
    """Check a token in the order of rule 19."""
    view, welcome = side.view, side.welcome
    assert view is not None
    assert welcome is not None
    keys = {name: public_key_of(key) for name, key in view.keys.items()}
    try:
        access, _ = prove(token, keys.get)
        require_meant(access, welcome.issuer, welcome.audience)
    except InvalidToken as error:
        return error.code, None
    if access.account_id != welcome.account:
        return "token_invalid", None
    if now >= access.expires_at.timestamp():
        return "token_expired", None
    return judged(view, welcome.account, access.user_id, access.session_id, access.position)


def judged(
    view: View, account: str, user: str, session: str, position: Position
) -> tuple[str, str | None]:
    found = view.judge(account, user, session, position)
    if isinstance(found, Verdict):
        return WORDS[found], None
    return "session_ended", found.reason


@pytest.mark.parametrize("case", named(TOKENS["cases"]))
def test_a_token_is_accepted_or_refused_as_it_says(
    case: dict[str, Any], following: VerifierSide
) -> None:
    found = verdict(following, case["token"], TOKENS["now"])
    assert found == (case["verdict"], case.get("reason"))


@pytest.mark.parametrize("transcript", named(FEED["transcripts"]))
def test_a_verifier_says_and_judges_what_the_transcript_says(transcript: dict[str, Any]) -> None:
    side = VerifierSide("vectors-verifier")
    for number, step in enumerate(transcript["steps"]):
        take(side, step, f"step {number}: {step}")


def take(side: VerifierSide, step: dict[str, Any], where: str) -> None:
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
        case {"leased": leased}:
            assert side.leased(step["clock"]) is leased, where
        case {"keys": keys}:
            assert side.view is not None
            assert sorted(side.view.keys) == keys, where
        case {"check": token, "verdict": expected}:
            assert side.view is not None
            assert side.welcome is not None
            position = read_position(tuple(token["pos"]))
            found, _ = judged(side.view, side.welcome.account, token["sub"], token["sid"], position)
            assert found == expected, where
        case _:
            pytest.fail(where)
