"""A forked child is another verifier: its parent's lease is not its own (rule 12)."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import httpx
import pytest

from lastcall import SessionEnded, Unavailable, Verifier
from lastcall.verifier import client, forks
from tests.support import servers
from tests.support.children import Fork, in_child
from tests.support.clocks import until
from tests.verifier.conftest import Prepare, World, bearer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def raw_fork() -> int:
    """Fork as a C library might: no hook of Python's runs."""
    interval = sys.getswitchinterval()
    # Whoever waits for the interpreter's lock has no thread in the child, which would wait for it.
    sys.setswitchinterval(100)
    pid = int(ctypes.PyDLL(None).fork())
    sys.setswitchinterval(interval)
    return pid


FORKS = pytest.mark.parametrize("fork", [os.fork, raw_fork], ids=["hooks", "raw"])


@FORKS
def test_a_child_has_a_name_a_lease_and_a_thread_of_its_own(world: World, fork: Fork) -> None:
    own, other = world.sign_in(), world.sign_in()
    with world.verifier() as verifier:
        session = verifier.verify(other)
        name = verifier._life.side.name

        def act() -> None:
            verifier.verify(own)  # asks, unless its own lease was quicker
            asked = verifier.status().checks.introspected
            assert asked in (0, 1)
            verifier.wait_ready(20)
            assert verifier._life.side.name != name
            verifier.verify(other)
            assert world.end(own, session.id) == "confirmed"
            with pytest.raises(SessionEnded):
                verifier.verify(other)
            assert verifier.status().checks.introspected == asked
            verifier.close()

        assert in_child(fork, act) == 0
        assert verifier.status().connected
        with pytest.raises(SessionEnded):
            verifier.verify(other)


@FORKS
def test_a_child_that_reaches_nobody_accepts_nothing(
    tmp_path: Path, prepare: Prepare, fork: Fork
) -> None:
    """The lease in its memory is that of its parent."""
    key, key_id = prepare(tmp_path)
    with servers.serving(tmp_path) as server:
        world = World(tmp_path, server.url, key, key_id)
        token = world.sign_in()
        with world.verifier() as verifier:
            verifier.verify(token)

            def act() -> None:
                os.kill(server.process.pid, signal.SIGKILL)
                until(lambda: not reached(server.port))
                for _ in range(2):
                    with pytest.raises(Unavailable):
                        verifier.verify(token)
                assert not verifier.status().leased

            assert in_child(fork, act) == 0
            verifier.verify(token)


