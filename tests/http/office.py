"""People and a service at work, from whose doings records are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import httpx

from lastcall.audit import Record
from lastcall.identity.model import User
from lastcall.stores.base import RecordQuery
from tests.http.serving import CHROME, Native, Served

ACTIVITY = "/api/v1/activity"
AUDIT = "/api/v1/audit"
HERE = "81.2.69.142"
ELSEWHERE = "192.0.2.77"


@dataclass
class Office:
    """An owner, Ada; a member, Mia, with two sessions; and a service."""

    served: Served
    ada: Native
    mia: Native
    old: Native
    """Mia's other session."""
    ada_user: User
    mia_user: User
    key: str

    def at(self, native: Native, ip: str = ELSEWHERE) -> Native:
        """Give the client as it calls from another address."""
        client = self.served.client({"User-Agent": CHROME}, peer=ip)
        return replace(native, client=client)

    async def service(self) -> httpx.AsyncClient:
        return self.served.client({"Authorization": f"Bearer {self.key}"}, peer=ELSEWHERE)

    async def records(self) -> tuple[Record, ...]:
        return await self.served.node.store.list_records(RecordQuery(limit=200))


Does = Callable[[Office], Awaitable[httpx.Response]]


def signs_in(password: str, email: str = "mia@example.com") -> Does:
    """Sign in as Mia, or try to."""

    async def does(office: Office) -> httpx.Response:
        client = office.at(office.mia).client
        return await client.post("/api/v1/sign-in", json={"email": email, "password": password})

    return does
