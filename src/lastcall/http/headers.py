"""The headers that every response has (ASVS 3.4.1 to 3.4.8, 14.3.2)."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lastcall.device.agent import ACCEPT_CH

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
_YEAR = 365 * 24 * 3600


class SecurityHeaders:
    """Adds to each response what it doesn't say itself."""

    def __init__(self, app: ASGIApp, *, secure: bool, own_origin: bool) -> None:
        self._app = app
        defaults = {
            "cache-control": "no-store",
            "content-security-policy": CONTENT_SECURITY_POLICY,
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
        }
        if secure:
            # Other hosts are another application's where this one is mounted in it.
            subdomains = "; includeSubDomains" if own_origin else ""
            defaults["strict-transport-security"] = f"max-age={_YEAR}{subdomains}"
        self._defaults = [(name.encode(), value.encode()) for name, value in defaults.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
                given = dict(headers)
                headers += [pair for pair in self._defaults if pair[0] not in given]
                if given.get(b"content-type", b"").startswith(b"text/html"):
                    headers.append((b"accept-ch", ACCEPT_CH.encode()))
                message = {**message, "headers": headers}
            return send(message)

        await self._app(scope, receive, send_with_headers)
