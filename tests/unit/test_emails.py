"""E-mail addresses: one person, one key; whatever is hostile is refused (attack 36)."""

# ruff: noqa: RUF001  look-alikes are what this is about

import unicodedata

import pytest

from lastcall.errors import InvalidRequest
from lastcall.identity.emails import MAX_LENGTH, email_key, parse_email


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ADMIN@example.com", "admin@example.com"),
        ("admin@EXAMPLE.com", "admin@example.com"),
        ("ａｄｍｉｎ@example.com", "admin@example.com"),
        ("admin@ｅxample.com", "admin@example.com"),
        ("admin＠example.com", "admin@example.com"),
        ("oﬃce@example.com", "office@example.com"),
        ("straße@example.com", "STRASSE@example.com"),
        ("a\u0301dmin@example.com", "\u00e1dmin@example.com"),
        ("\u1e9e@example.com", "ss@example.com"),
        ("admin@xn--mnchen-3ya.de", "admin@münchen.de"),
        ("admin@MÜNCHEN.de", "admin@münchen.de"),
        ("σας@example.com", "ΣΑΣ@example.com"),
        ("K@example.com", "k@example.com"),  # the Kelvin sign
        ("ſteve@example.com", "steve@example.com"),  # the long s
    ],
)
def test_spellings_of_one_address_have_one_key(one: str, other: str) -> None:
    assert email_key(one)
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("admin@example.com", "ádmin@example.com"),
        ("admin@example.com", "admın@example.com"),  # the dotless i
        ("admin@example.com", "аdmin@example.com"),  # a Cyrillic a
        ("admin@example.com", "admin@example.org"),
        ("admin@example.com", "admin+x@example.com"),
        ("admin@example.com", "ad.min@example.com"),
        ("admin@example.com", "admin%00@example.com"),
    ],
)
def test_addresses_that_mail_tells_apart_have_two_keys(one: str, other: str) -> None:
    """A look-alike never gets at the account of the one that it is like."""
    assert email_key(one) != email_key(other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "@",
        "admin",
        "admin@",
        "@example.com",
        "admin@@example.com",
        "admin@example.com.",
        "admin@example.com ",
        " admin@example.com",
        "admin@exam ple.com",
        "ad min@example.com",
        "admin@example..com",
        ".admin@example.com",
        "admin.@example.com",
        "admin@-example.com",
        "admin\0@example.com",
        "admin@example.com\0",
        "admin@example.com\n",
        "admin\r\nBcc: x@example.com",
        "admin@example.com\u2028",
        "ad\u200bmin@example.com",
        "\u202eadmin@example.com",
        "\ud800@example.com",
        "admin@\udfff.com",
        "admin@[127.0.0.1]",
        '"admin"@example.com',
        "Admin <admin@example.com>",
        "admin@example.com,x@example.com",
        "admin@" + "x" * 300 + ".com",
        "a" * 100_000,
        "a@" * 5_000,
    ],
    ids=lambda text: f"{text[:24]!a} of {len(text)}",
)
def test_what_is_no_address_is_refused_and_has_no_key_that_finds_somebody(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_email(text, "address")
    assert [(error.field, error.code) for error in caught.value.errors] == [("address", "email")]
    assert email_key(text) == ""


def test_an_address_is_read_whole_and_never_cut_to_one_that_fits() -> None:
    """Cut first, shortened by normalisation then, it would be somebody else's address."""
    local = unicodedata.normalize("NFD", "ǖ") * 60  # three characters for one of two bytes
    domain = f"{'x' * 60}.{'x' * 9}.community"
    text = f"{local}@{domain}"
    assert text[: MAX_LENGTH + 1].endswith(".com")
    assert parse_email(text)[0].endswith(".community")
    with pytest.raises(InvalidRequest):
        parse_email(unicodedata.normalize("NFD", "ǖ") * 4 * MAX_LENGTH + "@" + domain)


def test_an_address_is_shown_as_it_is_written_but_for_its_domain() -> None:
    assert parse_email("Ada.Lovelace@EXAMPLE.com") == (
        "Ada.Lovelace@example.com",
        "ada.lovelace@example.com",
    )


@pytest.mark.parametrize(
    "address", ["Ada@example.com", "STRAẞE@example.com", "İ@example.com", "ŉ@example.com"]
)
def test_the_key_of_a_key_is_itself(address: str) -> None:
    key = email_key(address)
    assert email_key(key) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("＜admin@example.com", ""),  # becomes <
        ("admin@example﹒﹒com", ""),  # two dots
        ("﹒admin@example.com", ""),  # a dot at the start
        ("admin¨@example.com", ""),  # a blank and an accent
        ("admin@example.com／x", ""),  # a slash in a domain
        ("admin@examplE。com", "admin@example.com"),  # the ideographic full stop
        ("①@example.com", "1@example.com"),
    ],
)
def test_an_address_is_normalised_before_it_is_judged(text: str, key: str) -> None:
    """Judged first, what it becomes would have been judged by nobody."""
    assert email_key(text) == key
