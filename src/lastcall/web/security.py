"""Settings → Security: change one's password."""

from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct
from starlette.responses import Response

from lastcall.errors import FieldError, InvalidCredentials, InvalidRequest, RateLimited
from lastcall.http.bodies import Unprinted
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import SESSION
from lastcall.problems import headers_of
from lastcall.sessions.service import Caller
from lastcall.web import results, words
from lastcall.web.frame import frame
from lastcall.web.person import PERSON, going_on
from lastcall.web.rendering import redirect, render
from lastcall.web.translation import gettext as _

PATH: Final = "/settings/security"


class Done(Struct):
    """What has just been done: the termination of the other sessions, or "changed"."""

    done: str = ""


class Change(Unprinted, Struct):
    """The password that holds and the one that is to hold. A box that isn't ticked isn't sent."""

    current_password: str = ""
    new_password: str = ""
    terminate_others: bool = False


async def show(call: Call[Caller, None, Done]) -> Response:
    """Show when the password was changed last, and offer to change it."""
    return await _page(call, result=await _result(call) if call.query.done else None)


async def change(call: Call[Caller, Change, None]) -> Response:
    """Change the password; it carries its own proof."""
    form = call.body
    try:
        tokens, others = await call.node.identity.change_password(
            call.caller,
            form.current_password,
            form.new_password,
            terminate_others=form.terminate_others,
            origin=call.origin(call.caller),
        )
    except InvalidCredentials:
        wrong = FieldError("current_password", "wrong_password", "this is not your password")
        return await _page(call, _errors(call, InvalidRequest(wrong)))
    except InvalidRequest as error:
        return await _page(call, _errors(call, error))
    except RateLimited as error:
        page = await _page(call, {"current_password": words.password_refused(error)}, 429)
        page.headers.update(headers_of(error))
        return page
    done = quote(others.id) if others else "changed"
    if others:
        await call.node.confirmations.follow(others, results.WAIT)
    response = redirect(f"{call.base}{PATH}?done={done}")
    call.cookies.set_tokens(response, tokens)
    return response


async def _page(
    call: Call[Caller, Change, None] | Call[Caller, None, Done],
    errors: dict[str, str] | None = None,
    status: int = 422,
    result: dict[str, Any] | None = None,
) -> Response:
    return render(
        call.request,
        "security.html",
        status if errors else 200,
        frame=await frame(call),
        changed_at=call.caller.user.password_changed_at,
        password_min_length=call.node.sessions.policy.password_min_length,
        terminate_others=errors is None or bool(call.body and call.body.terminate_others),
        errors=errors or {},
        result=result,
    )


def _errors(call: Call[Caller, Change, None], error: InvalidRequest) -> dict[str, str]:
    return words.field_errors(error, call.node.sessions.policy)


async def _result(call: Call[Caller, None, Done]) -> dict[str, Any] | None:
    """Say what came of a change: by what the log holds, not by what the address says."""
    changed, user = _("Your password was changed."), call.caller.user
    if call.query.done == "changed":
        just_now = call.node.sessions.now() - (user.password_changed_at or user.created_at)
        return results.notice("ok", changed) if just_now < results.JUST_NOW else None
    ended = await results.find(
        call,
        call.query.done,
        lambda event: event.user_id == user.id and event.reason == "password_changed",
    )
    return results.told(ended, changed, changed) if ended else None


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=PATH,
        caller=SESSION,
        handler=show,
        summary="See how one signs in",
        query=Done,
        page=True,
    ),
    Endpoint(
        method="POST",
        path=PATH,
        caller=PERSON,
        handler=going_on(change, lambda _: PATH),
        summary="Change one's password",
        body=Change,
        page=True,
        back=PATH,
    ),
]
