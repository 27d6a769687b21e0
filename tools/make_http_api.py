"""Writes the second half of docs/http-api.md from the server's own OpenAPI document."""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from lastcall.errors import InvalidToken
from lastcall.http.api import ENDPOINTS
from lastcall.http.openapi import CALLERS, document
from lastcall.problems import STATUS

PAGE: Final = Path(__file__).resolve().parent.parent / "docs/http-api.md"
MARK: Final = "<!-- From here on made by `python -m tools.make_http_api`. -->\n"
_MEANINGS: Final = {
    "token_invalid": "The token is none of ours: sign in.",
    "token_expired": "The token is past its time, or a role has changed: refresh.",
}

Json = dict[str, Any]


def main() -> int:
    """Write the page."""
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
    return 0


def written(page: str) -> str:
    """Give the page with its second half made anew."""
    described = document(ENDPOINTS, "")
    schemas: dict[str, Json] = described["components"]["schemas"]  # type: ignore[index]
    parts = [page.partition(MARK)[0] + MARK, "## Problem codes", *_codes(), "## Calls"]
    paths: dict[str, dict[str, Json]] = described["paths"]  # type: ignore[assignment]
    for path, methods in paths.items():
        for method, operation in methods.items():
            parts += _call(f"{method.upper()} {path}", operation)
    parts.append("## Bodies and answers")
    for name in sorted(schemas):
        parts += _schema(name, schemas[name])
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _codes() -> Iterator[str]:
    rows: dict[tuple[int, str], str] = {}
    for error, status in STATUS.items():
        if error is InvalidToken:
            rows |= {(status, code): words for code, words in _MEANINGS.items()}
        elif error.code not in {"store", "error"}:
            words = (error.__doc__ or "").partition("\n\n")[0]
            rows.setdefault((status, error.code), " ".join(words.split()))
    lines = (f"| `{code}` | {status} | {rows[status, code]} |" for status, code in sorted(rows))
    yield "\n".join(("| code | status | |", "| --- | --- | --- |", *lines))


def _call(name: str, operation: Json) -> Iterator[str]:
    yield f"### {name}"
    who = operation["description"].removeprefix(CALLERS)
    yield f"{operation['summary']}. For {who}"
    lines = [
        f"`?{parameter['name']}=` {_kind(parameter['schema'])}"
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    ]
    if "requestBody" in operation:
        ((media, content),) = operation["requestBody"]["content"].items()
        form = " as a form" if media != "application/json" else ""
        lines.append(f"Body: {_kind(content['schema'])}{form}")
    refused = []
    for status, response in operation["responses"].items():
        if status >= "400":
            codes = ", ".join(f"`{code}`" for code in response["description"].split(", "))
            refused.append(f"{status} {codes}")
        else:
            content = response.get("content", {}).get("application/json")
            lines.append(f"Answer: {status} {_kind(content['schema']) if content else ''}".rstrip())
    lines.append(f"Refusals: {'; '.join(refused)}")
    yield "\n".join(f"- {line}" for line in lines)


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}"
    yield " ".join(str(schema.get("description", "")).split())
    needed = schema.get("required", ())
    rows = [
        f"| `{field}` | {_kind(kind)} | {_presence(field, kind, needed)} |"
        for field, kind in schema.get("properties", {}).items()
    ]
    yield "\n".join(("| | | |", "| --- | --- | --- |", *rows))


def _presence(field: str, kind: Json, needed: Iterable[str]) -> str:
    if field in needed:
        return ""
    default = kind.get("default")
    return "may be left out" if default in (None, [], "") else f"`{_literal(default)}` unless given"


def _kind(schema: Json) -> str:
    """Say in words what a value is."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": [*kinds]}:
            return " or ".join(_kind(kind) for kind in kinds)
        case {"enum": [*values]}:
            return ", ".join(f"`{_literal(value)}`" for value in values)
        case {"type": "array", "items": dict(items)}:
            return f"list of {_kind(items)}{_bounds(schema)}"
        case {"type": str(kind)}:
            words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
            form = {"date-time": "time"}.get(schema.get("format", ""), words.get(kind, kind))
            return f"{form}{_bounds(schema)}"
        case _:
            return "anything"


def _bounds(schema: Json) -> str:
    said = []
    if "minimum" in schema and "maximum" in schema:
        said.append(f"{schema['minimum']} to {schema['maximum']}")
    if "maxLength" in schema:
        said.append(f"at most {schema['maxLength']} characters")
    if "maxItems" in schema:
        said.append(f"at most {schema['maxItems']}")
    return f" ({', '.join(said)})" if said else ""


def _literal(value: object) -> str:
    return re.sub(r"^(True|False)$", lambda match: match[0].lower(), str(value))


if __name__ == "__main__":
    sys.exit(main())
