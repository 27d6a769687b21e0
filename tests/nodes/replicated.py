"""A PostgreSQL primary with a standby that confirms each commit, and takes its place."""

from dataclasses import dataclass

from lastcall.clock import lease_clock
from tools.postgres import Cluster
from tools.replication import STANDBY, follow, make_synchronous, promote, rejoin, timeline


@dataclass
class Replicated:
    """Two servers, known by one address."""

    primary: Cluster
    standby: Cluster

    @classmethod
    def start(cls) -> "Replicated":
        """Make both."""
        primary = Cluster()
        try:
            primary.start()
            standby = follow(primary)
        except BaseException:
            primary.close()
            raise
        made = cls(primary, standby)
        make_synchronous(primary, STANDBY)
        return made

    def url(self, database: str) -> str:
        """Give a database's address, in an order that says nothing."""
        ports = sorted((self.primary.port, self.standby.port))
        places = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"postgresql://postgres@{places}/{database}"

    @property
    def timeline(self) -> int:
        """The number of the primary's timeline."""
        return timeline(self.primary)

    def fail_over(self) -> float:
        """Kill the primary and have the standby take its place; give when the one was dead."""
        self.primary.kill()
        killed = lease_clock()
        promote(self.standby)
        self.primary, self.standby = self.standby, self.primary
        return killed

    def rejoin(self) -> None:
        """Have the old primary follow the new one, which waits for it from now on."""
        rejoin(self.standby, self.primary)
        make_synchronous(self.primary, STANDBY)

    def close(self) -> None:
        """End both."""
        self.standby.close()
        self.primary.close()
