"""Which of the machine's clocks leases count by."""

import sys
import time

import pytest

from lastcall import clock


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_leases_count_by_a_clock_that_goes_on_in_sleep(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLOCK_BOOTTIME on Linux, CLOCK_MONOTONIC on macOS; Windows' own counts its sleep."""
    monkeypatch.setattr(sys, "platform", platform)
    chosen = clock._lease_clock()  # noqa: SLF001  what is chosen at the import
    assert chosen() <= chosen()
    if platform == "linux":
        assert abs(chosen() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1
