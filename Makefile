# `make` alone lists the targets. Only Python 3.11 or later (with venv and pip) and make are needed.

PYTHON ?= python3
WORKERS ?= auto
BIN := .venv/bin
CODE := $(wildcard src tests tools benchmarks)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-strip-extras --no-emit-find-links --custom-compile-command "make lock" --extra server

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak simulate check mutants bench screenshots messages lock
.DELETE_ON_ERROR:

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: .venv/installed  ## install everything into .venv; does nothing when that is up to date

demo: .venv/installed  ## fill a throw-away database, serve it, and print where and as whom to sign in
	@$(BIN)/lastcall demo

# One worker per processor; a file's tests stay together, so that they share its servers and browsers.
test: .venv/installed .venv/chromium-path .venv/proxies/found.json  ## run all tests, in a real browser too; fails when coverage falls
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --cov --cov-report=json:.venv/coverage.json \
		--cov-report=term-missing:skip-covered
	@$(BIN)/python -m tools.coverage_gate .venv/coverage.json coverage-floor.txt

soak: .venv/installed  ## run the tests that take long, which `make test` leaves out
	$(BIN)/pytest -n $(WORKERS) -m soak

SEEDS ?= 20000
FIRST ?= 0
simulate: .venv/installed  ## run the simulation of instant logout over SEEDS (20000) seeds
	@$(BIN)/python -m tools.simulate $(SEEDS) --first $(FIRST)

check: .venv/installed  ## format, lint, types, which module may import which, lock files, secrets
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/python -m tools.check_locks
	$(BIN)/python -m tools.check_comparisons

mutants: .venv/installed  ## change core and tokens in many small ways; fails when the tests notice too few
	@nice $(BIN)/python -m tools.mutants

bench: .venv/installed .venv/peers/installed  ## measure what is fast, beside what else a user would pick
	@PYTHONPATH=src .venv/peers/bin/python -m benchmarks.checks
	@$(BIN)/python -m benchmarks.events
	@$(BIN)/python -m benchmarks.confirmation
	@$(BIN)/python -m benchmarks.integrations
	@$(BIN)/python -m benchmarks

screenshots: .venv/installed .venv/chromium-path  ## take pictures of every page, wide, narrow and dark, into screenshots/
	@$(BIN)/python -m tools.screenshots screenshots

messages: .venv/installed  ## bring the catalogs of the pages' texts up to date; list what wants a translation
	@$(BIN)/python -m tools.messages

lock: .venv/created  ## choose all dependencies' versions anew and write them to requirements/
	@test -x $(BIN)/uv || $(PIP) uv
	$(COMPILE) -o requirements/server.txt
	$(COMPILE) --group dev -c requirements/server.txt -o requirements/dev.txt
	$(subst --extra server,,$(COMPILE)) --group peers -o requirements/peers.txt

# The environment is made only when it is absent, and filled only when what it should hold has changed.
.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "lastcall needs Python 3.11 or later; '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)" >&2; \
		echo "Name another one: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/created requirements/dev.txt pyproject.toml
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/chromium-path: .venv/installed tools/find_browser.py
	@$(BIN)/python -m tools.find_browser $@

.venv/proxies/found.json: .venv/installed tools/find_proxies.py
	@$(BIN)/python -m tools.find_proxies $@

.venv/peers/installed: .venv/installed requirements/peers.txt
	@$(PYTHON) -m venv .venv/peers
	.venv/peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/peers.txt
	@touch $@
