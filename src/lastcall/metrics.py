"""What a node counts of itself, for Prometheus. Labels name routes, types and reasons: never a
person, an address or a token.

Where several processes serve, they share a folder (`PROMETHEUS_MULTIPROC_DIR`, which
`lastcall serve --workers` makes), so that whichever is asked answers for all.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from lastcall.leases.messages import Checks
from lastcall.stores import base

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds."""
_BUCKETS_OF_LEASES: Final = (*_BUCKETS, 10.0, 20.0, 30.0, 40.0, 60.0)
"""Seconds: what can't be reached is waited for, as long as a lease may be used."""


class Metrics:
    """The counters of one node. `shared`: other processes' counts are in the answer too."""

    def __init__(self, *, shared: bool = False) -> None:
        self._own = CollectorRegistry()
        self._shared = shared
        self._requests = Histogram(
            "lastcall_request_seconds",
            "Time to answer a request, by the route as declared",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self._own,
        )
        self._request = cache(self._requests.labels)
        self._records = Counter(
            "lastcall_records",
            "What was recorded in the audit log",
            ("type", "outcome"),
            registry=self._own,
        )
        self._ended = Counter(
            "lastcall_sessions_ended",
            "Active sessions that were ended, by reason; one that runs out is nobody's ending",
            ("reason",),
            registry=self._own,
        )
        self._rotations = Counter(
            "lastcall_rotations",
            "Refresh tokens that took the place of another: refreshes and fresh proofs",
            registry=self._own,
        )
        self._refused = Counter(
            "lastcall_attempts_refused",
            "Attempts that were not looked at, being too many, by the limit",
            ("limit",),
            registry=self._own,
        )
        self._confirmation = Histogram(
            "lastcall_confirmation_seconds",
            "Time from the commit of a termination until no verifier accepts its sessions",
            buckets=_BUCKETS_OF_LEASES,
            registry=self._own,
        )
        self._checks = Counter(
            "lastcall_checks",
            "Checks of tokens by verifiers, as these tell, by what came of them",
            ("verdict",),
            registry=self._own,
        )
        self._introspections = Counter(
            "lastcall_introspections_by_verifiers",
            "Checks for which a verifier had no lease, or knew less than the token, and asked",
            registry=self._own,
        )
        self._verifiers = Gauge(
            "lastcall_verifiers",
            "Verifiers that follow this server: connected, and with a lease",
            ("state",),
            registry=self._own,
            multiprocess_mode="livesum",
        )
        self._lag = Gauge(
            "lastcall_feed_lag_events",
            "Events that the slowest verifier with a lease has not acknowledged",
            registry=self._own,
            multiprocess_mode="livemax",
        )
        self._seq = Gauge(
            "lastcall_log_seq",
            "The event log's end",
            registry=self._own,
            multiprocess_mode="max",
        )
        self._unknown = Gauge(
            "lastcall_unknown_sign_ins",
            "Attempts to sign in as nobody, since the database was made",
            registry=self._own,
            multiprocess_mode="max",
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._request(method, route, status).observe(seconds)

    def refused(self, limit: str) -> None:
        """Count an attempt that was refused unseen."""
        self._refused.labels(limit).inc()

    def confirmed(self, seconds: float) -> None:
        """Count a termination that is confirmed."""
        self._confirmation.observe(seconds)

    def checked(self, checks: Checks) -> None:
        """Count the checks that a verifier tells of."""
        for verdict in ("accepted", "invalid", "expired", "ended", "unavailable"):
            self._checks.labels(verdict).inc(getattr(checks, verdict))
        self._introspections.inc(checks.introspected)

    def following(self, connected: int, leased: int, lag: int) -> None:
        """Tell how many verifiers follow, and how far the slowest is behind."""
        self._verifiers.labels("connected").set(connected)
        self._verifiers.labels("leased").set(leased)
        self._lag.set(lag)

    def committed(self, writes: Sequence[base.Write], committed: base.Committed) -> None:
        """Count what a commit has done."""
        for write in writes:
            if isinstance(write, base.AddRecord):
                self._records.labels(write.record.type, write.record.outcome).inc()
            elif isinstance(write, base.Rotate):
                self._rotations.inc()
        for event in committed.events:
            if event.reason is not None and event.ended:
                self._ended.labels(event.reason).inc(event.ended)

    def write(self, log: base.LogEnd, unknown_sign_ins: int) -> bytes:
        """Give all counts in Prometheus' text format, with these of the store."""
        self._seq.set(log.position.seq)
        self._unknown.set(unknown_sign_ins)
        if not self._shared:
            return generate_latest(self._own)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)
