"""What else a user would pick, doing the same: saying who is asking."""

import asyncio
import base64
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
import itsdangerous
import jwt
from django.conf import settings as django_settings
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users.manager import BaseUserManager
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from starlette.middleware.sessions import SessionMiddleware

SECRET = "the same for all of them, and long enough for each"  # noqa: S105  it guards nothing
Check = Callable[[Sequence[str]], object]


def decoders(
    jwk: dict[str, object], issuer: str, audience: str
) -> Iterator[tuple[str, Callable[[str], object]]]:
    """Give those that decode a token, and know of no ending."""
    key = jwt.PyJWK.from_dict(jwk).key

    def pyjwt(token: str) -> object:
        return jwt.decode(token, key, algorithms=["ES256"], issuer=issuer, audience=audience)

    own = ECKey.import_key(jwk)
    registry = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer}, aud={"essential": True, "value": audience}
    )

    def joserfc(token: str) -> object:
        found = joserfc_jwt.decode(token, own, algorithms=["ES256"])
        registry.validate(found.claims)
        return found

    yield "PyJWT", pyjwt
    yield "joserfc", joserfc


def sessions(folder: Path) -> Iterator[tuple[str, Check]]:
    """Give those that read a session. Starlette's and Django's cookies notice no ending; the others
    do, since they ask their database each time."""
    yield "Starlette, signed cookie", _starlette()
    yield from _django(folder)
    yield "fastapi-users, database", _fastapi_users(folder)


def _starlette() -> Check:
    signer = itsdangerous.TimestampSigner(SECRET)
    data = base64.b64encode(json.dumps({"user": "ada", "session": "s" * 26}).encode())
    cookie = signer.sign(data).decode()
    scope: dict[str, Any] = {"type": "http", "headers": [(b"cookie", f"session={cookie}".encode())]}

    async def app(asked: dict[str, Any], _receive: object, _send: object) -> None:
        if asked["session"]["user"] != "ada":
            raise LookupError

    middleware = SessionMiddleware(app, SECRET)  # type: ignore[arg-type]

    def loop(inputs: Sequence[str]) -> None:
        for _ in inputs:
            called = middleware({**scope}, None, None)  # type: ignore[arg-type]
            try:
                called.send(None)
            except StopIteration:
                continue
            raise RuntimeError("it waits for something")

    return loop


def _django(folder: Path) -> Iterator[tuple[str, Check]]:
    django_settings.configure(
        SECRET_KEY=SECRET,
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "django.db"}
        },
        INSTALLED_APPS=["django.contrib.sessions"],
        USE_TZ=True,
    )
    django.setup()
    from django.contrib.sessions.backends import db, signed_cookies  # noqa: PLC0415  after set-up
    from django.core.management import call_command  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    for name, store in (
        ("Django, signed cookie", signed_cookies.SessionStore),
        ("Django, database", db.SessionStore),
    ):
        begun = store()
        begun["user"] = "ada"
        begun.save()
        yield name, _load(store, str(begun.session_key))


def _load(store: Callable[[str], Any], key: str) -> Check:
    def loop(inputs: Sequence[str]) -> None:
        for _ in inputs:
            if store(key)["user"] != "ada":
                raise LookupError

    return loop


def _fastapi_users(folder: Path) -> Check:
    class Base(DeclarativeBase):
        pass

    class User(SQLAlchemyBaseUserTableUUID, Base):
        pass

    class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
        pass

    class Manager(BaseUserManager[User, uuid.UUID]):
        def parse_id(self, value: Any) -> uuid.UUID:  # noqa: ANN401  as theirs
            return value if isinstance(value, uuid.UUID) else uuid.UUID(value)

    loop = asyncio.new_event_loop()
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder / 'users.db'}")
    make = async_sessionmaker(engine, expire_on_commit=False)

    async def fill() -> str:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with make() as database:
            user = User(email="ada@example.com", hashed_password="-")  # noqa: S106  never checked
            database.add(user)
            await database.flush()
            strategy = _strategy(database)
            return str(await strategy.write_token(user))

    def _strategy(database: AsyncSession) -> Any:  # noqa: ANN401  theirs
        tokens: Any = SQLAlchemyAccessTokenDatabase(database, AccessToken)
        return DatabaseStrategy(tokens, lifetime_seconds=3600)

    token = loop.run_until_complete(fill())

    async def read(number: int) -> None:
        for _ in range(number):
            async with make() as database:  # one a request, as its guide has it
                manager = Manager(SQLAlchemyUserDatabase(database, User))
                if await _strategy(database).read_token(token, manager) is None:
                    raise LookupError(datetime.now(UTC))

    # A thread of its own, since a loop may run in this one.
    thread = ThreadPoolExecutor(1)

    def run(inputs: Sequence[str]) -> None:
        thread.submit(loop.run_until_complete, read(len(inputs))).result()

    return run
