"""What a sign-in or a refresh gives: both tokens of a session, for one issuer and audience."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lastcall.access import Access
from lastcall.clock import Entropy
from lastcall.digests import encode
from lastcall.events import Position
from lastcall.identity.model import User
from lastcall.secretfile import Secrets
from lastcall.sessions import rules
from lastcall.sessions.model import Session
from lastcall.sessions.policy import Policy
from lastcall.signing import Signing
from lastcall.tokens import RefreshToken, mint_access, write_refresh


@dataclass(frozen=True, slots=True)
class Tokens:
    """Both tokens, how long they live, and whose they are."""

    access_token: str = field(repr=False)
    access_expires_in: timedelta
    refresh_token: str = field(repr=False)
    refresh_expires_in: timedelta
    session: Session
    user: User


def role_of(session: Session, user: User) -> str:
    """Give a session's role: its user's, but a member's where a service vouched for the user."""
    return "member" if session.client.service_key else user.role


@dataclass(frozen=True, slots=True)
class Minter:
    """Mints the tokens of a session after it was committed."""

    issuer: str
    audience: str
    policy: Policy
    signing: Signing
    secrets: Secrets
    entropy: Entropy

    async def mint(
        self, session: Session, user: User, token: RefreshToken, position: Position, now: datetime
    ) -> Tokens:
        """Give a refresh token and an access token from a position of the log. The access token
        never outlives its session."""
        ends = rules.expiry(session, self.policy)
        issued = now.replace(microsecond=0)
        expires = min(issued + self.policy.access_lifetime, ends.replace(microsecond=0))
        access = Access(
            issuer=self.issuer,
            user_id=user.id,
            client_id=session.client.id,
            session_id=session.id,
            audience=self.audience,
            issued_at=issued,
            expires_at=expires,
            token_id=encode(self.entropy(16)),
            auth_time=session.auth_time,
            amr=session.amr,
            account_id=user.account_id,
            roles=(role_of(session, user),),
            position=position,
            external_id=user.external_id,
        )
        return Tokens(
            mint_access(access, await self.signing.signer()),
            expires - issued,
            write_refresh(token, self.secrets),
            ends - now,
            session,
            user,
        )
