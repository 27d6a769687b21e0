"""What holds a secret neither prints it nor hands it to another process (ASVS 16.2.5, 13.3.3)."""

import copy
import dataclasses
import importlib
import pickle
import pkgutil
import re
import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from joserfc.jwk import ECKey

import lastcall
from lastcall.clock import system_entropy
from lastcall.ids import SessionId
from lastcall.keys import Keyring, SigningKey, new_key
from lastcall.secretfile import Secrets
from lastcall.tokens import RefreshToken
from tests.support.fakes import START

SECRET = re.compile(r"(secret|password|token|key|hash|mac|seal|sealed|successor|check|jwk)$")
"""How the name of a field ends that may hold a secret, or what is kept of one."""
OPEN = {
    "User.email_key",  # an address
    "Client.service_key",  # an id
    "Happened.key",  # a public key, or the id of one
}
"""Fields that are called so and hold none."""
PLANTED = "planted-7f3a"


def values() -> list[type[Any]]:
    """Every dataclass and every struct of lastcall."""
    found = {
        value
        for module in pkgutil.walk_packages(lastcall.__path__, "lastcall.")
        if not module.name.endswith("__main__") and ".migrations." not in module.name
        for value in vars(importlib.import_module(module.name)).values()
        if issubclass(type(value), type)  # isinstance asks a lazy object, which sets itself up
        and value.__module__.startswith("lastcall.")
        and (dataclasses.is_dataclass(value) or issubclass(value, msgspec.Struct))
    }
    return sorted(found, key=lambda one: (one.__module__, one.__qualname__))


def texts(hint: object) -> bool:
    """Tell whether a field of this type may hold a text or bytes."""
    if get_origin(hint) is Annotated:
        return texts(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return any(map(texts, get_args(hint)))
    return hint in (str, bytes, ECKey)


def secrets_of(kind: type[Any]) -> list[str]:
    """Name the fields of a class that may hold a secret."""
    return [
        name
        for name, hint in get_type_hints(kind, include_extras=True).items()
        if SECRET.search(name) and texts(hint) and f"{kind.__name__}.{name}" not in OPEN
    ]


def test_nothing_that_may_hold_a_secret_prints_it() -> None:
    holding = {kind: fields for kind in values() if (fields := secrets_of(kind))}
    assert len(holding) > 25, "the walk finds them"
    printed = []
    for kind, fields in holding.items():
        names = [
            field.name
            for field in (
                dataclasses.fields(kind)
                if dataclasses.is_dataclass(kind)
                else msgspec.structs.fields(kind)
            )
        ]
        one = kind(**{name: PLANTED if name in fields else None for name in names})
        if PLANTED in f"{one!r} {one}":
            printed.append(kind)
    assert not printed


def test_every_exception_to_that_still_exists() -> None:
    known = {f"{kind.__name__}.{name}" for kind in values() for name in get_type_hints(kind)}
    assert known >= OPEN


@pytest.mark.parametrize("what", ["secrets", "signing key", "keyring"])
def test_keys_in_the_clear_go_to_no_other_process(what: str) -> None:
    """Neither through a pipe to a worker nor into a file: both take a pickle."""
    secrets = Secrets.derive(b"r" * 32)
    stored = new_key(START, first=True, secrets=secrets, entropy=system_entropy)
    ring = Keyring([stored], secrets)
    (key,) = ring
    value: object = {"secrets": secrets, "signing key": key, "keyring": ring}[what]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="keys stay"):
            pickle.dumps(value, protocol)
    with pytest.raises(TypeError, match="keys stay"):
        copy.deepcopy(value)


def test_a_key_s_own_object_prints_no_private_number() -> None:
    stored = new_key(START, first=True, secrets=Secrets.derive(b"r" * 32), entropy=system_entropy)
    (key,) = Keyring([stored], Secrets.derive(b"r" * 32))
    assert isinstance(key, SigningKey)
    private = key.jwk.as_dict(private=True)["d"]
    assert str(private) not in repr([key, key.jwk, stored])
    assert str(private) not in str(key.jwk)


def test_a_refresh_token_that_was_read_prints_no_secret() -> None:
    assert PLANTED not in repr(RefreshToken(SessionId("s_c1_x"), 1, PLANTED.encode()))
