"""Do the lock files pin all that `pyproject.toml` asks for, with hashes, and name no index?"""

import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def faults(lock: str, wanted: Iterable[str]) -> Iterator[str]:
    """What is wrong with a lock file.

    Args:
        lock: the text of a requirements file.
        wanted: requirements, as in `pyproject.toml`, each of which it must satisfy.
    """
    pins: dict[str, str] = {}
    for entry in lock.replace("\\\n", " ").splitlines():
        requirement, *hashes = entry.partition("#")[0].split(" --hash=")
        if "://" in entry:
            yield f"names an address: {entry.strip()}"
        elif not requirement.strip():
            continue
        elif "==" not in requirement or not hashes:
            yield f"not pinned with a hash: {requirement.strip()}"
        else:
            pin = Requirement(requirement)
            pins[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    for want in map(Requirement, wanted):
        version = pins.get(canonicalize_name(want.name))
        if version is None:
            yield f"lacks {want.name}"
        elif not want.specifier.contains(version, prereleases=True):
            yield f"has {want.name} {version}, but pyproject.toml asks for {want.specifier}"


def main() -> int:
    """Print the faults of `requirements/*.txt`; 1 when there are any."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = pyproject["project"]
    server = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    groups = pyproject["dependency-groups"]
    locks = {
        "server.txt": server,
        "dev.txt": [*server, *groups["dev"]],
        "peers.txt": [*project["dependencies"], *groups["peers"]],
    }
    found = [
        f"requirements/{name} {fault}"
        for name, wanted in locks.items()
        for fault in faults((ROOT / "requirements" / name).read_text(), wanted)
    ]
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        print("Write them anew: make lock", file=sys.stderr)
    else:
        print("Lock files: pinned, hashed, complete, and without addresses.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
