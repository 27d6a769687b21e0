"""The contract as OpenAPI 3.1, written from the declarations of the endpoints."""

import functools
import importlib.metadata
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct
from starlette.responses import Response

from lastcall.credentials import SAFE, SCHEMES
from lastcall.errors import (
    CsrfFailed,
    Error,
    Forbidden,
    InvalidRequest,
    InvalidToken,
    SessionEnded,
    TokenMissing,
    Unavailable,
)
from lastcall.http import feed
from lastcall.http.bodies import FORM, JSON
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE
from lastcall.leases.messages import SUBPROTOCOL
from lastcall.problems import (
    MEDIA_TYPE,
    STATUS,
    Problem,
    TooLarge,
    UnsupportedMediaType,
    UpgradeRequired,
)

CALLERS: Final = "For: "
"""What an operation's description begins with: who may call."""
_SCHEMAS: Final = "#/components/schemas/"
_SECURITY: Final = {
    **SCHEMES,
    "service": {"type": "http", "scheme": "bearer", "description": "a service key"},
}
_PARAMETER: Final = re.compile(r"{(\w+)}")

Json = dict[str, object]


def openapi_endpoint(endpoints: Sequence[AnyEndpoint]) -> AnyEndpoint:
    """Declare the endpoint that serves the document of all others, itself included."""

    @functools.cache
    def written(base: str) -> bytes:
        return msgspec.json.encode(document(endpoints, base))

    async def openapi(call: Call[None, None, None]) -> Response:
        return Response(written(call.base), media_type="application/json")

    return Endpoint(
        method="GET",
        path="/openapi.json",
        caller=ANYONE,
        handler=openapi,
        summary="This document",
    )


def document(endpoints: Sequence[AnyEndpoint], base: str) -> Json:
    """Describe the endpoints, pages apart, as they stand under a base path."""
    shown = [endpoint for endpoint in endpoints if not endpoint.page]
    kinds = {kind for endpoint in shown for kind in (endpoint.body, endpoint.answer) if kind}
    ordered = sorted((Problem, *kinds), key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_SCHEMAS + "{name}")
    paths: dict[str, dict[str, Json]] = {}
    for endpoint in shown:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    paths[feed.PATH] = {"get": _feed()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lastcall",
            "version": importlib.metadata.version("lastcall"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base or "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }


def _feed() -> Json:
    """Describe the handshake of `/feed`, which is all of a WebSocket that this language can say."""

    def header(name: str, value: str) -> Json:
        return {"name": name, "in": "header", "required": True, "schema": {"const": value}}

    return {
        "operationId": "feed",
        "summary": "Follow the event log, as verifiers do, over a WebSocket",
        "description": f"{CALLERS}a service whose key has the scope `verify`. What is said on the "
        "connection stands in `docs/feed.md`.",
        "security": [{"service": []}],
        "parameters": [
            header("Upgrade", "websocket"),
            header("Sec-WebSocket-Protocol", SUBPROTOCOL),
        ],
        "responses": {
            "101": {
                "description": HTTPStatus.SWITCHING_PROTOCOLS.phrase,
                "headers": {"Sec-WebSocket-Protocol": {"schema": {"const": SUBPROTOCOL}}},
            },
            **_described(
                {
                    400: {InvalidRequest.code},
                    401: {TokenMissing.code, InvalidToken().code},
                    403: {Forbidden.code},
                    426: {UpgradeRequired.code},
                    503: {Unavailable.code},
                }
            ),
        },
    }


def _operation(endpoint: AnyEndpoint) -> Json:
    operation: Json = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.summary,
        "description": f"{CALLERS}{endpoint.caller.words}.",
        "security": [{scheme: []} for scheme in endpoint.caller.schemes],
        "responses": {str(endpoint.status): _answer(endpoint), **_refusals(endpoint)},
    }
    parameters = [*_path_parameters(endpoint.path), *_query_parameters(endpoint.query)]
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body:
        media_type = FORM if endpoint.oauth else JSON
        operation["requestBody"] = {
            "required": any(field.required for field in msgspec.structs.fields(endpoint.body)),
            "content": {media_type: {"schema": _reference(endpoint.body)}},
        }
    return operation


def _answer(endpoint: AnyEndpoint) -> Json:
    answer: Json = {"description": HTTPStatus(endpoint.status).phrase}
    if endpoint.answer:
        answer["content"] = {JSON: {"schema": _reference(endpoint.answer)}}
    return answer


def _refusals(endpoint: AnyEndpoint) -> Json:
    """Describe what it refuses: what it says itself, and what follows from its declaration."""
    errors: set[type[Error]] = {*endpoint.problems, *endpoint.caller.refuses, Unavailable}
    if endpoint.caller.schemes:
        errors |= {TokenMissing, InvalidToken}
    if "bearer" in endpoint.caller.schemes:
        errors.add(SessionEnded)
    if "service" in endpoint.caller.schemes:
        errors.add(Forbidden)
    if endpoint.method not in SAFE:
        errors.add(CsrfFailed)
    if endpoint.body:
        errors |= {InvalidRequest, TooLarge, UnsupportedMediaType}
    if endpoint.query:
        errors.add(InvalidRequest)
    codes: dict[int, set[str]] = {}
    for error in errors:
        for status in _statuses(error, endpoint):
            codes.setdefault(status, set()).add(error.code)
        if error is InvalidToken:
            codes[401] |= {"token_invalid", "token_expired"}
    return _described(codes)


def _described(codes: dict[int, set[str]]) -> Json:
    """Describe the refusals of each status by their codes."""
    return {
        str(status): {
            "description": ", ".join(sorted(codes[status] - {Error.code})),
            "content": {MEDIA_TYPE: {"schema": _reference(Problem)}},
        }
        for status in sorted(codes)
    }


def _statuses(error: type[Error], endpoint: AnyEndpoint) -> tuple[int, ...]:
    """Give the statuses of a refusal: what can't be read is told apart, but not by OAuth."""
    if error is InvalidRequest and endpoint.body:
        return (400,) if endpoint.oauth else (400, STATUS[error])
    return (STATUS[error],)


def _path_parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(path)
    ]


def _query_parameters(query: type[Struct] | None) -> list[Json]:
    if query is None:
        return []
    schema = msgspec.json.schema_components((query,))[1][query.__name__]
    properties: dict[str, Json] = schema["properties"]
    return [{"name": name, "in": "query", "schema": value} for name, value in properties.items()]


def _reference(kind: type[Struct]) -> Json:
    return {"$ref": _SCHEMAS + kind.__name__}
