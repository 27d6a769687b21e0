"""Another process of the same server, which others get ahead of."""

from pathlib import Path
from typing import Any

from lastcall.node import Node
from lastcall.sessions.service import Sessions
from lastcall.stores import base
from lastcall.stores.sqlite import SqliteStore
from lastcall.throttle import Throttle
from tests.support.nodes import DATABASE


class RacingStore(SqliteStore):
    """The store, where another process gets in just before this one's next commit."""

    racer: Any = None

    async def commit(self, *writes: base.Write, actor: Any = None) -> base.Committed:  # noqa: ANN401
        if self.racer is not None:
            racer, self.racer = self.racer, None
            await racer()
        return await super().commit(*writes, actor=actor)


class Rival:
    """A process of the same server whose next commit comes second."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.store = RacingStore(folder / DATABASE)
        mine = node.sessions
        self.sessions = Sessions(
            store=self.store,
            secrets=node.secrets,
            signing=node.signing,
            locator=node.locator,
            policy=mine.policy,
            issuer=mine.issuer,
            audience=mine.audience,
            cell="c1",
            throttle=Throttle(self.store, node.secrets.throttle, node.clock),
            clock=node.clock,
            entropy=node.entropy,
        )
