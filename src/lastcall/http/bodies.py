"""Reading what came: JSON, forms and query parameters into declared structs, or a refusal."""

import contextlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Final, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request

from lastcall.errors import FieldError, InvalidRequest
from lastcall.problems import TooLarge, UnsupportedMediaType

T = TypeVar("T")

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its offset from UTC (RFC 3339)."""

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
LIMIT: Final = 64 * 1024
"""Largest body, in bytes."""
_FORM_FIELDS: Final = 50
_WHERE: Final = re.compile(r" - at `\$\.?(?P<path>.*)`\Z", re.DOTALL)
_NAMED: Final = re.compile(
    r"Object (?:(?P<missing>missing required)|contains unknown) field `(?P<name>.*)`\Z", re.DOTALL
)
_CODES: Final = (
    (re.compile(r"of length <="), "too_long"),
    (re.compile(r"of length >="), "too_short"),
    (re.compile(r"(<=|>=|<|>) |out of range"), "out_of_range"),
    (re.compile(r"Invalid enum value"), "not_allowed"),
    (re.compile(r"got "), "wrong_type"),
)
_REPEATS: Final = ("not_allowed", "invalid")


class Empty(msgspec.Struct, forbid_unknown_fields=True):
    """A body without fields; it may be left out."""


class Unprinted:
    """A body that holds a secret: it shows none of its fields, whatever prints it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


async def read_json(request: Request, kind: type[T]) -> T:
    """Read the body as JSON of a declared form; where no field is required it may be left out.

    Raises UnsupportedMediaType, TooLarge, InvalidRequest: unreadable JSON is told apart from a
    wrong field.
    """
    raw = await _read(request)
    if not raw:
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert({}, kind)
    _require_type(request, JSON)
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and _readable(raw):
            raise InvalidRequest(field_error(error)) from error
        text = "the body is not readable as JSON"
        raise InvalidRequest(FieldError("", "unreadable", text), readable=False) from error


async def read_form(request: Request, kind: type[T]) -> T:
    """Read the body as the fields of a form.

    Raises UnsupportedMediaType, TooLarge, InvalidRequest.
    """
    raw = await _read(request)
    if raw:
        _require_type(request, FORM)
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_FORM_FIELDS,
        )
    except ValueError as error:
        text = "the form is not readable"
        raise InvalidRequest(FieldError("", "unreadable", text), readable=False) from error
    return _convert(pairs, kind)


def read_query(request: Request, kind: type[T]) -> T:
    """Read the query parameters that are declared; others are ignored. One that is declared as a
    tuple may come several times, or once with commas in it. Raises InvalidRequest.
    """
    query: bytes = request.scope["query_string"]
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
    return _convert(pairs, kind)


def field_error(error: msgspec.ValidationError) -> FieldError:
    """Tell which field is wrong, and how."""
    text = str(error)
    where = _WHERE.search(text)
    path = where["path"] if where else ""
    message = text[: where.start()] if where else text
    if named := _NAMED.fullmatch(message):
        path = f"{path}.{named['name']}" if path else named["name"]
        if named["missing"]:
            return FieldError(path, "missing", "this field is required")
        return FieldError(path[:200], "unknown", "there is no such field")
    code = next((code for pattern, code in _CODES if pattern.search(message)), "invalid")
    # msgspec repeats a value that is none of those allowed; it may be a secret in the wrong place.
    said = "this value is not allowed" if code in _REPEATS else message.replace("`", "")
    return FieldError(path, code, said)


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if len(declared) > 9 or (declared.isdecimal() and int(declared) > LIMIT):
        raise TooLarge(f"at most {LIMIT} bytes")
    chunks = []
    size = 0
    more = True
    while more:  # as `request.stream()` does, in a third of its time
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > LIMIT:
            raise TooLarge(f"at most {LIMIT} bytes")
        more = message.get("more_body", False)
    return b"".join(chunks)


def _require_type(request: Request, wanted: str) -> None:
    """Raise UnsupportedMediaType unless the body has the type, in UTF-8, uncompressed. A form's or
    a text's type is what a page elsewhere can send without asking first (ASVS 3.5.2)."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("the body must not be compressed")
    given = request.headers.getlist("content-type")
    if given != [wanted] and not (len(given) == 1 and _says(given[0], wanted)):
        raise UnsupportedMediaType(f"the body must have the type {wanted}, in UTF-8")


def _says(given: str, wanted: str) -> bool:
    kind, *parameters = given.lower().split(";")
    charsets = {parameter.strip().replace('"', "") for parameter in parameters}
    return kind.strip() == wanted and not charsets - {"charset=utf-8", ""}


def _readable(raw: bytes) -> bool:
    """Tell whether it is JSON at all. A wrong field found early says nothing of what follows."""
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _convert(pairs: list[tuple[str, str]], kind: type[T]) -> T:
    types, several = _types(kind)  # type: ignore[arg-type]  # a class is hashable
    fields: dict[str, str | list[str]] = {name: [] for name in several}
    for name, value in pairs:
        field = fields.get(name)
        if isinstance(field, list):
            field += filter(None, value.split(","))
        elif field is not None and name in types:
            raise InvalidRequest(FieldError(name, "repeated", "this may be given once"))
        elif Moment in get_args(types.get(name)) and ":" not in value:
            # msgspec would take a number for seconds, and fail over one that is no time.
            raise InvalidRequest(FieldError(name, "invalid", "this is not a time with its offset"))
        else:
            fields[name] = value
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest(field_error(error)) from error


@cache  # to work them out takes 25 µs
def _types(kind: type[object]) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """Give the types of a struct's fields, by name; and the names of those that are tuples."""
    if not issubclass(kind, msgspec.Struct):
        return {}, ()
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return types, tuple(name for name, declared in types.items() if get_origin(declared) is tuple)
