"""Where a framework is missing, its integration says what to install."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "framework"),
    [("django", "Django"), ("fastapi", "FastAPI"), ("flask", "Flask"), ("litestar", "Litestar")],
)
def test_without_its_framework_an_integration_says_what_to_install(
    module: str, framework: str
) -> None:
    code = f"import sys; sys.modules['{module}'] = None; import lastcall.integrations.{module}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    wanted = (
        f"ImportError: lastcall.integrations.{module} needs {framework}: "
        f"pip install 'lastcall[{module}]'"
    )
    assert done.stderr.splitlines()[-1] == wanted
