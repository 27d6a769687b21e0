"""The types of columns, for every database, and how PostgreSQL finds what is in them."""

from typing import Final

from sqlalchemy import BigInteger, ColumnElement, Integer, Text, literal_column

TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Words in the order of their bytes, as SQLite and Python have them: lists go on after an id."""
NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A key that the database gives; SQLite gives it to columns of this type alone."""
TRIGRAMS: Final = """
CREATE FUNCTION lastcall_trigrams(words text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT array_agg(substr(words, n, 3)) FROM generate_series(1, length(words) - 2) AS n)
"""
"""Gives every three characters that follow each other, NULL where there are none. It and its index
are PostgreSQL's own, so that no extension is asked for, which a role may not be allowed to make."""


def constant(word: str) -> ColumnElement[str]:
    """Give a word of ours as part of a statement. As a parameter a server that plans for any values
    doesn't know it: it finds no index of the rows that have it, and may believe there are none."""
    if not word.replace(".", "_").isidentifier():
        raise ValueError("a constant is a word of ours")
    return literal_column(f"'{word}'", TEXT)


def at_most(number: int) -> ColumnElement[int]:
    """Give a limit as part of a statement: so a server that plans for any values knows it too."""
    return literal_column(str(number), Integer())
