"""The shop's own users: a table, as many applications have one."""

import sqlite3
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError


@dataclass(frozen=True)
class User:
    """One of them."""

    id: int
    email: str
    name: str


class Users:
    """Finds users, and checks their passwords."""

    def __init__(self, path: str) -> None:
        """Open the table; a new one has one user."""
        self._path = path
        self._passwords = PasswordHasher()
        self._nobodys = self._passwords.hash("of nobody, checked for as long")
        with sqlite3.connect(path) as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS users "
                "(id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT, password TEXT)"
            )
            db.execute(
                "INSERT OR IGNORE INTO users (email, name, password) VALUES (?, ?, ?)",
                ("ada@shop.test", "Ada", self._passwords.hash("correct horse")),
            )
        db.close()

    def check(self, email: str, password: str) -> User | None:
        """Give the user with this address and password."""
        found = self._one("SELECT id, email, name, password FROM users WHERE email = ?", email)
        try:
            self._passwords.verify(found[3] if found else self._nobodys, password)
        except VerifyMismatchError:
            return None
        return User(*found[:3]) if found else None

    def get(self, user_id: int) -> User:
        """Give a user by their id."""
        return User(*self._one("SELECT id, email, name FROM users WHERE id = ?", user_id))

    def _one(self, statement: str, value: object) -> tuple:
        db = sqlite3.connect(self._path)
        try:
            return db.execute(statement, (value,)).fetchone()
        finally:
            db.close()
