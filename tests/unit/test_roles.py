"""Who may do what to whom."""

import pytest

from lastcall.errors import Forbidden
from lastcall.identity import roles
from lastcall.identity.model import Role
from tests.support.values import a_user


@pytest.mark.parametrize(
    ("role", "administers", "owns"),
    [
        ("member", False, False),
        ("admin", True, False),
        ("owner", True, True),
        ("", False, False),
        ("Owner", False, False),
    ],
)
def test_admins_and_owners_administer_and_owners_alone_own(
    role: str, administers: bool, owns: bool
) -> None:
    assert passes(roles.require_admin, role) is administers
    assert passes(roles.require_owner, role) is owns


@pytest.mark.parametrize(
    ("role", "over", "may"),
    [
        ("member", "member", False),
        ("member", "owner", False),
        ("admin", "member", True),
        ("admin", "admin", True),
        ("admin", "owner", False),
        ("owner", "member", True),
        ("owner", "admin", True),
        ("owner", "owner", True),
    ],
)
def test_an_admin_acts_on_everybody_but_owners_and_a_member_on_nobody(
    role: str, over: Role, may: bool
) -> None:
    assert passes(roles.require_over, role, a_user(role=over)) is may


def test_what_nobody_may_do_to_themselves_may_be_done_to_others_and_by_no_user() -> None:
    ada, grace = a_user("ada"), a_user("grace")
    assert not passes(roles.require_other, ada.id, ada)
    assert passes(roles.require_other, grace.id, ada)
    assert passes(roles.require_other, None, ada)


def test_a_refusal_says_who_may() -> None:
    owner = a_user(role="owner")
    with pytest.raises(Forbidden, match=r"^only administrators may do this$"):
        roles.require_admin("member")
    with pytest.raises(Forbidden, match=r"^only owners may do this$"):
        roles.require_owner("admin")
    with pytest.raises(Forbidden, match=r"^only an owner may .* an owner$"):
        roles.require_over("admin", owner)
    with pytest.raises(Forbidden, match=r"^nobody may .*; ask another owner$"):
        roles.require_other(owner.id, owner)


def passes(rule: object, *arguments: object) -> bool:
    """Whether a rule lets these pass."""
    assert callable(rule)
    try:
        rule(*arguments)
    except Forbidden:
        return False
    return True
