"""Who may do what to whom (http-api, Administration): pure rules that raise Forbidden.

An owner may do everything, an admin what is no owner's alone, and a member nothing here.
"""

from lastcall.errors import Forbidden
from lastcall.identity.model import Role, User
from lastcall.ids import UserId

ADMINS: tuple[Role, ...] = ("admin", "owner")


def require_admin(role: str) -> None:
    """Hold for admins and owners."""
    if role not in ADMINS:
        raise Forbidden("only administrators may do this")


def require_owner(role: str) -> None:
    """Hold for owners: roles, keys and an account's sessions at once are theirs."""
    if role != "owner":
        raise Forbidden("only owners may do this")


def require_over(role: str, target: User) -> None:
    """Hold for who may act on a user: on owners only an owner does."""
    require_admin(role)
    if target.role == "owner" and role != "owner":
        raise Forbidden("only an owner may do this to an owner")


def require_other(user_id: UserId | None, target: User) -> None:
    """Hold for what nobody may do to themselves: change their role, suspend, remove."""
    if user_id == target.id:
        raise Forbidden("nobody may do this to themselves; ask another owner")
