"""What the server counts, and who may read it."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.http.serving import Served, problem
from tests.support import servers
from tests.support.nodes import EMAIL, PASSWORD

ADA = {"email": EMAIL, "password": PASSWORD}


def counts(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read Prometheus' text as its own parser does: each sample by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def read(served: Served) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    async with served.client() as here:
        response = await here.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return counts(response.text)


def labels(**pairs: str) -> frozenset[tuple[str, str]]:
    return frozenset(pairs.items())


async def test_what_happens_is_counted_by_route_type_and_reason(served: Served) -> None:
    first, second = await served.native(), await served.native()
    async with served.client() as client:
        refused = await client.post("/api/v1/sign-in", json={**ADA, "password": "wrong"})
        assert refused.status_code == 401
        nobody = {"email": "nobody@example.com", "password": "wrong"}
        await client.post("/api/v1/sign-in", json=nobody)
        await client.post("/api/v1/refresh", json={"refresh_token": second.refresh})
    await first.post("/api/v1/sessions/terminate-others")
    seen = await read(served)
    record = "lastcall_records_total"
    assert seen[record, labels(type="session.sign_in", outcome="success")] == 2
    assert seen[record, labels(type="session.sign_in", outcome="failure")] == 1
    assert seen["lastcall_unknown_sign_ins", labels()] == 1
    assert seen["lastcall_rotations_total", labels()] == 1
    assert seen["lastcall_sessions_ended_total", labels(reason="terminated_by_user")] == 1
    log = await served.node.store.log_end()
    assert seen["lastcall_log_seq", labels()] == log.position.seq
    requests = "lastcall_request_seconds_count"
    sign_in = {"method": "POST", "route": "/api/v1/sign-in"}
    assert seen[requests, labels(**sign_in, status="200")] == 2
    assert seen[requests, labels(**sign_in, status="401")] == 2


async def test_a_route_is_counted_by_its_declaration_and_a_strange_method_by_none(
    served: Served,
) -> None:
    """What somebody makes up adds no labels: they would fill the memory of who scrapes."""
    ada = await served.native()
    for name in ("s_one", "s_two"):
        await ada.get(f"/api/v1/terminations/{name}")
        async with served.client() as client:
            await client.request(name.upper(), "/api/v1/session")
            await client.get(f"/{name}")
    seen = await read(served)
    routes = {dict(pairs).get("route") for _, pairs in seen}
    assert "/api/v1/terminations/{id}" in routes
    assert not any(route and "s_" in route for route in routes)
    methods = {dict(pairs)["method"] for _, pairs in seen if "method" in dict(pairs)}
    assert methods <= {"GET", "POST", "DELETE", "PATCH", "other"}


async def test_a_key_reads_them_from_anywhere_with_the_scope_alone(served: Served) -> None:
    far = "203.0.113.9"
    for scope, status in (("metrics", 200), ("sessions", 403), ("verify", 403)):
        key = await served.key(scope)  # type: ignore[arg-type]
        async with served.client({"Authorization": f"Bearer {key}"}, peer=far) as client:
            assert (await client.get("/metrics")).status_code == status
    async with served.client(peer=far) as client:
        problem(await client.get("/metrics"), 401, "token_missing")
    ada = await served.native()
    problem(await ada.get("/metrics"), 401, "token_invalid")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "id.example.com"},
        {"Host": "localhost.evil.example"},
        {"Host": ""},
        {"Host": "evil.example/@x"},
        {"Host": "["},
    ],
)
async def test_what_comes_through_a_proxy_of_this_machine_is_not_this_machine(
    served: Served, headers: dict[str, str]
) -> None:
    async with served.client(headers) as client:
        problem(await client.get("/metrics"), 401, "token_missing")


async def test_behind_tls_nobody_is_this_machine(secured: Served) -> None:
    """A proxy on it may come as it does: from loopback, by a loopback name, without a header."""
    local = {"Host": "127.0.0.1:8000"}
    async with secured.client(local) as client:
        problem(await client.get("/metrics"), 401, "token_missing")
    key = await secured.key("metrics")
    async with secured.client({**local, "Authorization": f"Bearer {key}"}) as client:
        assert (await client.get("/metrics")).status_code == 200


def test_several_processes_answer_for_all_of_them(tmp_path: Path) -> None:
    """Whichever is asked: 20 sign-ins over two processes are 20."""
    servers.add_owner(tmp_path)

    async def knock(port: int) -> str:
        body = {"email": servers.EMAIL, "password": servers.PASSWORD}
        for _ in range(20):
            one = servers.Connection(port)
            status, _ = await one.request("POST", "/api/v1/sign-in", body)
            assert status == 200
            await one.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer.decode().partition("\r\n\r\n")[2]

    with servers.serving(tmp_path, "--workers", "2") as server:
        seen = counts(asyncio.run(knock(server.port)))
    sign_ins = labels(type="session.sign_in", outcome="success")
    assert seen["lastcall_records_total", sign_ins] == 20
