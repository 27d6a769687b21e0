"""How the log itself goes on: with another epoch, on a settled timeline, or just as it is."""

from sqlalchemy import delete, update

from lastcall.events import SYSTEM
from lastcall.stores import base, schema
from lastcall.stores.apply import apply
from lastcall.stores.transaction import Transaction


@apply.register
def _(write: base.OpenEpoch, transaction: Transaction) -> None:
    # A floor at the end: no event of another epoch is given to anybody (rules 4 and 5).
    transaction.db.execute(
        update(schema.log).values(
            epoch=write.epoch,
            timeline_number=write.timeline.number,
            timeline_name=write.timeline.name,
            floor=schema.log.c.seq,
            settled=False,
        )
    )
    transaction.append("timeline_opened", write.at, actor=SYSTEM)
    transaction.db.execute(delete(schema.nodes))


@apply.register
def _(write: base.SettleTimeline, transaction: Transaction) -> None:
    transaction.require(
        update(schema.log)
        .where(
            schema.log.c.epoch == write.epoch,
            schema.log.c.timeline_number == write.timeline.number,
            schema.log.c.timeline_name == write.timeline.name,
        )
        .values(settled=True)
    )


@apply.register
def _(_write: base.MakeDurable, transaction: Transaction) -> None:
    transaction.require(update(schema.log).values(settled=schema.log.c.settled))
