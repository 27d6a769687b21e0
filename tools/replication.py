"""Two PostgreSQL servers of which one follows the other, for tests and benchmarks of a failover.

A failover is `primary.kill()` and `promote(standby)`; `rejoin(primary, standby)` makes the old
primary follow the new one.
"""

from typing import Final

from tools.postgres import SUPERUSER, Cluster

STANDBY: Final = "standby"


def follow(primary: Cluster, name: str = STANDBY, *, port: int | None = None) -> Cluster:
    """Copy a running server, and start the copy as its standby.

    Args:
        primary: Whom it follows.
        name: What the primary knows it by.
        port: By which port of this machine it comes to the primary, where that isn't its own.
    """
    standby = Cluster()
    try:
        standby.run(
            *("pg_basebackup", "-D", standby.data, "-d", _address(primary, name, port)),
            *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
        )
        _start(standby)
    except BaseException:
        standby.close()
        raise
    return standby


def promote(standby: Cluster) -> None:
    """Make a standby a primary that takes writes, and asks no standby for anything."""
    standby.execute("SELECT pg_promote()")
    standby.until("take writes", lambda: not standby.value("SELECT pg_is_in_recovery()"))


def rejoin(old: Cluster, primary: Cluster, name: str = STANDBY, *, port: int | None = None) -> None:
    """Start a former primary as a standby of the one that took its place. What it had committed
    and the other never heard of is lost."""
    if old.running:
        old.stop()
    # One that was killed must come up once, or there is no clean end to go back from.
    address = _address(primary, name, port)
    old.run(
        *("pg_rewind", "-D", old.data, "--source-server", f"{address} dbname=postgres"),
        *("--write-recovery-conf", "--no-sync"),
    )
    _start(old)


def make_synchronous(primary: Cluster, *names: str) -> None:
    """Let commits answer only when all these standbys have written them down, and wait until that
    holds; without names, commits wait for none."""
    wanted = f"{len(names)} ({', '.join(names)})" if names else ""
    _set_synchronous(primary, wanted)
    followed = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    primary.until("hear of its standbys", lambda: primary.value(followed) == len(names))


def wait_caught_up(standby: Cluster, primary: Cluster) -> None:
    """Wait until a standby shows all that the primary has written down by now."""
    position = primary.value("SELECT pg_current_wal_flush_lsn()::text")
    shown = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
    standby.until(f"reach {position}", lambda: standby.value(shown, position))


def timeline(primary: Cluster) -> int:
    """Give the number of a primary's timeline: each promotion begins another."""
    return int(primary.value("SELECT pg_walfile_name(pg_current_wal_lsn())")[:8], 16)


def _address(primary: Cluster, name: str, port: int | None) -> str:
    at = primary.port if port is None else port
    return f"host=127.0.0.1 port={at} user={SUPERUSER} application_name={name}"


def _start(standby: Cluster) -> None:
    standby.start()
    # A primary's settings came along; once promoted it has no standby to wait for.
    _set_synchronous(standby, "")


def _set_synchronous(cluster: Cluster, names: str) -> None:
    cluster.execute(
        f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()"
    )
