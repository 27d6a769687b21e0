"""docs/operating.md: its commands do what it says, and its tables are whole."""

import re
import shutil
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lastcall.metrics import Metrics
from lastcall.settings import NAMES, PREFIX
from lastcall.stores import base
from tests.conftest import ROOT
from tests.docs.blocks import every_block
from tests.docs.conftest import Place, shell
from tests.support.servers import EMAIL

PAGE: Final = "docs/operating.md"


def first_column(under: str) -> set[str]:
    """Give the names in the first column of a section's table."""
    section = (ROOT / PAGE).read_text("utf-8").partition(f"\n## {under}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_setting_is_told_and_no_other() -> None:
    assert first_column("Settings") == {PREFIX + name.upper() for name in NAMES}


def test_every_metric_is_told_and_no_other() -> None:
    log = base.LogEnd(position=_Position(), floor=0)  # type: ignore[arg-type]
    text = Metrics().write(log, 0).decode()
    names = {family.name for family in text_string_to_metric_families(text)}
    assert first_column("Watch it") == {name for name in names if not name.endswith("_created")}


class _Position:
    """As much of a position as the metrics look at."""

    seq = 1


def test_the_commands_for_operators_work(place: Place, tmp_path: Path) -> None:
    with every_block(PAGE, "sh") as blocks:
        assert "lastcall is ready at" in shell(tmp_path, blocks.take("lastcall serve").text)
        assert "0 problems" in place.shell(blocks.take("lastcall doctor"))
        place.shell(blocks.take("VACUUM INTO"))
        place.shell(blocks.take("lastcall purge"))
        assert "up to date" in place.shell(blocks.take("lastcall migrate"))
        place.shell(blocks.take("signing-key rotate"))
        assert "lastcall_log_seq" in place.shell(blocks.take("/healthz"))
        elsewhere = tmp_path / "restored"
        elsewhere.mkdir()
        for name in ("copy.db", "copy.key"):
            shutil.copy(place.folder / name, elsewhere)
        restore = blocks.take("mv copy.db").text
        assert re.search(r"Ended \d+ sessions? of 1 account", shell(elsewhere, restore))
        assert EMAIL in shell(elsewhere, "lastcall user list")


@pytest.mark.parametrize("command", ["lastcall user list", "lastcall serve --port 0"])
def test_a_database_without_its_secret_file_is_refused(
    place: Place, tmp_path: Path, command: str
) -> None:
    shell(
        place.folder,
        'python3 -c \'import sqlite3, sys; sqlite3.connect("lastcall.db")'
        f'.execute("VACUUM INTO ?", ["{tmp_path}/lastcall.db"])\'',
    )
    (tmp_path / "lastcall.db").chmod(0o600)
    assert "refused" in shell(tmp_path, f"{command} || echo refused")
    assert not (tmp_path / "lastcall.key").exists()
