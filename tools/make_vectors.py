"""Make `vectors/`: what verifiers in any language must say of tokens and of a feed.

What is expected is written here by hand, from `docs/feed.md`; tests hold our own code to it.
"""

import json
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

Json = dict[str, Any]

FOLDER: Final = Path(__file__).parents[1] / "vectors"
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""That of the curve P-256: a signature's second number may be replaced by its difference."""
KEY: Final = derive_private_key(0x1A57CA11, SECP256R1())
"""A key for tests alone: whoever reads this can sign with it."""
OTHER: Final = derive_private_key(0xBAD, SECP256R1())
EPOCH, ONE, TWO, OTHER_TWO = "epoch-000001", "1.aaaaaaaaaaaa", "2.bbbbbbbbbbbb", "2.cccccccccccc"
ISSUER, ACCOUNT, NOW = "https://id.example.com", "a_one", 1_800_000_000
WELCOME: Final[Json] = {
    "type": "welcome", "node": "n_one", "account": ACCOUNT, "issuer": ISSUER, "audience": ISSUER,
    "lease": 30.0,
}  # fmt: skip


def encode(data: bytes) -> str:
    """Write base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk() -> Json:
    """Give the public key."""
    point = KEY.public_key().public_numbers()
    x, y = (encode(number.to_bytes(32, "big")) for number in (point.x, point.y))
    return {"kty": "EC", "crv": "P-256", "kid": "key-1", "x": x, "y": y}


SNAPSHOT: Final[Json] = {
    "type": "snapshot", "position": [EPOCH, TWO, 200], "timelines": [[ONE, 1], [TWO, 150]],
    "floor": 50, "keys": [jwk()], "parts": 1, "account": [70, "s_spared", 0, NOW, "policy_changed"],
}  # fmt: skip
PART: Final[Json] = {
    "type": "part",
    "sessions": {
        "id": ["s_ended"], "seq": [120], "at": [NOW], "reason": [0], "reasons": ["signed_out"],
    },
    "users": [["u_out", [180, "s_kept", 100, NOW, "password_changed"]]],
    "stale_sessions": [["s_stale", 160]],
    "stale_users": [["u_stale", 170]],
}  # fmt: skip


def claims(**changes: object) -> Json:
    """Give a token's claims, of a session that lives."""
    return {
        "iss": ISSUER, "sub": "u_one", "client_id": ISSUER, "sid": "s_one", "aud": ISSUER,
        "iat": NOW - 60, "exp": NOW + 3540, "jti": "j_one", "auth_time": NOW - 60, "amr": ["pwd"],
        "account": ACCOUNT, "roles": ["member"], "pos": [EPOCH, TWO, 190], **changes,
    }  # fmt: skip


def header(**changes: object) -> Json:
    """Give a token's header."""
    return {"alg": "ES256", "kid": "key-1", "typ": "at+jwt", **changes}


