"""What the doctor says of settings, data, clocks, the disk, proxies and the public URL."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from lastcall.doctor.machine import Machine, mounts, synchronised
from lastcall.settings import Settings, load, origins
from tests.support.cities import write_database
from tests.support.doctor import LOCAL_DISK, Doctor, advice, bad, left_out, today
from tests.support.fakes import FakeClock

# Settings


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"LASTCALL_COLOUR": "blue"}, "LASTCALL_COLOUR"),
        ({"LASTCALL_ACCESS_LIFETIME": "soon"}, "LASTCALL_ACCESS_LIFETIME"),
        ({"LASTCALL_PUBLIC_URL": "https://ada:hunter2@example.com"}, "LASTCALL_PUBLIC_URL"),
        ({"LASTCALL_CONFIG": "missing.toml"}, "missing.toml"),
        ({"LASTCALL_POLICY": "aal2"}, "LASTCALL_POLICY"),
    ],
)
def test_a_wrong_setting_is_named_and_what_rests_on_it_is_left_out(
    doctor: Doctor, environ: dict[str, str], named: str
) -> None:
    checks = doctor.reads(lambda: load(environ=environ))
    assert bad(checks) == {"settings": "problem"}
    assert named in checks["settings"].found
    assert "hunter2" not in str(checks)
    assert left_out(checks) >= {"database", "secret file", "public URL", "administration"}
    assert set(checks) == set(doctor.says())


def test_where_settings_stand_is_told_without_their_values(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.touch()
    environ = {
        "LASTCALL_AUDIENCE": "hunter2",
        "LASTCALL_CONFIG": str(file),
        "LASTCALL_TEST_X": "1",
        "HOME": "/",
    }
    given = {"policy": "aal1", "lease": None}
    assert origins(given, environ) == ("flags", "LASTCALL_AUDIENCE", str(file))
    assert origins({"lease": None}, {}, tmp_path / "none.toml") == ()


@pytest.mark.parametrize("url", ["sqlite://ada:hunter2@db/x", "mysql://ada:hunter2@db/x"])
def test_an_address_of_no_database_is_a_problem(doctor: Doctor, url: str) -> None:
    checks = doctor.reads(lambda: Settings(database_url=url))
    assert bad(checks) == {"database": "problem"}
    assert "sqlite:///" in str(checks["database"])
    assert "hunter2" not in str(checks)
    assert left_out(checks) >= {"schema", "file system", "secret file", "administration"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"absolute_lifetime": timedelta(days=31)}, "LASTCALL_ABSOLUTE_LIFETIME"),
        ({"access_lifetime": timedelta(hours=2)}, "LASTCALL_ACCESS_LIFETIME"),
        ({"step_up": timedelta(hours=2)}, "LASTCALL_STEP_UP"),
    ],
)
def test_durations_longer_than_they_should_be_are_said(
    doctor: Doctor, changes: dict[str, timedelta], named: str
) -> None:
    policy = replace(doctor.settings().policy, **changes)  # type: ignore[arg-type]
    checks = doctor.says(policy=policy)
    assert bad(checks) == {"policy": "warning"}
    assert named in advice(checks["policy"])


# Durability


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("ext4", "ok"),
        ("xfs", "ok"),
        ("tmpfs", "problem"),
        ("ramfs", "problem"),
        ("nfs4", "warning"),
        ("cifs", "warning"),
        ("9p", "warning"),
        ("fuse.sshfs", "warning"),
        ("overlay", "warning"),
    ],
)
def test_the_file_system_must_keep_locks_and_data(doctor: Doctor, kind: str, state: str) -> None:
    doctor.changes["mounts"] = f"{LOCAL_DISK}server:/x {doctor.folder} {kind} rw 0 0\n"
    check = doctor.says()["file system"]
    assert check.state == state
    assert kind in check.found
    assert state == "ok" or "LASTCALL_DATABASE_URL" in advice(check)


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ("", None),
        ("odd\n", None),
        ("a / ext4 rw\nb /srv nfs rw", "nfs"),
        ("b /srv nfs rw\na / ext4 rw", "nfs"),
        ("b /srv nfs rw\nc /srv xfs rw", "xfs"),
        ("a / ext4 rw\nb /sr nfs rw", "ext4"),
        ("a / ext4 rw\nb /srv/a\\040b nfs rw", "nfs"),
        ("a / ext4 rw\nb /srv/a\\040b/c nfs rw", "ext4"),
    ],
)
def test_a_folder_is_on_the_innermost_and_last_of_its_mounts(table: str, kind: str | None) -> None:
    assert Machine(mounts=table).file_system(Path("/srv/a b")) == kind


def test_this_machine_is_asked_without_being_changed(doctor: Doctor) -> None:
    table = mounts()
    assert table is None or Machine().file_system(doctor.folder)
    assert synchronised() in (True, False, None)


def test_a_file_system_that_cannot_be_told_is_no_fault(doctor: Doctor) -> None:
    doctor.changes["mounts"] = None
    assert bad(doctor.says()) == {}


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ((3, 40, 1), "warning"),
        ((3, 44, 6), "ok"),
        ((3, 44, 5), "warning"),
        ((3, 45, 9), "warning"),
        ((3, 50, 7), "ok"),
        ((3, 51, 2), "warning"),
        ((3, 51, 3), "ok"),
        ((3, 53, 0), "ok"),
    ],
)
def test_an_sqlite_that_may_damage_databases_is_said(
    doctor: Doctor, version: tuple[int, ...], state: str
) -> None:
    doctor.changes["sqlite"] = version
    check = doctor.says()["SQLite"]
    assert check.state == state
    assert state == "ok" or "3.51.3" in advice(check)


# Clocks


@pytest.mark.parametrize(
    ("answer", "state"), [(True, "ok"), (None, "ok"), (False, "warning")], ids=str
)
def test_a_clock_that_nobody_keeps_right_is_said(
    doctor: Doctor, answer: bool | None, state: str
) -> None:
    doctor.changes["synchronised"] = answer
    check = doctor.says()["clock sync"]
    assert check.state == state
    assert state == "ok" or "timedatectl" in advice(check)


def test_a_clock_that_stands_still_is_a_problem(doctor: Doctor) -> None:
    doctor.changes["clock"] = FakeClock(doctor.clock.now())
    assert bad(doctor.says()) == {"intervals": "problem"}


def test_a_clock_before_the_data_that_is_installed_was_made_is_a_problem(folder: Path) -> None:
    """Also where no database tells."""
    doctor = Doctor(folder)
    doctor.clock.step(timedelta(days=-60))
    check = doctor.says()["clock"]
    assert check.state == "problem"
    assert "timedatectl" in advice(check)


# Data


@pytest.mark.parametrize(("days", "state"), [(100, "ok"), (200, "warning")])
def test_an_old_city_database_is_said(doctor: Doctor, days: int, state: str) -> None:
    built = int((today() - timedelta(days=days)).timestamp())
    cities = write_database(doctor.folder / "city.mmdb", {"country": "BR"}, epoch=built)
    check = doctor.says(city_db=cities)["city data"]
    assert check.state == state
    assert state == "ok" or "LASTCALL_CITY_DB" in advice(check)


def test_a_city_database_that_cannot_be_used_is_a_problem(doctor: Doctor) -> None:
    check = doctor.says(city_db=doctor.folder / "missing.mmdb")["city data"]
    assert check.state == "problem"
    assert "can't be read" in check.found
    assert "LASTCALL_CITY_DB" in advice(check)


def test_data_that_came_years_ago_are_said(doctor: Doctor) -> None:
    doctor.clock.step(timedelta(days=10_000))
    checks = doctor.says()
    for name in ("country data", "device rules"):
        assert checks[name].state == "warning"
        assert "pip install --upgrade" in advice(checks[name])


# Proxies and the public URL


@pytest.mark.parametrize(
    ("networks", "state"),
    [
        ("0.0.0.0/0", "problem"),
        ("::/0", "problem"),
        ("0.0.0.0/1", "problem"),
        ("10.0.0.1 0.0.0.0/0", "problem"),
        ("8.0.0.0/9", "warning"),
        ("2a00::/16", "warning"),
        ("10.0.0.0/8 10.1.0.0/16", "warning"),
        ("10.0.0.0/8 ::1", "ok"),
        ("198.51.100.7", "ok"),
        ("fd00::/8 127.0.0.1", "ok"),
        ("", "ok"),
    ],
)
def test_only_ones_own_proxies_should_be_trusted(doctor: Doctor, networks: str, state: str) -> None:
    trusted = tuple(ip_network(network) for network in networks.split())
    check = doctor.says(trusted_proxies=trusted)["proxies"]
    assert check.state == state
    assert state == "ok" or "LASTCALL_TRUSTED_PROXIES" in advice(check)


def test_others_that_reach_a_server_which_calls_itself_local_are_said(doctor: Doctor) -> None:
    for host in ("0.0.0.0", "auth"):
        checks = doctor.says(host)
        assert bad(checks) == {"public URL": "warning"}
        assert "LASTCALL_PUBLIC_URL" in advice(checks["public URL"])
    for host in ("127.0.0.2", "localhost", "::1"):
        assert doctor.says(host)["public URL"].state == "ok"


class Answers(BaseHTTPRequestHandler):
    status, body = 200, b'{"status":"ok"}'

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def answering(status: int, body: bytes, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Something that answers on loopback; gives its address."""
    handler = type("Given", (Answers,), {"status": status, "body": body})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


