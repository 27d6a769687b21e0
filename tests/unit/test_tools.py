"""The programs that the Makefile runs refuse what they are there to refuse."""

import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.test_house import run
from tools import check_locks, coverage_gate, find_browser, find_proxies, mutants

HASH = "--hash=sha256:" + 64 * "0"


# Lock files


@pytest.mark.parametrize(
    ("lock", "fault"),
    [
        (f"--index-url https://index.example/simple\nclick==8.5.1 \\\n    {HASH}\n", "an address"),
        ("click==8.5.1\n", "not pinned with a hash: click==8.5.1"),
        (f"click>=8 {HASH}\n", "not pinned with a hash: click>=8"),
        (f"anyio==4.16.0 \\\n    {HASH}\n    # via click==8.5.1\n", "lacks click"),
        (f"click==7.0 \\\n    {HASH}\n", "has click 7.0, but pyproject.toml asks for >=8"),
    ],
    ids=["address", "no hash", "range", "absent", "too old"],
)
def test_a_lock_file_with_a_fault_is_refused(lock: str, fault: str) -> None:
    assert fault in next(check_locks.faults(lock, ["click>=8"]))


def test_a_lock_file_without_a_fault_passes() -> None:
    pin = "click==8.5.1 ; python_version > '3.2'"
    lock = f"# made by make lock\n{pin} \\\n    {HASH} \\\n    {HASH}\n    # via x\n"
    assert not list(check_locks.faults(lock, ["Click[extra]>=8"]))


# Mutants


RESULTS = """
    lastcall.keys.x_new_key__mutmut_1: killed
    lastcall.keys.xǁKeyringǁdue__mutmut_2: timeout
    lastcall.ids.x__sortable__mutmut_10: survived
    lastcall.ids.x__sortable__mutmut_11: no tests
    lastcall.ids.x__sortable__mutmut_12: not checked
"""


def test_only_a_mutant_that_was_killed_or_ran_out_of_time_is_dead() -> None:
    assert mutants.share(mutants.fates(RESULTS).values()) == 40


def test_the_report_has_each_module_s_share_and_every_mutant_that_lives() -> None:
    lines = mutants.report(mutants.fates(RESULTS)).splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["lastcall.ids", "0", "of", "3", "0.0", "%"],
        ["lastcall.keys", "2", "of", "2", "100.0", "%"],
    ]
    assert [line.partition(": ")[2] for line in lines[3:-1]] == [
        "survived",
        "no tests",
        "not checked",
    ]
    assert lines[-1] == "40.0 % of 5 died."


def test_where_nothing_was_tried_too_little_died() -> None:
    assert mutants.share(()) < mutants.LEAST


# The coverage gate


def report(lines: tuple[int, int], branches: tuple[int, int]) -> str:
    """A coverage report in which so many lines and branches of so many are covered."""
    return f"""{{"totals": {{"covered_lines": {lines[0]}, "num_statements": {lines[1]},
        "covered_branches": {branches[0]}, "num_branches": {branches[1]}}}}}"""


@pytest.mark.parametrize(
    ("lines", "branches", "share"),
    [((9, 10), (10, 10), 90), ((1000, 1000), (3, 4), 75), ((0, 0), (0, 0), 100)],
    ids=["lines are fewer", "branches are fewer", "nothing to cover"],
)
def test_the_lower_of_lines_and_branches_counts(
    lines: tuple[int, int], branches: tuple[int, int], share: float
) -> None:
    assert coverage_gate.share(report(lines, branches)) == share


@pytest.mark.parametrize(
    ("covered", "floor", "passes", "says"),
    [
        (96.99, 97.0, False, "below the floor of 97.0 %"),
        (94.0, 90.0, False, "never be below 95.0 %"),
        (99.0, 90.0, False, "never be below 95.0 %"),
        (97.0, 97.0, True, "Coverage is 97.00 %"),
        (97.58, 97.0, True, "write 97.5 into coverage-floor.txt"),
    ],
    ids=["less than before", "low floor", "low floor, good coverage", "as before", "more"],
)
def test_coverage_may_not_fall(covered: float, floor: float, passes: bool, says: str) -> None:
    passed, text = coverage_gate.verdict(covered, floor)
    assert passed is passes
    assert says in text


