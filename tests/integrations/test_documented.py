"""The examples of docs/integrations.md work as they are printed."""

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.integrations.conftest import Site, problem

PAGE = (ROOT / "docs/integrations.md").read_text()


def example(framework: str, verifier: object) -> Any:  # noqa: ANN401
    """Run a framework's example, and give its application."""
    section = PAGE.partition(f"\n## {framework}\n")[2].partition("\n## ")[0]
    names = {"verifier": verifier, "__name__": __name__}
    for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(code, names)  # noqa: S102
    return names["app"]


@pytest.mark.parametrize(
    ("site", "framework", "purge"),
    [
        ("starlette", "Starlette", "/purge"),
        ("fastapi", "FastAPI", "/admin/purge"),
        ("litestar", "Litestar", "/purge"),
    ],
    indirect=["site"],
)
async def test_the_example_of_each_framework_works(site: Site, framework: str, purge: str) -> None:
    here = replace(site, app=example(framework, site.verifier))
    token, user = site.owner.access_token, site.owner.session.user_id
    assert (await here.ask("/")).json() == {"user": None}
    assert (await here.ask("/", bearer=token)).json() == {"user": user}
    problem(await here.ask(purge, method="POST"), 401, "token_missing")
    assert (await here.ask(purge, method="POST", bearer=token)).is_success
    site.clock.advance(seconds=601)
    late = await here.ask(purge, method="POST", bearer=token)
    problem(late, 401, "reauthentication_required")
