"""How rows are deleted for good."""

from sqlalchemy import delete, select, update

from lastcall.errors import LostRace
from lastcall.stores import base
from lastcall.stores.apply import apply
from lastcall.stores.purge import KINDS
from lastcall.stores.rows import micros
from lastcall.stores.schema import log, sign_ins, single_use
from lastcall.stores.transaction import Transaction


@apply.register
def _(write: base.Drop, transaction: Transaction) -> None:
    db, kind = transaction.db, KINDS[write.kind]
    over = (
        select(kind.key)
        .select_from(kind.source)
        .where(kind.key.in_(write.keys), kind.over)
        .params(before=micros(write.before))
    )
    keys = db.execute(over).scalars().all()
    if len(keys) != len(set(write.keys)):
        raise LostRace("some of this is gone already, or not over")
    if not keys:
        return
    match write.kind:
        case "sessions":
            db.execute(delete(sign_ins).where(sign_ins.c.session_id.in_(keys)))
        case "users":
            db.execute(delete(single_use).where(single_use.c.user_id.in_(keys)))
        case "events":
            # The floor first (rule 4): a token from before what is forgotten needs a refresh.
            newest = max(keys)
            db.execute(update(log).where(log.c.floor < newest).values(floor=newest))
        case _:
            pass
    db.execute(delete(kind.key.table).where(kind.key.in_(keys)))
