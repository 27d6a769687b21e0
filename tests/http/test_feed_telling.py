"""What the feed says to a verifier, in which order, and what of it concerns somebody else."""

import json

from lastcall.events import Position
from lastcall.leases.messages import Events, Grant, Resume, Snapshot, Welcome, store_position, write
from tests.http.feeding import Fed
from tests.support.following import connected, eventually, new_name


async def test_a_verifier_is_greeted_and_shown_all_that_is_in_force(fed: Fed) -> None:
    ada = await fed.served.native()
    await ada.delete(f"/api/v1/sessions/{ada.session_id}")
    node = fed.served.node
    async with fed.follow() as follower:
        welcome = follower.told[0]
        assert isinstance(welcome, Welcome)
        assert isinstance(follower.told[1], Snapshot)
        assert welcome.account == fed.served.account.id
        assert (welcome.issuer, welcome.lease) == ("http://localhost:8000", 30.0)
        await follower.until_at(await fed.events())
        view = follower.side.view
        assert view is not None
        while ada.session_id not in view.of(welcome.account).sessions:
            await follower.hear()
            view = follower.side.view
            assert view is not None
        assert set(view.keys) == {key["kid"] for key in (await node.signing.ring()).jwks()}


async def test_who_comes_back_with_a_position_is_told_what_followed_and_nothing_else(
    fed: Fed,
) -> None:
    async with fed.follow() as follower:
        side = follower.side
        assert side.view is not None
        before = side.view.seq
    ada = await fed.served.native()
    await ada.delete(f"/api/v1/sessions/{ada.session_id}")
    end, known = await fed.events(), fed.served.node.leases.side
    await eventually(lambda: known.view.seq >= end)
    async with fed.follow(side) as follower:
        told = follower.told[1]
        assert isinstance(told, Events)
        assert told.after == before
        assert [event.session for event in told.events] == [ada.session_id]


async def test_who_has_seen_another_log_is_shown_everything_anew(fed: Fed) -> None:
    async with fed.follow() as follower:
        assert follower.side.view is not None
        position = follower.side.view.position
    other = Position("another-log-", position.timeline, position.seq)
    async with connected(fed.port, fed.key) as opened:
        await opened.send(write(Resume(new_name(), store_position(other))).decode())
        kinds = [json.loads(await opened.recv())["type"] for _ in range(2)]
    assert kinds == ["welcome", "snapshot"]


async def test_an_event_reaches_a_verifier_before_any_grant_that_knows_it(fed: Fed) -> None:
    async with fed.follow() as follower:
        await follower.lease()
        for _ in range(5):
            ada = await fed.served.native()
            await ada.delete(f"/api/v1/sessions/{ada.session_id}?wait=0")
            fed.served.clock.advance(seconds=3)
            # `VerifierSide` refuses a grant that overtakes its events.
            await follower.lease()
        await follower.until_at(await fed.events())
        assert any(isinstance(one, Grant) for one in follower.told)


async def test_others_events_are_known_by_their_number_alone(fed: Fed) -> None:
    elsewhere = await fed.served.node.identity.add_account("Elsewhere")
    await fed.served.add_user("zuleika@elsewhere.example.com", elsewhere)
    theirs = await fed.served.native("zuleika@elsewhere.example.com")
    async with fed.follow() as follower:
        await theirs.delete(f"/api/v1/sessions/{theirs.session_id}?wait=0")
        seq = await fed.events()
        await follower.until_at(seq)
        told = [one for one in follower.told if isinstance(one, Events)]
        assert told[-1].position[2] == seq
        said = "".join(write(one).decode() for one in follower.told)
        for secret in (theirs.session_id, elsewhere.id, "zuleika", "signed_out"):
            assert secret not in said


async def test_a_session_in_its_own_process_ends_at_its_verifier_too(fed: Fed) -> None:
    """What a verifier says of a token follows the log: alive, then ended with its reason."""
    ada = await fed.served.native()
    access = (await fed.served.node.sessions.authenticate(ada.access)).access
    async with fed.follow() as follower:
        view = follower.side.view
        assert view is not None
        who = (access.account_id, access.user_id, access.session_id, access.position)
        await follower.until_at(access.position.seq) if view.seq < access.position.seq else None
        assert getattr(view.judge(*who), "value", None) == "lives"
        await ada.delete(f"/api/v1/sessions/{ada.session_id}?wait=0")
        await follower.until_at(await fed.events())
        assert getattr(view.judge(*who), "reason", None) == "signed_out"
