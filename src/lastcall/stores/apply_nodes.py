"""How the rows of nodes are written. A node's life hangs on them: it serves while it can renew."""

from datetime import timedelta

from sqlalchemy import bindparam, delete, insert, update
from sqlalchemy.exc import IntegrityError

from lastcall.errors import LostRace
from lastcall.stores import base, log
from lastcall.stores.apply import apply
from lastcall.stores.prepared import Prepared
from lastcall.stores.schema import nodes
from lastcall.stores.transaction import Transaction, require_change

_ACKED = ("acked_epoch", "acked_timeline_number", "acked_timeline_name", "acked_seq")
_SECOND = timedelta(seconds=1)
_RENEW = Prepared(
    update(nodes)
    .where(nodes.c.id == bindparam("node_id"))
    .values(
        beat=nodes.c.beat + 1,
        **{name: bindparam(name) for name in (*_ACKED, "verifiers", "about")},
    )
)


@apply.register
def _(write: base.RegisterNode, transaction: Transaction) -> None:
    try:
        transaction.db.execute(
            insert(nodes).values(
                id=write.id, beat=0, lease=write.lease // _SECOND, verifiers=0, about=""
            )
        )
    except IntegrityError as error:
        raise LostRace("a node of this id is registered already") from error


@apply.register
def _(write: base.RenewNode, transaction: Transaction) -> None:
    # What a node that has seen another log would call durable was perhaps lost; and a row that
    # names a place of another log would confirm what its node has never read.
    named = {write.known, write.acked or write.known}
    if not all(log.holds(transaction.db, position) for position in named):
        raise LostRace("the log does not contain what this node knows")
    values: tuple[object, ...] = (None,) * len(_ACKED)
    if write.acked is not None:
        values = (write.acked.epoch, *write.acked.timeline, write.acked.seq)
    acked = dict(zip(_ACKED, values, strict=True))
    told = {"verifiers": write.verifiers, "about": write.about}
    require_change(_RENEW.change(transaction.db, node_id=write.id, **acked, **told))


@apply.register
def _(write: base.RemoveNode, transaction: Transaction) -> None:
    transaction.require(delete(nodes).where(nodes.c.id == write.id, nodes.c.beat == write.beat))
