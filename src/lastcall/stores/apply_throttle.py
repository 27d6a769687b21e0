"""How attempts are counted: one row a slot, read and written under the commit's lock."""

from typing import Any

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from lastcall.limits import Slot
from lastcall.stores import base, rows
from lastcall.stores.apply import apply
from lastcall.stores.rows import micros
from lastcall.stores.schema import throttle
from lastcall.stores.transaction import Transaction


@apply.register
def _(write: base.Take, transaction: Transaction) -> None:
    for slot in write.slots:
        found = _find(slot, transaction)
        if found is None:
            # Free since 1970; of several who come first at once, all but one wait for its row.
            row = {"limit": slot.limit.name, "slot": slot.number, "free_at": 0}
            transaction.db.execute(
                _insert(transaction)(throttle).values(row).on_conflict_do_nothing()
            )
            found = _find(slot, transaction) or 0
        _set(slot, micros(slot.limit.take(rows.moment(found), write.at)), transaction)


@apply.register
def _(write: base.GiveBack, transaction: Transaction) -> None:
    for slot in write.slots:
        found = _find(slot, transaction)
        if found is not None:
            free_at = slot.limit.give_back(rows.moment(found), write.at)
            _set(slot, micros(free_at), transaction)


def _find(slot: Slot, transaction: Transaction) -> int | None:
    row = select(throttle.c.free_at).where(_is(slot)).with_for_update()
    found: int | None = transaction.db.execute(row).scalar_one_or_none()
    return found


def _insert(transaction: Transaction) -> Any:  # noqa: ANN401  each database has a type of its own
    return postgresql.insert if transaction.db.dialect.name == "postgresql" else sqlite.insert


def _set(slot: Slot, free_at: int, transaction: Transaction) -> None:
    transaction.db.execute(update(throttle).where(_is(slot)).values(free_at=free_at))


def _is(slot: Slot) -> ColumnElement[bool]:
    return and_(throttle.c.limit == slot.limit.name, throttle.c.slot == slot.number)
