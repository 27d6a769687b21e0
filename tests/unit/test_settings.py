"""Settings: where they come from, in which order, and what is refused."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from unittest.mock import patch

import pytest

from lastcall.errors import SettingsError
from lastcall.sessions.policy import PRESETS, Policy
from lastcall.settings import NAMES, Settings, check_public_url, export, load


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a settings file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def environment() -> Iterator[None]:
    """An environment that is put back afterwards."""
    with patch.dict(os.environ):
        yield


def write(folder: Path, text: str, name: str = "lastcall.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


# Where they come from


def test_without_any_source_the_defaults_are_those_of_the_contract() -> None:
    settings = load(environ={})
    assert settings == Settings()
    assert settings.database_url == "sqlite:///lastcall.db"
    assert settings.public_url == "http://localhost:8000"
    assert settings.lease == timedelta(seconds=30)
    assert settings.policy == PRESETS["default"]


def test_the_port_names_the_default_public_url() -> None:
    assert load(environ={}, port=9000).public_url == "http://localhost:9000"


def test_a_flag_goes_before_the_environment_and_this_before_the_file(elsewhere: Path) -> None:
    write(elsewhere, 'audience = "file"\nlease = 11\ncity_db = "cities"\n')
    environ = {"LASTCALL_AUDIENCE": "environment", "LASTCALL_LEASE": "12"}
    settings = load({"audience": "flag"}, environ)
    assert (settings.audience, settings.lease) == ("flag", timedelta(seconds=12))
    assert settings.city_db == Path("cities")


def test_a_flag_that_is_none_was_not_given() -> None:
    settings = load({"audience": None}, {"LASTCALL_AUDIENCE": "environment"})
    assert settings.audience == "environment"


def test_the_environment_of_the_process_is_read_where_none_is_given(environment: None) -> None:
    os.environ["LASTCALL_AUDIENCE"] = "mine"
    assert load().audience == "mine"


def test_a_settings_file_that_is_named_is_read_in_place_of_the_usual_one(elsewhere: Path) -> None:
    write(elsewhere, 'audience = "usual"\n')
    named = write(elsewhere, "lease = 20\n", "other.toml")
    settings = load(environ={}, config=named)
    assert (settings.audience, settings.lease) == (None, timedelta(seconds=20))


def test_every_name_of_the_contract_is_known_and_no_other() -> None:
    assert set(NAMES) == {
        "database_url",
        "public_url",
        "secret_file",
        "policy",
        "access_lifetime",
        "refresh_lifetime",
        "absolute_lifetime",
        "refresh_grace",
        "lease",
        "step_up",
        "audience",
        "trusted_proxies",
        "city_db",
        "sign_in_url",
        "smtp_url",
        "mail_from",
    }


def test_all_that_can_be_set_is_taken_over(elsewhere: Path) -> None:
    settings = load(
        environ={
            "LASTCALL_DATABASE_URL": "sqlite:////var/lib/db",
            "LASTCALL_PUBLIC_URL": "https://id.example.com/auth/",
            "LASTCALL_SECRET_FILE": "/etc/key",
            "LASTCALL_POLICY": "aal1",
            "LASTCALL_ACCESS_LIFETIME": "600",
            "LASTCALL_REFRESH_LIFETIME": "7200",
            "LASTCALL_ABSOLUTE_LIFETIME": "86400",
            "LASTCALL_REFRESH_GRACE": "5",
            "LASTCALL_STEP_UP": "60",
            "LASTCALL_SIGN_IN_URL": "/shop/login",
            "LASTCALL_TRUSTED_PROXIES": "10.0.0.1, 192.168.0.0/16 ,::1",
        }
    )
    assert settings == Settings(
        database_url="sqlite:////var/lib/db",
        public_url="https://id.example.com/auth",
        secret_file=Path("/etc/key"),
        policy=Policy(
            timedelta(seconds=600),
            timedelta(seconds=7200),
            timedelta(seconds=86400),
            timedelta(seconds=5),
            timedelta(seconds=60),
            15,
        ),
        trusted_proxies=(
            ip_network("10.0.0.1"),
            ip_network("192.168.0.0/16"),
            ip_network("::1"),
        ),
        sign_in_url="/shop/login",
    )
    assert settings.secure
    assert settings.base_path == "/auth"


def test_proxies_in_a_file_may_be_a_list(elsewhere: Path) -> None:
    write(elsewhere, 'trusted_proxies = ["10.0.0.1", "10.1.0.0/16"]\n')
    assert len(load(environ={}).trusted_proxies) == 2


def test_plain_http_on_loopback_is_not_secure() -> None:
    assert not Settings().secure
    assert Settings().base_path == ""


# What is refused


@pytest.mark.parametrize(
    "path",
    [
        "",
        "login",
        "//evil.example",
        "/\\evil",
        "https://evil.example/login",
        "/a/../b",
        "/login?x=1",
        "/login#x",
        "/log in",
        "/auth/sign-in",
        "/auth/",
        "/",
        "/lögin",
        "/login\n",
    ],
)
def test_a_sign_in_of_an_application_is_a_path_of_the_same_origin_and_not_the_server_s_own(
    path: str,
) -> None:
    with pytest.raises(SettingsError, match="LASTCALL_SIGN_IN_URL"):
        Settings(public_url="https://example.com/auth", sign_in_url=path)


def test_without_a_path_only_the_server_s_own_sign_in_page_is_refused() -> None:
    assert Settings(sign_in_url="/login").sign_in_url == "/login"
    with pytest.raises(SettingsError, match="LASTCALL_SIGN_IN_URL"):
        Settings(sign_in_url="/sign-in")


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"LASTCALL_NOPE": "1"}, "LASTCALL_NOPE"),
        ({"LASTCALL_lease": "1"}, "LASTCALL_lease"),
        ({"LASTCALL_": "1"}, "LASTCALL_"),
        ({"LASTCALL_POLICY": "strict"}, "LASTCALL_POLICY"),
        ({"LASTCALL_POLICY": "aal2"}, "LASTCALL_POLICY"),
        ({"LASTCALL_POLICY": "aal3"}, "LASTCALL_POLICY"),
        ({"LASTCALL_SMTP_URL": "smtp://x"}, "LASTCALL_SMTP_URL"),
        ({"LASTCALL_MAIL_FROM": "a@b.c"}, "LASTCALL_MAIL_FROM"),
        ({"LASTCALL_TRUSTED_PROXIES": "everyone"}, "LASTCALL_TRUSTED_PROXIES"),
        ({"LASTCALL_TRUSTED_PROXIES": "10.0.0.1/8"}, "LASTCALL_TRUSTED_PROXIES"),
        ({"LASTCALL_ACCESS_LIFETIME": "43201"}, "access lifetime"),
        ({"LASTCALL_ABSOLUTE_LIFETIME": "3600"}, "absolute lifetime"),
        ({"LASTCALL_REFRESH_GRACE": "0"}, "LASTCALL_REFRESH_GRACE"),
    ],
    ids=str,
)
def test_what_is_wrong_stops_the_start_and_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load(environ=environ)


@pytest.mark.parametrize(
    "value",
    ["", "0", "-1", "1.5", "1e3", " 5", "5s", "\u0665", "0" * 9, "1" * 10, "9" * 5000, "True"],
)
def test_a_duration_is_whole_seconds(value: str) -> None:
    with pytest.raises(SettingsError, match="LASTCALL_LEASE"):
        load(environ={"LASTCALL_LEASE": value})


@pytest.mark.parametrize(
    "text",
    [
        "nope = 1",
        "LEASE = 1",
        "lease = true",
        "lease = 1.5",
        "lease =",
        "[section]\nlease = 1",
        "\udcff",
    ],
    ids=ascii,
)
def test_a_file_that_is_wrong_stops_the_start(elsewhere: Path, text: str) -> None:
    (elsewhere / "lastcall.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError):
        load(environ={})


def test_a_settings_file_that_is_named_and_missing_stops_the_start(elsewhere: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.toml"):
        load(environ={}, config=elsewhere / "gone.toml")


def test_a_folder_is_no_settings_file(elsewhere: Path) -> None:
    with pytest.raises(SettingsError):
        load(environ={}, config=elsewhere)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000",
        "http://127.0.0.1",
        "http://[::1]:8000",
        "https://id.example.com",
        "https://id.example.com:8443/auth",
    ],
)
def test_https_or_loopback_is_a_public_url(url: str) -> None:
    check_public_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "id.example.com",
        "ftp://id.example.com",
        "https://",
        "https:///path",
        "http://id.example.com",
        "http://localhost.example.com",
        "http://127.0.0.2",
        "http://0.0.0.0:8000",
        "https://ada:pw@id.example.com",
        "https://id.example.com?x=1",
        "https://id.example.com/#x",
        "javascript://localhost",
        "https://[::1",
        "https://id.example.com:99999",
        "https://id.example.com:port",
    ],
)
def test_anything_else_is_no_public_url(url: str) -> None:
    with pytest.raises(SettingsError, match="LASTCALL_PUBLIC_URL"):
        check_public_url(url)


def test_settings_made_by_hand_are_checked_too() -> None:
    with pytest.raises(SettingsError):
        Settings(public_url="http://id.example.com")
    with pytest.raises(SettingsError):
        Settings(policy=PRESETS["aal2"])


@pytest.mark.parametrize("url", ["https://ada:hunter2@x?y", "https://ada:hunter2@x"])
def test_a_password_in_a_public_url_is_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_public_url(url)
    assert "hunter2" not in str(caught.value)


# Handing them on


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(policy=PRESETS["aal1"], audience="api", city_db=Path("cities.mmdb")),
        Settings(
            database_url="sqlite:////srv/x.db",
            public_url="https://id.example.com/auth",
            secret_file=Path("/etc/key"),
            policy=replace(PRESETS["aal1"], access_lifetime=timedelta(seconds=90)),
            lease=timedelta(seconds=7),
            trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("::1")),
            sign_in_url="/login",
        ),
    ],
    ids=["defaults", "preset", "all"],
)
def test_a_worker_process_reads_exactly_what_was_exported(
    environment: None, settings: Settings
) -> None:
    os.environ["LASTCALL_AUDIENCE"] = "from before"
    export(settings)
    assert load() == settings


def test_a_settings_file_adds_nothing_to_what_was_exported(
    environment: None, elsewhere: Path
) -> None:
    """The parent may have read another file, or none."""
    write(elsewhere, 'audience = "of the file"\ncity_db = "cities"\n')
    export(Settings())
    assert load() == Settings()


def test_a_password_length_of_one_s_own_reaches_the_workers_or_is_refused(
    environment: None,
) -> None:
    settings = Settings(policy=Policy(password_min_length=12))
    try:
        export(settings)
    except SettingsError:
        return
    assert load() == settings


def test_the_scheme_of_the_public_url_decides_in_any_spelling() -> None:
    """RFC 3986, section 3.1: schemes are compared without case."""
    assert Settings(public_url="HTTPS://id.example.com").secure
    assert not Settings(public_url="HTTP://localhost:8000").secure
