"""Templates into pages. Everything is escaped, and a name that a template misses is an error."""

from collections.abc import Mapping
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from lastcall.http.site import base_path, site_of
from lastcall.web import static, times
from lastcall.web.translation import gettext, language, ngettext, number

HOME: Final = "/settings/sessions"
"""Where somebody goes who is signed in and has nothing else in mind."""


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lastcall.web"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    environment.globals.update(_=gettext, ngettext=ngettext)
    environment.filters.update(iso=times.iso, utc=times.utc, clock=times.clock, number=number)
    return environment


_TEMPLATES: Final = _environment()


def render(
    request: Request,
    template: str,
    status: int = 200,
    frame: Mapping[str, object] | None = None,
    **context: object,
) -> Response:
    """Answer a page; `frame` is what surrounds those of somebody signed in."""
    base, now = base_path(request), site_of(request).node.sessions.now()
    tag = language().tag
    text = _TEMPLATES.get_template(template).render(
        lang=tag,
        url=lambda path: base + path,
        static=lambda name: base + static.address(name),
        ago=lambda at: times.ago(at, now),
        until=lambda at: times.until(at, now),
        span=times.span,
        **(frame or {}),
        **context,
    )
    return HTMLResponse(text, status, {"content-language": tag, "vary": "accept-language"})


def redirect(url: str) -> Response:
    """Send the browser on, with a GET whatever it came with. `url` is a path of this origin."""
    return RedirectResponse(url, 303)
