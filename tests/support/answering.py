"""Servers that say one thing to whoever asks, whatever it is."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LENGTH: Final = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n")


@contextmanager
def answering(raw: bytes, tls: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers every connection alike; gives its port, and what it was asked."""
    asked: list[bytes] = []

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    if tls is not None:
                        connection = tls.wrap_socket(connection, server_side=True)
                    asked.append(_request(connection))
                    connection.sendall(raw)
                except OSError:
                    pass
                finally:
                    connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def http(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """Write an answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _request(connection: socket.socket) -> bytes:
    """Read one request, its body too."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
        head, end, body = data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if end and len(body) >= (int(length[1]) if length else 0):
            break
    return data
