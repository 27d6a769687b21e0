"""Find the reverse proxies to test behind: installed ones, else the system's packages, unpacked.

The packages are fetched with apt-get into a folder of ours and unpacked there, with what they
depend on. So nothing is installed, no service starts, and it takes no root and no lock.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

SHOW_VERSION: Final = {"nginx": "-v", "caddy": "version", "haproxy": "-v"}
"""The proxies, each with the argument that shows whether it starts."""
SYSTEM_PLACES: Final = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
"""Where they stand, also if a user's PATH lacks it."""
APT_SECONDS: Final = 180
ADVICE: Final = (
    "{name} is not installed, and could not be fetched with apt-get; install it "
    "(Debian, Ubuntu: apt-get install {name}), then remove .venv/proxies"
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that starts, and where the libraries are that the system lacks."""

    path: str
    libraries: str = ""

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Give the environment in which it starts."""
        return {**environ, **({"LD_LIBRARY_PATH": self.libraries} if self.libraries else {})}


def starts(name: str, proxy: Proxy) -> bool:
    """Whether it tells its version."""
    done = subprocess.run(
        [proxy.path, SHOW_VERSION[name]],
        env=proxy.environment(os.environ),
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def installed(name: str, environ: Mapping[str, str]) -> Proxy | None:
    """Give the one that is installed."""
    found = shutil.which(name, path=f"{environ.get('PATH', os.defpath)}:{SYSTEM_PLACES}")
    return Proxy(found) if found else None


def fetch(names: list[str], folder: Path) -> None:
    """Fetch packages and what they lack here, as far as there are any, and unpack them."""
    print(f"Fetching {', '.join(names)} with apt-get ...", file=sys.stderr)
    environ = {**os.environ, "LC_ALL": "C"}
    with tempfile.TemporaryDirectory() as given:
        lists, cache = Path(given, "lists"), Path(given, "cache")
        (lists / "partial").mkdir(parents=True)
        (cache / "archives" / "partial").mkdir(parents=True)
        own = (f"Dir::State::lists={lists}", f"Dir::Cache={cache}", "Debug::NoLocking=true")
        quick = ("Acquire::Languages=none", "APT::Sandbox::User=root")
        apt = ["apt-get", "-qq", *(part for item in own + quick for part in ("-o", item))]
        wanted = ["install", "-y", "--no-install-recommends", "--download-only"]
        for command in (["update"], *([*wanted, name] for name in names)):
            subprocess.run(
                [*apt, *command], env=environ, stdout=sys.stderr, check=False, timeout=APT_SECONDS
            )
        for package in sorted((cache / "archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", str(package), str(folder)], check=False)


def unpacked(name: str, folder: Path) -> Proxy | None:
    """Give the one that was unpacked."""
    libraries = ":".join(str(place) for place in sorted(folder.glob("usr/lib/*-linux-gnu*")))
    for place in ("usr/sbin", "usr/bin"):
        path = folder / place / name
        if path.is_file():
            return Proxy(str(path), libraries)
    return None


def find(folder: Path, environ: Mapping[str, str]) -> dict[str, Proxy]:
    """Give those that start, by name; what is missing is unpacked into a folder."""
    found = {
        name: proxy
        for name in SHOW_VERSION
        if (proxy := installed(name, environ)) is not None and starts(name, proxy)
    }
    missing = [name for name in SHOW_VERSION if name not in found]
    tools = (shutil.which(tool, path=environ.get("PATH")) for tool in ("apt-get", "dpkg-deb"))
    if missing and all(tools):
        try:
            fetch(missing, folder)
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"apt-get did not end well: {error}", file=sys.stderr)
        for name in missing:
            proxy = unpacked(name, folder)
            if proxy is not None and starts(name, proxy):
                found[name] = proxy
    return found


def read(answer: Path) -> dict[str, Proxy]:
    """Read what `main` has written; nothing where it never ran."""
    if not answer.exists():
        return {}
    return {name: Proxy(**proxy) for name, proxy in json.loads(answer.read_text()).items()}


def main(answer: str) -> int:
    """Write into the file `answer` which proxies there are. It is no error if there are none."""
    path = Path(answer).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    found = find(path.parent, os.environ)
    path.write_text(json.dumps({name: asdict(proxy) for name, proxy in found.items()}))
    for name in SHOW_VERSION:
        known = found.get(name)
        print(f"The tests' {name}: {known.path}" if known else ADVICE.format(name=name))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
