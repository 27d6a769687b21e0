"""Refusals as this server's answers, and what its log says of errors that nobody foresaw."""

import logging
import traceback
from typing import Final

import msgspec
from msgspec import UNSET
from starlette.responses import Response

from lastcall.errors import Forbidden, InvalidRequest, TokenMissing
from lastcall.problems import (
    MEDIA_TYPE,
    TooLarge,
    UnsupportedMediaType,
    headers_of,
    problem_of,
    title,
)

log = logging.getLogger("lastcall.http")

OAUTH: Final = {
    InvalidRequest.code: "invalid_request",
    UnsupportedMediaType.code: "invalid_request",
    TooLarge.code: "invalid_request",
    TokenMissing.code: "invalid_client",
    "token_invalid": "invalid_client",
    Forbidden.code: "unauthorized_client",
}
"""OAuth's words for what its endpoints refuse, by our code (RFC 6749, section 5.2)."""


def answer(error: Exception, *, oauth: bool = False) -> Response:
    """Answer an error as problem details; from an endpoint of OAuth's in its words as well, by
    which all that is wrong with a request is 400 (RFC 6749, section 5.2)."""
    problem = problem_of(error)
    if oauth:
        status = 400 if problem.status == 422 else problem.status
        problem = msgspec.structs.replace(
            problem, status=status, title=title(status), error=OAUTH.get(problem.code, UNSET)
        )
    return Response(
        msgspec.json.encode(problem),
        problem.status,
        {"cache-control": "no-store", **headers_of(error)},
        MEDIA_TYPE,
    )


def report(error: Exception) -> None:
    """Log an error that nobody foresaw: what and where, but no message, which may hold a secret
    (ASVS 16.2.5, 16.5.4)."""
    log.error("unexpected %s", outline(error))


def outline(error: BaseException) -> str:
    """Tell what an error is, where it was raised and what caused it, without any message."""
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 5:
        chain.append(f"{type(cause).__name__}\n{''.join(traceback.format_tb(cause.__traceback__))}")
        cause = cause.__cause__ or cause.__context__
    return "caused by ".join(chain)
