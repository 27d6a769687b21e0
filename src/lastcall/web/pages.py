"""All pages, and what they are made of."""

from lastcall.http.endpoint import AnyEndpoint
from lastcall.web import reauthenticate, sessions, sign_in, static, welcome
from lastcall.web.refusals import error_page

ENDPOINTS: list[AnyEndpoint] = [
    *sessions.ENDPOINTS,
    *sign_in.ENDPOINTS,
    *reauthenticate.ENDPOINTS,
    *welcome.ENDPOINTS,
    *static.ENDPOINTS,
]
ERROR_PAGE = error_page
