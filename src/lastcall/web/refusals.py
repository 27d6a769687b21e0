"""The page for what can't be done: what happened, and what to do now."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lastcall.errors import Forbidden
from lastcall.http.site import base_path
from lastcall.problems import Problem
from lastcall.web.rendering import HOME, render
from lastcall.web.translation import gettext as _
from lastcall.web.translation import mark, reading


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a page says about a status."""

    title: str
    text: str
    advice: str = ""


_BY_STATUS: Final = {
    400: Refusal(
        mark("That can't be read"), mark("What came from your browser is not what this page takes.")
    ),
    403: Refusal(
        mark("That came from another site"),
        mark("Nothing was changed. Only lastcall's own pages may do this in your name."),
        mark("If you clicked on something elsewhere that led here, be careful with that site."),
    ),
    404: Refusal(
        mark("There is nothing here"), mark("The address is wrong, or what was here is gone.")
    ),
    405: Refusal(mark("That doesn't work here"), mark("The address is right, but not for this.")),
    409: Refusal(
        mark("Something has changed"),
        mark("Nothing was done, because something changed meanwhile. Look again."),
    ),
    413: Refusal(
        mark("That is too much"),
        mark("What came from your browser is larger than this page takes."),
    ),
    422: Refusal(
        mark("That can't be read"), mark("Something in the address or in the form is not right.")
    ),
    429: Refusal(mark("Too many attempts"), mark("Wait a little, then try again.")),
    500: Refusal(
        mark("Something went wrong"), mark("It isn't your fault, and it has been logged.")
    ),
    503: Refusal(
        mark("lastcall can't answer right now"),
        mark("Nothing was changed, and your sessions are as they were. Try again in a moment."),
    ),
}


_FORBIDDEN: Final = Refusal(
    mark("This is for administrators"),
    mark("Your role doesn't let you do this. Nothing was changed."),
    mark("Ask an owner of your organisation if you think that it should."),
)
"""What else has the status of a form that came from another site."""


def error_page(request: Request, problem: Problem) -> Response:
    """Show a problem to a person. Reads nothing from the store, which may be what is missing."""
    known = _BY_STATUS.get(problem.status, _BY_STATUS[500 if problem.status >= 500 else 400])
    if problem.code == Forbidden.code:
        known = _FORBIDDEN
    again = problem.status in (429, 503) and request.method == "GET"
    with reading(request):
        return render(
            request,
            "error.html",
            problem.status,
            title=_(known.title),
            text=_(known.text),
            advice=_(known.advice),
            code=problem.code,
            action={
                "label": _("Try again") if again else _("Go to your sessions"),
                "href": "" if again else base_path(request) + HOME,
            },
        )
