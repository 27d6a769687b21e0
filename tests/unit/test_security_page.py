"""The page that says what is defended names tests that exist."""

import re

from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
TEST = re.compile(r"`(?P<file>\w+/\w+\.py)(?:::(?P<name>\w+))?`")
REASON = re.compile(r"\*waits?\*|above|reports would go")
"""What stands in a row that has no test to name."""
ASVS_V7 = {
    *(f"7.1.{n}" for n in range(1, 4)),
    *(f"7.2.{n}" for n in range(1, 5)),
    *(f"7.3.{n}" for n in range(1, 3)),
    *(f"7.4.{n}" for n in range(1, 6)),
    *(f"7.5.{n}" for n in range(1, 4)),
    *(f"7.6.{n}" for n in range(1, 3)),
}


def test_every_test_that_it_names_exists() -> None:
    named = list(TEST.finditer(TEXT))
    assert len(named) > 150
    for found in named:
        code = (ROOT / "tests" / found["file"]).read_text("utf-8")
        name = found["name"]
        assert name is None or re.search(rf"def {name}\(|^{name} = ", code, re.MULTILINE), found[0]


def test_every_row_names_a_test_or_says_why_there_is_none() -> None:
    rows = re.findall(r"^\| \d.*\|$", TEXT, re.MULTILINE)
    assert len(rows) > 110
    assert [row for row in rows if not TEST.search(row) and not REASON.search(row)] == []


def test_it_has_all_nineteen_requirements_on_sessions() -> None:
    first = re.findall(r"^\| (\d[\d., ]*) \|", TEXT, re.MULTILINE)
    shown = {number for cell in first for number in cell.split(", ")}
    assert len(ASVS_V7) == 19
    assert shown >= ASVS_V7
