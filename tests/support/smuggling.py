"""Requests of which two servers in a row could disagree where they end (RFC 9112, section 11.2)."""

from typing import Final

PATH: Final = "/smuggled"
"""What the hidden request asks for."""
_HIDDEN: Final = b"GET " + PATH.encode() + b" HTTP/1.1\r\nHost: auth.example.com\r\n\r\n"
_CHUNKED: Final = b"0\r\n\r\n" + _HIDDEN
_LENGTH: Final = b"Content-Length: %d\r\n" % len(_CHUNKED)
_CHUNK: Final = b"Transfer-Encoding: chunked\r\n"


def _post(head: bytes, body: bytes = _CHUNKED) -> bytes:
    return (
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: auth.example.com\r\n"
        b"Content-Type: application/json\r\n" + head + b"\r\n" + body
    )


AMBIGUOUS: Final = {
    "length and chunks": _post(_LENGTH + _CHUNK),
    "chunks and length": _post(_CHUNK + _LENGTH),
    "two lengths": _post(b"Content-Length: 0\r\n" + _LENGTH),
    "two lengths, hidden one first": _post(_LENGTH + b"Content-Length: 0\r\n"),
    "two lengths in one": _post(b"Content-Length: 0, %d\r\n" % len(_CHUNKED)),
    "a length with a sign": _post(b"Content-Length: +%d\r\n" % len(_CHUNKED)),
    "a length below nothing": _post(b"Content-Length: -1\r\n"),
    "a length with a hole": _post(b"Content-Length: 1 0\r\n"),
    "a hexadecimal length": _post(b"Content-Length: 0x10\r\n"),
    "no length": _post(b"Content-Length:\r\n"),
    "a length that is too large to count": _post(b"Content-Length: 18446744073709551617\r\n"),
    "space before the colon": _post(_LENGTH + b"Transfer-Encoding : chunked\r\n"),
    "a tab before the colon": _post(_LENGTH + b"Transfer-Encoding\t: chunked\r\n"),
    "space before the name": _post(b"X-Y: z\r\n Transfer-Encoding: chunked\r\n" + _LENGTH),
    "an unknown coding": _post(_LENGTH + b"Transfer-Encoding: xchunked\r\n"),
    "a coding in quotes": _post(_LENGTH + b'Transfer-Encoding: "chunked"\r\n'),
    "a coding after a control": _post(_LENGTH + b"Transfer-Encoding: \x0bchunked\r\n"),
    "a coding with a zero byte": _post(_LENGTH + b"Transfer-Encoding: chunked\0\r\n"),
    "a coding on the next line": _post(_LENGTH + b"Transfer-Encoding:\r\n chunked\r\n"),
    "chunks that are not the last coding": _post(b"Transfer-Encoding: chunked, identity\r\n"),
    "chunks twice": _post(b"Transfer-Encoding: chunked, chunked\r\n"),
    "an unknown coding alone": _post(b"Transfer-Encoding: cow\r\n"),
    "codings in two headers": _post(_CHUNK + b"Transfer-Encoding: identity\r\n"),
    "a coding after a bare line feed": _post(b"X-Y: z\n" + _CHUNK + _LENGTH),
    "a coding after a bare return": _post(b"X-Y: z\r" + _CHUNK + _LENGTH),
    "bare line feeds": _post(_LENGTH, b"").replace(b"\r\n", b"\n") + _CHUNKED,
    "a chunk's size with a sign": _post(_CHUNK, b"+0\r\n\r\n" + _HIDDEN),
    "a chunk's size in decimals": _post(_CHUNK, b"0x0\r\n\r\n" + _HIDDEN),
    "a chunk's size with a hole": _post(_CHUNK, b"0 0\r\n\r\n" + _HIDDEN),
    "a chunk's size with a bare line feed": _post(_CHUNK, b"2;\n{}\r\n0\r\n\r\n" + _HIDDEN),
    "a chunk that is longer than it says": _post(_CHUNK, b"2\r\n{}{}\r\n0\r\n\r\n" + _HIDDEN),
    "a chunk's size that is too large to count": _post(_CHUNK, b"1" + b"0" * 16 + b"2\r\n{}\r\n"),
}
