"""What an application is told of a session whose token is good."""

from datetime import datetime

import msgspec

from lastcall.access import Access


class Session(msgspec.Struct, frozen=True, gc=False):
    """A live session, as its access token tells it. Times are aware and in UTC.

    `issued_at` and `expires_at` are the token's; `auth_time` is when its user last proved who they
    are, and `amr` how (RFC 8176). `external_id` is an application's own id of the user, where it
    signs its users in by itself; else None.
    """

    id: str
    user_id: str
    account_id: str
    roles: tuple[str, ...]
    amr: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    auth_time: datetime
    external_id: str | None = None

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
            access.external_id,
        )