def reached(port: int) -> bool:
    """Whether somebody accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


@FORKS
def test_locks_held_at_the_fork_do_not_hold_up_the_child(world: World, fork: Fork) -> None:
    token = world.sign_in()
    with world.verifier() as verifier:
        life = verifier._life

        def act() -> None:
            verifier.verify(token)
            verifier.wait_ready(20)
            verifier.close()

        with life.following.changed, life.following._starting:
            for _ in range(32):
                life.introspection._take()
            assert in_child(fork, act) == 0


def test_threads_of_a_child_that_begin_at_once_share_one_life(world: World) -> None:
    token = world.sign_in()
    with world.verifier() as verifier:

        def act() -> None:
            failed: list[BaseException] = []
            ready = threading.Barrier(8)

            def check() -> None:
                ready.wait()
                try:
                    verifier.verify(token)
                except BaseException as error:  # noqa: BLE001
                    failed.append(error)

            threads = [threading.Thread(target=check) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not failed
            verifier.wait_ready(20)
            names = [thread.name for thread in threading.enumerate()]
            assert names.count("lastcall-verifier") == 1

        assert in_child(os.fork, act) == 0


def test_a_grandchild_is_another_one_again(world: World) -> None:
    token = world.sign_in()
    with world.verifier() as verifier:

        def child() -> None:
            verifier.wait_ready(20)
            name = verifier._life.side.name

            def grandchild() -> None:
                verifier.verify(token)
                assert verifier._life.side.name != name

            assert in_child(os.fork, grandchild) == 0

        assert in_child(os.fork, child) == 0


def test_a_closed_verifier_stays_closed_in_a_child(world: World) -> None:
    token = world.sign_in()
    with world.verifier() as verifier:
        pass

    def act() -> None:
        with pytest.raises(Unavailable):
            verifier.verify(token)

    assert in_child(os.fork, act) == 0


def test_the_parents_connection_ends_with_the_parent_alone(world: World) -> None:
    """A child that does nothing does not hold it open."""
    with world.verifier() as verifier:
        following = verifier._life.following

        def act() -> None:
            assert [line.plain.fileno() for line in following._lines] == [-1]

        assert in_child(os.fork, act) == 0
        assert verifier.status().connected


def test_where_no_page_can_be_wiped_the_process_is_asked_who_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "elsewhere")
    mark = forks.new_mark()
    assert mark[0]

    def act() -> None:
        assert not mark[0]

    assert in_child(os.fork, act) == 0


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_verify(world: World, method: str) -> None:
    token = world.sign_in()
    script = f"""
        import multiprocessing, lastcall
        verifier = None
        def begin():
            global verifier
            verifier = verifier or lastcall.Verifier({world.url!r}, key={world.key!r})
        def work(token):
            begin()
            verifier.wait_ready(20)
            return verifier.verify(token).user_id, verifier._life.side.name
        if __name__ == "__main__":
            begin()
            verifier.wait_ready(20)
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                found = pool.map(work, [{token!r}] * 4, chunksize=2)
            own = verifier._life.side.name
            assert own not in {{name for _, name in found}}
            print(len({{user for user, _ in found}}))
    """
    path = world.folder / f"{method}_workers.py"
    path.write_text(dedent(script))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_an_application_under_uvicorn_with_workers_verifies(world: World) -> None:
    token = world.sign_in()
    (world.folder / "guarded.py").write_text(
        dedent(f"""
            import lastcall
            verifier = lastcall.Verifier({world.url!r}, key={world.key!r})
            async def app(scope, receive, send):
                if scope["type"] != "http":
                    return
                token = dict(scope["headers"]).get(b"authorization", b"")[7:].decode()
                try:
                    body = (await verifier.averify(token)).user_id.encode()
                    status = 200
                except lastcall.Error as error:
                    status, body = 401, error.code.encode()
                await send({{"type": "http.response.start", "status": status, "headers": []}})
                await send({{"type": "http.response.body", "body": body}})
        """)
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = f"-m uvicorn guarded:app --workers 2 --port {port} --lifespan off --log-level error"
    with subprocess.Popen(
        [sys.executable, *command.split()], cwd=world.folder, env=servers.environment()
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}/"

            def answers() -> bool:
                try:
                    return httpx.get(url, headers=bearer(token)).status_code == 200
                except httpx.TransportError:
                    return False

            until(answers, 40)
            world.sign_out(token)
            for _ in range(6):
                answer = httpx.get(url, headers=bearer(token))
                assert (answer.status_code, answer.text) == (401, "session_ended")
        finally:
            process.terminate()


def test_a_process_that_ends_without_closing_delays_no_termination(
    tmp_path: Path, prepare: Prepare
) -> None:
    """It says goodbye as the interpreter ends."""
    key, key_id = prepare(tmp_path)
    with servers.serving(tmp_path) as server:
        end_without_closing(World(tmp_path, server.url, key, key_id))


def end_without_closing(world: World) -> None:
    own, other = world.sign_in(), world.sign_in()
    script = f"""
        import lastcall
        verifier = lastcall.Verifier({world.url!r}, key={world.key!r})
        verifier.wait_ready(20)
        print(verifier.verify({other!r}).id)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert world.end(own, done.stdout.strip()) == "confirmed"


def test_a_verifier_that_nobody_holds_ends(world: World) -> None:
    verifier = Verifier(world.url, key=world.key)
    verifier.wait_ready(20)
    thread = verifier._life.following._thread
    del verifier
    until(lambda: not thread.is_alive())


def test_the_import_of_lastcall_loads_nothing_heavy() -> None:
    script = "import sys, json, lastcall; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"cryptography", "websockets", "msgspec", "asyncio", "ssl", "starlette"}


def test_a_process_whose_mark_is_wiped_begins_anew_and_lets_the_parent_s_life_be() -> None:
    """As in a child, step by step: a name, a thread and an introspection of its own."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    key = "lck_k_" + 26 * "a" + "_" + 43 * "b"
    verifier = Verifier(address, key=key)
    parent = verifier._life
    parent.mark[0] = 0  # type: ignore[index]
    client._forked()
    with pytest.raises(Unavailable):
        verifier.verify(TOKEN_OF_NOBODY)
    child = verifier._life
    assert child is not parent
    assert child.side.name != parent.side.name
    assert verifier._mark[0]
    assert not verifier.status().leased
    verifier.close()
    child.mark[0] = 0  # type: ignore[index]
    verifier.status()
    assert verifier._life is not child
    with pytest.raises(Unavailable):
        verifier.wait_ready(0.01)
    parent.following.stop(1)


TOKEN_OF_NOBODY = ".".join(
    (
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsiLCJ0eXAiOiJhdCtqd3QifQ",
        "e30",
        86 * "A",
    )
)
