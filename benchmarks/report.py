"""What is printed: the ratios, how to read them, and the machine that they come from."""

import os
import platform
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter

from benchmarks.measure import Outcome, Side

PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "sqlalchemy", "cryptography", "joserfc")
HOW_TO_READ = """\
ratio: lastcall's rate over the floor's, within one round; the median of the rounds, and from
which to which. Of "bare route", what the web server could give if nothing were to be done; of
the others, what is left by lastcall of the same work done bare. Rates are medians of the
rounds; p50 and p99 are milliseconds, as a client sees them. Rates change with the machine and
with what else runs on it; compare ratios."""


def machine(folder: Path) -> dict[str, object]:
    """Say what this run's figures come from; `folder` is on the disk that is written."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "sync_ms": round(_sync_seconds(folder) * 1000, 3),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: _version(name) for name in ("lastcall", *PACKAGES)},
    }


def describe(facts: dict[str, object]) -> str:
    """Write the machine as lines."""
    first = (
        f"{facts['processor']}, {facts['processors']} processors, {facts['system']}, "
        f"a durable write takes {facts['sync_ms']} ms, load {facts['load']} before the run"
    )
    names = ("lastcall", "python", "sqlite", *PACKAGES)
    return first + "\n" + ", ".join(f"{name} {facts[name]}" for name in names)


def table(outcomes: list[Outcome], unit: float = 1e-3) -> str:
    """Write the outcomes as a table; latencies are in `unit`, in seconds."""
    head = ("operation", "clients", "lastcall/s", "p50", "p99", "floor", "floor/s", "p50", "p99")
    lines: list[tuple[str, ...]] = [(*head, "ratio", "(from-to)")]
    for outcome in outcomes:
        own: tuple[str, ...] = (outcome.case, str(outcome.clients), *_side(outcome.lastcall, unit))
        for floor in outcome.floors:
            ratios = outcome.ratios(floor)
            spread = f"({_ratio(min(ratios))}-{_ratio(max(ratios))})"
            lines.append((*own, floor.name, *_side(floor, unit), _ratio(median(ratios)), spread))
            own = ("",) * 5
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = {0, 5, 10}
    return "\n".join(
        "  ".join(
            text.ljust(width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def data(outcomes: list[Outcome]) -> list[dict[str, object]]:
    """Write the outcomes for a program. Latencies are in seconds."""
    return [
        {
            "operation": outcome.case,
            "clients": outcome.clients,
            "lastcall": _figures(outcome.lastcall),
            "floors": [
                {
                    "name": floor.name,
                    **_figures(floor),
                    "ratio": median(outcome.ratios(floor)),
                    "ratios": outcome.ratios(floor),
                }
                for floor in outcome.floors
            ],
        }
        for outcome in outcomes
    ]


def _figures(side: Side) -> dict[str, float]:
    return {"rate": side.rate, "p50": side.latency(0.5), "p99": side.latency(0.99)}


def _side(side: Side, unit: float) -> tuple[str, str, str]:
    p50, p99 = (f"{side.latency(share) / unit:.2f}" for share in (0.5, 0.99))
    rate = f"{side.rate:,.0f}" if side.rate >= 100 else f"{side.rate:.1f}"
    return rate, p50, p99


def _ratio(value: float) -> str:
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    if name == "uvloop" and sys.platform == "win32":
        return "none"
    return version(name)


def _sync_seconds(folder: Path) -> float:
    """Time a small durable write, as the floor below every commit."""
    times = []
    with TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(50):
            before = perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            times.append(perf_counter() - before)
    return median(times)
