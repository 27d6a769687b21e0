"""Where a browser may be sent back to: a path of this origin, and nothing else (ASVS 3.7.2).

For the server, and for applications with a sign-in of their own.
"""

import re
from typing import Final

LENGTH: Final = 2048
_PATH: Final = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*")
_REST: Final = re.compile(r"(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*)?(?:#[A-Za-z0-9\-._~%/]*)?")
_DISGUISED: Final = re.compile(r"%(?![0-9a-f]{2})|%(?:2e|2f|5c|7f|[01][0-9a-f])", re.IGNORECASE)


def local_path(text: str | None, otherwise: str) -> str:
    r"""Give the path to send a browser to; `otherwise` where it is not one of this origin.

    Refused are schemes, hosts (`//host`, `/\host`), dot segments, control characters, and these
    in disguise.
    """
    if text is None or len(text) > LENGTH:
        return otherwise
    path = _PATH.match(text)
    if path is None or not _REST.fullmatch(text, path.end()):
        return otherwise
    segments = path[0].split("/")[1:]
    doubled = any(not segment for segment in segments[:-1])
    if doubled or "." in segments or ".." in segments or _DISGUISED.search(path[0]):
        return otherwise
    return text
