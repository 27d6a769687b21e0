"""Django, under WSGI and ASGI.

MIDDLEWARE = [..., "lastcall.integrations.django.LastcallMiddleware"]
LASTCALL = {"ADDRESS": "https://id.example.com", "KEY": "lck_…"}  # see `django_settings`

@session_required
def me(request):
    return HttpResponse(request.lastcall.require().user_id)
"""

from collections.abc import Awaitable, Callable
from functools import cache, wraps
from typing import Any, Final, cast

from lastcall.errors import Error
from lastcall.integrations import starlette, wsgi
from lastcall.integrations.core import VARY, Answer, Asked, Visit
from lastcall.integrations.decorating import View, decorator
from lastcall.integrations.django_settings import Configured, checked, configured
from lastcall.integrations.signing_in import client_in
from lastcall.missing import needs
from lastcall.remote.model import Client
from lastcall.verifier.session import Session

with needs("Django", "django"):
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
    from django.core.exceptions import ImproperlyConfigured
    from django.http import HttpRequest, HttpResponse
    from django.utils.cache import patch_vary_headers
    from django.utils.functional import SimpleLazyObject


class LastcallMiddleware:
    """Finds out who asks, for each request; sends browsers with a run-out access token to renew it;
    and answers what `request.lastcall.require()` raises in a view."""

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]
    ) -> None:
        """Raises ImproperlyConfigured."""
        checked()
        self._get_response: Callable[[HttpRequest], Any] = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        """Serve one request."""
        if self._is_async:
            return self._serve(request)
        now = configured()
        asked = _asked(request)
        found = now.gate.visit(asked)
        answer = _begin(request, now, asked, found)
        return answer or _varied(self._get_response(request), found)

    async def _serve(self, request: HttpRequest) -> HttpResponse:
        now = configured()
        asked = _asked(request)
        found = await now.gate.avisit(asked)
        answer = _begin(request, now, asked, found)
        return answer or _varied(await self._get_response(request), found)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer an error of lastcall; leave all others alone."""
        if not isinstance(exception, Error):
            return None
        return _response(configured().gate.refuse(_asked(request), exception))


def visit(request: HttpRequest) -> Visit:
    """Give who asks, `request.lastcall`. Raises ImproperlyConfigured where the middleware is
    missing."""
    found = getattr(request, "lastcall", None)
    if not isinstance(found, Visit):
        name = "lastcall.integrations.django.LastcallMiddleware"
        raise ImproperlyConfigured(f'add "{name}" to MIDDLEWARE')
    return found


def client_of(request: HttpRequest) -> Client:
    """Give what signs in with a request from the application's own page, for
    `lastcall.Sessions.start`. Raises CsrfFailed for one from another site."""
    return client_in(_asked(request), request.META.get("REMOTE_ADDR"))


def _guard(view: View, *roles: str, max_age: int | None) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        visit(request).require(*roles, max_age=max_age)
        return view(request, *args, **kwargs)

    if iscoroutinefunction(view):
        markcoroutinefunction(guarded)
    return cast("View", guarded)


session_required: Final = decorator(_guard)


def _asked(request: HttpRequest) -> Asked:
    scope = getattr(request, "scope", None)
    if scope is not None:
        return starlette.asked_by(scope)
    return wsgi.asked_by(request.META, request.get_full_path)


def _begin(
    request: HttpRequest, now: Configured, asked: Asked, found: Visit
) -> HttpResponse | None:
    """Give the request its visit; or the answer, where it goes no further."""
    renewal = now.gate.renewal(asked, found)
    if renewal is not None:
        return _response(renewal)
    request.lastcall = found
    if now.user_of is not None:
        _give_user(request, found, now.user_of)
    return None


def _give_user(request: HttpRequest, found: Visit, user_of: Callable[[Session], object]) -> None:
    """Set `request.user` and `request.auser`, as Django's own middleware does: the user is looked
    for once, when somebody asks."""
    from django.contrib.auth.models import AnonymousUser  # noqa: PLC0415  only with that app

    @cache
    def user() -> object:
        session = found.session
        return (session and user_of(session)) or AnonymousUser()

    request.user = SimpleLazyObject(user)
    request.auser = sync_to_async(user)


def _varied(response: HttpResponse, found: Visit) -> HttpResponse:
    if found.used:
        patch_vary_headers(response, VARY)
    return response


def _response(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