HEALTHY = b'{"status":"ok"}'


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (200, HEALTHY, "ok"),
        (200, b"<h1>It works!</h1>", "warning"),
        (502, HEALTHY, "warning"),
        (302, b"", "warning"),
    ],
)
def test_what_answers_at_the_public_url_must_be_lastcall(
    doctor: Doctor, status: int, body: bytes, state: str
) -> None:
    with answering(status, body) as url:
        checks = doctor.says(public_url=url)
    assert checks["reachable"].state == state
    assert state == "ok" or "LASTCALL_PUBLIC_URL" in advice(checks["reachable"])


def test_a_server_that_is_down_is_no_fault(doctor: Doctor) -> None:
    with answering(200, HEALTHY) as url:
        pass
    check = doctor.says(public_url=url)["reachable"]
    assert (check.state, "is the server running?" in check.found) == ("ok", True)


def test_an_issuer_that_is_not_the_public_url_is_said(doctor: Doctor) -> None:
    with answering(200, HEALTHY) as url:
        checks = doctor.says(public_url=url)
    assert bad(checks) == {"issuer": "warning"}
    assert "LASTCALL_PUBLIC_URL=http://localhost:1 " in advice(checks["issuer"])


Certify = Callable[[datetime], ssl.SSLContext]


@pytest.fixture
def certify(tmp_path: Path, doctor: Doctor) -> Certify:
    """Makes a certificate of localhost that ends then, and has the doctor trust it."""

    def make(ends: datetime) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(datetime(2020, 1, 1))  # noqa: DTZ001  in UTC, as X.509 has it
            .not_valid_after(ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .add_extension(x509.BasicConstraints(True, None), True)
            .sign(key, SHA256())
        )
        text = made.public_bytes(serialization.Encoding.PEM)
        file = tmp_path / "certificate.pem"
        file.write_bytes(
            text
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        doctor.changes["trust"] = lambda: ssl.create_default_context(cadata=text.decode())
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(file)
        return tls

    return make


def test_a_certificate_that_verifies_and_lasts_is_ok(doctor: Doctor, certify: Certify) -> None:
    with answering(200, HEALTHY, certify(datetime(2200, 1, 1))) as url:  # noqa: DTZ001
        checks = doctor.says(public_url=url, trusted_proxies=(ip_network("127.0.0.1"),))
    assert bad(checks) == {"issuer": "warning"}
    assert "2200-01-01" in checks["certificate"].found


def test_a_certificate_that_runs_out_soon_is_said(doctor: Doctor, certify: Certify) -> None:
    """By the clock that is examined; for the machine's own it lasts."""
    doctor.clock.step(datetime.fromisoformat("2199-12-20T12:00:00Z") - doctor.clock.now())
    with answering(200, HEALTHY, certify(datetime(2200, 1, 1))) as url:  # noqa: DTZ001
        check = doctor.says(public_url=url)["certificate"]
    assert (check.state, "in 11 days" in check.found) == ("warning", True)
    assert "Renew it" in advice(check)


def test_a_certificate_that_does_not_verify_is_a_problem(doctor: Doctor, certify: Certify) -> None:
    tls = certify(datetime(2200, 1, 1))  # noqa: DTZ001
    doctor.changes["trust"] = ssl.create_default_context
    with answering(200, HEALTHY, tls) as url:
        checks = doctor.says(public_url=url)
    assert checks["certificate"].state == "problem"
    assert "certificate" in advice(checks["certificate"])
    assert left_out(checks) == {"reachable"}


def test_https_without_a_trusted_proxy_is_said(doctor: Doctor) -> None:
    """Each session would show the proxy's address."""
    with answering(200, HEALTHY) as url:
        pass
    checks = doctor.says(public_url=url.replace("http", "https"))
    assert checks["proxies"].state == "warning"
    assert "LASTCALL_TRUSTED_PROXIES" in advice(checks["proxies"])
    assert left_out(checks) == {"certificate"}
