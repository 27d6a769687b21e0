"""Says what to install where something is missing."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(what: str, extra: str, module: str | None = None) -> Iterator[None]:
    """Import a framework, or whatever an extra brings, in this block; `module` is the one that does
    so, that of the framework's integration unless given. Raises ImportError that says what to
    install."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = module or f"lastcall.integrations.{extra}"
        raise ImportError(f"{name} needs {what}: pip install 'lastcall[{extra}]'") from error
