"""A place behind a network of its own (a Linux network namespace), which can lose one direction.

Packets are lost, not bytes of a connection: TCP sends them again, each time after a longer pause,
and neither end is told anything. What is lost goes to a neighbour whom nobody is.
"""

import os
import random
import shutil
import subprocess
import sys

from tests.support.rough_proxy import Direction

NOBODY = "02:00:00:00:00:99"
"""An address on the link that is nobody's."""


def missing() -> str | None:
    """Say why there can't be one here; None where there can."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return "there is no `ip` here, which makes network namespaces"
    if os.geteuid() != 0:
        return "only root may make a network namespace"
    try:
        Network().close()
    except subprocess.CalledProcessError as error:
        return f"no network namespace can be made here: {error.stderr.strip()}"
    return None


class Network:
    """A namespace and a link to it. Addresses are in 10.213.0.0/16, chosen by chance."""

    def __init__(self) -> None:
        number = random.randrange(1 << 14)
        high, low = divmod(number * 4, 256)
        self.here = f"10.213.{high}.{low + 1}"
        """This machine's address on the link."""
        self._there = f"10.213.{high}.{low + 2}"
        self._name = f"lastcall-{number}"
        self._near, self._far = f"lc{number}n", f"lc{number}f"
        _ip("netns", "add", self._name)
        try:
            _ip("link", "add", self._near, "type", "veth", "peer", self._far, "netns", self._name)
            _ip("address", "add", f"{self.here}/30", "dev", self._near)
            _ip("link", "set", self._near, "up")
            self._ip("address", "add", f"{self._there}/30", "dev", self._far)
            self._ip("link", "set", self._far, "up")
            self._ip("link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise
        self.command = ("ip", "netns", "exec", self._name)
        """What a command begins with that runs there."""

    def lose(self, direction: Direction) -> None:
        """Lose whatever goes up, to here, or down, from here."""
        nobody = ("lladdr", NOBODY, "nud", "permanent")
        if direction == "up":
            self._ip("neighbour", "replace", self.here, *nobody, "dev", self._far)
        else:
            _ip("neighbour", "replace", self._there, *nobody, "dev", self._near)

    def heal(self, direction: Direction) -> None:
        """Lose no more of it."""
        if direction == "up":
            self._ip("neighbour", "delete", self.here, "dev", self._far)
        else:
            _ip("neighbour", "delete", self._there, "dev", self._near)

    def close(self) -> None:
        """Take it away, once nothing runs there any more."""
        subprocess.run(("ip", "link", "delete", self._near), check=False, capture_output=True)
        _ip("netns", "delete", self._name)

    def _ip(self, *arguments: str) -> None:
        _ip("-netns", self._name, *arguments)


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True, text=True, timeout=20)
