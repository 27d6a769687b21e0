"""What the command line says of how sure an ending is, and what is told of a silent node."""

from datetime import UTC, datetime, timedelta

import pytest

from lastcall.cli.text import certainty
from lastcall.feed.leases import NodeState
from lastcall.http import verifiers
from lastcall.ids import AccountId, NodeId
from lastcall.sessions.endings import Confirmation
from lastcall.stores.base import NodeRow


def test_the_command_line_claims_no_more_than_is_known() -> None:
    moment = datetime(2026, 11, 26, 12, tzinfo=UTC)
    sure = certainty(Confirmation("confirmed", None, 0, 0, None))
    later = certainty(Confirmation("confirming", moment, 1, 0, None))
    late = certainty(Confirmation("confirmed", None, 3, 1, None))
    never = certainty(Confirmation("confirming", None, 1, 0, None))
    assert sure.startswith("Confirmed")
    assert "Confirmed" not in later
    assert "Confirmed" not in never
    assert later != never
    assert "2 services have not confirmed" in late


@pytest.mark.parametrize(
    ("verifiers", "unreachable", "text"),
    [
        (0, 0, "A server has not confirmed yet"),
        (1, 0, "1 service has not confirmed yet"),
        (3, 1, "2 services have not confirmed yet, 1 service can't be reached"),
        (2, 2, "2 services can't be reached"),
    ],
)
def test_the_command_line_calls_unreachable_only_who_is_not_connected(
    verifiers: int, unreachable: int, text: str
) -> None:
    moment = datetime(2026, 11, 26, 12, 0, 0, 1, tzinfo=UTC)
    found = Confirmation("confirming", moment, verifiers, 0, None, unreachable)
    assert certainty(found) == f"{text}; certain by 12:00:01 UTC."


def test_a_node_that_has_told_nothing_yet_has_no_verifiers_to_name() -> None:
    row = NodeRow(NodeId("n_1"), 0, None, timedelta(seconds=30), 0, "")
    state = NodeState(row, False, 40.0, None, datetime(2026, 11, 26, 12, tzinfo=UTC))
    assert not state.leased
    assert state.quiet
    assert state.followers(AccountId("a")) == []
    assert state.unnamed(AccountId("a")) == 0
    shown = verifiers._node(state, 7)  # noqa: SLF001
    assert (shown.behind, shown.agent, shown.silent_for) == (7, None, 40)
