"""The check of a token by what is known here (instant-logout, rules 11, 14, 18 and 19)."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from lastcall import tokens
from lastcall.access import Access
from lastcall.clock import SystemClock
from lastcall.errors import InvalidToken, ReauthenticationRequired, SessionEnded, Unavailable
from lastcall.events import Position, Timeline
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.integrations.core import Visit
from lastcall.keys import Keyring, new_key
from lastcall.leases.messages import Happened
from lastcall.leases.view import NEVER, Begun, View
from lastcall.secretfile import Secrets
from lastcall.verifier import checking
from lastcall.verifier.checking import Checker, Meant
from lastcall.verifier.session import Session
from tests.support.fakes import START, FakeEntropy

SECRETS = Secrets.derive(b"r" * 32)
RING = Keyring(
    [new_key(START, first=True, secrets=SECRETS, entropy=FakeEntropy("checking"))], SECRETS
)
OTHER = Keyring(
    [new_key(START, first=True, secrets=SECRETS, entropy=FakeEntropy("another"))], SECRETS
)
KEY = RING.signer(START)
FIRST = Timeline(1, "first")
NOW = START.replace(microsecond=0)
ACCESS = Access(
    issuer="https://id.example.com",
    user_id=UserId("u_ada"),
    client_id="native",
    session_id=SessionId("s_c1_one"),
    audience="api",
    issued_at=NOW,
    expires_at=NOW + timedelta(hours=1),
    token_id="jti",
    auth_time=NOW - timedelta(minutes=5),
    amr=("pwd",),
    account_id=AccountId("a_acme"),
    roles=("member",),
    position=Position("epoch", FIRST, 17),
)
TOKEN = tokens.mint_access(ACCESS, KEY)
ASKED = Session.of(msgspec.structs.replace(ACCESS, session_id=SessionId("s_c1_asked")))
"""What whoever is asked answers."""


class Known:
    """What is known, which a test replaces."""

    def __init__(self) -> None:
        self.view: View | None = new_view()


def new_view(seq: int = 20, floor: int = 0) -> View:
    """A view with a lease of ten seconds, at a store whose clock is ahead of this one."""
    view = View("epoch", (Begun(FIRST, 1),), seq, floor, {KEY.id: RING.jwk(KEY.id) or {}})
    view.leased_until = 1010.0
    view.store_ahead = NOW.timestamp() - 1000.0
    return view


class Checking(Checker):
    """A check whose clock a test moves, and that notes what it asked for."""

    def __init__(self, cached: int = 100) -> None:
        self.now = 1000.0
        self.known = Known()
        self.meant: Meant | None = Meant(ACCESS.issuer, ACCESS.audience, ACCESS.account_id)
        self.asked = 0
        self.failure: Exception | None = None
        super().__init__(self.known, lambda: self.now, cached)

    @property
    def view(self) -> View:
        assert self.known.view is not None
        return self.known.view

    def happens(self, kind: str, **of: str) -> None:
        """Let an event be applied, as the thread that follows does."""
        of = {"user": ACCESS.user_id, **of}
        event = Happened(self.view.seq + 1, kind, int(NOW.timestamp()), **of)
        self.view.apply(ACCESS.account_id, event)
        self.view.moved()

    def _meant(self) -> Meant | None:
        return self.meant

    def _connected(self) -> bool:
        return True

    def _ask(self, token: str) -> Session:
        assert token
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return ASKED

    async def _ask_aside(self, token: str) -> Session:
        return self._ask(token)

    def refuses(self, token: str = TOKEN) -> str:
        """Give the code by which a token is refused, without asking."""
        asked = self.asked
        with pytest.raises((InvalidToken, SessionEnded)) as error:
            self.verify(token)
        assert self.asked == asked
        return error.value.code


@pytest.fixture
def check() -> Checking:
    """A check with a lease, that has seen the token before."""
    check = Checking()
    assert check.verify(TOKEN).id == "s_c1_one"
    return check


def minted(**changes: object) -> str:
    return tokens.mint_access(msgspec.structs.replace(ACCESS, **changes), KEY)


def test_text_that_can_be_no_token_is_refused_and_nobody_is_asked() -> None:
    """Also where it looks like one of a key that is not known."""
    check = Checking()
    check.known.view = None
    head, payload, signature = TOKEN.split(".")
    assert check.refuses(f"{head}.{payload}\ud800.{signature}") == "token_invalid"
    assert check.refuses(f"{head}.{payload}\u00e9.{signature}") == "token_invalid"


async def test_a_good_token_gives_its_session_the_same_each_time(check: Checking) -> None:
    session = check.verify(TOKEN)
    assert session == Session(
        id="s_c1_one",
        user_id="u_ada",
        account_id="a_acme",
        roles=("member",),
        amr=("pwd",),
        issued_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        auth_time=NOW - timedelta(minutes=5),
    )
    assert check.verify(TOKEN) is session
    assert await check.averify(TOKEN) is session
    assert check.asked == 0


def test_a_signature_is_verified_once(check: Checking, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it was verified again")

    monkeypatch.setattr(checking, "prove", refuse)
    check.verify(TOKEN)
    check.happens("session_ended", session="s_c1_other")
    check.verify(TOKEN)


@pytest.mark.parametrize(
    ("kind", "of"),
    [("session_ended", {"session": "s_c1_one"}), ("user_ended", {}), ("account_ended", {})],
)
def test_a_session_that_ended_is_refused_from_the_next_check_on(
    check: Checking, kind: str, of: dict[str, str]
) -> None:
    check.happens(kind, reason="signed_out", **of)
    with pytest.raises(SessionEnded) as error:
        check.verify(TOKEN)
    assert (error.value.reason, error.value.ended_at) == ("signed_out", NOW)
    assert check.asked == 0


def test_an_ending_is_told_before_a_run_out_token(check: Checking) -> None:
    check.happens("session_ended", session="s_c1_one")
    check.view.store_ahead += 3600
    assert check.refuses() == "session_ended"


def test_a_token_runs_out_by_the_clock_of_the_store(check: Checking) -> None:
    check.view.store_ahead += 3599
    check.verify(TOKEN)
    check.now += 1  # a second on the clock of leases
    assert check.refuses() == "token_expired"


def test_a_proof_ages_also_before_the_server_has_told_its_time(check: Checking) -> None:
    """As with a snapshot and no grant yet, while introspection answers."""
    check.known.view = View("epoch", (Begun(FIRST, 1),), 20, 0, {})
    now = SystemClock().now()
    assert timedelta() <= check.server_time() - now < timedelta(minutes=1)
    old = msgspec.structs.replace(check.verify(TOKEN), auth_time=now - timedelta(seconds=601))
    with pytest.raises(ReauthenticationRequired):
        Visit(old, None, check).require(max_age=600)


def test_a_token_that_needs_a_refresh_is_refused(check: Checking) -> None:
    check.happens("session_stale", session="s_c1_one")
    assert check.refuses() == "token_expired"


def test_a_token_from_before_the_floor_is_refused(check: Checking) -> None:
    check.view.raise_floor(18)
    assert check.refuses() == "token_expired"


def test_a_token_of_another_epoch_is_refused(check: Checking) -> None:
    token = minted(position=Position("before", FIRST, 17))
    assert check.refuses(token) == "token_expired"


def test_a_token_from_after_what_is_known_is_asked_about(check: Checking) -> None:
    token = minted(position=Position("epoch", FIRST, 21))
    assert check.verify(token) is ASKED
    check.happens("session_ended", session="s_c1_other")
    assert check.verify(token).id == "s_c1_one"
    assert check.asked == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://id.example.org"},
        {"audience": "another"},
        {"account_id": AccountId("a_other")},
    ],
)
def test_a_token_for_somebody_else_is_refused_known_or_not(
    check: Checking, changes: dict[str, object]
) -> None:
    token = minted(**changes)
    assert check.refuses(token) == "token_invalid"
    assert check.refuses(token) == "token_invalid"


def test_whom_tokens_are_for_may_change(check: Checking) -> None:
    check.meant = Meant("https://elsewhere.example.com", "api", None)
    check.view.moved()
    assert check.refuses() == "token_invalid"


def test_without_an_account_those_of_all_are_accepted(check: Checking) -> None:
    check.meant = Meant(ACCESS.issuer, ACCESS.audience, None)
    assert check.verify(minted(account_id=AccountId("a_other"))).account_id == "a_other"


@pytest.mark.parametrize(
    "token", ["", "a.b", "a.b.c", TOKEN[:-4] + "AAAA", "x" * 5000, TOKEN + "."]
)
def test_what_is_no_token_of_ours_is_refused_without_asking(check: Checking, token: str) -> None:
    assert check.refuses(token) == "token_invalid"
    check.now = 1010.0
    assert check.refuses(token) == "token_invalid"


@pytest.mark.parametrize("lost", ["run out", "dropped", "nothing known", "not greeted"])
def test_without_a_lease_somebody_is_asked_each_time(check: Checking, lost: str) -> None:
    match lost:
        case "run out":
            check.now = 1010.0
        case "dropped":
            check.view.leased_until = NEVER
        case "nothing known":
            check.known.view = None
        case _:
            check.meant = None
            check.view.moved()
    assert check.verify(TOKEN) is ASKED
    assert check.verify(TOKEN) is ASKED
    assert check.asked == 2


async def test_what_is_raised_by_who_is_asked_is_raised(check: Checking) -> None:
    check.now = 1010.0
    for failure in (Unavailable("nobody"), RuntimeError("broken"), SessionEnded()):
        check.failure = failure
        with pytest.raises(type(failure)):
            check.verify(TOKEN)
        with pytest.raises(type(failure)):
            await check.averify(TOKEN)


def test_an_error_in_the_check_itself_is_raised(
    check: Checking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(View, "judge", broken)
    check.view.moved()
    with pytest.raises(ZeroDivisionError):
        check.verify(TOKEN)


def test_another_view_is_looked_at_anew(check: Checking) -> None:
    view = new_view()
    view.version = check.view.version
    view.of(ACCESS.account_id).sessions["s_c1_one"] = 0
    check.known.view = view
    assert check.refuses() == "session_ended"


def test_a_revoked_key_takes_its_tokens_along(check: Checking) -> None:
    event = Happened(21, "key_revoked", int(NOW.timestamp()), key=KEY.id)
    check.view.apply(None, event)
    check.view.moved()
    assert check.refuses() == "token_invalid"


def test_an_unknown_key_is_asked_about_once_a_second(check: Checking) -> None:
    strange = tokens.mint_access(ACCESS, OTHER.signer(START))
    assert check.verify(strange) is ASKED
    assert check.refuses(strange) == "token_invalid"
    check.now += 1
    assert check.verify(strange) is ASKED
    check.now = 1010.0
    assert check.verify(strange) is ASKED
    assert check.verify(strange) is ASKED


def test_a_key_of_another_kind_is_none(check: Checking) -> None:
    strange = OTHER.signer(START)
    check.view.keys[strange.id] = {"kid": strange.id, "kty": "OKP"}
    check.now += 1
    assert check.verify(tokens.mint_access(ACCESS, strange)) is ASKED


def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    check = Checking(cached=3)
    for number in range(20):
        check.verify(minted(token_id=str(number)))
        check.verify(TOKEN)
        assert check.status().cached <= 6


def test_every_check_is_counted_by_what_came_of_it(check: Checking) -> None:
    check.verify(TOKEN)
    check.refuses("a.b.c")
    check.refuses(minted(expires_at=NOW))
    check.happens("session_ended", session="s_c1_one")
    check.refuses()
    check.now = 1010.0
    check.verify(TOKEN)
    check.failure = Unavailable("nobody")
    with pytest.raises(Unavailable):
        check.verify(TOKEN)
    counts = check.status().checks
    assert counts == checking.Counts(
        accepted=3, invalid=1, expired=1, ended=1, unavailable=1, introspected=2
    )


def test_the_status_tells_how_it_stands(check: Checking) -> None:
    check.happens("session_ended", session="s_c1_other")
    status = check.status()
    assert (status.leased, status.lease_left, status.seq) == (True, 10.0, 21)
    assert (status.epoch, status.events, status.cached) == ("epoch", 1, 1)
    check.known.view = None
    status = check.status()
    assert (status.leased, status.lease_left, status.seq, status.epoch) == (False, 0.0, None, None)


def test_the_session_can_not_be_changed(check: Checking) -> None:
    with pytest.raises(AttributeError):
        check.verify(TOKEN).user_id = "u_eve"  # type: ignore[misc]
    assert check.verify(TOKEN).issued_at == datetime.fromtimestamp(NOW.timestamp(), UTC)
