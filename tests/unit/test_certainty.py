"""What the command line says of how sure an ending is, and what is told of a silent node."""

from datetime import UTC, datetime, timedelta

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
    never = certainty(Confirmation("confirming", None, 1, 0, None))
    assert sure.startswith("Confirmed")
    assert "Confirmed" not in later
    assert "Confirmed" not in never
    assert later != never


def test_a_node_that_has_told_nothing_yet_has_no_verifiers_to_name() -> None:
    row = NodeRow(NodeId("n_1"), 0, None, timedelta(seconds=30), 0, "")
    state = NodeState(row, False, 40.0, None)
    assert not state.leased
    assert verifiers._followers(state, AccountId("a")) == []  # noqa: SLF001
    shown = verifiers._node(state, 7)  # noqa: SLF001
    assert (shown.behind, shown.agent, shown.silent_for) == (7, None, 40)