def test_no_hint_to_raise_the_floor_for_a_hair() -> None:
    assert "coverage-floor.txt" not in coverage_gate.verdict(97.4, 97.0)[1]


def test_the_gate_exits_with_1_below_the_floor_and_0_on_it(tmp_path: Path) -> None:
    written, floor = tmp_path / "coverage.json", tmp_path / "floor.txt"
    written.write_text(report((960, 1000), (96, 100)))
    floor.write_text("96.0\n")
    gate = (sys.executable, "-m", "tools.coverage_gate", str(written), str(floor))
    assert run(*gate).returncode == 0
    floor.write_text("96.1\n")
    assert run(*gate).returncode == 1


def test_the_floor_that_is_kept_is_a_valid_one() -> None:
    assert float((ROOT / "coverage-floor.txt").read_text()) >= coverage_gate.LEAST


# The tests' browser


def executable(path: Path) -> str:
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return str(path)


def test_a_browser_that_is_named_is_the_only_candidate(tmp_path: Path) -> None:
    named = executable(tmp_path / "mine")
    executable(tmp_path / "chromium")
    environ = {find_browser.VARIABLE: named, "PATH": str(tmp_path)}
    assert list(find_browser.installed(environ)) == [named]


def test_chromium_on_the_path_comes_before_chrome_and_the_usual_places(tmp_path: Path) -> None:
    chrome = executable(tmp_path / "google-chrome")
    chromium = executable(tmp_path / "chromium")
    assert list(find_browser.installed({"PATH": str(tmp_path)}))[:2] == [chromium, chrome]


@pytest.mark.parametrize("exists", [True, False], ids=["does not start", "does not exist"])
def test_a_named_browser_that_is_of_no_use_is_an_error_that_names_it(
    exists: bool, tmp_path: Path
) -> None:
    named = tmp_path / "mine"
    if exists:
        executable(named)
    with pytest.raises(find_browser.NoBrowserError, match=str(named)):
        find_browser.find({find_browser.VARIABLE: str(named)})


def proxy(path: Path, status: int) -> find_proxies.Proxy:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return find_proxies.Proxy(str(path))


def test_a_proxy_that_is_installed_and_starts_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_proxies, "SYSTEM_PLACES", "")
    here = {name: proxy(tmp_path / name, 0) for name in find_proxies.SHOW_VERSION}
    monkeypatch.setattr(find_proxies, "fetch", None)  # nothing is missing
    assert find_proxies.find(tmp_path / "unpacked", {"PATH": str(tmp_path)}) == here


def test_a_proxy_that_does_not_start_is_replaced_and_what_is_not_there_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked = tmp_path / "unpacked", []

    def fetch(names: list[str], where: Path) -> None:
        asked.extend(names)
        proxy(where / "usr" / "sbin" / "nginx", 0)
        proxy(where / "usr" / "bin" / "caddy", 1)

    monkeypatch.setattr(find_proxies, "SYSTEM_PLACES", "")
    monkeypatch.setattr(find_proxies, "fetch", fetch)
    proxy(tmp_path / "nginx", 1)
    for tool in ("apt-get", "dpkg-deb"):
        executable(tmp_path / tool)
    found = find_proxies.find(folder, {"PATH": str(tmp_path)})
    assert asked == ["nginx", "caddy", "haproxy"]
    assert {name: one.path for name, one in found.items()} == {
        "nginx": str(folder / "usr/sbin/nginx")
    }


def test_without_apt_get_what_is_missing_is_said_and_tests_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(find_proxies, "SYSTEM_PLACES", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = tmp_path / "made" / "found.json"
    assert find_proxies.main(str(answer)) == 0
    assert find_proxies.read(answer) == {}
    assert capsys.readouterr().out.count("apt-get install") == 3
