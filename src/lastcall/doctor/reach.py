"""Whether the server answers at its public URL, and with which certificate."""

import json
import ssl
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from lastcall.doctor.check import Check, ok, problem, skipped, warning
from lastcall.doctor.machine import Machine
from lastcall.settings import Settings

REACH: Final = "reachable"
CERTIFICATE: Final = "certificate"
SOON: Final = timedelta(days=14)
_SECONDS: Final = 3.0
_LIMIT: Final = 1024


def examine(settings: Settings, machine: Machine) -> tuple[Check, ...]:
    """Ask `/healthz` at the public URL, once."""
    parts = urlsplit(settings.public_url)
    host = parts.hostname or ""
    line: HTTPConnection
    if settings.secure:
        line = HTTPSConnection(host, parts.port, timeout=_SECONDS, context=machine.trust())
    else:
        line = HTTPConnection(host, parts.port, timeout=_SECONDS)
    try:
        line.connect()
        certificate = _certificate(line, machine.clock.now())
        line.request("GET", f"{settings.base_path}/healthz", headers={"Accept": "application/json"})
        answer = line.getresponse()
        return _answered(settings, answer.status, answer.read(_LIMIT)), certificate
    except ssl.SSLCertVerificationError as error:
        return skipped((REACH,), "the certificate does not verify")[0], problem(
            CERTIFICATE,
            f"browsers will refuse it: {error.verify_message}",
            f"Have whatever ends TLS at {host} serve a valid certificate with its chain.",
        )
    except (OSError, HTTPException, UnicodeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        return (
            ok(REACH, f"not reachable from here ({why}): is the server running?"),
            *(
                skipped((CERTIFICATE,), "nothing answers at the public URL")
                if settings.secure
                else (_none_needed(),)
            ),
        )
    finally:
        line.close()


def _answered(settings: Settings, status: int, body: bytes) -> Check:
    try:
        healthy = status == 200 and json.loads(body) == {"status": "ok"}
    except ValueError:
        healthy = False
    if healthy:
        return ok(REACH, f"a server answers at {settings.public_url}")
    return warning(
        REACH,
        f"what answers at {settings.public_url}/healthz is not lastcall (status {status})",
        "Have the proxy pass all paths below the public URL on unchanged, or mend "
        "LASTCALL_PUBLIC_URL.",
    )


def _none_needed() -> Check:
    return ok(CERTIFICATE, "none needed: plain http on this machine")


def _certificate(line: HTTPConnection, now: datetime) -> Check:
    if not isinstance(line.sock, ssl.SSLSocket):
        return _none_needed()
    shown = (line.sock.getpeercert() or {}).get("notAfter")
    if not isinstance(shown, str):
        return ok(CERTIFICATE, "it verifies; until when can't be told")
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(shown), UTC)
    if ends - now < SOON:
        return warning(
            CERTIFICATE,
            f"it runs out on {ends:%Y-%m-%d}, in {max((ends - now).days, 0)} days",
            "Renew it where TLS ends, and see why it wasn't renewed by itself.",
        )
    return ok(CERTIFICATE, f"it verifies, until {ends:%Y-%m-%d}")
