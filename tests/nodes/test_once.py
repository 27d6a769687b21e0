"""What may be done once is done once, at whichever nodes it is tried at the same moment."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.nodes.site import PATIENCE, write_settings
from tests.support.servers import PASSWORD, Server, serving
from tools.postgres import Server as Database

AT_ONCE = 16
OWN = {"Sec-Fetch-Site": "same-origin"}
COUNTS = "SELECT array[(SELECT count(*) FROM accounts), (SELECT count(*) FROM users)]"


def at_once(*posts: tuple[Server, str, dict[str, str]]) -> Counter[int]:
    """Send all these forms at the same moment; count the answers' statuses."""
    barrier = threading.Barrier(len(posts))

    def send(post: tuple[Server, str, dict[str, str]]) -> int:
        node, path, form = post
        with httpx.Client(base_url=node.url, headers=OWN, timeout=PATIENCE) as browser:
            browser.get("/healthz")
            barrier.wait(PATIENCE)
            return browser.post(path, data=form).status_code

    with ThreadPoolExecutor(len(posts)) as pool:
        return Counter(pool.map(send, posts))


def secret_of(url: str | None) -> str:
    """Give the secret of a link that works once."""
    (secret,) = parse_qs(urlsplit(url or "").query)["token"]
    return secret


def test_one_of_many_sets_up_and_one_of_many_accepts_an_invitation(
    tmp_path: Path, database: str, postgres: Database
) -> None:
    """Each node has offered a link to set up, of which the newer one alone is good."""
    write_settings(tmp_path, database)
    name = urlsplit(database).path.removeprefix("/")
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        nodes = [*pool.map(stack.enter_context, [serving(tmp_path) for _ in range(2)])]
        secrets = [secret_of(node.setup_url) for node in nodes]
        assert secrets[0] != secrets[1]
        sent = at_once(
            *(
                (
                    nodes[number % 2],
                    "/setup",
                    {
                        "token": secrets[number // 2 % 2],
                        "organisation": f"Acme {number}",
                        "email": f"ada{number}@example.com",
                        "password": PASSWORD,
                    },
                )
                for number in range(AT_ONCE)
            )
        )
        assert sent == {303: 1, 404: AT_ONCE - 1}
        assert postgres.value(COUNTS, database=name) == [1, 1]
        email = postgres.value("SELECT email FROM users", database=name)
        api = httpx.Client(base_url=f"{nodes[0].url}/api/v1", timeout=PATIENCE)
        stack.enter_context(api)
        ada = api.post("/sign-in", json={"email": email, "password": PASSWORD}).json()
        api.headers["Authorization"] = f"Bearer {ada['access_token']}"
        added = api.post("/users", json={"email": "carol@example.com"}).json()
        form = {"token": secret_of(added["invitation"]["url"])}
        passwords = [f"a sentence of Carol's, {number}" for number in range(AT_ONCE)]
        sent = at_once(
            *(
                (nodes[number % 2], "/invitation", {**form, "password": one})
                for number, one in enumerate(passwords)
            )
        )
        assert sent == {303: 1, 404: AT_ONCE - 1}
        begun = "SELECT count(*) FROM sessions JOIN users ON users.id = user_id WHERE email LIKE $1"
        assert postgres.value(begun, "carol@%", database=name) == 1
