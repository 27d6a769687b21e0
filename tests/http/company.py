"""An account's owner, an admin and a member, of whom each administers the next."""

from dataclasses import dataclass

from lastcall.identity.model import User
from tests.http.serving import Native, Served


@dataclass(frozen=True)
class Company:
    """Ada, its owner, signed in; an admin, Grace, signed in; and Mia, a member."""

    served: Served
    ada: Native
    grace: Native
    grace_id: str
    mia: User

    async def records(self) -> list[dict[str, object]]:
        """Give the audit log, newest first."""
        events: list[dict[str, object]] = (await self.ada.get("/api/v1/audit")).json()["events"]
        return events
