"""What goes wrong in a run, by its kind."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from tests.simulation.nodes import LEASE

if TYPE_CHECKING:
    from tests.simulation.run import Run

Fault = Callable[["Run", Random, float], str | None]
"""Does it, for so many seconds of real time where it lasts; gives what to tell of it."""


def befall(run: "Run", kind: str, random: Random) -> None:
    """Have it happen."""
    leases = random.choice((0.1, 0.6, 1.0, None))
    seconds = LEASE * (random.uniform(0.02, 2.0) if leases is None else leases)
    told = _KINDS[kind](run, random, seconds)
    if told:
        run.world.tell(told)


def _pause_node(run: "Run", random: Random, seconds: float) -> str:
    node = random.choice(run.nodes)
    node.pause(seconds)
    return f"{node.name} pauses for {seconds:.1f} s"


def _pause_verifier(run: "Run", random: Random, seconds: float) -> str:
    verifier = random.choice(run.verifiers)
    verifier.pause(seconds)
    return f"{verifier.name} pauses for {seconds:.1f} s"


def _pause_at_a_grant(run: "Run", random: Random, seconds: float) -> None:
    random.choice(run.verifiers).ambush = seconds


def _sleep(run: "Run", random: Random, seconds: float) -> str:
    verifier = random.choice(run.verifiers)
    verifier.pause(seconds, asleep=True)
    return f"{verifier.name} sleeps for {seconds:.1f} s"


def _kill_node(run: "Run", random: Random, _: float) -> str:
    node = random.choice(run.nodes)
    node.alive = False
    for channel in [*node.channels.values()]:
        channel.cut()
    run.nodes[run.nodes.index(node)] = run.new_node(f"{node.name}'")
    return f"{node.name} is killed"


def _kill_verifier(run: "Run", random: Random, _: float) -> str:
    verifier = random.choice(run.verifiers)
    verifier.alive = False
    if verifier.channel:
        verifier.channel.cut()
    run.verifiers[run.verifiers.index(verifier)] = run.new_verifier(f"{verifier.name}'")
    return f"{verifier.name} is killed"


def _fork(run: "Run", random: Random, _: float) -> str:
    verifier = random.choice(run.verifiers)
    child = verifier.fork(run.world, f"{verifier.name}+")
    run.verifiers.append(child)
    run.begin(child)
    return f"{verifier.name} forks"


def _cut(run: "Run", random: Random, _: float) -> str | None:
    verifier = random.choice(run.verifiers)
    if verifier.channel is None:
        return None
    verifier.channel.cut()
    return f"{verifier.name}'s connection breaks"


def _stall(run: "Run", random: Random, seconds: float) -> str | None:
    verifier = random.choice(run.verifiers)
    channel = verifier.channel
    if channel is None:
        return None
    end = random.choice((channel.verifier, channel.node))
    end.delay = seconds
    run.world.after(seconds, lambda: setattr(end, "delay", 0.0))
    whose = "what it hears" if end is channel.verifier else "what it says"
    return f"{verifier.name}: {whose} is {seconds:.1f} s under way"


def _slow_store(run: "Run", _: Random, seconds: float) -> str:
    run.store.slow_until = run.world.now + seconds
    return f"the store is slow for {seconds:.1f} s"


def _cut_off(run: "Run", random: Random, seconds: float) -> str:
    node = random.choice(run.nodes)
    run.store.cut[node.name] = run.world.now + seconds
    return f"{node.name} can't reach the store for {seconds:.1f} s"


def _late_durability(run: "Run", _: Random, seconds: float) -> str:
    run.store.lag_until = run.world.now + seconds
    return f"commits are durable late for {seconds:.1f} s"


def _fail_over(run: "Run", _: Random, __: float) -> None:
    run.store.fail_over(lossless=True)


def _lose(run: "Run", _: Random, __: float) -> None:
    run.store.fail_over(lossless=False)


def _restore(run: "Run", _: Random, __: float) -> None:
    """The first takes the backup, the next puts it in the place of all."""
    if run.backup is None:
        run.backup = run.store.primary.state.twin()
    else:
        run.truth.over.update(token.session for token in run.truth.tokens)
        run.store.restore(run.backup)


_KINDS: Final[dict[str, Fault]] = {
    "pause node": _pause_node,
    "pause verifier": _pause_verifier,
    "pause verifier at a grant": _pause_at_a_grant,
    "machine sleeps": _sleep,
    "kill node": _kill_node,
    "kill verifier": _kill_verifier,
    "fork verifier": _fork,
    "cut": _cut,
    "stall": _stall,
    "slow store": _slow_store,
    "store cut off": _cut_off,
    "late durability": _late_durability,
    "failover": _fail_over,
    "lossy failover": _lose,
    "restore": _restore,
}
