"""Real reverse proxies on loopback, with the configurations of `examples`."""

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
import trustme

from tests.conftest import ROOT
from tools.find_proxies import ADVICE, Proxy, installed, read

NAME: Final = "auth.example.com"
"""What the configurations call the server; nobody looks it up."""
URL: Final = f"https://{NAME}"
CLIENT: Final = "127.0.0.2"
"""Where clients come from; proxies reach the server from 127.0.0.1."""
HERE: Final = "127.0.0.3"
"""Where proxies listen: nobody else takes a port there that has just been found free."""
EXAMPLES: Final = ROOT / "examples"
_FILES: Final = {"nginx": "nginx.conf", "caddy": "Caddyfile", "haproxy": "haproxy.cfg"}
_SERVER: Final = "127.0.0.1:8000"
_SERVICE: Final = "127.0.0.1:9000"
_NGINX: Final = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include {config};
}}
"""
_CADDY: Final = """\
{{
	admin off
	default_bind {here}
	http_port {http}
	https_port {https}
}}
"""


def find(name: str) -> Proxy:
    """Give a proxy that was found or made available; skips where there is none."""
    if sys.platform != "linux":
        pytest.skip("only Linux has all of 127.0.0.0/8 on loopback, for clients and proxies")
    answer = ROOT / ".venv" / "proxies" / "found.json"
    found = read(answer).get(name) if answer.exists() else installed(name, os.environ)
    if found is None:
        pytest.skip(ADVICE.format(name=name))
    return found


class Through(httpx.HTTPTransport):
    """Leads to a proxy on loopback whatever the name in the address is."""

    def __init__(self, front: "Front") -> None:
        super().__init__(verify=front.trust, local_address=CLIENT)
        self._ports = {"https": front.https, "http": front.http}
        self._host = front.host

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; what it says of its host stays as it is."""
        url = request.url.copy_with(host=HERE, port=self._ports[request.url.scheme])
        extensions = {**request.extensions, "sni_hostname": self._host}
        return super().handle_request(
            httpx.Request(
                request.method, url, headers=request.headers, stream=request.stream,
                extensions=extensions,
            )
        )  # fmt: skip


@dataclass(frozen=True)
class Front:
    """A proxy that accepts connections."""

    name: str
    https: int
    http: int
    authority: Path
    """The file with the certificate of who signed the proxy's."""
    trust: ssl.SSLContext
    """What believes the proxy's certificate."""
    host: str

    def client(self, headers: Mapping[str, str] | None = None) -> httpx.Client:
        """A client with a cookie jar that comes through the proxy."""
        return httpx.Client(
            transport=Through(self), base_url=f"https://{self.host}", headers=headers, timeout=20
        )

    def send(self, raw: bytes) -> bytes:
        """Send raw bytes over TLS; give what is answered until the connection is closed, or until
        there is nothing more for a second."""
        address = (HERE, self.https)
        with (
            socket.create_connection(address, 20, source_address=(CLIENT, 0)) as plain,
            self.trust.wrap_socket(plain, server_hostname=self.host) as line,
        ):
            line.settimeout(1)
            answer = b""
            with suppress(TimeoutError, ConnectionError, ssl.SSLEOFError):
                line.sendall(raw)
                while part := line.recv(65536):
                    answer += part
            return answer


@contextmanager
def in_front_of(
    port: int,
    name: str,
    folder: Path,
    example: str = "proxies",
    host: str = NAME,
    service: int | None = None,
) -> Iterator[Front]:
    """Run a proxy in front of a server, and of a service where its example has one, until the block
    ends."""
    proxy, (https, http) = find(name), _free_ports(2)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued = authority.issue_cert(host)
    issued.private_key_pem.write_to_path(folder / "privkey.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "fullchain.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / f"{host}.pem")
    where = {_SERVER: f"127.0.0.1:{port}"}
    if service is not None:
        where[_SERVICE] = f"127.0.0.1:{service}"
    command = [proxy.path, *_prepare(name, folder, EXAMPLES / example, host, where, https, http)]
    own = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    log = folder / "proxy.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, cwd=folder, env=proxy.environment({**os.environ, **own}), stdout=errors,
            stderr=errors,
        )  # fmt: skip
        try:
            for each in (https, http):
                _await(process, each, log)
            signed_by = folder / "authority.pem"
            trust = ssl.create_default_context(cafile=str(signed_by))
            yield Front(name, https, http, signed_by, trust, host)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _prepare(
    name: str,
    folder: Path,
    example: Path,
    host: str,
    where: Mapping[str, str],
    https: int,
    http: int,
) -> list[str]:
    """Write the example with this test's addresses, ports and files; give the arguments."""
    config = folder / _FILES[name]
    changes = dict(where)
    certificates = f"/etc/ssl/{host}"
    match name:
        case "nginx":
            changes |= {
                "listen 443 ": f"listen {HERE}:{https} ",
                "listen 80 ": f"listen {HERE}:{http} ",
                certificates: str(folder),
            }
            main = folder / "main.conf"
            main.write_text(_NGINX.format(config=config))
            arguments = ["-p", str(folder), "-e", "stderr", "-c", str(main)]
        case "caddy":
            changes |= {certificates: str(folder)}
            arguments = ["run", "--adapter", "caddyfile", "--config", str(config)]
        case _:
            changes |= {
                "bind :443 ": f"bind {HERE}:{https} ",
                "bind :80": f"bind {HERE}:{http}",
                "/etc/haproxy": str(folder),
            }
            arguments = ["-db", "-f", str(config)]
            for script in example.glob("*.lua"):
                (folder / script.name).write_text(_rewritten(script, where))
    text = _rewritten(example / _FILES[name], changes)
    if name == "caddy":
        text = _CADDY.format(here=HERE, https=https, http=http) + text
    config.write_text(text)
    return arguments


def _rewritten(file: Path, changes: Mapping[str, str]) -> str:
    """Read an example without its comments, with addresses and files of this test's own."""
    text = "\n".join(
        line for line in file.read_text().split("\n") if not line.lstrip().startswith(("#", "--"))
    )
    for old, new in changes.items():
        assert old in text or file.suffix == ".lua"
        text = text.replace(old, new)
    return text


def _free_ports(count: int) -> list[int]:
    opened = [socket.create_server((HERE, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in opened]
    for one in opened:
        one.close()
    return ports


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until it accepts connections."""
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection((HERE, port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the proxy has ended: {log.read_text()}")
