"""`python -m tools.measure_install`: what an install brings, and what importing it costs.

Builds the wheel and lets pip install it into empty environments, as a user would, so it needs a
package index. No test judges its figures.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

from tests.conftest import ROOT

RUNS: Final = 21
MEASURED: Final = {
    "lastcall": ("import lastcall", "import lastcall; lastcall.Verifier"),
    "lastcall[server]": ("import lastcall.server", "import lastcall.cli.root"),
}
"""What is installed, and what is imported then."""
COUNT: Final = """
from importlib.metadata import distributions
ours = [one for one in distributions() if one.name not in {"pip", "setuptools"}]
paths = [file.locate() for one in ours for file in one.files or []]
print(len(ours), sum(path.stat().st_size for path in paths if path.exists()))
"""


def build(folder: Path) -> Path:
    """Build the wheel into a folder."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.whl"))


def install(folder: Path, wanted: str) -> Path:
    """Install something with pip into an empty environment; give its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted]
    subprocess.run([python, *pip], check=True)
    return python


def seconds(python: Path, code: str) -> tuple[float, float]:
    """Time an interpreter from its start to its end: what passes, and what its processor works."""
    worked = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = perf_counter()
    subprocess.run([python, "-I", "-c", code], check=True)
    passed = perf_counter() - started
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, now.ru_utime + now.ru_stime - worked.ru_utime - worked.ru_stime


def imports(python: Path, codes: tuple[str, ...]) -> list[list[float]]:
    """Say how long each of these takes beyond the bare interpreter, both ways, as medians."""
    rounds = [[seconds(python, code) for code in ("pass", *codes)] for _ in range(RUNS + 1)][1:]
    return [
        [median(one[place][kind] - one[0][kind] for one in rounds) for kind in (0, 1)]
        for place in range(1, len(codes) + 1)
    ]


def main() -> int:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        wheel = build(folder)
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB; Python {sys.version.split()[0]}")
        for name, codes in MEASURED.items():
            python = install(folder / name, f"{name} @ {wheel.as_uri()}")
            counted = subprocess.run([python, "-I", "-c", COUNT], check=True, capture_output=True)
            packages, size = map(int, counted.stdout.split())
            print(f"{name}: {packages} packages with its own, {size / 1e6:.1f} MB")
            for code, (passed, worked) in zip(codes, imports(python, codes), strict=True):
                print(f"  {code}: {passed * 1e3:.0f} ms, {worked * 1e3:.0f} of a processor's")
    return 0


if __name__ == "__main__":
    sys.exit(main())
