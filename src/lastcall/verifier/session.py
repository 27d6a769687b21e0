"""What an application is told of a session whose token is good."""

from dataclasses import dataclass
from datetime import datetime

from lastcall.access import Access


@dataclass(frozen=True, slots=True)
class Session:
    """A live session, as its access token tells it. Times are aware and in UTC.

    `issued_at` and `expires_at` are the token's; `auth_time` is when its user last proved who they
    are, and `amr` how (RFC 8176).
    """

    id: str
    user_id: str
    account_id: str
    roles: tuple[str, ...]
    amr: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    auth_time: datetime

    @classmethod
    def of(cls, access: Access) -> "Session":
        """Take what an access token says of its session."""
        return cls(
            access.session_id,
            access.user_id,
            access.account_id,
            access.roles,
            access.amr,
            access.issued_at,
            access.expires_at,
            access.auth_time,
        )
