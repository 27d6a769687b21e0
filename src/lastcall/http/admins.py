"""Who administers, whichever way they called."""

from typing import Any

from lastcall.http import browser
from lastcall.http.endpoint import Call
from lastcall.identity.administration import Admin
from lastcall.identity.model import ServiceKey
from lastcall.sessions.service import Caller


def admin_of(call: Call[Caller, Any, Any] | Call[Caller | ServiceKey, Any, Any]) -> Admin:
    """Take who calls for an admin of their account, acting from where they call. Raises Forbidden
    for one who is none.
    """
    if isinstance(call.caller, ServiceKey):
        return Admin.service(call.caller, browser.visitor(call))
    return Admin.of(call.caller, call.origin(call.caller))
