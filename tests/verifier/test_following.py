"""A verifier and a real server: what it accepts, and what it does when the server goes."""

import asyncio
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

import lastcall
from lastcall import InvalidToken, SessionEnded, Unavailable, Verifier
from lastcall.errors import SettingsError
from tests.support import servers
from tests.support.clocks import Jumping, until
from tests.support.planted import found
from tests.verifier.conftest import Prepare, World

LEASE = 30.0


def test_a_good_token_gives_its_session(world: World) -> None:
    token = world.sign_in()
    with world.verifier() as verifier:
        session = verifier.verify(token)
        assert session is verifier.verify(token)
        assert (session.roles, session.amr) == (("owner",), ("pwd",))
        assert session.expires_at > session.issued_at == session.auth_time
        status = verifier.status()
        assert status.leased
        assert status.connected
        assert 0 < status.lease_left <= LEASE
        assert status.checks.accepted == 2
        assert status.checks.introspected == 0


def test_a_confirmed_ending_is_refused_at_once(world: World) -> None:
    own, other = world.sign_in(), world.sign_in()
    with world.verifier() as verifier, world.verifier() as second:
        session = verifier.verify(other)
        second.verify(other)
        assert world.end(own, session.id) == "confirmed"
        for one in (verifier, second):
            with pytest.raises(SessionEnded) as ended:
                one.verify(other)
            assert ended.value.reason == "terminated_by_user"
            assert ended.value.ended_at is not None
            assert one.verify(own).user_id
            assert one.status().checks.introspected == 0


def test_many_threads_check_while_sessions_end(world: World) -> None:
    """None accepts after the confirmation, whatever it was doing when it came."""
    own = world.sign_in()
    others = [world.sign_in() for _ in range(5)]
    confirmed: set[str] = set()
    wrong: list[str] = []
    over = threading.Event()
    with world.verifier() as verifier:

        def check() -> None:
            while not over.is_set():
                for token in others:
                    certain = token in confirmed
                    try:
                        verifier.verify(token)
                    except SessionEnded:
                        continue
                    if certain:
                        wrong.append(token)

        threads = [threading.Thread(target=check) for _ in range(3)]
        for thread in threads:
            thread.start()
        for token in others:
            session = httpx.get(
                world.url + "/api/v1/session", headers={"Authorization": f"Bearer {token}"}
            )
            assert world.end(own, session.json()["id"]) == "confirmed"
            confirmed.add(token)
        over.set()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_verifier_that_is_closed_accepts_nothing(world: World) -> None:
    token = world.sign_in()
    with world.verifier() as verifier:
        verifier.verify(token)
    with pytest.raises(Unavailable):
        verifier.verify(token)
    with pytest.raises(Unavailable):
        verifier.wait_ready(0)
    verifier.close()


def test_a_closed_verifier_delays_no_termination(world: World) -> None:
    own, other = world.sign_in(), world.sign_in()
    with world.verifier() as verifier:
        session = verifier.verify(other)
    assert world.end(own, session.id) == "confirmed"


async def test_the_same_may_be_awaited(world: World) -> None:
    token = await asyncio.to_thread(world.sign_in)
    clock = Jumping()
    with world.verifier(clock=clock) as verifier:
        session = await verifier.averify(token)
        clock.ahead += 2 * LEASE
        assert await verifier.averify(token) == session
        with pytest.raises(InvalidToken):
            await verifier.averify("a.b.c")


def test_another_issuer_or_audience_than_was_given_is_refused(world: World) -> None:
    token = world.sign_in()
    for issuer, audience in (("https://other.example.com", None), (None, "other")):
        clock = Jumping()
        with Verifier(
            world.url, key=world.key, issuer=issuer, audience=audience, clock=clock
        ) as verifier:
            verifier.wait_ready(20)
            for _ in range(2):
                with pytest.raises(InvalidToken):
                    verifier.verify(token)
                clock.ahead += 2 * LEASE  # introspection is held to it, too


def test_without_a_lease_the_server_is_asked(world: World) -> None:
    token, ended = world.sign_in(), world.sign_in()
    clock = Jumping()
    with world.verifier(clock=clock) as verifier:
        session = verifier.verify(token)
        verifier.verify(ended)
        world.sign_out(ended)
        clock.ahead += 2 * LEASE
        assert verifier.verify(token) == session
        clock.ahead += 2 * LEASE
        with pytest.raises(SessionEnded) as error:
            verifier.verify(ended)
        assert error.value.reason == "signed_out"
        assert verifier.status().checks.introspected >= 1


def test_a_revoked_service_key_ends_what_was_accepted_by_it(world: World) -> None:
    key, key_id = servers.new_key(world.folder, "verify")
    token = world.sign_in()
    with Verifier(world.url, key=key) as verifier:
        verifier.wait_ready(20)
        verifier.verify(token)
        servers.run(world.folder, "key", "revoke", key_id)
        until(lambda: not verifier.status().leased)
        with pytest.raises(Unavailable):
            verifier.verify(token)


