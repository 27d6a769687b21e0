"""Changing one's password."""

from msgspec import Struct
from starlette.responses import Response

from lastcall.errors import Conflict, InvalidCredentials, RateLimited
from lastcall.http import browser, wire
from lastcall.http.bodies import Unprinted
from lastcall.http.endpoint import API, AnyEndpoint, Call, Endpoint
from lastcall.http.guard import SESSION
from lastcall.http.sign_in import Password
from lastcall.http.terminations import Wait
from lastcall.sessions.service import Caller


class PasswordChange(Unprinted, Struct, forbid_unknown_fields=True):
    """The password that holds and the one that is to hold; the other sessions end by default."""

    current_password: Password
    new_password: Password
    terminate_others: bool = True


async def change_password(call: Call[Caller, PasswordChange, Wait]) -> Response:
    """Change the caller's password; it carries its own proof."""
    tokens, others = await call.node.identity.change_password(
        call.caller,
        call.body.current_password,
        call.body.new_password,
        terminate_others=call.body.terminate_others,
        origin=call.origin(call.caller),
    )
    ended = None
    if others is not None:
        followed = await call.node.confirmations.follow(others, call.query.wait)
        ended = wire.termination(followed, call.node.sessions.now())
    return browser.give(call, tokens, ended, in_cookies=call.by_cookie)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="POST",
        path=f"{API}/password",
        caller=SESSION,
        handler=change_password,
        summary="Change the caller's password",
        body=PasswordChange,
        query=Wait,
        answer=wire.Tokens,
        problems=(InvalidCredentials, Conflict, RateLimited),
    ),
]
