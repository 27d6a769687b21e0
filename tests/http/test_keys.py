"""The keys of an account's services: shown once, in force, revoked."""

import pytest

from tests.http.company import Company
from tests.http.conftest import on_each_store
from tests.http.serving import USERS, faults, problem

pytestmark = on_each_store


async def test_a_key_is_shown_once_works_and_stops(company: Company) -> None:
    response = await company.ada.post(
        "/api/v1/keys", {"name": " Shop ", "scopes": ["verify", "sessions", "verify"]}
    )
    assert response.status_code == 201
    key = response.json()
    text = key.pop("key")
    assert key == {
        "id": key["id"],
        "name": "Shop",
        "scopes": ["sessions", "verify"],
        "created_at": "2026-03-01T12:00:00Z",
    }
    assert text.startswith(f"lck_{key['id']}_")
    listed = await company.ada.get("/api/v1/keys")
    assert listed.json() == {"keys": [key], "next": None}
    service = company.served.client({"Authorization": f"Bearer {text}"})
    assert (await service.get(f"{USERS}?external_id=1")).status_code == 200
    ended = await company.ada.delete(f"/api/v1/keys/{key['id']}")
    assert (ended.status_code, ended.content) == (204, b"")
    problem(await service.get(f"{USERS}?external_id=1"), 401, "token_invalid")
    problem(await company.ada.delete(f"/api/v1/keys/{key['id']}"), 404, "not_found")
    assert (await company.ada.get("/api/v1/keys")).json() == {"keys": [], "next": None}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "scopes"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes[0]"),
        ({"name": " ", "scopes": ["verify"]}, "name"),
        ({"name": "x", "scopes": ["verify"], "key": "mine"}, "key"),
    ],
)
async def test_a_key_that_is_wrong_is_refused(company: Company, body: object, field: str) -> None:
    response = await company.ada.post("/api/v1/keys", body)
    problem(response, 422, "invalid_request")
    assert [at for at, _ in faults(response)] == [field]
