"""`lastcall purge`: delete for good what is over and no longer shown."""

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from lastcall.cli.common import Call, on_node
from lastcall.cli.text import table
from lastcall.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from lastcall.node import Node
    from lastcall.purge import Batch, Report
    from lastcall.stores.base import PurgeKind

_WORDS: Final[dict["PurgeKind", str]] = {
    "sessions": "sessions that ended over 90 days ago",
    "users": "removed users without a session",
    "links": "links used or run out over 90 days ago",
    "keys": "service keys revoked over 90 days ago",
    "records": "audit records over {audit_days} days old",
    "events": "events that end no session and no token",
}


@click.command()
@click.option(
    "--audit-days",
    type=click.IntRange(min=90, max=36500),
    default=400,
    show_default=True,
    help="how long the audit log is kept",
)
@click.option("--dry-run", is_flag=True, help="only say what would be deleted")
@on_node()
async def purge(call: Call, node: "Node", audit_days: int, dry_run: bool) -> None:
    """Delete for good what is over and no longer shown; run it daily, servers may go on.

    It deletes at most 500 rows at a time and lets others go first. Stopped halfway, it goes on the
    next time.
    """
    from lastcall.identity.administration import OPERATOR
    from lastcall.purge import KINDS, Purge

    shown = [""]

    def show(_: int | None) -> str:
        return shown[0]

    with click.progressbar(
        length=len(KINDS),
        label="Looking" if dry_run else "Purging",
        file=sys.stderr,
        show_eta=False,
        show_pos=True,
        item_show_func=show,
        hidden=call.json,
    ) as bar:
        counts = dict.fromkeys(KINDS, 0)

        def watch(batch: "Batch") -> None:
            counts[batch.kind] += batch.deleted
            shown[0] = f"{counts[batch.kind]} {batch.kind}"
            bar.update(KINDS.index(batch.kind) - bar.pos)
            bar.render_progress()

        try:
            report = await Purge(node.store, node.settings.policy, node.clock).run(
                OPERATOR, audit_kept=timedelta(days=audit_days), dry=dry_run, watch=watch
            )
        except (Unavailable, Conflict) as error:
            done = "; ".join(f"{number} {kind}" for kind, number in counts.items() if number)
            raise type(error)(
                f"{error}. Deleted before: {done or 'nothing'}. Run it again to go on."
            ) from error
        shown[0] = ""
        bar.update(len(KINDS) - bar.pos)
    _tell(call, report, audit_days, dry_run)


def _tell(call: Call, report: "Report", audit_days: int, dry_run: bool) -> None:
    data = {
        "dry_run": dry_run,
        "deleted": report.deleted,
        "batches": report.batches,
        "longest_batch_ms": round(report.longest * 1000, 1),
        "seconds": round(report.seconds, 3),
    }
    rows = [
        (f"{number:,}", _WORDS[kind].format(audit_days=audit_days))
        for kind, number in report.deleted.items()
    ]
    call.answer(data, table(("WOULD GO" if dry_run else "DELETED", "WHAT"), rows))
    if dry_run:
        if report.deleted["sessions"]:
            call.say("Users and events that only these sessions keep would go with them.")
        call.say("Nothing was deleted.")
    else:
        call.say(
            f"Took {report.seconds:.1f} s; the longest of {report.batches:,} transactions "
            f"took {report.longest * 1000:.0f} ms."
        )
