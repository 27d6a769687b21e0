"""The shortest history that shows a fault: acts are left out, one by one, as long as it stays."""

from tests.simulation.runs import Run, plan


def shortest(seed: str) -> str:
    """Tell the story of a seed's fault, with as little in it as shows a fault of that kind."""
    acts = plan(seed)
    kind = _kind(Run(seed, acts).faults())
    number = 0
    while number < len(acts):
        fewer = acts[:number] + acts[number + 1 :]
        if _kind(Run(seed, fewer).faults()) == kind:
            acts = fewer
        else:
            number += 1
    run = Run(seed, acts)
    found = run.faults()
    lines = [f"{at:9.3f} {text}" for at, text in run.world.story]
    return "\n".join([f"seed {seed}:", *lines, *found[:1]])


def _kind(found: list[str]) -> str:
    return found[0].partition(":")[0] if found else ""
