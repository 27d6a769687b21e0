"""Says what to install where a framework is missing."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(framework: str, extra: str) -> Iterator[None]:
    """Import a framework in this block. Raises ImportError that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        text = f"lastcall.integrations.{extra} needs {framework}: pip install 'lastcall[{extra}]'"
        raise ImportError(text) from error
