"""All pages, and what they are made of."""

from dataclasses import replace
from functools import wraps

from starlette.responses import Response

from lastcall.http.browser import AnyCall
from lastcall.http.endpoint import AnyEndpoint
from lastcall.web import (
    activity,
    audit_log,
    live,
    reauthenticate,
    security,
    services,
    sessions,
    sign_in,
    static,
    user,
    user_actions,
    users,
    welcome,
)
from lastcall.web.refusals import error_page
from lastcall.web.translation import reading


def _translated(endpoint: AnyEndpoint) -> AnyEndpoint:
    """Let a page speak the language of its reader from the first word that its handler says."""

    @wraps(endpoint.handler)
    async def handle(call: AnyCall) -> Response:
        with reading(call.request):
            return await endpoint.handler(call)

    return replace(endpoint, handler=handle) if endpoint.page else endpoint


_ENDPOINTS: list[AnyEndpoint] = [
    *sessions.ENDPOINTS,
    *security.ENDPOINTS,
    *activity.ENDPOINTS,
    *audit_log.ENDPOINTS,
    *services.ENDPOINTS,
    *users.ENDPOINTS,
    *user.ENDPOINTS,
    *user_actions.ENDPOINTS,
    *sign_in.ENDPOINTS,
    *reauthenticate.ENDPOINTS,
    *welcome.ENDPOINTS,
    *live.ENDPOINTS,
    *static.ENDPOINTS,
]
ENDPOINTS = [_translated(endpoint) for endpoint in _ENDPOINTS]
ERROR_PAGE = error_page
