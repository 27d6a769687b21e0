"""PostgreSQL is restarted under traffic: nodes go on by themselves, and services notice nothing."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import httpx
import pytest

from lastcall import Verifier
from lastcall.clock import lease_clock
from tests.nodes.site import CLIENT, Begun, Site, eventually
from tests.support.servers import Server
from tools.postgres import Cluster
from tools.postgres import Server as Database

LEASE = 12
"""Seconds: far more than a restart takes."""


@dataclass
class Traffic:
    """Sessions that are begun and ended at any node, and what was answered."""

    site: Site
    nodes: list[Server]
    over: threading.Event = field(default_factory=threading.Event)
    begun: list[Begun] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    """Those of which it is unknown."""

    def run(self, seed: int) -> None:
        """Go on until it is over."""
        choose = random.Random(seed)
        while not self.over.is_set():
            body = {"user": {"external_id": f"user-{seed}"}, **CLIENT}
            answer = self._ask(choose, "POST", "/sessions", body)
            if answer is None:
                continue
            given = answer.json()
            session = given["session"]["id"]
            self.begun.append(Begun(session, given["access_token"], given["refresh_token"]))
            if choose.random() < 0.5:
                if self._ask(choose, "DELETE", f"/sessions/{session}?wait=0") is None:
                    self.doubtful.add(session)
                else:
                    self.ended.add(session)

    def _ask(
        self, choose: random.Random, method: str, path: str, body: object = None
    ) -> httpx.Response | None:
        try:
            answer = self.site.request(choose.choice(self.nodes), method, path, body)
        except httpx.HTTPError:
            return None
        assert answer.is_success or answer.status_code == 503, answer.text
        return answer if answer.is_success else None


def check(verifier: Verifier, token: str, over: threading.Event) -> int:
    """Check a good token again and again; give how often."""
    checks = 0
    while not over.wait(0.005):
        verifier.verify(token)
        checks += 1
    return checks


def writes(site: Site, node: Server) -> bool:
    """Whether a node takes a write."""
    body = {"user": {"external_id": "prober"}, **CLIENT}
    return site.request(node, "POST", "/sessions", body).is_success


def test_a_restart_of_postgresql_costs_no_answered_write_and_no_verifier_its_lease(
    site: Site, postgres: Database
) -> None:
    if not isinstance(postgres, Cluster):
        pytest.skip("the server of LASTCALL_TEST_PG_URL is not ours to restart")
    with site.nodes(2, lease=LEASE) as nodes, ThreadPoolExecutor(4) as pool:
        traffic, kept = Traffic(site, nodes), site.begin(nodes[0])
        with site.verifier(nodes[0]) as one, site.verifier(nodes[1]) as two:
            acts = [pool.submit(traffic.run, seed) for seed in range(2)]
            checks = [pool.submit(check, it, kept.access, traffic.over) for it in (one, two)]
            try:
                eventually(lambda: len(traffic.begun) > 10, "there is traffic")
                postgres.restart()
                stopped = lease_clock()
                for node in nodes:
                    eventually(partial(writes, site, node), "the node takes writes again")
                assert lease_clock() - stopped < LEASE / 2
                many = len(traffic.begun) + 10
                eventually(lambda: len(traffic.begun) > many, "traffic goes on")
            finally:
                traffic.over.set()
            assert [act.result() for act in acts] == [None, None]
            assert min(it.result() for it in checks) > 100, "no check failed"
            done = site.end(nodes[1], kept)
            assert (done["state"], done["acknowledged"]) == ("confirmed", 2)
        for session in traffic.begun:
            answer = site.request(nodes[0], "GET", "/session", token=session.access)
            if session.id in traffic.ended:
                assert answer.json()["code"] == "session_ended"
            elif session.id not in traffic.doubtful:
                assert answer.status_code == 200