def raw(head: bytes, payload: bytes, key: Any = KEY, *, high: bool | None = None) -> str:  # noqa: ANN401
    """Sign bytes as they are."""
    signed = f"{encode(head)}.{encode(payload)}"
    algorithm = ECDSA(SHA256(), deterministic_signing=True)
    first, second = decode_dss_signature(key.sign(signed.encode(), algorithm))
    if high is not None and (second > ORDER // 2) is not high:
        second = ORDER - second
    return f"{signed}.{encode(first.to_bytes(32, 'big') + second.to_bytes(32, 'big'))}"


def token(head: Json | None = None, **changes: object) -> str:
    """Sign a token."""
    written = json.dumps(head or header()).encode()
    return raw(written, json.dumps(claims(**changes)).encode())


def tokens() -> Json:
    """Give tokens, and what a verifier with this state and a lease must say of each."""
    good = token()
    head, payload, signature = good.split(".")
    written = json.dumps(claims())
    doubled = json.dumps(header())[:-1] + ', "alg": "none"}'
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    loose = signature[:-1] + last[last.index(signature[-1]) + 1]
    without = {name: value for name, value in claims().items() if name != "pos"}
    invalid = {
        "empty": "",
        "no dots": "token",
        "two parts": f"{head}.{payload}",
        "four parts": f"{good}.x",
        "no signature": f"{head}.{payload}.",
        "padding": f"{good}==",
        "bits beyond the last byte": f"{head}.{payload}.{loose}",
        "a line end": f"{good}\n",
        "base64 of the other alphabet": f"{head}.{payload}.{'+' * 86}",
        "one byte changed": f"{head}.{payload[:-4]}AAAA.{signature}",
        "a short signature": f"{head}.{payload}.{signature[:-4]}",
        "a long signature": f"{head}.{payload}.{signature}AAAA",
        "a signature of zeros": f"{head}.{payload}.{'A' * 86}",
        "another key": raw(json.dumps(header()).encode(), written.encode(), OTHER),
        "algorithm none": token(header(alg="none")),
        "a symmetric algorithm": token(header(alg="HS256")),
        "another type": token(header(typ="JWT")),
        "no type": token({"alg": "ES256", "kid": "key-1"}),
        "an unknown key": token(header(kid="key-2")),
        "a member more in the header": token(header(jku="https://evil.example")),
        "critical extensions": token(header(crit=["exp"])),
        "a member twice in the header": raw(doubled.encode(), written.encode()),
        "a payload that is no object": raw(json.dumps(header()).encode(), b"[]"),
        "a payload that is no UTF-8": raw(json.dumps(header()).encode(), b'{"iss":"\xff"}'),
        "no position": raw(json.dumps(header()).encode(), json.dumps(without).encode()),
        "a time that is a text": token(exp="tomorrow"),
        "not before": token(nbf=NOW - 60),
        "an external id that is a number": token(external_id=42),
        "too long": token(roles=["x" * 4000]),
        "another issuer": token(iss="https://other.example.com"),
        "another audience": token(aud="https://other.example.com"),
        "a list of audiences": token(aud=[ISSUER]),
        "another account": token(account="a_two"),
    }  # fmt: skip
    expired = {
        "it has run out": token(exp=NOW),
        "another epoch": token(pos=["epoch-000000", TWO, 190]),
        "the other second timeline": token(pos=[EPOCH, OTHER_TWO, 190]),
        "after its timeline's end": token(pos=[EPOCH, ONE, 150]),
        "before its timeline's begin": token(pos=[EPOCH, TWO, 149]),
        "before the floor": token(pos=[EPOCH, ONE, 49], sid="s_spared"),
        "a session that needs a refresh": token(sid="s_stale", pos=[EPOCH, TWO, 159]),
        "a user whose sessions need a refresh": token(sub="u_stale", pos=[EPOCH, TWO, 169]),
    }
    accepted = {
        "a session that lives": good,
        "the other spelling of the type": token(header(typ="application/at+jwt")),
        "a second number of the signature above half": raw(
            json.dumps(header()).encode(), written.encode(), high=True
        ),
        "a second number of the signature below half": raw(
            json.dumps(header()).encode(), written.encode(), high=False
        ),
        "a claim that nobody knows": token(colour="red"),
        "of a user whom an application signs in": token(external_id="42"),
        "begun at the ending of its user's sessions": token(sub="u_out", pos=[EPOCH, TWO, 180]),
        "spared by the newest ending": token(sub="u_out", sid="s_kept", pos=[EPOCH, ONE, 100]),
        "refreshed after the change": token(sid="s_stale", pos=[EPOCH, TWO, 160]),
        "spared, and at the floor": token(sid="s_spared", pos=[EPOCH, ONE, 50]),
        "on the first timeline": token(pos=[EPOCH, ONE, 149]),
    }
    ended = {
        "the session has ended": (token(sid="s_ended"), "signed_out"),
        "its user's sessions ended": (
            token(sub="u_out", pos=[EPOCH, TWO, 179]), "password_changed"),
        "an earlier ending that did not spare it": (
            token(sub="u_out", sid="s_kept", pos=[EPOCH, ONE, 99]), "password_changed"),
        "its account's sessions ended": (token(pos=[EPOCH, ONE, 69]), "policy_changed"),
    }  # fmt: skip
    ahead = {
        "from after this state": token(pos=[EPOCH, TWO, 201]),
        "on a newer timeline": token(pos=[EPOCH, "3.dddddddddddd", 201]),
    }
    cases = [
        *({"name": name, "token": one, "verdict": "accepted"} for name, one in accepted.items()),
        *(
            {"name": name, "token": one, "verdict": "token_invalid"}
            for name, one in invalid.items()
        ),
        *(
            {"name": name, "token": one, "verdict": "token_expired"}
            for name, one in expired.items()
        ),
        *(
            {"name": name, "token": one, "verdict": "session_ended", "reason": reason}
            for name, (one, reason) in ended.items()
        ),
        *({"name": name, "token": one, "verdict": "ask"} for name, one in ahead.items()),
    ]
    return {"now": NOW, "messages": [WELCOME, SNAPSHOT, PART], "cases": cases}


def at(seq: int, timeline: str = TWO, epoch: str = EPOCH) -> list[object]:
    """Write a position."""
    return [epoch, timeline, seq]


def check(verdict: str, session: str = "s_one", user: str = "u_one", seq: int = 190,
          timeline: str = TWO) -> Json:  # fmt: skip
    """Expect what a token's session is judged as."""
    return {"check": {"sid": session, "sub": user, "pos": at(seq, timeline)}, "verdict": verdict}


def events(after: int, end: list[object], *happened: Json, floor: int = 50) -> Json:
    """Write an `events` message."""
    return {
        "type": "events", "after": after, "position": end, "floor": floor, "events": list(happened),
    }  # fmt: skip


def told(message: Json, *says: Json, clock: float = 100.0, error: bool = False) -> Json:
    """Expect what is said to a message; `error`: the connection is closed for it."""
    step: Json = {"clock": clock, "node": message, "says": list(says)}
    return {**step, "error": True} if error else step


def ack(seq: int, timeline: str = TWO, epoch: str = EPOCH) -> Json:
    """Write an `ack`."""
    return {"type": "ack", "position": at(seq, timeline, epoch)}


def grant(request: int, seq: int = 200, seconds: float = 20.0) -> Json:
    """Write a `grant`."""
    return {
        "type": "grant",
        "request": request,
        "seconds": seconds,
        "position": at(seq),
        "now": NOW,
    }


def renew(request: int, clock: float, seq: int = 200) -> Json:
    """Expect a request after some time."""
    said = {"type": "renew", "request": request, "position": at(seq)}
    return {"clock": clock, "tick": True, "says": [said]}


def leased(clock: float, yes: bool) -> Json:
    """Expect a lease, or none."""
    return {"clock": clock, "leased": yes}


def feed() -> Json:
    """Give transcripts: what a server says, what a verifier says to it and judges after it."""
    whole = {**SNAPSHOT, "parts": 0}
    begin = [{"open": True, "resume": None}, told(WELCOME), told(SNAPSHOT), told(PART, ack(200))]
    held = [*begin, renew(1, 100.0), told(grant(1), clock=105.0)]
    ended = {
        "seq": 201,
        "kind": "session_ended",
        "at": NOW,
        "session": "s_one",
        "reason": "revoked",
    }
    user = {"seq": 202, "kind": "user_ended", "at": NOW, "user": "u_one", "spared": "s_one"}
    return {"transcripts": [
        {"name": "a lease counts from when it was asked for", "steps": [
            *held, leased(119.9, True), leased(120.0, False)]},
        {"name": "a snapshot comes in parts and is known with the last", "steps": [
            *begin[:3], {"clock": 100.0, "tick": True, "says": []}, begin[3],
            check("session_ended", "s_ended"), check("accepted")]},
        {"name": "an event is acknowledged once it is applied", "steps": [
            *held, check("accepted"), told(events(200, at(201), ended), ack(201)),
            check("session_ended")]},
        {"name": "others' events move the position alone", "steps": [
            *held, told(events(200, at(210)), ack(210)), check("accepted", seq=210)]},
        {"name": "a user-wide ending spares one session", "steps": [
            *held, told(events(200, at(202), user), ack(202)), check("accepted"),
            check("session_ended", "s_two"), check("accepted", "s_two", seq=202)]},
        {"name": "a second exception lifts no earlier ending", "steps": [
            *held, told(events(200, at(202), user), ack(202)),
            told(events(202, at(203), {**user, "seq": 203, "spared": "s_two"}), ack(203)),
            check("session_ended", "s_two"), check("session_ended"),
            check("accepted", "s_two", seq=202)]},
        {"name": "a floor that rises refuses what is from before it", "steps": [
            *held, told(events(200, at(200), floor=195)), check("token_expired"),
            check("accepted", seq=195)]},
        {"name": "a timeline that is opened ends the one before it", "steps": [
            *held, told(events(200, at(201, "3.dddddddddddd"), {
                "seq": 201, "kind": "timeline_opened", "at": NOW, "timeline": "3.dddddddddddd"}),
                ack(201, "3.dddddddddddd")),
            check("accepted"), check("token_expired", seq=201),
            check("accepted", seq=201, timeline="3.dddddddddddd")]},
        {"name": "a revoked key is gone and a new one there", "steps": [
            *held, told(events(200, at(202),
                {"seq": 201, "kind": "key_published", "at": NOW, "key": {**jwk(), "kid": "key-2"}},
                {"seq": 202, "kind": "key_revoked", "at": NOW, "key": "key-1"}), ack(202)),
            {"keys": ["key-2"]}]},
        {"name": "an unknown kind is counted and does nothing", "steps": [
            *held, told(events(200, at(201), {"seq": 201, "kind": "something_new", "at": NOW}),
                ack(201)), check("accepted")]},
        {"name": "an unknown member is passed over", "steps": [
            *begin, told({**events(200, at(201)), "colour": "red"}, ack(201))]},
        {"name": "a grant that overtakes its events is refused", "steps": [
            *begin, renew(1, 100.0), told(grant(1, 201), error=True), leased(100.0, False)]},
        {"name": "a grant for another request counts for nothing", "steps": [
            *begin, renew(1, 100.0), told(grant(2)), leased(100.0, False)]},
        {"name": "a lease of no seconds is refused", "steps": [
            *begin, renew(1, 100.0), told(grant(1, seconds=0.0), error=True),
            leased(100.0, False)]},
        {"name": "a lease of more than an hour is refused", "steps": [
            *begin, renew(1, 100.0), told(grant(1, seconds=3601.0), error=True)]},
        {"name": "events that leave a gap are refused", "steps": [
            *held, told(events(201, at(202)), error=True), leased(105.0, True)]},
        {"name": "events that go back are refused", "steps": [
            *held, told(events(200, at(202), user, ended), error=True)]},
        {"name": "an event beyond the end is refused", "steps": [
            *held, told(events(200, at(200), ended), error=True)]},
        {"name": "events of another epoch are refused", "steps": [
            *held, told(events(200, at(201, TWO, "epoch-000000")), error=True)]},
        {"name": "a timeline that was not opened is refused", "steps": [
            *held, told(events(200, at(201, OTHER_TWO)), error=True)]},
        {"name": "a part without a snapshot is refused", "steps": [
            *begin[:2], told(PART, error=True)]},
        {"name": "what comes before a welcome is refused", "steps": [
            begin[0], told(whole, error=True)]},
        {"name": "a recall drops the lease, then says so", "steps": [
            *held, told({"type": "recall"}, {"type": "goodbye"}, clock=106.0), leased(106.0, False),
            told(grant(1), clock=107.0), leased(107.0, False)]},
        {"name": "a lost connection leaves the lease and what was asked counts no more", "steps": [
            *held, renew(2, 110.0), {"close": True}, leased(111.0, True),
            {"open": True, "resume": at(200)}, told(WELCOME), told(grant(2), clock=112.0),
            leased(119.9, True), leased(120.0, False)]},
        {"name": "a snapshot that knows all that was known leaves the lease", "steps": [
            *held, told({**whole, "position": at(205)}, ack(205), clock=106.0),
            leased(106.0, True)]},
        {"name": "an older snapshot ends the lease", "steps": [
            *held, told({**whole, "position": at(199)}, ack(199), clock=106.0),
            leased(106.0, False)]},
        {"name": "a snapshot of another log ends the lease", "steps": [
            *held, told({**whole, "position": at(300, TWO, "epoch-000002")},
                ack(300, TWO, "epoch-000002"), clock=106.0), leased(106.0, False)]},
        {"name": "another account is refused", "steps": [
            *held, {"close": True}, {"open": True, "resume": at(200)},
            told({**WELCOME, "account": "a_two"}, error=True)]},
    ]}  # fmt: skip


def write(value: Json) -> str:
    """Write a file's text."""
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"


def files() -> dict[str, str]:
    """Give each file's text by its name."""
    return {"tokens.json": write(tokens()), "feed.json": write(feed())}


def main() -> None:
    """Write them, into the folder that is named or into `vectors`."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for name, text in files().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
