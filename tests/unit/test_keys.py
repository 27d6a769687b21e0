"""A list of signing keys: which one signs, which verify, and until when."""

from datetime import timedelta

import pytest

from lastcall.errors import SecretFileError
from lastcall.keys import KEPT, LEAD, MAX_AGE, Keyring, StoredKey, new_key
from lastcall.secretfile import Secrets
from tests.support.fakes import START, FakeEntropy

SECRETS = Secrets.derive(b"r" * 32)
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


def made(after: timedelta, *, first: bool = False) -> StoredKey:
    """A key that was made so long after the start."""
    return new_key(START + after, first=first, secrets=SECRETS, entropy=FakeEntropy())


OLD = made(timedelta(0), first=True)
NEW = made(timedelta(days=90))
RING = Keyring([NEW, OLD], SECRETS)


def test_the_first_key_signs_at_once_and_each_later_one_after_its_lead() -> None:
    assert (OLD.created_at, OLD.signs_from) == (START, START)
    assert NEW.signs_from - NEW.created_at == LEAD


def test_a_ring_is_in_the_order_of_signing_whatever_the_store_s() -> None:
    assert [key.id for key in RING] == [OLD.id, NEW.id]
    assert RING.newest == NEW.id
    assert [(key.created_at, key.signs_from) for key in RING] == [
        (key.created_at, key.signs_from) for key in (OLD, NEW)
    ]


def test_the_newest_key_signs_from_its_moment_on() -> None:
    assert RING.signer(NEW.signs_from - TICK).id == OLD.id
    assert RING.signer(NEW.signs_from).id == NEW.id


def test_where_the_clock_is_before_all_keys_the_oldest_signs() -> None:
    assert RING.signer(START - HOUR).id == OLD.id


def test_each_key_is_found_by_its_own_id_and_nothing_by_another() -> None:
    for key in RING:
        assert RING.find(key.id) == key.jwk.public_key
        assert key.jwk.thumbprint() == key.id
    assert RING.find("another") is None


def test_a_key_is_due_to_be_replaced_at_its_greatest_age_and_where_there_is_none() -> None:
    assert not RING.due(NEW.signs_from + MAX_AGE - TICK)
    assert RING.due(NEW.signs_from + MAX_AGE)
    empty = Keyring((), SECRETS)
    assert empty.due(START)
    assert empty.newest is None


@pytest.mark.parametrize(
    ("access", "kept"), [(HOUR, KEPT), (KEPT + HOUR, KEPT + HOUR)], ids=["usual", "long tokens"]
)
def test_a_key_is_spent_once_the_last_token_it_signed_has_run_out_for_every_clock(
    access: timedelta, kept: timedelta
) -> None:
    last = NEW.signs_from + kept + LEAD
    assert RING.spent(last - TICK, access) == ()
    assert RING.spent(last, access) == (OLD.id,)


def test_the_key_set_tells_of_each_key_its_public_part_under_its_own_id() -> None:
    keys = RING.public()["keys"]
    assert isinstance(keys, list)
    assert [key["kid"] for key in keys] == [OLD.id, NEW.id]
    for shown, key in zip(keys, RING, strict=True):
        own = key.jwk.as_dict(private=False)
        assert (shown["x"], shown["y"], shown["crv"]) == (own["x"], own["y"], "P-256")
        assert (shown["alg"], shown["use"]) == ("ES256", "sig")
        assert "d" not in shown


def test_a_sealed_key_opens_under_its_own_id_only() -> None:
    swapped = StoredKey(OLD.id, NEW.created_at, NEW.signs_from, NEW.sealed)
    with pytest.raises(SecretFileError):
        Keyring([swapped], SECRETS)
