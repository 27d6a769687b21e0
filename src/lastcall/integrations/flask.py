"""Flask.

Lastcall(app, verifier=verifier)

@app.get("/me")
@session_required
def me():
    return visit().require().user_id
"""

from functools import wraps
from typing import Any, Final, cast

from lastcall.errors import Error
from lastcall.integrations import wsgi
from lastcall.integrations.core import VARY, Answer, Asked, Gate, Visit
from lastcall.integrations.decorating import View, decorator
from lastcall.integrations.signing_in import client_in
from lastcall.missing import needs
from lastcall.remote.model import Client
from lastcall.verifier.checking import Checker

with needs("Flask", "flask"):
    from flask import Flask, Response, current_app, request

_KEY: Final = "lastcall.visit"
"""Where a request's environ holds its visit: `g` may outlive a request."""


class Lastcall:
    """Finds out who asks; sends browsers with a run-out access token to renew it; and answers what
    `visit().require()` raises."""

    def __init__(
        self,
        app: Flask | None = None,
        *,
        verifier: Checker | None = None,
        public_url: str | None = None,
    ) -> None:
        """With an application, do what `init_app` does."""
        if app is not None:
            self.init_app(app, verifier=verifier, public_url=public_url)

    def init_app(
        self, app: Flask, *, verifier: Checker | None, public_url: str | None = None
    ) -> None:
        """Serve an application. `public_url` is the server's as browsers know it; learnt unless
        given. Raises TypeError without a verifier."""
        if verifier is None:
            raise TypeError("Lastcall needs a verifier: Lastcall(app, verifier=verifier)")
        app.extensions["lastcall"] = Gate(verifier, public_url=public_url)
        app.before_request(_renew)
        app.after_request(_vary)
        app.register_error_handler(Error, _refuse)


def visit() -> Visit:
    """Give who asks. Raises RuntimeError outside of a request, and where the application has no
    Lastcall."""
    found: Visit | None = request.environ.get(_KEY)
    if found is None:
        found = request.environ[_KEY] = _gate().visit(_asked())
    return found


def client_of() -> Client:
    """Give what signs in with the request, which came from the application's own page, for
    `lastcall.Sessions.start`. Raises CsrfFailed for one from another site."""
    return client_in(_asked(), request.remote_addr)


def _guard(view: View, *roles: str, max_age: int | None) -> View:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        visit().require(*roles, max_age=max_age)
        return current_app.ensure_sync(view)(*args, **kwargs)

    return cast("View", guarded)


session_required: Final = decorator(_guard)


def _renew() -> Response | None:
    answer = _gate().renewal(_asked(), visit())
    return None if answer is None else _response(answer)


def _vary(response: Response) -> Response:
    found: Visit | None = request.environ.get(_KEY)
    if found is not None and found.used:
        response.vary.update(VARY)
    return response


def _refuse(error: Error) -> Response:
    return _response(_gate().refuse(_asked(), error))


def _gate() -> Gate:
    gate = current_app.extensions.get("lastcall")
    if not isinstance(gate, Gate):
        raise RuntimeError("the application has no lastcall: Lastcall(app, verifier=verifier)")  # noqa: TRY004
    return gate


def _asked() -> Asked:
    environ = request.environ
    return wsgi.asked_by(environ, lambda: wsgi.target(environ))


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, list(answer.headers))
