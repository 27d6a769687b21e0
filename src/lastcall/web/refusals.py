"""The page for what can't be done: what happened, and what to do now."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lastcall.http.problems import Problem
from lastcall.http.site import base_path
from lastcall.web.rendering import HOME, render
from lastcall.web.translation import gettext as _


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a page says about a status."""

    title: str
    text: str
    advice: str = ""


_BY_STATUS: Final = {
    400: Refusal("That can't be read", "What came from your browser is not what this page takes."),
    403: Refusal(
        "That came from another site",
        "Nothing was changed. Only lastcall's own pages may do this in your name.",
        "If you clicked on something elsewhere that led here, be careful with that site.",
    ),
    404: Refusal("There is nothing here", "The address is wrong, or what was here is gone."),
    405: Refusal("That doesn't work here", "The address is right, but not for this."),
    409: Refusal(
        "Something has changed",
        "Nothing was done, because something changed meanwhile. Look again.",
    ),
    413: Refusal("That is too much", "What came from your browser is larger than this page takes."),
    422: Refusal("That can't be read", "Something in the address or in the form is not right."),
    429: Refusal("Too many attempts", "Wait a little, then try again."),
    500: Refusal("Something went wrong", "It isn't your fault, and it has been logged."),
    503: Refusal(
        "lastcall can't answer right now",
        "Nothing was changed, and your sessions are as they were. Try again in a moment.",
    ),
}


def error_page(request: Request, problem: Problem) -> Response:
    """Show a problem to a person. Reads nothing from the store, which may be what is missing."""
    known = _BY_STATUS.get(problem.status, _BY_STATUS[500 if problem.status >= 500 else 400])
    again = problem.status in (429, 503) and request.method == "GET"
    return render(
        request,
        "error.html",
        problem.status,
        title=_(known.title),
        text=_(known.text),
        advice=_(known.advice) if known.advice else "",
        code=problem.code,
        action={
            "label": _("Try again") if again else _("Go to your sessions"),
            "href": "" if again else base_path(request) + HOME,
        },
    )
