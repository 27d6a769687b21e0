# `make` alone lists the targets. Only Python 3.11 or later (with venv and pip) and make are needed.

PYTHON ?= python3
WORKERS ?= auto
BIN := .venv/bin
CODE := $(wildcard src tests tools benchmarks)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-strip-extras --no-emit-find-links --custom-compile-command "make lock" --extra server

# Where it is set, each of the servers that tests start would compile all of lastcall anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo example test soak pythons simulate check mutants bench docs screenshots messages lock
.DELETE_ON_ERROR:

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: .venv/installed  ## install everything into .venv; does nothing when that is up to date

demo: .venv/installed  ## fill a throw-away database, serve it, and print where and as whom to sign in
	@$(BIN)/lastcall demo

example: .venv/installed  ## start an example, in a folder that is thrown away: make example NAME=fastapi
	@cd examples && test -e "$(NAME)/app.py" || { \
		echo "make example NAME=..., which is one of:" $$(ls */app.py | sed 's|/app.py||') >&2; exit 2; }
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && cd "$$folder" && \
		example=$(CURDIR)/examples/$(NAME) && start=$$(ls $$example/start.py $$example/app.py 2>/dev/null | tail -1) && \
		$(CURDIR)/$(BIN)/python $$start

# One worker per processor; a file's tests stay together, so that they share its servers and browsers, and
# the quick ones come last, so that no worker waits long for another one (see tests/conftest.py).
test: .venv/installed .venv/chromium-path .venv/proxies/found.json .venv/peers/installed  ## run all tests, in a real browser too; fails when coverage falls
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=json:.venv/coverage.json \
		--cov-report=term-missing:skip-covered
	@$(BIN)/python -m tools.coverage_gate .venv/coverage.json coverage-floor.txt

soak: .venv/installed  ## run the tests that take long, which `make test` leaves out
	$(BIN)/pytest -n $(WORKERS) -m soak

PYTHONS ?= 3.12 3.13 3.14
ACROSS ?= tests/unit tests/property tests/contract tests/verifier tests/integrations tests/http
pythons: .venv/installed  ## run the tests that need no browser on each of PYTHONS (3.12 3.13 3.14): versions, or paths
	@set -e; for python in $(PYTHONS); do \
		its=.venv/pythons/$$(basename $$python); echo "On $$python ..."; \
		$(BIN)/uv venv --quiet --clear --no-python-downloads --python $$python $$its; \
		$(BIN)/uv pip sync --quiet --require-hashes --python $$its requirements/dev.txt; \
		$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $$its -e .; \
		$$its/bin/pytest -q -p no:cacheprovider -n $(WORKERS) --dist loadfile $(ACROSS); \
	done

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
	@$(BIN)/python -m benchmarks.postgres
	@$(BIN)/python -m benchmarks.nodes
	@$(BIN)/python -m benchmarks

docs: .venv/installed  ## build the documentation's site into site/; fails where a link leads nowhere
	@$(BIN)/python -m tools.site site

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
