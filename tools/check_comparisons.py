"""Is a secret compared with `==`, `!=` or `in`, whose time tells how much of a guess was right?

A secret is what is called one: a name, an attribute, an item or a call whose last word is among
`WORDS`. Two comparisons are left alone: with a constant, which is no secret, and of a column of a
table, where the database finds a row by a hash, of which nobody chooses the bytes.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORDS = re.compile(
    r"(?:^|_)(?:secret|password|passphrase|token|hash|mac|hmac|digest|hexdigest|signature)$"
)
COMPARED = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)


def faults(code: str) -> Iterator[tuple[int, str]]:
    """Give the line and the text of each comparison of a secret, but for `digests.same`."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if (
                isinstance(operator, COMPARED)
                and any(WORDS.search(name) for side in (left, right) for name in _names(side))
                and not any(map(_open, (left, right)))
            ):
                yield node.lineno, ast.unparse(node)


def _names(side: ast.expr) -> Iterator[str]:
    """Name what stands on one side of a comparison; of several things in a row, each."""
    match side:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
        case ast.Subscript(value=value, slice=ast.Constant(value=str(name))):
            yield name
            yield from _names(value)
        case ast.NamedExpr(target=target, value=value):
            yield from (*_names(target), *_names(value))
        case ast.Subscript(value=inner) | ast.Call(func=inner):
            yield from _names(inner)
        case ast.Await(value=inner) | ast.Starred(value=inner):
            yield from _names(inner)
        case ast.Tuple(elts=several) | ast.List(elts=several) | ast.Set(elts=several):
            for one in several:
                yield from _names(one)
        case _:
            pass


def _open(side: ast.expr) -> bool:
    """Tell whether this is a constant, or a column of a table: `table.c.name`."""
    match side:
        case ast.Constant() | ast.Attribute(value=ast.Attribute(attr="c")):
            return True
        case _:
            return False


def main() -> int:
    """Print the comparisons in the package; 1 when there are any."""
    found = [
        f"{file.relative_to(ROOT)}:{line}: {text}"
        for file in sorted((ROOT / "src").rglob("*.py"))
        for line, text in faults(file.read_text("utf-8"))
    ]
    for one in found:
        print(one, file=sys.stderr)
    if found:
        print("Compare secrets in constant time: lastcall.digests.same", file=sys.stderr)
    else:
        print("Comparisons: no secret in one that tells by its time.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
