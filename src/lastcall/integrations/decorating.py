"""`@session_required`, alone or with what it requires."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, overload

View = TypeVar("View", bound=Callable[..., Any])


class Guard(Protocol):
    """Puts something in front of a view: a framework's own way to do that."""

    def __call__(self, view: View, *roles: str, max_age: int | None) -> View:
        """Give the view that is called in its place."""


class Decorator(Protocol):
    """What is put on a view: `@session_required`, or `@session_required("admin", max_age=600)`."""

    @overload
    def __call__(self, view: View, /) -> View: ...
    @overload
    def __call__(self, *roles: str, max_age: int | None = None) -> Callable[[View], View]: ...


def decorator(guard: Guard) -> Decorator:
    """Make the decorator of a framework."""

    def session_required(*given: Any, max_age: int | None = None) -> Any:  # noqa: ANN401
        """Let only those on to a view who have a live session: with one of the roles, where any are
        named; of a user who proved who they are at most `max_age` seconds ago, where that is given.
        Others are answered as `Visit.require` says."""
        if given and callable(given[0]):
            return guard(given[0], max_age=max_age)
        return lambda view: guard(view, *given, max_age=max_age)

    return session_required