def test_a_wrong_key_is_told_as_such(world: World) -> None:
    with Verifier(world.url, key="lck_" + "x" * 40) as verifier:
        with pytest.raises(Unavailable):
            verifier.wait_ready(0.0)
        until(lambda: "not in force" in str(verifier._life.following.problem))  # noqa: SLF001
        with pytest.raises(Unavailable, match="lastcall key create NAME --scope verify"):
            verifier.verify(world.sign_in())


def test_secrets_are_in_no_log_and_no_text(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor where an application has configured logging, which enables all loggers."""
    caplog.set_level(logging.DEBUG)
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("lastcall") and isinstance(logger, logging.Logger):
            monkeypatch.setattr(logger, "disabled", False)
    logging.getLogger("lastcall.verifier").setLevel(logging.DEBUG)
    token = world.sign_in()
    secrets = {"key": world.key, "token": token}
    texts = []
    clock = Jumping()
    with world.verifier(clock=clock) as verifier:
        verifier.verify(token)
        clock.ahead += 2 * LEASE
        verifier.verify(token)
        texts += [repr(verifier), repr(verifier.status()), repr(vars(verifier)["_life"])]
    with pytest.raises(Unavailable) as error:
        verifier.verify(token)
    texts += [str(error.value), caplog.text]
    assert "following" in caplog.text
    assert not [name for text in texts for name in found(secrets, text)]


def test_a_server_that_comes_back_is_followed_again(tmp_path: Path, prepare: Prepare) -> None:
    """What ended meanwhile is known before anything is accepted, and other addresses are tried."""
    key, key_id = prepare(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    nobody = f"http://127.0.0.1:{port}"
    clock = Jumping()
    with servers.serving(tmp_path) as server:
        world = World(tmp_path, server.url, key, key_id)
        token, ended = world.sign_in(), world.sign_in()
        with Verifier(nobody, server.url, key=key, clock=clock) as verifier:
            verifier.wait_ready(20)
            verifier.verify(token)
            gone = verifier.verify(ended).id
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            verifier.verify(token)  # an outage shorter than the lease changes nothing
            servers.run(tmp_path, "session", "terminate", gone)
            clock.ahead += 2 * LEASE
            with pytest.raises(Unavailable):
                verifier.verify(token)
            again = [*["serve", "--json", "--port"], str(server.port)]
            command = [sys.executable, "-m", "lastcall", *again]
            with subprocess.Popen(
                command,
                cwd=tmp_path,
                env=servers.environment(),
                stdout=subprocess.PIPE,
                text=True,
            ) as process:
                try:
                    assert process.stdout is not None
                    assert process.stdout.readline()
                    verifier.wait_ready(30)
                    with pytest.raises(SessionEnded):
                        verifier.verify(ended)
                    assert verifier.verify(token).user_id
                finally:
                    process.terminate()


def test_a_revoked_signing_key_takes_its_tokens_along(world: World) -> None:
    token = world.sign_in()
    with world.verifier() as verifier:
        verifier.verify(token)
        listed = servers.run(world.folder, "signing-key", "list", "--json")
        (signing,) = json.loads(listed)["signing_keys"]
        servers.run(world.folder, "signing-key", "revoke", signing["id"])
        until(lambda: refused(verifier, token))
        assert verifier.verify(world.sign_in()).user_id


def refused(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except InvalidToken:
        return True
    return False


@pytest.mark.parametrize(
    "address",
    [
        "http://id.example.com",
        "http://127.0.0.1.example.com",
        "ftp://localhost",
        "localhost:8000",
        "https://",
        "https://me:secret@id.example.com",
        "https://id.example.com/?a=b",
        "https://id.example.com/#a",
        "https://id.example.com/a b",
        "https://[id",
        "https://id.example.com:port",
    ],
)
def test_an_address_that_would_show_the_key_is_refused(address: str) -> None:
    with pytest.raises(SettingsError) as error:
        Verifier(address, key="lck_x")
    assert "secret" not in str(error.value)


def test_what_can_be_no_verifier_is_refused() -> None:
    with pytest.raises(SettingsError):
        Verifier(key="lck_x")
    for key in ("", "secret", "lck_a\r\nb", "lck_ä"):
        with pytest.raises(SettingsError):
            Verifier("https://id.example.com", key=key)


def test_the_public_names_are_there() -> None:
    for name in lastcall.__all__:
        assert getattr(lastcall, name).__name__ == name
    with pytest.raises(AttributeError):
        lastcall.nothing  # noqa: B018
    assert lastcall.Session.__name__ == "Session"
